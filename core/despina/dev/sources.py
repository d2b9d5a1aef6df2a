"""Which files of a plugin are its sources, and which of them have changed. No threads."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from pathlib import Path

from despina.dev.project import FILE, Project

IGNORED_FOLDERS = frozenset({"__pycache__", "build", "dist", "node_modules", "venv"})
IGNORED_SUFFIXES = frozenset({".pyc", ".pyo", ".so", ".o", ".a", ".swp", ".tmp"})
NATIVE_SUFFIXES = frozenset(
    {".c", ".cc", ".cpp", ".cxx", ".cu", ".h", ".hh", ".hpp", ".hxx", ".cuh"}
    | {".inc", ".inl", ".ipp", ".tpp", ".proto", ".cmake"}
)
NATIVE_FILES = frozenset({"CMakeLists.txt", "CMakePresets.json"})


class Kind(Enum):
    """What has to be done when a source changes."""

    PYTHON = auto()
    """Modules are imported again. Data beside them count: they may be read at the import."""
    NATIVE = auto()
    """Libraries are built again."""


Stamp = tuple[int, int, int]
Files = Mapping[Path, tuple[Kind, Stamp]]


class SourceWatch:
    """Looks at a plugin's sources again and again. A change counts once all has been still.

    So a file that an editor moves out of the way and back is not missed, and what is saved together
    is told together. One thread.
    """

    def __init__(
        self,
        project: Callable[[], Project],
        ignored: frozenset[Path],
        *,
        settle_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """What is there now counts as told.

        Args:
            project: as it was last read.
            ignored: folders that are none of the sources.
            settle_seconds: for which nothing may have changed.
            clock: seconds from some moment on.
        """
        self._project, self._ignored = project, ignored
        self._settle, self._clock = settle_seconds, clock
        self._told = self._now = files(project(), ignored)
        self._since = clock()

    @property
    def moving(self) -> bool:
        """Whether the last look saw a change that has not been told."""
        return self._now != self._told

    def look(self) -> dict[Path, Kind]:
        """Looks once: what has changed, come or gone, below the folder. It is not told again."""
        now, moment = files(self._project(), self._ignored), self._clock()
        if now != self._now:
            self._now, self._since = now, moment
        if now == self._told or moment - self._since < self._settle:
            return {}
        folder = self._project().folder
        changed, self._told = _changed(self._told, now), now
        return {path.relative_to(folder): kind for path, kind in changed.items()}

    def is_moving(self, kind: Kind) -> bool:
        """Whether there is a change of a kind that has not been told; only looks."""
        now = files(self._project(), self._ignored)
        return kind in _changed(self._told, now).values()


def files(project: Project, ignored: frozenset[Path] = frozenset()) -> Files:
    """The sources of a plugin, and what tells each from what it was before."""
    found: dict[Path, tuple[Kind, Stamp]] = {}
    modules = set(project.modules().values())
    for path, status in _walk(project.folder, ignored):
        if kind := _kind(path, project, modules):
            found[path] = kind, (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def _kind(path: Path, project: Project, modules: set[Path]) -> Kind | None:
    if project.is_built and (path.suffix in NATIVE_SUFFIXES or path.name in NATIVE_FILES):
        return Kind.NATIVE
    if path == project.folder / FILE or not modules.isdisjoint((path, *path.parents)):
        return Kind.PYTHON
    return None


def _changed(before: Files, now: Files) -> dict[Path, Kind]:
    paths = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    return {path: (now.get(path) or before[path])[0] for path in paths}


def _walk(folder: Path, ignored: frozenset[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """All files below a folder but those that editors, builds and interpreters leave."""
    for parent, folders, names in os.walk(folder):
        above = Path(parent)
        folders[:] = [
            name
            for name in folders
            if name not in IGNORED_FOLDERS
            and not _is_left_behind(name)
            and above / name not in ignored
            and not (above / name / "pyvenv.cfg").exists()
        ]
        for name in names:
            path = above / name
            if _is_left_behind(name) or path.suffix in IGNORED_SUFFIXES:
                continue
            try:
                status = path.stat()
            except OSError:  # gone while we looked, or a link that leads nowhere
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, status


def _is_left_behind(name: str) -> bool:
    return name.startswith((".", "#")) or name.endswith(("~", ".egg-info"))
