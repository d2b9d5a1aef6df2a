"""Backends that installed distributions offer, by the entry point ``despina.backends``.

Looking around reads metadata only. A backend is imported when it is first needed, and every way
in which that can fail is a row with its reason.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from despina.engine.native import LibraryBackend
from despina.errors import DespinaError, reason
from despina.plugins.installed import BACKENDS, libraries
from despina.text import did_you_mean, quoted
from despina_sdk import Backend, Code
from despina_sdk.native import NativeBackend

logger = logging.getLogger(__name__)


Offered = type[Backend] | NativeBackend | Path
"""What a backend is made of: a class, or a library."""


class BackendState(StrEnum):
    """What is known of a backend."""

    AVAILABLE = "available"
    READY = "ready"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class BackendRow:
    """One backend: who offers it, where it is, and whether it works.

    Attributes:
        state: ``available`` until it has been imported.
        reason: why it does not work.
    """

    name: str
    distribution: str
    version: str
    path: str
    state: BackendState
    reason: str = ""


class _Entry:
    """A backend that somebody offers; its object is made and closed under ``lock``."""

    def __init__(
        self,
        row: BackendRow,
        point: EntryPoint | None,
        offered: Offered | None,
        revision: str = "",
    ) -> None:
        self.row, self.point, self.offered = row, point, offered
        self.revision = revision
        self.backend: Backend | None = None
        self.lock = threading.RLock()


class Registry:
    """All backends. Any thread."""

    def __init__(
        self,
        options: Mapping[str, Mapping[str, str]] | None = None,
        in_process: Mapping[str, type[Backend]] | None = None,
        directory: str = "",
    ) -> None:
        """Reads the metadata of what is installed.

        Args:
            options: the operator's settings, by backend.
            in_process: classes that a program hands over; they come before those installed.
            directory: the operator's folder of libraries, each in a folder of its backend's name.
        """
        self._directory = Path(directory) if directory else None
        self._libraries: dict[tuple[str, Path, int, int], _Entry] = {}
        self._libraries_lock = threading.Lock()
        self._options = options or {}
        # Never changed in place: others may be going through it.
        self._entries = _discover()
        self._replaced: list[_Entry] = []
        for name, backend_class in (in_process or {}).items():
            where = getattr(backend_class, "__module__", "")
            row = BackendRow(name, "in process", "", where, BackendState.AVAILABLE)
            self._entries[name] = _Entry(row, None, backend_class)

    def offer(self, row: BackendRow, offered: Offered | None, revision: str) -> None:
        """Offers a backend from now on, in place of another of its name. One thread at a time.

        What it replaces stays until the end: models may have been loaded with it.

        Args:
            row: AVAILABLE, or FAILED with the reason.
            offered: what an entry point would name; it is checked when it is first needed.
            revision: another text for each backend of that name.
        """
        if row.name in self._entries:
            self._replaced.append(self._entries[row.name])
        self._entries = {**self._entries, row.name: _Entry(row, None, offered, revision)}

    def revision(self, name: str) -> str:
        """Another text whenever another backend is offered; nothing for one that never changes."""
        return self._entries[name].revision if name in self._entries else ""

    def rows(self) -> list[BackendRow]:
        """What is known by now, by name. Imports nothing."""
        entries = [*self._entries.values(), *self._libraries.values()]
        return sorted((entry.row for entry in entries), key=lambda row: row.name)

    def probe(self) -> list[BackendRow]:
        """Imports every backend and makes its object; what is known then."""
        for name in self._entries:
            try:
                self.backend(name)
            except DespinaError:
                continue  # the row has the reason
        return self.rows()

    def backend(self, name: str) -> Backend:
        """The backend of that name, made at the first call.

        Raises:
            DespinaError: NOT_FOUND: nobody offers it. FAILED_PRECONDITION: it does not work.
        """
        return self._backend_of(self._entry(name))

    def library_backend(self, name: str, *folders: Path) -> Backend | None:
        """The backend of a library in one of the folders, or in the operator's; None without one.

        The first of ``libdespina_NAME.so`` and ``libNAME.so`` in each folder counts. A file that
        has changed is another backend.

        Raises:
            DespinaError: FAILED_PRECONDITION: there is one, and it does not work.
        """
        path = self._find_library(name, folders)
        if path is None:
            return None
        status = path.stat()
        with self._libraries_lock:
            entry = self._libraries.setdefault(
                (name, path, status.st_ino, status.st_mtime_ns), _library_entry(name, path)
            )
        return self._backend_of(entry)

    def _find_library(self, name: str, folders: Sequence[Path]) -> Path | None:
        if "/" in name:
            return None
        operators = [self._directory / name] if self._directory else []
        return next(libraries(name, (*folders, *operators)), None)

    def _backend_of(self, entry: _Entry) -> Backend:
        name = entry.row.name
        with entry.lock:
            if entry.backend is None and entry.row.state is BackendState.AVAILABLE:
                self._make(entry)
            if entry.backend is None:
                text = f"backend '{name}': {entry.row.reason}"
                raise DespinaError(Code.FAILED_PRECONDITION, text)
            return entry.backend

    def close(self) -> None:
        """Closes the backends that were made, once; their errors go to the log."""
        entries = *self._entries.values(), *self._replaced, *self._libraries.values()
        for entry in entries:
            with entry.lock:
                backend, entry.backend = entry.backend, None
                if backend is not None:
                    entry.row = replace(
                        entry.row, state=BackendState.FAILED, reason="it has been closed"
                    )
                    _close(backend)

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            installed = quoted(sorted(self._entries))
            hint = did_you_mean(name, self._entries) or f" (installed: {installed})"
            text = f"no installed distribution offers backend '{name}'{hint}"
            raise DespinaError(Code.NOT_FOUND, text)
        return self._entries[name]

    def _make(self, entry: _Entry) -> None:
        """Imports the class and makes the object, and writes down what came of it."""
        name = entry.row.name
        what, problem = "import failed", ""
        try:
            offered = entry.point.load() if entry.point else entry.offered
            problem = _wrong_class(name, offered)
            if not problem and offered:
                what = "it cannot be made"
                entry.backend = _made(name, offered, dict(self._options.get(name, {})))
        except (Exception, SystemExit) as error:
            logger.debug("backend '%s'", name, exc_info=error)
            problem = f"{what}: {reason(error)}"
        state = BackendState.FAILED if problem else BackendState.READY
        entry.row = replace(entry.row, state=state, reason=problem)


def check_options(options: Mapping[str, Mapping[str, str]], registry: Registry) -> list[str]:
    """Names the backends that have settings and are offered by nobody."""
    known = {row.name for row in registry.rows()}
    return sorted(name for name in options if name not in known)


def foreign_library(*folders: Path) -> str | None:
    """A backend library in a model's folders that was made for another server; what to do.

    Args:
        folders: of the version and of the model.
    """
    for folder in folders:
        for path in sorted(folder.glob("libtriton_*.so")):
            return (
                f"'{path.name}' was made for Triton's backend interface, which this server does"
                " not load: port it to the headers of despina-sdk, or install a distribution that"
                " offers this backend"
            )
    return None


def _close(backend: Backend) -> None:
    try:
        backend.close()
    except (Exception, SystemExit):
        logger.exception("backend '%s' failed to close", backend.name)


def _discover() -> dict[str, _Entry]:
    by_name: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=BACKENDS):
        points = by_name.setdefault(point.name, [])
        # The same distribution can be on the path twice, as when it is installed for editing.
        if _offered_by(point) not in map(_offered_by, points):
            points.append(point)
    return {name: _entry_of(name, points) for name, points in by_name.items()}


def _entry_of(name: str, points: list[EntryPoint]) -> _Entry:
    offers = sorted(map(_offered_by, points))
    row = BackendRow(
        name,
        ", ".join(distribution for distribution, _ in offers),
        ", ".join(version for _, version in offers),
        ", ".join(map(_path, points)),
        BackendState.AVAILABLE if len(points) == 1 else BackendState.AMBIGUOUS,
    )
    if len(points) > 1:
        several = ", ".join(f"{distribution} {version}" for distribution, version in offers)
        row = replace(row, reason=f"offered by {several}; uninstall all but one")
    return _Entry(row, points[0], None)


def _offered_by(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "")


def _path(point: EntryPoint) -> str:
    """The file or folder of the module, found without importing it."""
    package = point.module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    locations = spec.submodule_search_locations
    return next(iter(locations)) if locations else spec.origin or ""


def _library_entry(name: str, path: Path) -> _Entry:
    row = BackendRow(name, "library", "", str(path), BackendState.AVAILABLE)
    return _Entry(row, None, path)


def _made(name: str, offered: Offered, options: dict[str, str]) -> Backend:
    if isinstance(offered, Path):
        return LibraryBackend(name, offered, frozenset(), options)
    if isinstance(offered, NativeBackend):
        return LibraryBackend(name, offered.path(), offered.uses, options)
    return offered(options)


def _wrong_class(name: str, backend_class: object) -> str:
    """What is wrong with a class that is to be a backend, or nothing."""
    if isinstance(backend_class, NativeBackend | Path):
        return ""
    if not (isinstance(backend_class, type) and issubclass(backend_class, Backend)):
        return f"{backend_class!r} is neither a subclass of despina_sdk.Backend nor a NativeBackend"
    own = getattr(backend_class, "name", None)
    return "" if own == name else f"its class calls itself {own!r}"
