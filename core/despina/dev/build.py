"""Builds a plugin's libraries with CMake, in a folder of its own, again and again."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from despina_sdk import cmake

BUILD_FOLDER = Path("build", "dev")
"""In the plugin's; what a build before has left is built on."""

LOG = "build.log"
SHOWN_LINES = 30
WAIT_SECONDS = 0.05
"""Between two looks whether a build has ended, or is to."""

KILL_SECONDS = 5.0
"""For compilers to end by themselves."""

HOME = re.compile(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.+)$", re.MULTILINE)
NOISE = re.compile(
    r"\[\d+/\d+\] |\[ *\d+%\] |ninja: (?!error:)|g?make(\[\d+\])?: (?!\*\*\* No rule)|FAILED: |-- "
)
ERROR = re.compile(
    r"\berror:|CMake Error|undefined reference|multiple definition|cannot find|No rule to make"
)
CONTEXT = re.compile(r"In file included from|\s+from |.*: In |.*: At global scope")


class BuildError(Exception):
    """A build that failed; ``lines`` is what to show of its output."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0] if lines else "")
        self.lines = tuple(lines)


class BuildStopped(Exception):  # noqa: N818 - nothing is wrong
    """A build that was stopped because its result is not wanted any more."""


class Build:
    """The build of one plugin. One thread."""

    def __init__(self, source: Path) -> None:
        """Builds nothing yet.

        Args:
            source: the folder of ``CMakeLists.txt``, without links.
        """
        self._source, self._folder = source, source / BUILD_FOLDER
        self._configured = False

    def run(self, stop: Callable[[], bool]) -> None:
        """Builds what has changed.

        Args:
            stop: whether the result is not wanted any more; asked again and again.

        Raises:
            BuildError: it cannot be built.
            BuildStopped: as it was wanted; the compilers have ended.
        """
        program = _cmake()
        if self._configured_for() != self._source:
            self._configured = False
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._configured:
            self._run([program, *self._configuration()], stop)
            self._configured = True
        self._run([program, "--build", str(self._folder)], stop)

    def _configured_for(self) -> Path | None:
        """The folder whose sources are built; of a plugin that was copied, that of the other."""
        try:
            cache = (self._folder / "CMakeCache.txt").read_text("utf-8", "replace")
        except FileNotFoundError:  # never configured, or somebody has tidied up
            return None
        home = HOME.search(cache)
        return Path(home[1]).resolve() if home else None

    def _configuration(self) -> list[str]:
        arguments = ["-S", str(self._source), "-B", str(self._folder)]
        if self._configured_for() == self._source:  # what was chosen before stays
            return arguments
        arguments.append("--fresh")
        arguments += ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", f"-DDespinaSDK_DIR={cmake.folder()}"]
        return [*arguments, "-G", "Ninja"] if _program("ninja") else arguments

    def _run(self, command: Sequence[str], stop: Callable[[], bool]) -> None:
        path = os.pathsep.join([str(_scripts()), os.environ.get("PATH", os.defpath)])
        environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}
        with (self._folder / LOG).open("wb") as log:
            status = _wait_for(command, log, environment, stop)
        if status:
            text = (self._folder / LOG).read_text("utf-8", "replace")
            raise BuildError(trimmed(text, self._source))


def trimmed(output: str, source: Path) -> list[str]:
    """What to show of a failed build: from the first error on, without commands and progress.

    Args:
        output: of CMake and what it has run.
        source: the plugin's folder; files in it are named relative to it.
    """
    lines = [line.rstrip() for line in output.replace(f"{source}/", "").splitlines()]
    # The line after FAILED is the command.
    commands = {at + 1 for at, line in enumerate(lines) if line.startswith("FAILED: ")}
    kept = [
        line
        for at, line in enumerate(lines)
        if line and at not in commands and not NOISE.match(line)
    ]
    first = next((at for at, line in enumerate(kept) if ERROR.search(line)), 0)
    while first > 0 and CONTEXT.match(kept[first - 1]):
        first -= 1
    kept = kept[first:]
    more = len(kept) - SHOWN_LINES
    if more > 0:
        kept = [*kept[:SHOWN_LINES], f"... and {more} more lines in {BUILD_FOLDER / LOG}"]
    return kept


def _wait_for(
    command: Sequence[str], log: IO[bytes], environment: Mapping[str, str], stop: Callable[[], bool]
) -> int:
    """Runs a command; its exit status."""
    # All that the command starts holds the other end: when nothing does any more, all has ended.
    held, end = os.pipe()
    with open(held, "rb", buffering=0) as held_by_any:
        try:
            # A session of its own: what the terminal sends to this process is not for compilers.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[end],
                start_new_session=True,
            )
        finally:
            os.close(end)
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(WAIT_SECONDS)
            if stop():
                _end(process, held_by_any)
                raise BuildStopped


def _end(process: subprocess.Popen[bytes], held_by_any: IO[bytes]) -> None:
    """Ends a build and waits for that: Ninja, told to end, ends its compilers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        ended, _, _ = select.select([held_by_any], [], [], KILL_SECONDS)
        if ended:
            break
    process.wait()


def _cmake() -> str:
    if program := _program("cmake"):
        return program
    raise BuildError(["there is no cmake: install it with pip or from the system's packages"])


def _program(name: str) -> str | None:
    """One of this environment, also where that is not activated, or of the system."""
    return shutil.which(name, path=str(_scripts())) or shutil.which(name)


def _scripts() -> Path:
    return Path(sys.executable).parent
