"""The backends of a plugin's sources: built, imported, and offered in place of those before."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from despina.dev.build import Build, BuildError
from despina.dev.modules import SourceModules
from despina.dev.project import FILE, read_project
from despina.dev.sources import Kind
from despina.errors import DespinaError, reason
from despina.plugins.offer import Offer, OfferState
from despina.plugins.registry import Registry
from despina.text import duration
from despina_sdk.native import NativeBackend

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Shows a line to the author."""

SHOWN_LINES = 30


class SourcePlugin:
    """What a plugin offers as its sources are now. One thread, but for ``project``.

    Attributes:
        project: as it could last be read.
    """

    def __init__(self, folder: Path, registry: Registry, say: Say) -> None:
        """Offers its backends at once, which fail until ``take`` has made them.

        Args:
            folder: of the plugin.
            registry: of the server.
            say: shows what happens.

        Raises:
            DespinaError: it is no folder of a plugin.
        """
        self.project = read_project(folder)
        self._registry, self._say = registry, say
        self._tell_shadowed()
        self._modules, self._build = SourceModules(), Build(self.project.folder)
        self._named: dict[str, Any] = {}
        self._built = not self.project.is_built
        self._imports = 0
        self._offered: dict[str, str] = {}
        self._fail("it has not been made yet")

    def take(self, kinds: Collection[Kind], stop: Callable[[], bool]) -> set[str]:
        """Builds and imports what has changed; what fails is shown, and leaves alone what was.

        Args:
            kinds: of what has changed.
            stop: whether a build is not to go on.

        Returns:
            The backends that are others now.

        Raises:
            BuildStopped: nothing has changed.
        """
        if Kind.NATIVE in kinds and self.project.is_built:
            self._run_build(stop)
        if Kind.PYTHON in kinds:
            self._import()
        changed = {name for name in self._named if self._offer(name)}
        gone = self._offered.keys() - self._named.keys()
        for name in gone:
            self._withdraw(name)
        return changed | gone

    def close(self) -> None:
        """Takes its modules out of what can be imported."""
        self._modules.close()

    def _run_build(self, stop: Callable[[], bool]) -> None:
        started = time.monotonic()
        self._say("building ...")
        try:
            self._build.run(stop)
        except (BuildError, OSError) as error:
            lines = error.lines if isinstance(error, BuildError) else [reason(error)]
            self._say(f"the build failed after {duration(time.monotonic() - started)}:")
            self._show(lines)
            self._tell_kept()
        else:
            self._built = True
            self._say(f"built in {duration(time.monotonic() - started)}")

    def _import(self) -> None:
        try:
            self.project = project = read_project(self.project.folder)
            named = self._modules.load(project.points, project.modules())
        except DespinaError as error:
            self._say(error.message)
            self._tell_kept()
        except (Exception, SystemExit) as error:
            headline, *lines = explained(error, self.project.folder)
            self._say(f"import failed: {headline}")
            self._show(lines)
            self._tell_kept()
            if not self._named:
                self._fail(headline)
        else:
            self._named, self._imports = named, self._imports + 1

    def _offer(self, name: str) -> bool:
        """Offers a backend, if it is another than before."""
        offered, why = self._named[name], ""
        if not isinstance(offered, NativeBackend):
            revision = f"import {self._imports}"
        elif self._built:
            revision = _revision(offered)
        else:
            revision = why = "its library could not be built"
        if self._offered.get(name) == revision:
            return False
        self._offered[name] = revision
        self._registry.offer(self._described(name, why), None if why else offered, revision)
        return True

    def _withdraw(self, name: str) -> None:
        """No longer offers a backend of which the project says nothing any more."""
        del self._offered[name]
        why = f"'{self.project.folder / FILE}' does not offer it any more"
        self._registry.offer(self._described(name, why), None, f"gone {self._imports}")

    def _tell_shadowed(self) -> None:
        for offer in self._registry.offers():
            if offer.name in self.project.points:
                by = offer.provider
                text = "backend '%s' is that of the sources in '%s', not the installed one (%s)"
                logger.info(text, offer.name, self.project.folder, by)

    def _fail(self, why: str) -> None:
        for name in self.project.points:
            self._registry.offer(self._described(name, why), None, "")

    def _described(self, name: str, why: str = "") -> Offer:
        project = self.project
        state = OfferState.REFUSED if why else OfferState.FOUND
        return Offer(name, project.name, project.version, str(project.folder), state, why)

    def _tell_kept(self) -> None:
        if self._named:
            self._say("what served before goes on")

    def _show(self, lines: Collection[str]) -> None:
        for line in lines:
            self._say(f"| {line}")


def explained(error: BaseException, folder: Path) -> list[str]:
    """What to show of an import that failed: where in the plugin and why, then how it got there."""
    trace = traceback.TracebackException.from_exception(error)
    own = [frame for frame in trace.stack if Path(frame.filename).is_relative_to(folder)]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}: "
    elif own:
        where = f"{own[-1].filename}:{own[-1].lineno}: "
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    headline = f"{where}{type(error).__name__}: {text}".rstrip(": ")
    frames = traceback.StackSummary.from_list(own).format()
    lines = [headline, *"".join([*frames, *trace.format_exception_only()]).splitlines()]
    headline, *lines = (line.replace(f"{folder}/", "") for line in lines)
    return [headline, *lines[-SHOWN_LINES:]]


def _revision(backend: NativeBackend) -> str:
    """Another text for each content of its library, wherever that is."""
    try:
        status = backend.path().stat()
    except (OSError, ImportError, ValueError) as error:
        return f"{backend} {error}"
    return f"{backend} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
