"""The folder of a plugin, as its ``pyproject.toml`` says what it is."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from despina.errors import DespinaError
from despina.plugins.installed import BACKENDS
from despina_sdk import Code

FILE = "pyproject.toml"
NO_MODULES = frozenset({"setup", "conftest", "noxfile", "tests", "test", "docs", "examples"})
"""That lie beside a plugin's modules and are none."""


@dataclass(frozen=True)
class Project:
    """A plugin's distribution.

    Attributes:
        folder: of the plugin.
        name, version: of the distribution; no version where it is found out by a build.
        points: of its backends, by their names.
    """

    folder: Path
    name: str
    version: str
    points: Mapping[str, EntryPoint]

    @property
    def is_built(self) -> bool:
        """Whether there is something for CMake to build."""
        return (self.folder / "CMakeLists.txt").is_file()

    def modules(self) -> dict[str, Path]:
        """Its top-level modules: the file of each, or the folder of a package.

        They are looked for in the folder and in ``src``.
        """
        found: dict[str, Path] = {}
        for root in (self.folder, self.folder / "src"):
            packages = {path.parent.name: path.parent for path in root.glob("*/__init__.py")}
            modules = {path.stem: path for path in root.glob("*.py")}
            found = {**modules, **packages, **found}
        for point in self.points.values():  # one that an editor has just removed is missed
            top = point.module.partition(".")[0]
            found.setdefault(top, self.folder / top)
        others = NO_MODULES | sys.stdlib_module_names
        return {name: path for name, path in found.items() if name not in others}


def read_project(folder: Path) -> Project:
    """Reads what a plugin offers.

    Raises:
        DespinaError: INVALID_ARGUMENT: it says nothing of backends, or cannot be read; with the
            line where TOML has one.
    """
    file = folder / FILE
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise _invalid(file, str(error.strerror)) from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise _invalid(file, str(error)) from error
    project = _table(file, table, "project")
    points = _table(file, _table(file, project, "entry-points"), BACKENDS)
    if not points:
        what = f'it offers no backend: there is no [project.entry-points."{BACKENDS}"]'
        raise _invalid(file, what)
    for name, value in points.items():
        if not (isinstance(value, str) and EntryPoint.pattern.match(value)):
            raise _invalid(file, f"entry point '{name}' is {value!r}, not 'module:object'")
    name, version = project.get("name", folder.name), project.get("version", "")
    found = {name: EntryPoint(name, value, BACKENDS) for name, value in points.items()}
    return Project(folder.resolve(), str(name), str(version), found)


def _table(file: Path, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise _invalid(file, f"'{key}' is no table")
    return found


def _invalid(file: Path, what: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, f"--dev: '{file}': {what}")
