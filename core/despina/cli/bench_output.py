"""What ``despina bench`` shows: progress on a terminal, tables at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from despina.bench.measure import SHARES, STAGES, Measured, Measurement, Timing, named_quantiles
from despina.bench.report import MILLISECONDS, Report
from despina.bench.sweep import Step
from despina.cli.tables import console, table
from despina.engine import Load
from despina.text import escaped

BUSY = 0.95
"""Share of the time above which the sending threads may be the limit."""

SHOWN_FAILURES = 5


class Display:
    """A line that shows the load that runs, on a terminal only."""

    def __init__(self, timing: Timing) -> None:
        """Shows nothing before ``update``."""
        out = Console(stderr=True)
        self._timing = timing
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
            console=out,
            disable=not out.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, told="", visible=False)
        self._step: Step | None = None
        self._began = self._looked = 0.0
        self._ended = 0

    def __enter__(self) -> Self:
        """Begins."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaves the terminal as it was."""
        self._progress.stop()

    def update(self, step: Step, load: Load) -> None:
        """Shows how far a load is."""
        now, (ended, failed) = time.monotonic(), load.progress()
        if step is not self._step:
            self._step, self._began, self._looked, self._ended = step, now, now, ended
        timing, passed = self._timing, now - self._began
        total = (
            timing.warm_up + timing.duration
            if timing.duration is not None
            else float(timing.requests or 0)
        )
        rate = (ended - self._ended) / max(now - self._looked, 1e-3)
        self._looked, self._ended = now, ended
        warming = " (warm-up)" if passed < timing.warm_up else ""
        self._progress.update(
            self._task,
            description=f"{step}{warming}",
            visible=True,
            total=total,
            completed=passed if timing.duration is not None else ended,
            told=f"{rate:.0f} requests/s, {failed} failed",
        )


def print_report(report: Report) -> None:
    """Prints the tables, then what went wrong."""
    out, measurement = console(), report.measurement
    inputs = ", ".join(
        f"{spec.name} {spec.datatype} {list(report.inputs[spec.name].shape)}"
        for spec in report.model.inputs
        if spec.name in report.inputs
    )
    click.echo(escaped(f"{report.where}: {inputs or 'no inputs'}"))
    measured = measurement.measured
    kind = "requests a second" if measured and measured[0].step.rate else "requests at a time"
    click.echo(f"Load: {kind}. Times in milliseconds, from when a request was due:")
    out.print(_latency_table(measured))
    if any(each.figures.first_response.count for each in measured):
        click.echo("Parts of the answers: to the first, and from one to the next:")
        out.print(_stream_table(measured))
    if any(each.stages for each in measured):
        click.echo("What the server counted, of an average request:")
        out.print(_server_table(measured))
    for line in _remarks(measurement):
        click.echo(escaped(line), err=True)


def _ms(seconds: float) -> str:
    return _short(seconds * MILLISECONDS)


def _short(value: float) -> str:
    """At least three digits, and no more than three behind the point."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{places}f}"


def _load(step: Step) -> str:
    return f"{step.rate:g}/s" if step.rate else str(step.concurrency)


def _latency_table(measured: Sequence[Measured]) -> Table:
    """Failures have a column where there are some: lines are to fit into a terminal."""
    failed = any(each.figures.failed for each in measured)
    rows = []
    for each in measured:
        counts = [str(each.figures.succeeded)] + [str(each.figures.failed)] * failed
        known = each.figures.latency.count > 0
        times = [_ms(value) if known else "-" for value in each.percentiles().values()]
        rows.append((_load(each.step), *counts, _short(each.per_second), *times))
    counts = ["Answers"] + ["Failed"] * failed
    return table(("Load", *counts, "Per s", *SHARES, "max"), rows)


def _stream_table(measured: Sequence[Measured]) -> Table:
    rows = []
    for each in measured:
        first, between = (
            named_quantiles(times.quantiles)
            for times in (each.figures.first_response, each.figures.between_responses)
        )
        times = (first["p50"], first["p99"], between["p50"], between["p99"])
        rows.append((_load(each.step), str(each.figures.responses), *map(_ms, times)))
    header = ("Load", "Parts", "First p50", "First p99", "Between p50", "Between p99")
    return table(header, rows)


def _server_table(measured: Sequence[Measured]) -> Table:
    rows = []
    for each in measured:
        if stages := each.stages:
            batch = f"{stages.rows / max(stages.executions, 1):.2f}"
            times = map(_ms, stages.seconds.values())
            rows.append((_load(each.step), str(stages.requests), batch, *times))
    return table(("Load", "Requests", "Rows a batch", *STAGES.values()), rows)


def _remarks(measurement: Measurement) -> Iterator[str]:
    for each in measurement.measured:
        for text, count in list(each.failures.items())[:SHOWN_FAILURES]:
            yield f"{each.step}: {count} failed: {text}"
        if each.sending > BUSY:
            yield (
                f"{each.step}: the sending threads were busy {each.sending:.0%} of the time, and"
                " may be the limit (--threads)"
            )
        complete = not (measurement.interrupted or measurement.fatal)
        if complete and each.figures.not_sent:
            yield (
                f"{each.step}: {each.figures.not_sent} requests that were due were not sent, and"
                f" {_short(each.per_second)} a second were answered: the server, or"
                f" --concurrency={each.step.concurrency}, is the limit"
            )
    if measurement.interrupted:
        yield "interrupted: the last load is not complete"
