"""The models that can be served: what is in the repositories, and what a program hands over."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from despina.config.load import config_from_dict, read_config
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import detect_backend
from despina.config.prepare import prepare
from despina.config.problem import Origin, Problem, refuse
from despina.config.support import backend_fields
from despina.errors import ConfigError, DespinaError
from despina.repository.fingerprint import revisions
from despina.repository.layout import Listing, ModelFolder, Place, read_folder
from despina.repository.override import Override, PrivateFolders
from despina.repository.versions import choose_versions
from despina.text import did_you_mean
from despina_sdk import Code

Detect = Callable[[Path], str | None]
RevisionOf = Callable[[str], str]


@dataclass(frozen=True)
class Source:
    """One model, read and checked, and not loaded.

    Attributes:
        config: normalised and valid; the backend may still fill in tensors.
        folder: of the model. A model that a program hands over has none.
        origin: of the configuration: names it, and the lines of its fields, in errors.
        revisions: of the versions to serve, ascending: another text whenever anything of the
            version has changed.
        id: tells the model from all others.
        namespace: the repository, where models of several may have one name.
        backend_fields: what the configuration asks of the backend, which has to use it.
        private: whether the folder is one of ``PrivateFolders``.
    """

    config: ModelConfig
    folder: Path
    origin: Origin
    revisions: Mapping[int, str]
    id: str = ""
    namespace: str = ""
    backend_fields: frozenset[str] = frozenset()
    private: bool = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    @property
    def versions(self) -> tuple[int, ...]:
        """Those to serve, ascending."""
        return tuple(self.revisions)

    @property
    def is_ensemble(self) -> bool:
        """Whether it is made of other models."""
        return self.config.HasField("ensemble_scheduling")


class Catalog:
    """Looks models up. One thread."""

    def __init__(
        self,
        repositories: Sequence[Path] = (),
        in_process: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        auto_complete: bool = True,
        detect: Detect = lambda folder: None,
        backend_revision: RevisionOf = lambda backend: "",
        namespaces: bool = False,
        config_name: str = "",
    ) -> None:
        """Looks at nothing yet.

        Args:
            repositories: folders of models.
            in_process: configurations, in their JSON form, of models that a program hands over.
            auto_complete: whether backends may fill in what a configuration leaves out.
            detect: asks plugins for the backend of a version folder.
            backend_revision: another text whenever a backend, by its name, is another: its models
                have changed then.
            namespaces: whether models of several repositories may have one name.
            config_name: that of the configuration to take where a model has several.
        """
        self._listing = Listing(repositories, namespaces=namespaces)
        self._in_process = in_process or {}
        self.auto_complete, self._detect, self._config_name = auto_complete, detect, config_name
        self._backend_revision = backend_revision
        self._places: dict[str, Place] = {}
        self._ids: dict[str, list[str]] = {}
        self._private = PrivateFolders()
        self._overrides = count(1)

    def refresh(self) -> None:
        """Looks at the repositories again. One that cannot be read is taken for unchanged.

        Raises:
            DespinaError: UNAVAILABLE: one could never be read.
        """
        handed = [Place(name, name, "", ()) for name in self._in_process]
        found = {place.id: place for place in (*handed, *self._listing.look())}
        in_order = sorted(found.values(), key=lambda place: (place.name, place.namespace))
        self._places = {place.id: place for place in in_order}
        self._ids = defaultdict(list)
        for place in in_order:
            self._ids[place.name].append(place.id)

    def places(self) -> list[Place]:
        """All models there are, also those that cannot be served, by name."""
        return list(self._places.values())

    def names(self) -> list[str]:
        """Their names, each once."""
        return list(self._ids)

    def find(self, name: str) -> list[str]:
        """The ids of the models of a name: one, none or, with namespaces, several."""
        return self._ids.get(name, [])

    def unknown(self, name: str) -> DespinaError:
        """What to say of a name without a model: NOT_FOUND."""
        text = f"there is no model '{name}'{did_you_mean(name, self.names())}"
        return DespinaError(Code.NOT_FOUND, text)

    def read(self, model: str) -> Source:
        """Reads one model, by its id.

        Raises:
            DespinaError: NOT_FOUND: there is no such model. ALREADY_EXISTS: there are several.
            ConfigError: its configuration cannot be served; every problem is named.
        """
        place = self._place(model)
        return self._read_folder(place) if place.folders else self._read_in_process(place)

    def read_override(self, model: str, override: Override) -> Source:
        """Reads a model as a client wants it. With files it need not be in a repository.

        The private folder of files stays until ``keep_only`` leaves it out.

        Raises:
            DespinaError: as for ``read``. Then nothing stays behind.
        """
        if not override.files:
            place = self._place(model)
            if not place.folders:
                text = f"model '{model}' is handed over: its configuration stays as it is"
                raise DespinaError(Code.INVALID_ARGUMENT, text)
            return self._read_overridden(place, place.folders[0], override)
        private = self._private.make(override.files)
        try:
            place = self._places.get(model, Place(model, model, "", ()))
            return replace(self._read_overridden(place, private, override), private=True)
        except BaseException:
            self._private.remove(private)
            raise

    def keep_only(self, sources: Iterable[Source]) -> None:
        """Removes the private folders of all others."""
        self._private.keep_only(source.folder for source in sources if source.private)

    def close(self) -> None:
        """Removes all private folders."""
        self._private.close()

    def _place(self, model: str) -> Place:
        place = self._places.get(model)
        if place is None:
            raise self.unknown(model)
        if len(place.folders) > 1:
            folders = ", ".join(f"'{path}'" for path in place.folders)
            text = f"model '{place.name}' is in more than one repository: {folders}"
            raise DespinaError(Code.ALREADY_EXISTS, text)
        if place.folders and place.id in self._in_process:
            text = f"model '{place.name}' is handed over, and is in a repository as well"
            raise DespinaError(Code.ALREADY_EXISTS, text)
        return place

    def _read_in_process(self, place: Place) -> Source:
        name, what = place.name, f"the configuration of '{place.name}'"
        config, origin = config_from_dict(self._in_process[name], what), Origin(what)
        if config.HasField("version_policy"):
            text = "a model that is handed over has one version"
            refuse(origin, [Problem("version_policy", text)])
        asked = backend_fields(config)
        self._prepare(config, name, origin)
        # No file can be below it; a backend that needs one says so.
        folder = Path(os.devnull, name)
        return Source(config, folder, origin, {1: ""}, place.id, backend_fields=asked)

    def _read_folder(self, place: Place) -> Source:
        folder = read_folder(place.name, place.folders[0])
        file = folder.config_file(self._config_name)
        configured = os.path.lexists(file)  # a link that leads nowhere is a mistake
        config, origin = ModelConfig(), Origin(str(folder.path))
        if configured:
            config, origin = read_config(file)
        versions, asked = self._complete(config, folder, origin)
        says = ModelConfig()
        says.CopyFrom(config)
        says.ClearField("version_policy")  # other versions leave those that stay as they are
        content = says.SerializeToString(deterministic=True)
        content += self._backend_revision(config.backend).encode()
        found = revisions(folder.path, versions, content)
        return Source(config, folder.path, origin, found, place.id, place.namespace, asked)

    def _read_overridden(self, place: Place, path: Path, override: Override) -> Source:
        what = f"the configuration that was sent for '{place.name}'"
        config, origin = config_from_dict(override.config, what), Origin(what)
        folder = replace(read_folder(path.name, path), name=place.name)
        versions, asked = self._complete(config, folder, origin)
        revision = f"override {next(self._overrides)}"
        found = dict.fromkeys(versions, revision)
        return Source(config, path, origin, found, place.id, place.namespace, asked)

    def _complete(
        self, config: ModelConfig, folder: ModelFolder, origin: Origin
    ) -> tuple[tuple[int, ...], frozenset[str]]:
        """Completes a configuration; the versions to serve, and what only the backend can use."""
        # A folder without versions is version 1 of a model without files: git keeps no empty ones.
        available = folder.versions or (1,)
        newest = folder.path / str(available[-1])
        if not (config.backend or config.platform or config.HasField("ensemble_scheduling")):
            config.backend = self._detect(newest) or detect_backend(folder.name, newest)
        asked = backend_fields(config)
        self._prepare(config, folder.name, origin, folder.path)
        try:
            return choose_versions(config.version_policy, available), asked
        except ConfigError as error:
            found = [origin.locate(Problem(each.field, each.text)) for each in error.problems]
            raise ConfigError(found) from error

    def _prepare(
        self, config: ModelConfig, name: str, origin: Origin, folder: Path | None = None
    ) -> None:
        prepare(config, name, origin, completing=self.auto_complete, folder=folder)
