"""Plots of a sweep: latency over throughput, and latency by percentile.

A page of HTML holds everything that it shows, as SVG; PNG needs matplotlib.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from despina.bench.measure import SHARES
from despina.bench.report import MILLISECONDS, Report, curve, titles
from despina.errors import DespinaError
from despina_sdk import Code

SUFFIXES = (".html", ".png")

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 55
COLORS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#6cc5b0", "#97bbf5", "#9c6b4e")

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """From where to where, and which values are written; logarithmic unless ``linear``."""

    label: str
    least: float
    most: float
    ticks: Sequence[tuple[float, str]]
    linear: bool = False

    def place(self, value: float) -> float:
        """From 0 to 1."""
        scale: Callable[[float], float] = float if self.linear else math.log10
        low, high = scale(self.least), scale(self.most)
        return (scale(value) - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Chart:
    """Lines with names."""

    title: str
    x: Axis
    y: Axis
    lines: Sequence[tuple[str, Sequence[Point]]]


def _nines(share: float) -> float:
    """How many nines it has: the tail gets as much room as the rest."""
    return -math.log10(max(1 - share, 1e-4))


PERCENTS = [(_nines(share / 100), f"{share:g}") for share in (0, 50, 90, 99, 99.9, 99.99)]


def check_plot(path: Path) -> None:
    """Whether such a file can be made.

    Raises:
        DespinaError: INVALID_ARGUMENT: its name ends otherwise. FAILED_PRECONDITION: matplotlib is
            not installed.
    """
    if path.suffix not in SUFFIXES:
        text = f"--plot={path}: its name ends with neither {' nor '.join(SUFFIXES)}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    if path.suffix == ".png" and find_spec("matplotlib") is None:
        text = f"--plot={path}: PNG needs matplotlib, which the extra despina[bench] brings along"
        raise DespinaError(Code.FAILED_PRECONDITION, f"{text}; .html needs nothing")


def write_plot(path: Path, report: Report) -> None:
    """Writes the plots of a sweep; nothing where no request succeeded.

    Raises:
        DespinaError: as ``check_plot``.
        OSError: the file cannot be written.
    """
    check_plot(path)
    charts = make_charts(report)
    if path.suffix == ".html":
        path.write_text(page(report, charts))
    else:
        write_png(path, charts)


def make_charts(report: Report) -> list[Chart]:
    """Latency over throughput where there are several loads, and percentiles of each."""
    measured = [each for each in report.measurement.measured if each.figures.latency.count]
    if not measured:
        return []
    by_name: list[tuple[str, list[Point]]] = [
        (name, [(each.per_second, each.percentiles()[name] * MILLISECONDS) for each in measured])
        for name in SHARES
    ]
    curves = [
        (title, [(_nines(share), ms * MILLISECONDS) for share, ms in curve(each.figures.latency)])
        for title, each in zip(titles(measured), measured, strict=True)
    ]
    charts = [
        Chart(
            "Latency by percentile",
            Axis("percent of the requests", 0, 4, PERCENTS, True),
            _latency_axis([point[1] for _, points in curves for point in points]),
            curves,
        )
    ]
    if len(measured) > 1:
        rates = [each.per_second for each in measured]
        ticks = [(value, f"{value:g}") for value in _round_values(0, max(rates))]
        charts.insert(
            0,
            Chart(
                "Latency over throughput",
                Axis("requests a second", 0, max(*rates, ticks[-1][0]), ticks, True),
                _latency_axis([point[1] for _, points in by_name for point in points]),
                by_name,
            ),
        )
    return charts


def _latency_axis(values: Sequence[float]) -> Axis:
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    high = max(high, low + 1)
    ticks = [(10.0**power, f"{10.0**power:g}") for power in range(low, high + 1)]
    return Axis("latency, ms", 10.0**low, 10.0**high, ticks)


def _round_values(least: float, most: float) -> list[float]:
    """About five values that people like, from one to beyond the other."""
    span = max(most - least, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(power * each for each in (1, 2, 5, 10) if span / (power * each) <= 5)
    return [least + step * i for i in range(math.ceil(span / step) + 1)]


def page(report: Report, charts: Sequence[Chart]) -> str:
    """A page that loads nothing from elsewhere."""
    title = html.escape(f"despina bench: {report.model.name}")
    where = html.escape(f"{report.where}, batch size {report.batch}")
    drawn = "\n".join(map(svg, charts)) or "<p>No request succeeded.</p>"
    style = "body{font:14px sans-serif;margin:2em;color:#222}svg{margin:0 1em 1em 0}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{style}</style></head>\n<body><h1>{title}</h1><p>{where}</p>\n{drawn}\n"
        "</body></html>\n"
    )


def svg(chart: Chart) -> str:
    """One chart."""
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(point: Point) -> tuple[float, float]:
        value = max(point[1], chart.y.least)
        return (
            LEFT + chart.x.place(point[0]) * inner_width,
            TOP + (1 - chart.y.place(value)) * inner_height,
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12">',
        f'<text x="{LEFT}" y="20" font-size="15">{html.escape(chart.title)}</text>',
    ]
    for value, text in chart.x.ticks:
        x = LEFT + chart.x.place(value) * inner_width
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM))
        parts.append(_text(x, HEIGHT - BOTTOM + 16, text, "middle"))
    for value, text in chart.y.ticks:
        y = TOP + (1 - chart.y.place(value)) * inner_height
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y))
        parts.append(_text(LEFT - 8, y + 4, text, "end"))
    parts.append(_text(LEFT + inner_width / 2, HEIGHT - 16, chart.x.label, "middle"))
    parts.append(
        f'<text transform="translate(16 {TOP + inner_height / 2}) rotate(-90)" '
        f'text-anchor="middle">{html.escape(chart.y.label)}</text>'
    )
    for index, (name, points) in enumerate(chart.lines):
        color = COLORS[index % len(COLORS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        if len(points) <= 30:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
                for x, y in map(place, points)
            ]
        y = TOP + 14 + 16 * index
        parts.append(f'<rect x="{LEFT + 8}" y="{y - 9}" width="10" height="10" fill="{color}"/>')
        parts.append(_text(LEFT + 24, y, name, "start"))
    return "".join([*parts, "</svg>"])


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def write_png(path: Path, charts: Sequence[Chart]) -> None:
    """Draws the same with matplotlib, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5 * max(len(charts), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    for index, chart in enumerate(charts):
        axes = figure.add_subplot(len(charts), 1, index + 1)
        axes.set_title(chart.title)
        for name, points in chart.lines:
            marker = "o" if len(points) <= 30 else ""
            axes.plot(*zip(*points, strict=True), label=name, marker=marker)
        axes.set_xlim(chart.x.least, chart.x.most)
        axes.set_xticks([value for value, _ in chart.x.ticks], [text for _, text in chart.x.ticks])
        axes.set_yscale("log")
        axes.set_xlabel(chart.x.label)
        axes.set_ylabel(chart.y.label)
        axes.grid(alpha=0.4)
        axes.legend()
    figure.savefig(path)
