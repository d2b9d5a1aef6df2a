"""Folders of model repositories: ``repository/model/version/file``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from despina.errors import DespinaError
from despina.repository.versions import version_number
from despina.text import printed
from despina_sdk import Code

CONFIG_FILE = "config.pbtxt"


@dataclass(frozen=True)
class ModelFolder:
    """A folder of a repository.

    Attributes:
        name: of the folder, and so of the model.
        path: of the folder.
        versions: those that have a folder, ascending.
    """

    name: str
    path: Path
    versions: tuple[int, ...] = ()

    @property
    def config_file(self) -> Path:
        """Where its configuration is, if it has one."""
        return self.path / CONFIG_FILE


@dataclass(frozen=True)
class Layout:
    """Folders of the models of all repositories, by name; names that several have stand apart."""

    models: Mapping[str, Path] = field(default_factory=dict)
    duplicates: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


def check_repositories(repositories: Sequence[Path]) -> None:
    """Refuses what cannot be a repository.

    Raises:
        DespinaError: NOT_FOUND: there is no such folder.
    """
    for repository in repositories:
        if not repository.is_dir():
            what = "is not a folder" if repository.exists() else "does not exist"
            raise DespinaError(Code.NOT_FOUND, f"model repository '{repository}' {what}")


def scan(repositories: Iterable[Path]) -> Layout:
    """Lists the models of repositories. Files and hidden folders are not models.

    A folder whose name is not UTF-8 is listed under the name as it is printed.

    Raises:
        DespinaError: UNAVAILABLE: a repository cannot be read.
    """
    found: dict[str, list[Path]] = {}
    for repository in repositories:
        try:
            folders = sorted(path for path in repository.iterdir() if path.is_dir())
        except OSError as error:
            text = f"model repository '{repository}': {error.strerror}"
            raise DespinaError(Code.UNAVAILABLE, text) from error
        for path in folders:
            if not path.name.startswith("."):
                found.setdefault(printed(path.name), []).append(path)
    return Layout(
        {name: paths[0] for name, paths in found.items() if len(paths) == 1},
        {name: tuple(paths) for name, paths in found.items() if len(paths) > 1},
    )


def read_folder(name: str, path: Path) -> ModelFolder:
    """Looks for the versions of one model, called as ``scan`` says.

    Raises:
        DespinaError: INVALID_ARGUMENT: the folder's name is not UTF-8. UNAVAILABLE: it cannot be
            read.
    """
    if path.name != name:
        text = f"folder '{printed(str(path))}': its name is not UTF-8"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    try:
        numbers = [version_number(each.name) for each in path.iterdir() if each.is_dir()]
    except OSError as error:
        text = f"folder '{path}': {error.strerror}"
        raise DespinaError(Code.UNAVAILABLE, text) from error
    return ModelFolder(name, path, tuple(sorted(n for n in numbers if n is not None)))
