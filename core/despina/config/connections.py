"""Tensors between the steps of an ensemble: names, datatypes and shapes along every connection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from despina.config.complete import compatible
from despina.config.definition import Definition, Step, Tensor
from despina.config.problem import Problem
from despina.text import did_you_mean, quoted

UNKNOWN = "INVALID"
"""The datatype of a tensor whose backend has not been asked yet."""

Models = Mapping[tuple[str, int], Definition]


class _End(NamedTuple):
    """Where a tensor of an ensemble comes from, or goes to.

    Attributes:
        batches: whether there is an axis of rows besides the dims; both where it is not known yet.
        what: names it in messages.
    """

    tensor: Tensor
    batches: tuple[bool, ...]
    what: str


def check_tensors(
    ensemble: Definition, models: Models, incomplete: Collection[str] = ()
) -> list[Problem]:
    """Checks names, datatypes and shapes along every connection.

    Args:
        ensemble: its definition; its flow has been checked.
        models: the definition of each step's model, by name and version as the step says them. What
            is not there is not checked.
        incomplete: names of models that may still get more tensors than are listed, and an axis of
            rows.
    """
    return list(_check_tensors(ensemble, models, incomplete))


def doubts(ensemble: Definition, models: Models) -> Iterator[str]:
    """Tensors of models that list others: only their backends can tell whether there are more."""
    for index, step in enumerate(ensemble.steps):
        model = models.get((step.model, step.version))
        if model is not None and model.inputs and model.outputs:
            for kind, tensor, hint in _unlisted(step, model):
                text = f"step {index}: {_named(step)} does not list {kind} '{tensor}'"
                yield f"{text}, which its backend would have to fill in{hint}"


def _check_tensors(
    ensemble: Definition, models: Models, incomplete: Collection[str]
) -> Iterator[Problem]:
    if ensemble.decoupled:
        yield Problem("model_transaction_policy.decoupled", "an ensemble gives one answer")
    own = (ensemble.max_batch_size > 0,)
    sources = {each.name: _End(each, own, "the ensemble's input") for each in ensemble.inputs}
    targets: list[tuple[str, str, _End]] = []
    for index, step in enumerate(ensemble.steps):
        model = models.get((step.model, step.version))
        if model is None:
            continue
        yield from _check_step(index, step, model, ensemble, incomplete)
        batches: tuple[bool, ...] = (model.max_batch_size > 0,)
        if step.model in incomplete and not model.max_batch_size:
            batches = (True, False)
        outputs = {tensor.name: tensor for tensor in model.outputs}
        for tensor, name in step.outputs:
            if tensor in outputs:
                sources[name] = _End(outputs[tensor], batches, f"step {index} ({_named(step)})")
        inputs = {tensor.name: tensor for tensor in model.inputs}
        for tensor, name in step.inputs:
            if tensor in inputs:
                field = f"ensemble_scheduling.step[{index}].input_map['{tensor}']"
                end = _End(inputs[tensor], batches, f"'{tensor}' of {_named(step)}")
                targets.append((field, name, end))
    for index, output in enumerate(ensemble.outputs):
        end = _End(output, own, "the ensemble's output")
        targets.append((f"output[{index}]", output.name, end))
    for field, name, target in targets:
        if name in sources:
            yield from _check_connection(field, name, sources[name], target)


def _check_step(
    index: int, step: Step, model: Definition, ensemble: Definition, incomplete: Collection[str]
) -> Iterator[Problem]:
    """What a step asks of its model."""
    where = f"ensemble_scheduling.step[{index}]"
    if model.decoupled:
        what = f"step {index} ({_named(step)})"
        text = f"{what} is decoupled, and an ensemble takes one answer of each step"
        yield Problem(f"{where}.model_name", text)
    if 0 < model.max_batch_size < ensemble.max_batch_size:
        rows = f"{_named(step)} of step {index} takes {model.max_batch_size} rows at most"
        yield Problem("max_batch_size", f"is {ensemble.max_batch_size}, and {rows}")
    if step.model not in incomplete:
        for kind, tensor, hint in _unlisted(step, model):
            text = f"{_named(step)} has no {kind} '{tensor}'{hint}"
            yield Problem(f"{where}.{kind}_map['{tensor}']", text)
    yield from _check_inputs(f"{where}.input_map", step, model)


def _unlisted(step: Step, model: Definition) -> Iterator[tuple[str, str, str]]:
    """What a step asks for and its model does not list: kind, name, and the nearest name."""
    for kind, mapped, tensors in (
        ("input", step.inputs, model.inputs),
        ("output", step.outputs, model.outputs),
    ):
        known = [tensor.name for tensor in tensors]
        for tensor, _ in mapped:
            if tensor not in known:
                yield kind, tensor, did_you_mean(tensor, known)


def _check_inputs(field: str, step: Step, model: Definition) -> Iterator[Problem]:
    """Every input that a model must have is given."""
    given = {tensor for tensor, _ in step.inputs}
    left_out = [t.name for t in model.inputs if t.name not in given and not t.optional]
    if left_out:
        unlisted = sorted(given.difference(tensor.name for tensor in model.inputs))
        hint = f", and does not list {quoted(unlisted)}" if unlisted else ""
        yield Problem(field, f"{_named(step)} needs {quoted(left_out)}{hint}")


def _check_connection(field: str, name: str, source: _End, target: _End) -> Iterator[Problem]:
    made, taken = source.tensor, target.tensor
    if made.datatype != taken.datatype and UNKNOWN not in (made.datatype, taken.datatype):
        text = f"'{name}' is {made.datatype} from {source.what} and {taken.datatype} for"
        yield Problem(field, f"{text} {target.what}")
    if not made.dims or not taken.dims:
        return  # the backend has not been asked yet
    shapes = [_shapes(made, taken, *batches) for batches in product(source.batches, target.batches)]
    if not any(compatible(*each) for each in shapes):
        one, other = shapes[-1]
        text = f"'{name}' is {list(one)} from {source.what} and {list(other)} for {target.what}"
        yield Problem(field, text)


def _shapes(
    made: Tensor, taken: Tensor, from_batches: bool, into_batches: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Between models with and without an axis of rows that axis is one of the shape's."""
    if from_batches == into_batches:
        return made.dims, taken.dims
    if from_batches:
        return (-1, *made.dims), taken.dims
    return made.dims, (-1, *taken.dims)


def _named(step: Step) -> str:
    return f"model '{step.model}'"
