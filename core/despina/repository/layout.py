"""Folders of model repositories: ``repository/model/version/file``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from despina.errors import DespinaError
from despina.repository.versions import version_number
from despina.text import printed
from despina_sdk import Code

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.pbtxt"
CONFIG_FOLDER = "configs"


@dataclass(frozen=True)
class Place:
    """Where a model is.

    Attributes:
        id: tells the model from all others: its name or, with namespaces, that and the repository.
        name: of the folder as it is printed, and so of the model.
        namespace: the repository; nothing where models have none.
        folders: of the model. Only one that has one folder can be served.
    """

    id: str
    name: str
    namespace: str
    folders: tuple[Path, ...]


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

    def config_file(self, config_name: str = "") -> Path:
        """Where its configuration is, if it has one.

        Args:
            config_name: that of one among several, which comes first if it is there.
        """
        named = self.path / CONFIG_FOLDER / f"{config_name}.pbtxt"
        # A link that leads nowhere is a mistake, and counts.
        return named if config_name and os.path.lexists(named) else self.path / CONFIG_FILE


def is_config_name(name: str) -> bool:
    """Whether it can be that of one configuration among several of a model; or says none."""
    return "/" not in name and name.isprintable()


def check_repositories(repositories: Sequence[Path]) -> None:
    """Refuses what cannot be a repository.

    Raises:
        DespinaError: NOT_FOUND: there is no such folder.
    """
    for repository in repositories:
        if not repository.is_dir():
            what = "is not a folder" if repository.exists() else "does not exist"
            raise DespinaError(Code.NOT_FOUND, f"model repository '{repository}' {what}")


def scan(repository: Path) -> tuple[list[Path], int]:
    """The folders of a repository's models, and the number of its file system.

    Files and hidden folders are not models.

    Raises:
        DespinaError: UNAVAILABLE: it cannot be read.
    """
    try:
        folders = sorted(path for path in repository.iterdir() if path.is_dir())
        device = repository.stat().st_dev
    except OSError as error:
        text = f"model repository '{repository}': {error.strerror}"
        raise DespinaError(Code.UNAVAILABLE, text) from error
    return [path for path in folders if not path.name.startswith(".")], device


class Listing:
    """The models of some repositories, as they were when each could last be read. One thread."""

    def __init__(self, repositories: Sequence[Path], *, namespaces: bool = False) -> None:
        """Looks at nothing yet.

        Args:
            repositories: folders of models.
            namespaces: whether models of several repositories may have one name.
        """
        self._repositories, self._namespaces = tuple(repositories), namespaces
        self._folders: dict[Path, list[Path]] = {}
        self._devices: dict[Path, int] = {}
        self._unreadable: set[Path] = set()

    def look(self) -> list[Place]:
        """Looks again. A repository that cannot be read is taken for unchanged.

        Raises:
            DespinaError: UNAVAILABLE: one could never be read.
        """
        for repository in self._repositories:
            try:
                self._look_at(repository)
            except DespinaError as error:
                if repository not in self._folders:
                    raise
                if repository not in self._unreadable:
                    logger.warning("%s: its models are taken for unchanged", error.message)
                self._unreadable.add(repository)
        return places(self._folders, namespaces=self._namespaces)

    def _look_at(self, repository: Path) -> None:
        folders, device = scan(repository)
        moved = device != self._devices.get(repository, device)
        if moved and not folders:
            text = f"model repository '{repository}' is empty and on another file system"
            raise DespinaError(Code.UNAVAILABLE, f"{text} than before")
        self._folders[repository], self._devices[repository] = folders, device
        self._unreadable.discard(repository)


def places(listings: Mapping[Path, Sequence[Path]], *, namespaces: bool = False) -> list[Place]:
    """The models of repositories, by name.

    A folder whose name is not UTF-8 is listed under the name as it is printed.

    Args:
        listings: what ``scan`` found in each.
        namespaces: whether models of several repositories may have one name.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for repository, folders in listings.items():
        namespace = printed(str(repository)) if namespaces else ""
        for path in folders:
            found.setdefault((printed(path.name), namespace), []).append(path)
    return [
        Place(model_id(name, namespace), name, namespace, tuple(paths))
        for (name, namespace), paths in sorted(found.items())
    ]


def model_id(name: str, namespace: str = "") -> str:
    """What tells a model from all others."""
    return f"{namespace}::{name}" if namespace else name


def read_folder(name: str, path: Path) -> ModelFolder:
    """Looks for the versions of one model, called as ``places`` says.

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
