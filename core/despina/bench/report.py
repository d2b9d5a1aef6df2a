"""What was measured, as JSON and as rows of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from despina import __version__
from despina.bench.measure import CURVE, SHARES, Measured, Measurement, named_quantiles
from despina.bench.model import Description
from despina.engine import Times
from despina_sdk import Array

MILLISECONDS = 1e3


@dataclass(frozen=True)
class Report:
    """A sweep, and of what.

    Attributes:
        where: the target.
        model: that was asked.
        inputs: of each request.
        batch: rows of a request.
    """

    where: str
    model: Description
    inputs: Mapping[str, Array]
    batch: int
    measurement: Measurement


def as_json(report: Report) -> dict[str, Any]:
    """All that is known; times are milliseconds."""
    return {
        "despina": __version__,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": report.where,
        "model": report.model.name,
        "batch_size": report.batch,
        "inputs": [
            {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape)}
            for spec in report.model.inputs
            if (array := report.inputs.get(spec.name)) is not None
        ],
        "interrupted": report.measurement.interrupted,
        "error": report.measurement.fatal,
        "loads": [_load(each, report.batch) for each in report.measurement.measured],
    }


def _load(each: Measured, batch: int) -> dict[str, Any]:
    figures = each.figures
    load: dict[str, Any] = {
        "concurrency": each.step.concurrency,
        "rate": each.step.rate,
        "seconds": round(figures.seconds, 6),
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "not_sent": figures.not_sent,
        "requests_per_second": round(each.per_second, 3),
        "rows_per_second": round(each.per_second * batch, 3),
        "latency_ms": _times(figures.latency),
        "statuses": {str(status): count for status, count in figures.statuses.items()},
        "failures": each.failures,
        "responses": figures.responses,
        "client": {
            "busy": round(each.sending, 4),
            "cpu_us_per_request": round(figures.processor_seconds * 1e6 / max(figures.ended, 1), 3),
        },
    }
    if figures.first_response.count:
        load["first_response_ms"] = _times(figures.first_response)
        load["between_responses_ms"] = _times(figures.between_responses)
    if each.stages:
        load["server"] = {
            "requests": each.stages.requests,
            "executions": each.stages.executions,
            "rows": each.stages.rows,
            **{f"{name}_ms": _ms(seconds) for name, seconds in each.stages.seconds.items()},
        }
    load["latency_curve_ms"] = [[share, _ms(seconds)] for share, seconds in curve(figures.latency)]
    return load


def _times(times: Times) -> dict[str, float]:
    quantiles = {name: _ms(each) for name, each in named_quantiles(times.quantiles).items()}
    return {
        "mean": _ms(times.mean),
        "min": _ms(times.least),
        **quantiles,
        "max": _ms(times.greatest),
    }


def _ms(seconds: float) -> float:
    return round(seconds * MILLISECONDS, 6)


def curve(times: Times) -> list[tuple[float, float]]:
    """Shares and quantiles in seconds, for plots; empty where nothing was counted."""
    if not times.count:
        return []
    return list(zip(CURVE, times.quantiles[len(SHARES) :], strict=True))


COLUMNS = (
    "model",
    "batch_size",
    "concurrency",
    "rate",
    "seconds",
    "succeeded",
    "failed",
    "not_sent",
    "requests_per_second",
    "rows_per_second",
    "mean_ms",
    "min_ms",
    *(f"{name}_ms" for name in SHARES),
    "max_ms",
    "first_response_p50_ms",
    "first_response_p99_ms",
    "between_responses_p50_ms",
    "between_responses_p99_ms",
    "responses",
    "server_requests",
    "server_executions",
    "server_queue_ms",
    "server_input_ms",
    "server_infer_ms",
    "server_output_ms",
)
"""Of CSV; what is not known is empty."""


def as_csv(report: Report) -> str:
    """A head, and one row for each load."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for load in as_json(report)["loads"]:
        writer.writerow(_row(report, load))
    return text.getvalue()


def _row(report: Report, load: Mapping[str, Any]) -> dict[str, Any]:
    row = {"model": report.model.name, "batch_size": report.batch}
    row |= {name: load[name] for name in COLUMNS if name in load}
    row["rate"] = "" if load["rate"] is None else load["rate"]
    row |= {f"{name}_ms": value for name, value in load["latency_ms"].items()}
    for part in ("first_response", "between_responses"):
        if times := load.get(f"{part}_ms"):
            row |= {f"{part}_{name}_ms": times[name] for name in ("p50", "p99")}
    if server := load.get("server"):
        row |= {f"server_{name}": value for name, value in server.items() if name != "rows"}
    return row


def titles(measured: Sequence[Measured]) -> list[str]:
    """What tells the loads of a sweep apart."""
    return [str(each.step) for each in measured]
