"""Backends that installed distributions offer, by the entry point ``despina.backends``.

Looking around reads metadata only. A backend is imported when it is first needed, and every way
in which that can fail is a row with its reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

from despina.engine.native import LibraryBackend, abi_of_library
from despina.errors import DespinaError, reason
from despina.plugins.installed import (
    BACKENDS,
    LIBRARY,
    entry_points_by_name,
    libraries,
    offers_in_directory,
    offers_of,
)
from despina.plugins.offer import Offer, OfferState
from despina.text import did_you_mean, quoted
from despina_sdk import Backend, Code
from despina_sdk.native import NativeBackend

logger = logging.getLogger(__name__)


Offered = type[Backend] | NativeBackend | Path
"""What a backend is made of: a class, or a library."""


class _Entry:
    """A backend that somebody offers; its object is made and closed under ``lock``."""

    def __init__(
        self,
        offer: Offer,
        point: EntryPoint | None,
        offered: Offered | None,
        revision: str = "",
    ) -> None:
        self.offer, self.point, self.offered = offer, point, offered
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
        self._entries: dict[str, _Entry] = {}
        self._replaced: list[_Entry] = []
        self._shadowed: list[Offer] = []
        for name, points in entry_points_by_name(BACKENDS).items():
            first, *others = offers_of(points)
            self._entries[name] = _Entry(first, points[0], None)
            self._shadowed += others
        for name, backend_class in (in_process or {}).items():
            where = getattr(backend_class, "__module__", "")
            self._entries[name] = _Entry(Offer(name, "in process", "", where), None, backend_class)

    def offer(self, offer: Offer, offered: Offered | None, revision: str) -> None:
        """Offers a backend from now on, in place of another of its name. One thread at a time.

        What it replaces stays until the end: models may have been loaded with it.

        Args:
            offer: FOUND, or REFUSED with the reason.
            offered: what an entry point would name; it is checked when it is first needed.
            revision: another text for each backend of that name.
        """
        if offer.name in self._entries:
            self._replaced.append(self._entries[offer.name])
        self._entries = {**self._entries, offer.name: _Entry(offer, None, offered, revision)}

    def revision(self, name: str) -> str:
        """Another text whenever another backend is offered; nothing for one that never changes."""
        return self._entries[name].revision if name in self._entries else ""

    def offers(self) -> list[Offer]:
        """What is known by now, by name. Imports nothing."""
        entries = [*self._entries.values(), *self._libraries.values()]
        offers = [*(entry.offer for entry in entries), *self._shadowed]
        opened = {offer.file for offer in offers}
        found = offers_in_directory(self._directory, self._entries)
        offers += [offer for offer in found if offer.file not in opened]
        return sorted(offers, key=lambda offer: offer.name)

    def backend(self, name: str) -> Backend:
        """The backend of that name, made at the first call.

        Raises:
            DespinaError: NOT_FOUND: nobody offers it. FAILED_PRECONDITION: it does not work; the
                first call's has the cause.
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
        return self.backend_in(path, name) if path else None

    def backend_in(self, path: Path, name: str) -> Backend:
        """The backend of that library.

        Raises:
            DespinaError: FAILED_PRECONDITION: it does not work.
        """
        status = path.stat()
        entry = _Entry(Offer(name, LIBRARY, "", str(path)), None, path)
        with self._libraries_lock:
            key = (name, path, status.st_ino, status.st_mtime_ns)
            entry = self._libraries.setdefault(key, entry)
        return self._backend_of(entry)

    def _find_library(self, name: str, folders: Sequence[Path]) -> Path | None:
        if "/" in name:
            return None
        operators = [self._directory / name] if self._directory else []
        return next(libraries(name, (*folders, *operators)), None)

    def _backend_of(self, entry: _Entry) -> Backend:
        cause = None
        with entry.lock:
            if entry.backend is None and entry.offer.state is OfferState.FOUND:
                cause = self._make(entry)
            if entry.backend is None:
                text = f"backend '{entry.offer.name}': {entry.offer.reason}"
                raise DespinaError(Code.FAILED_PRECONDITION, text) from cause
            return entry.backend

    def close(self) -> None:
        """Closes the backends that were made, once; their errors go to the log."""
        entries = *self._entries.values(), *self._replaced, *self._libraries.values()
        for entry in entries:
            with entry.lock:
                backend, entry.backend = entry.backend, None
                if backend is not None:
                    closed = "it has been closed"
                    entry.offer = replace(entry.offer, state=OfferState.REFUSED, reason=closed)
                    _close(backend)

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            installed = quoted(sorted(self._entries))
            hint = did_you_mean(name, self._entries) or f" (installed: {installed})"
            text = f"no installed distribution offers backend '{name}'{hint}"
            raise DespinaError(Code.NOT_FOUND, text)
        return self._entries[name]

    def _make(self, entry: _Entry) -> BaseException | None:
        """Imports the class, makes the object, and writes down what came of it; what it raised."""
        offer, cause = entry.offer, None
        what, problem = "import failed", ""
        try:
            offered = entry.point.load() if entry.point else entry.offered
            problem = _wrong_class(offer.name, offered)
            if isinstance(offered, NativeBackend):
                offer = replace(offer, file=str(offered.path()))
            if not problem and offered:
                what = "it cannot be made"
                options = dict(self._options.get(offer.name, {}))
                entry.backend = _made(offer.name, offered, options)
        except (Exception, SystemExit) as error:
            logger.debug("backend '%s'", offer.name, exc_info=error)
            problem, cause = f"{what}: {reason(error)}", error
        if offer.file.endswith(".so"):
            offer = replace(offer, abi=abi_of_library(Path(offer.file)))
        state = OfferState.REFUSED if problem else OfferState.LOADED
        entry.offer = replace(offer, state=state, reason=problem)
        return cause


def check_options(options: Mapping[str, Mapping[str, str]], registry: Registry) -> list[str]:
    """Names the backends that have settings and are offered by nobody."""
    known = {offer.name for offer in registry.offers()}
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
