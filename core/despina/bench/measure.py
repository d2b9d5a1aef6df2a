"""Runs the loads one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from despina.bench.errors import readable
from despina.bench.sweep import Step
from despina.bench.targets import Target
from despina.engine import Load, LoadFigures, LoadPlan

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
"""Percentiles that are told, by their names."""

CURVE = (*(i / 100 for i in range(100)), 0.995, 0.998, 0.999, 0.9995, 0.9999)
"""Shares that are plotted."""

STAGES = {
    "queue": "queue",
    "compute_input": "input",
    "compute_infer": "infer",
    "compute_output": "output",
}
"""Of the statistics route, and what they are called here."""

POLL_SECONDS = 0.1

Watch = Callable[[Step, Load], None]
"""Called some ten times a second while a load runs."""


@dataclass(frozen=True)
class Timing:
    """How long loads are, in seconds; see ``LoadPlan``."""

    warm_up: float
    duration: float | None
    requests: int | None
    timeout: float
    threads: int


@dataclass(frozen=True)
class Stages:
    """What the server counted meanwhile, of all clients, the warm-up included.

    Attributes:
        requests: that succeeded.
        executions: batches.
        rows: that were in them.
        seconds: of a request on average, by stage: ``queue``, ``input``, ``infer``, ``output``.
    """

    requests: int
    executions: int
    rows: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """One load, and what became of it."""

    step: Step
    figures: LoadFigures
    stages: Stages | None

    @property
    def failures(self) -> dict[str, int]:
        """How often what went wrong, the most frequent first."""
        return readable(self.figures.failures)

    @property
    def per_second(self) -> float:
        """Requests that succeeded."""
        seconds = self.figures.seconds
        return self.figures.finished_in_time / seconds if seconds else 0.0

    @property
    def sending(self) -> float:
        """Share of the time that the sending threads were busy."""
        figures = self.figures
        return figures.processor_seconds / max(figures.running_seconds, 1e-9)

    def percentiles(self) -> dict[str, float]:
        """Of the latency, in seconds, by name, and the greatest."""
        return named_quantiles(self.figures.latency.quantiles) | {
            "max": self.figures.latency.greatest
        }


def named_quantiles(quantiles: Sequence[float]) -> dict[str, float]:
    """Those that ``finish`` gave for ``SHARES``."""
    return dict(zip(SHARES, quantiles, strict=False))


class Measurement:
    """All loads of a sweep.

    Attributes:
        measured: what is complete so far.
        interrupted: Ctrl-C has ended it; the load that ran is in ``measured`` as far as it came.
        fatal: why no further load was tried.
    """

    def __init__(self, target: Target, steps: Sequence[Step], timing: Timing) -> None:
        """Runs nothing yet."""
        self._target, self._steps, self._timing = target, steps, timing
        self.measured: list[Measured] = []
        self.interrupted = False
        self.fatal = ""

    def run(self, watch: Watch) -> None:
        """Runs them; returns early where the server has gone, or at Ctrl-C."""
        try:
            for step in self._steps:
                self._run_step(step, watch)
                if self.interrupted or self.fatal:
                    return
        except KeyboardInterrupt:  # between two loads
            self.interrupted = True

    def _run_step(self, step: Step, watch: Watch) -> None:
        before = self._target.statistics()
        load = self._target.start(self._plan(step))
        try:
            while not load.wait(POLL_SECONDS):
                watch(step, load)
        except KeyboardInterrupt:
            self.interrupted = True
        figures, after = load.finish([*SHARES.values(), *CURVE]), None
        self.fatal = figures.fatal
        try:
            if not (self.interrupted or self.fatal):
                after = self._target.statistics()
        except KeyboardInterrupt:
            self.interrupted = True
        self.measured.append(Measured(step, figures, stages_between(before, after)))

    def _plan(self, step: Step) -> LoadPlan:
        timing = self._timing
        return LoadPlan(
            lanes=step.concurrency,
            threads=timing.threads,
            rate=step.rate,
            warm_up=timing.warm_up,
            duration=timing.duration,
            requests=timing.requests,
            timeout=timing.timeout,
        )

    @property
    def failed(self) -> bool:
        """Whether a request did, or the server has gone."""
        return bool(self.fatal) or any(each.figures.failed for each in self.measured)


def stages_between(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Stages | None:
    """The difference of two statistics of a model; ``None`` where one is missing.

    Also where the counts went back: the model has been loaded anew.
    """
    if not before or not after:
        return None
    try:
        requests = _difference(before, after, "inference_stats", "success", "count")
        nanoseconds = {
            name: _difference(before, after, "inference_stats", stage, "ns")
            for stage, name in STAGES.items()
        }
        executions = _difference(before, after, "execution_count")
        rows = _difference(before, after, "inference_count")
    except (KeyError, TypeError):
        return None
    if requests <= 0 or min(executions, rows, *nanoseconds.values()) < 0:
        return None
    seconds = {name: value / requests / 1e9 for name, value in nanoseconds.items()}
    return Stages(requests, executions, rows, seconds)


def _difference(before: Any, after: Any, *keys: str) -> int:
    for key in keys:
        before, after = before[key], after[key]
    return int(after) - int(before)
