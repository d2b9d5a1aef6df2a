"""The models that can be served: what is in the repositories, and what a program hands over."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from despina.config.load import config_from_dict, read_config
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import detect_backend
from despina.config.prepare import prepare
from despina.config.problem import Origin, Problem, refuse
from despina.config.support import backend_fields
from despina.errors import ConfigError, DespinaError
from despina.repository.layout import Layout, ModelFolder, read_folder, scan
from despina.repository.versions import choose_versions
from despina.text import did_you_mean
from despina_sdk import Code

Detect = Callable[[Path], str | None]


@dataclass(frozen=True)
class Source:
    """One model, read and checked, and not loaded.

    Attributes:
        config: normalised and valid; the backend may still fill in tensors.
        folder: of the model. A model that a program hands over has none.
        origin: of the configuration: names it, and the lines of its fields, in errors.
        versions: those to serve, ascending.
        revision: another text whenever anything of the model changed.
        backend_fields: what the configuration asks of the backend, which has to use it.
    """

    config: ModelConfig
    folder: Path
    origin: Origin
    versions: tuple[int, ...]
    revision: str
    backend_fields: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    @property
    def is_ensemble(self) -> bool:
        """Whether it is made of other models."""
        return self.config.HasField("ensemble_scheduling")


@dataclass
class Catalog:
    """Looks models up by name.

    Attributes:
        repositories: folders of models.
        in_process: configurations, in their JSON form, of models that a program hands over.
        auto_complete: whether backends may fill in what a configuration leaves out.
        detect: asks plugins for the backend of a version folder.
    """

    repositories: Sequence[Path] = ()
    in_process: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    auto_complete: bool = True
    detect: Detect = lambda folder: None
    _layout: Layout = field(default_factory=Layout, init=False)

    def refresh(self) -> None:
        """Looks at the repositories again.

        Raises:
            DespinaError: UNAVAILABLE: one cannot be read.
        """
        self._layout = scan(self.repositories)

    def names(self) -> list[str]:
        """All models there are, also those that cannot be served."""
        return sorted({*self._layout.models, *self._layout.duplicates, *self.in_process})

    def check_known(self, name: str) -> None:
        """Raises NOT_FOUND for a name without a model."""
        known = self.names()
        if name not in known:
            text = f"there is no model '{name}'{did_you_mean(name, known)}"
            raise DespinaError(Code.NOT_FOUND, text)

    def read(self, name: str) -> Source:
        """Reads the configuration of one model.

        Raises:
            DespinaError: NOT_FOUND: there is no such model. ALREADY_EXISTS: there are several.
            ConfigError: its configuration cannot be served; every problem is named.
        """
        if name in self._layout.duplicates:
            folders = ", ".join(f"'{path}'" for path in self._layout.duplicates[name])
            text = f"model '{name}' is in more than one repository: {folders}"
            raise DespinaError(Code.ALREADY_EXISTS, text)
        if name in self._layout.models and name in self.in_process:
            text = f"model '{name}' is handed over, and is in a repository as well"
            raise DespinaError(Code.ALREADY_EXISTS, text)
        self.check_known(name)
        if name in self.in_process:
            return self._read_in_process(name)
        return self._read_folder(read_folder(name, self._layout.models[name]))

    def _read_in_process(self, name: str) -> Source:
        what = f"the configuration of '{name}'"
        config, origin = config_from_dict(self.in_process[name], what), Origin(what)
        if config.HasField("version_policy"):
            text = "a model that is handed over has one version"
            refuse(origin, [Problem("version_policy", text)])
        asked = backend_fields(config)
        self._prepare(config, name, origin)
        # No file can be below it; a backend that needs one says so.
        return Source(config, Path(os.devnull, name), origin, (1,), "", asked)

    def _read_folder(self, folder: ModelFolder) -> Source:
        # A folder without versions is version 1 of a model without files: git keeps no empty ones.
        available = folder.versions or (1,)
        file = folder.config_file
        configured = os.path.lexists(file)  # a link that leads nowhere is a mistake
        config, origin = ModelConfig(), Origin(str(folder.path))
        if configured:
            config, origin = read_config(file)
        newest = folder.path / str(available[-1])
        if not (config.backend or config.platform or config.HasField("ensemble_scheduling")):
            config.backend = self.detect(newest) or detect_backend(folder.name, newest)
        asked = backend_fields(config)
        self._prepare(config, folder.name, origin, folder.path)
        try:
            versions = choose_versions(config.version_policy, available)
        except ConfigError as error:
            found = [origin.locate(Problem(each.field, each.text)) for each in error.problems]
            raise ConfigError(found) from error
        return Source(config, folder.path, origin, versions, revision(folder.path), asked)

    def _prepare(
        self, config: ModelConfig, name: str, origin: Origin, folder: Path | None = None
    ) -> None:
        prepare(config, name, origin, completing=self.auto_complete, folder=folder)


def revision(folder: Path) -> str:
    """A digest of the names, sizes and times of all files below a folder."""
    digest = hashlib.sha256()
    for file in _files(folder):
        try:
            status = file.stat()
        except OSError:  # gone while we looked, or a broken link
            continue
        digest.update(os.fsencode(file.relative_to(folder)))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(root, file) for file in sorted(files))
