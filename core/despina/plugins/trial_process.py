"""The process of ``despina.plugins.trial``: loads backends and plugins, and reports on each.

``python -m despina.plugins.trial_process TASK``, with the task in JSON. A line of the file of
results says that one begins, the next what came of it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import IO

from despina.engine.native import LibraryBackend
from despina.errors import DespinaError, reason
from despina.plugins.hooks import Hooks
from despina.plugins.installed import (
    BACKENDS,
    PLUGINS,
    entry_points_by_name,
    module_file,
    offers_of,
)
from despina.plugins.offer import OfferState
from despina.plugins.registry import Registry
from despina.plugins.trial import Attempt, Target, TraceLine
from despina_sdk import Backend


def try_backend(target: Target, registry: Registry, points: list[EntryPoint]) -> Attempt:
    """Makes the backend of a name, as a server does.

    Args:
        target: what is tried.
        registry: of all backends.
        points: those that are installed under the name.
    """
    cause = None
    warnings: tuple[str, ...] = ()
    try:
        if target.library:
            backend: Backend | None = registry.backend_in(Path(target.library), target.name)
        elif points:
            backend = registry.backend(target.name)
        else:
            backend = registry.library_backend(target.name)
        warnings = backend.warnings if isinstance(backend, LibraryBackend) else ()
    except DespinaError as error:
        cause = error.__cause__
    offers = tuple(each for each in registry.offers() if each.name == target.name)
    return Attempt(offers, *_told(cause, points), warnings)


def try_plugin(target: Target, points: list[EntryPoint]) -> Attempt:
    """Imports the plugins of a name, and registers their hooks."""
    if len(points) != 1:
        return Attempt(tuple(offers_of(points)))
    problem, cause = "", None
    try:
        problem = Hooks({}).register(points[0].load(), target.name)
    except (Exception, SystemExit) as error:
        problem, cause = f"import failed: {reason(error)}", error
    state = OfferState.REFUSED if problem else OfferState.LOADED
    offer = replace(*offers_of(points), state=state, reason=problem)
    return Attempt((offer,), *_told(cause, points))


def _told(
    cause: BaseException | None, points: list[EntryPoint]
) -> tuple[tuple[TraceLine, ...], str]:
    """The traceback, and the compiled module that could not be imported."""
    if cause is None or isinstance(cause, DespinaError):  # that of a library says all in its text
        return (), ""
    own = [os.path.realpath(file) for file in map(module_file, points) if file]
    whole = traceback.TracebackException.from_exception(cause)
    extension = getattr(cause, "path", None) if isinstance(cause, ImportError) else None
    return tuple(_trace(whole, own)), extension or ""


def _trace(error: traceback.TracebackException, own: list[str]) -> Iterator[TraceLine]:
    """As Python prints it, from the first of the exceptions that led to each other."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _trace(before, own)
        yield TraceLine("which led to", own=False)
    for frame in error.stack:
        if frame.filename.startswith("<frozen importlib"):
            continue  # as in Python's own tracebacks of imports
        path = os.path.realpath(frame.filename)
        is_own = any(path == each or path.startswith(each + os.sep) for each in own)
        where = f'File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        yield TraceLine(where, is_own)
        if frame.line:
            yield TraceLine(f"  {frame.line}", is_own)
    for text in error.format_exception_only():
        yield from (TraceLine(line, own=False) for line in text.splitlines())


def _report(results: IO[str], line: object) -> None:
    print(json.dumps(line), file=results, flush=True)


def main() -> None:
    """Does the task, and ends without waiting for what a plugin has left behind."""
    task = json.loads(sys.argv[1])
    registry = Registry(directory=task["directory"])
    installed = {group: entry_points_by_name(group) for group in (BACKENDS, PLUGINS)}
    with open(task["results"], "w", encoding="utf-8") as results:
        for target in (Target(*each) for each in task["targets"]):
            _report(results, {"begins": target.name})
            points = installed[target.group].get(target.name, [])
            if target.group == PLUGINS:
                _report(results, asdict(try_plugin(target, points)))
            else:
                _report(results, asdict(try_backend(target, registry, points)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
