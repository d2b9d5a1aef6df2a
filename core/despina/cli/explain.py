"""``despina explain``: what a configuration makes the engine do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Never

import click

from despina.cli.options import config_name_option
from despina.errors import ConfigError, DespinaError
from despina.inspection.explain import Batches, Explanation, Flow, StepExplanation, explain
from despina.text import escaped


@click.command(name="explain")
@click.argument("path", type=click.Path(exists=True))
@click.argument("model", default="")
@config_name_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain_command(path: str, model: str, config_name: str, as_json: bool) -> None:
    """Say what decides a model's batches, and how an ensemble works.

    PATH is the folder of a model, or a model repository and MODEL its name there. Of an ensemble,
    the steps are listed in the order in which they can run, with the shapes of their tensors, what
    decides the batches of their models, and where tensors are copied. Nothing is loaded.
    """
    try:
        explanation = explain(Path(path), model, config_name)
    except ConfigError as error:
        _fail([*map(str, error.problems), "error: a configuration with problems is not explained"])
    except DespinaError as error:
        _fail([f"error: {error.message}"])
    if as_json:
        click.echo(json.dumps(asdict(explanation), indent=2))
    else:
        click.echo("\n".join(escaped(line).rstrip() for line in _lines(explanation)))


def _fail(lines: Sequence[str]) -> Never:
    click.echo("\n".join(map(escaped, lines)), err=True)
    sys.exit(1)


def _lines(model: Explanation) -> Iterator[str]:
    kind = "ensemble" if model.steps else f"model of backend '{model.backend}'"
    yield f"{model.name}: {kind}, version {', '.join(map(str, model.versions))}, in {model.path}"
    yield from _tensors("takes", model.inputs)
    yield from _tensors("gives", model.outputs)
    if model.batches:
        yield from _batches(model.batches)
    else:
        yield from _ensemble(model)
    for step in model.steps:
        yield from _step(step)
    yield from (f"note: {note}" for note in model.notes)


def _row(label: str, text: str) -> str:
    return f"  {label:9} {text}"


def _tensors(label: str, tensors: Sequence[Flow]) -> Iterator[str]:
    arrow = "<-" if label == "takes" else "->"
    names = [f"{each.name} {arrow} {each.tensor}".removesuffix(f" {arrow} ") for each in tensors]
    width = max(map(len, names), default=0)
    for name, each in zip(names, tensors, strict=True):
        shape = str(list(each.shape)) if each.shape else "of a shape that the backend knows"
        source = f", from {each.comes_from}" if each.comes_from else ""
        yield _row(label, f"{name:{width}}  {each.datatype or '?':6} {shape}{source}")


def _ensemble(model: Explanation) -> Iterator[str]:
    rows = f"up to {model.max_batch_size} rows" if model.max_batch_size else "no axis of rows"
    yield _row("requests", f"{rows} (max_batch_size); the models of the steps form batches")
    if model.max_inflight_requests:
        text = f"{model.max_inflight_requests} at a time at most (max_inflight_requests)"
        yield _row("", text)
    yield _row("copies", "none between steps: tensors are passed on")


def _step(step: StepExplanation) -> Iterator[str]:
    version = f" version {step.version}" if step.version > 0 else ""
    steps = "steps" if len(step.after) > 1 else "step"
    after = f", after {steps} {' and '.join(map(str, step.after))}" if step.after else ""
    yield f"step {step.index}: {step.model}{version}{after}"
    yield from _tensors("takes", step.inputs)
    yield from _tensors("gives", step.outputs)
    if step.batches:
        yield from _batches(step.batches)
    else:
        yield _row("steps", f"an ensemble of its own: despina explain ... {step.model}")


def _batches(batches: Batches) -> Iterator[str]:
    rows = batches.max_rows
    if not rows:
        yield _row("batches", "none: max_batch_size is 0, each request runs alone")
    elif not batches.dynamic:
        text = f"none: each request, of up to {rows} rows, runs alone (no dynamic_batching)"
        yield _row("batches", text)
    else:
        text = f"up to {rows} rows (max_batch_size), of requests in their order, of equal shapes"
        yield _row("batches", text)
        yield _row("", _aim(batches))
    yield _row("queue", _queue(batches))
    if batches.preserve_ordering:
        yield _row("order", "answers leave in the order of their requests (preserve_ordering)")
    placed = ", ".join(f"{count} on {device}" for device, count in batches.instances.items())
    yield _row("instances", f"{placed} (instance_group)")
    yield from _copies(batches)


def _aim(batches: Batches) -> str:
    sizes = " or ".join(map(str, batches.preferred_rows))
    delay = batches.max_delay_microseconds
    if not delay:
        return f"an idle instance takes what waits at once, at best {sizes} rows"
    return (
        f"for {sizes} rows (preferred_batch_size) an idle instance waits up to {delay} µs"
        " (max_queue_delay_microseconds)"
    )


def _queue(batches: Batches) -> str:
    if batches.max_queue_size:
        text = f"up to {batches.max_queue_size} requests (max_queue_size)"
        return f"{text}, more are answered UNAVAILABLE"
    return "as many requests as the server allows (max_queue_size is 0)"


def _copies(batches: Batches) -> Iterator[str]:
    if not batches.gathered:
        yield _row("copies", "none")
        return
    text = f"{', '.join(batches.gathered)}: into one buffer if a batch has several requests"
    yield _row("copies", text)
    yield _row("", "outputs: none, each request gets a slice of the batch's")
