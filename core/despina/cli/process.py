"""The life of a server process: start, tables, service, and an orderly end."""

from __future__ import annotations

import logging
import os
import resource
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from despina import __version__
from despina.cli.signals import Signals
from despina.cli.tables import console, model_table, offer_table, table
from despina.engine import open_log_file, reopen_log_file
from despina.errors import DespinaError
from despina.lifecycle.manager import Manager
from despina.lifecycle.state import State
from despina.observe.logging import configure_logging
from despina.runtime import Runtime, failures, log_settings
from despina.settings import Origin, Settings
from despina.settings.model import flag_name, shown
from despina.settings.trace import old_flags
from despina.text import escaped

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_SECONDS = 0.0002
"""Beside one busy Python thread, another waits this long for its turn: 5 ms by default."""

POLL_SECONDS = 0.05
"""How soon the main thread sees that something it waits for has happened."""

SHOWN_MODELS = 3
"""Of those that load, in the progress display."""


def run(settings: Settings, origins: dict[str, Origin]) -> int:
    """Serves until a signal ends it.

    Returns:
        The exit status: 1 if a model failed at the start, or the end cut something off.

    Raises:
        DespinaError: the server cannot start at all.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    raise_file_limit()
    signals = Signals()
    open_log_file(settings.log_file)
    configure_logging(log_settings(settings))
    signals.on_hangup(_reopen_log_file)
    for flag, value in old_flags(settings).items():
        logger.warning("%s is deprecated: use --trace-config %s", flag, value)
    runtime, out = Runtime(settings, say=click.echo), console()
    with _finished(runtime):
        for line in runtime.listen(__version__):
            click.echo(line)
        loading = runtime.load_initial()
        _show_progress(runtime.manager, loading, signals, out)
        if loading.done():
            loading.result()
        rows = runtime.manager.statuses()
        out.print(offer_table("Backend", runtime.registry.offers()))
        out.print(model_table(rows))
        out.print(table(("Option", "Value", "From"), _option_rows(settings, origins)))
        failed = "" if signals.received else escaped(failures(rows))
        if failed and settings.exit_on_error:
            click.echo(f"error: {failed}", err=True)
            return 1
        if not signals.received:
            runtime.manager.open()
            click.echo(f"Serving without some models: {failed}" if failed else "Server is ready")
        signals.wait()
        click.echo("Ending: requests that were accepted are finished first")
    return 0


def _reopen_log_file() -> None:
    try:
        reopen_log_file()
    except DespinaError as error:  # lines go on into the old one
        logger.error("%s", error.message)


def raise_file_limit() -> None:
    """Allows as many files, and so connections, as the system lets the process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _option_rows(settings: Settings, origins: dict[str, Origin]) -> Iterator[tuple[str, str, str]]:
    for name, value in asdict(settings).items():
        yield flag_name(name), shown(name, value), origins[name].value


def _show_progress(manager: Manager, loading: Future[Any], signals: Signals, out: Console) -> None:
    """Waits for the models, or a signal, with a bar when somebody watches."""
    progress = Progress(
        TextColumn("Loading models"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=out,
        disable=not out.is_terminal,
        transient=True,
    )
    if out.is_terminal:  # the bar says what these lines would
        logging.getLogger("despina.lifecycle").setLevel(logging.WARNING)
    with progress:
        task = progress.add_task("", total=None)
        while not loading.done() and not signals.wait(POLL_SECONDS):
            rows = manager.statuses()
            busy = [row.name for row in rows if row.state == State.LOADING]
            done = sum(row.state in (State.READY, State.UNAVAILABLE) for row in rows)
            names = escaped(", ".join(busy[:SHOWN_MODELS]))
            progress.update(task, total=len(rows), completed=done, description=names)
    logging.getLogger("despina.lifecycle").setLevel(logging.NOTSET)


@contextmanager
def _finished(runtime: Runtime) -> Iterator[None]:
    """Ends the server in an orderly way, however the block was left.

    The process ends here, with status 1, if something does not finish in time: a thread that
    runs a model cannot be stopped from outside.
    """
    try:
        yield
    finally:
        timeout = runtime.settings.exit_timeout_secs
        done: list[bool] = []

        def finish() -> None:
            try:
                done.append(runtime.finish(timeout))
            except BaseException:  # a plugin's SystemExit as well
                logger.exception("cut off: the end itself failed")
            else:
                if not any(done):
                    text = "cut off after --exit-timeout-secs=%g: something still runs"
                    logger.error(text, timeout)

        # On a thread of its own, so that a second signal is handled all the while.
        thread = threading.Thread(target=finish, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
        if not any(done):
            sys.stdout.flush()
            os._exit(1)
