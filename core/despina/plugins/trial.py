"""Backends and plugins tried in a process of its own, so that what crashes there does no harm here.

Loads no engine: it may be what is broken.
"""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from despina.errors import DespinaError
from despina.plugins.installed import (
    BACKENDS,
    LIBRARY,
    PLUGINS,
    entry_points_by_name,
    offers_in_directory,
    offers_of,
)
from despina.plugins.offer import Offer, OfferState
from despina_sdk import Code
from despina_sdk.isolation import ending, run_module

SECONDS = 60.0
"""For each backend or plugin, before its process is ended."""
LINES = 20
"""Of what a process has written that are kept."""


@dataclass(frozen=True)
class Target:
    """What is to be tried.

    Attributes:
        group: of entry points.
        library: the file of a backend that is not installed.
    """

    group: str
    name: str
    library: str = ""


@dataclass(frozen=True)
class TraceLine:
    """A line of a traceback; ``own`` where the code is the plugin's."""

    text: str
    own: bool


@dataclass(frozen=True)
class Attempt:
    """What came of it.

    Attributes:
        offers: all of that name.
        trace: of the exception in Python that it ended with.
        extension: the file of a compiled module that could not be imported.
        warnings: about a library that works.
        death: what its process died of.
        output: the last lines that the process wrote before it died.
    """

    offers: tuple[Offer, ...]
    trace: tuple[TraceLine, ...] = ()
    extension: str = ""
    warnings: tuple[str, ...] = ()
    death: str = ""
    output: tuple[str, ...] = ()

    @property
    def loaded(self) -> bool:
        """Whether it works."""
        return any(offer.state is OfferState.LOADED for offer in self.offers)


def all_targets(directory: str = "") -> list[Target]:
    """Backends and plugins that are installed, and libraries in the operator's folder."""
    backends = entry_points_by_name(BACKENDS)
    found = offers_in_directory(Path(directory) if directory else None, backends)
    names = {*backends, *(offer.name for offer in found)}
    plugins = entry_points_by_name(PLUGINS)
    return [
        *(Target(BACKENDS, name) for name in sorted(names)),
        *(Target(PLUGINS, name) for name in sorted(plugins)),
    ]


def attempts(
    targets: Sequence[Target], directory: str = "", seconds: float = SECONDS
) -> list[Attempt]:
    """Tries each of them: all in one process, and after one that crashes the rest in another.

    Args:
        targets: an attempt of each is returned, in the same order.
        directory: the operator's folder of libraries.
        seconds: that each may take.

    Raises:
        DespinaError: FAILED_PRECONDITION: the process cannot be started, or has no engine.
    """
    done: list[Attempt] = []
    while left := targets[len(done) :]:
        lines, death, output = _run(left, directory, seconds * len(left))
        done += [_attempt(line) for line in lines if "offers" in line]
        if len(done) == len(targets):
            break
        if not lines or "offers" in lines[-1]:  # it has not even begun
            text = "; ".join(output[-1:]) or death
            raise DespinaError(Code.FAILED_PRECONDITION, f"nothing can be loaded: {text}")
        done.append(_dead(targets[len(done)], death, output))
    return done


def _run(
    targets: Sequence[Target], directory: str, seconds: float
) -> tuple[list[dict[str, Any]], str, tuple[str, ...]]:
    """What the process has reported, what it died of, and the last that it wrote."""
    with tempfile.TemporaryDirectory(prefix="despina-") as folder:
        results, output = Path(folder, "results"), Path(folder, "output")
        task = {
            "targets": [(each.group, each.name, each.library) for each in targets],
            "directory": directory,
            "results": str(results),
        }
        with output.open("wb") as written:
            status = isolated("despina.plugins.trial_process", [json.dumps(task)], written, seconds)
        lines = results.read_text().splitlines() if results.exists() else []
        end = output.read_text(errors="replace").splitlines()[-LINES:]
    # The last line of a process that died may not be whole.
    return [json.loads(line) for line in lines if line.endswith("}")], status, tuple(end)


def isolated(module: str, arguments: Sequence[str], output: IO[bytes], seconds: float) -> str:
    """Runs a module in another process, which imports as this one does.

    Args:
        module, arguments: as after ``python -m``.
        output: a file, for what it writes.
        seconds: after which it is killed.

    Returns:
        How it ended, as one would say it. Whether it was done is told by its results: what it has
        loaded may end it with status 0.
    """
    environment = {"PYTHONFAULTHANDLER": "1"}
    status = run_module(module, arguments, output, seconds, environment)
    if status is None:
        return f"it did not come back within {seconds:g} s"
    if status >= 0:
        return f"it ended the process with {ending(status)}"
    return f"{ending(status)} ({signal.strsignal(-status)})"


def _attempt(line: dict[str, Any]) -> Attempt:
    offers = (Offer(**{**each, "state": OfferState(each["state"])}) for each in line["offers"])
    trace = (TraceLine(**each) for each in line["trace"])
    return Attempt(tuple(offers), tuple(trace), line["extension"], tuple(line["warnings"]))


def _dead(target: Target, death: str, output: tuple[str, ...]) -> Attempt:
    points = entry_points_by_name(target.group).get(target.name, [])
    found = offers_of(points) if points else [Offer(target.name, LIBRARY, "", target.library)]
    offers = (
        Offer(o.name, o.distribution, o.version, o.file, OfferState.REFUSED, death) for o in found
    )
    return Attempt(tuple(offers), death=death, output=output)
