"""What an ensemble must keep to, seen together with the models of its steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from despina.config.complete import compatible
from despina.config.definition import Definition, Step, Tensor
from despina.config.model_config_pb2 import ModelConfig
from despina.config.problem import Problem
from despina.text import did_you_mean, quoted


def members(config: ModelConfig) -> tuple[str, ...]:
    """Names of the models that an ensemble needs, each once, in the order of the steps."""
    return tuple(dict.fromkeys(step.model_name for step in config.ensemble_scheduling.step))


def missing_members(config: ModelConfig, known: Iterable[str]) -> list[Problem]:
    """Names the steps whose model is in no repository."""
    known = tuple(known)
    return [
        Problem(
            f"ensemble_scheduling.step[{index}].model_name",
            f"there is no model '{step.model_name}'{did_you_mean(step.model_name, known)}",
        )
        for index, step in enumerate(config.ensemble_scheduling.step)
        if step.model_name not in known
    ]


def cycle(name: str, members_of: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The models on the way from an ensemble back to itself: ``['a', 'b', 'a']``."""
    path: list[str] = []
    seen: set[str] = set()
    pending = [(name, 0)]
    while pending:
        model, depth = pending.pop()
        del path[depth:]
        path.append(model)
        for member in members_of.get(model, ()):
            if member == name:
                return [*path, name]
            if member not in seen:
                seen.add(member)
                pending.append((member, depth + 1))
    return None


def check_flow(config: ModelConfig) -> list[Problem]:
    """Checks that each tensor is made once, before it is needed, and is needed."""
    producers: dict[str, list[str]] = defaultdict(list)
    for tensor in config.input:
        producers[tensor.name].append("the ensemble's inputs")
    for index, step in enumerate(config.ensemble_scheduling.step):
        for name in step.output_map.values():
            producers[name].append(f"step {index} (model '{step.model_name}')")
    problems = [*_check_ends(config, producers), *_check_steps(config, producers)]
    return problems or _check_order(config)


def _check_ends(config: ModelConfig, producers: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """What the ensemble takes and gives."""
    for name, by in producers.items():
        if len(by) > 1:
            text = f"tensor '{name}' has several producers: {', '.join(by)}"
            yield Problem("ensemble_scheduling.step", text)
    for index, output in enumerate(config.output):
        if output.name not in producers:
            text = f"no step makes '{output.name}'{did_you_mean(output.name, producers)}"
            yield Problem(f"output[{index}]", text)
    consumed = _consumed(config)
    for index, tensor in enumerate(config.input):
        if tensor.name not in consumed:
            yield Problem(f"input[{index}]", f"no step takes '{tensor.name}'")


def _check_steps(config: ModelConfig, producers: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Tensors between steps: each that is taken is made, each that is made is taken."""
    needed = _consumed(config) | {tensor.name for tensor in config.output}
    for index, step in enumerate(config.ensemble_scheduling.step):
        where, model = f"ensemble_scheduling.step[{index}]", f"model '{step.model_name}'"
        for tensor, name in sorted(step.input_map.items()):
            if name not in producers:
                text = f"'{tensor}' of {model} takes '{name}', which nothing makes"
                yield Problem(f"{where}.input_map", f"{text}{did_you_mean(name, producers)}")
        for tensor, name in sorted(step.output_map.items()):
            if name not in needed:
                text = f"'{name}', from '{tensor}' of {model}, is used by nothing"
                yield Problem(f"{where}.output_map", text)


def _consumed(config: ModelConfig) -> set[str]:
    return {name for step in config.ensemble_scheduling.step for name in step.input_map.values()}


def _check_order(config: ModelConfig) -> list[Problem]:
    """Finds steps that wait for each other's tensors."""
    available = {tensor.name for tensor in config.input}
    waiting = dict(enumerate(config.ensemble_scheduling.step))
    while ready := [i for i, s in waiting.items() if available.issuperset(s.input_map.values())]:
        for index in ready:
            available.update(waiting.pop(index).output_map.values())
    names = [f"{index} (model '{step.model_name}')" for index, step in waiting.items()]
    text = f"steps wait for each other: {', '.join(names)}"
    return [Problem("ensemble_scheduling.step", text)] if names else []


class _Source(NamedTuple):
    """Where a tensor of an ensemble comes from."""

    tensor: Tensor
    max_batch_size: int
    what: str


def check_tensors(
    ensemble: Definition, models: Mapping[tuple[str, int], Definition]
) -> list[Problem]:
    """Checks names, datatypes and shapes along every connection.

    Args:
        ensemble: its definition; its flow has been checked.
        models: the definition of each step's model, by name and version as the step says them.
    """
    return list(_check_tensors(ensemble, models))


def _check_tensors(
    ensemble: Definition, models: Mapping[tuple[str, int], Definition]
) -> Iterator[Problem]:
    if ensemble.decoupled:
        yield Problem("model_transaction_policy.decoupled", "an ensemble gives one answer")
    sources = {
        tensor.name: _Source(tensor, ensemble.max_batch_size, "the ensemble's input")
        for tensor in ensemble.inputs
    }
    for index, step in enumerate(ensemble.steps):
        model, what = models[step.model, step.version], f"step {index} (model '{step.model}')"
        if model.decoupled:
            text = f"{what} is decoupled, and an ensemble takes one answer of each step"
            yield Problem(f"ensemble_scheduling.step[{index}].model_name", text)
        yield from _check_names(index, step, model)
        outputs = {tensor.name: tensor for tensor in model.outputs}
        for tensor, name in step.outputs:
            if tensor in outputs:
                sources[name] = _Source(outputs[tensor], model.max_batch_size, what)
    for index, step in enumerate(ensemble.steps):
        model = models[step.model, step.version]
        inputs = {tensor.name: tensor for tensor in model.inputs}
        for tensor, name in step.inputs:
            if tensor in inputs and name in sources:
                field = f"ensemble_scheduling.step[{index}].input_map"
                what = f"'{tensor}' of model '{step.model}'"
                target = _Source(inputs[tensor], model.max_batch_size, what)
                yield from _check_connection(field, name, sources[name], target)
    for index, output in enumerate(ensemble.outputs):
        if output.name in sources:
            target = _Source(output, ensemble.max_batch_size, "the ensemble's output")
            yield from _check_connection(
                f"output[{index}]", output.name, sources[output.name], target
            )


def _check_names(index: int, step: Step, model: Definition) -> Iterator[Problem]:
    where = f"ensemble_scheduling.step[{index}]"
    for kind, mapped, tensors in (
        ("input", step.inputs, model.inputs),
        ("output", step.outputs, model.outputs),
    ):
        known = [tensor.name for tensor in tensors]
        for tensor, _ in mapped:
            if tensor not in known:
                text = f"model '{step.model}' has no {kind} '{tensor}'"
                hint = did_you_mean(tensor, known)
                yield Problem(f"{where}.{kind}_map", f"{text}{hint}")
    given = {tensor for tensor, _ in step.inputs}
    left_out = [t.name for t in model.inputs if t.name not in given and not t.optional]
    if left_out:
        text = f"model '{step.model}' needs {quoted(left_out)}"
        yield Problem(f"{where}.input_map", text)


def _check_connection(field: str, name: str, source: _Source, target: _Source) -> Iterator[Problem]:
    made, taken = source.tensor, target.tensor
    if made.datatype != taken.datatype:
        text = (
            f"'{name}' is {made.datatype} from {source.what} and {taken.datatype} for {target.what}"
        )
        yield Problem(field, text)
    # Between models with and without a batch axis that axis is one of the shape's.
    batch = {bool(source.max_batch_size), bool(target.max_batch_size)}
    shapes = [
        (-1, *each.tensor.dims) if len(batch) > 1 and each.max_batch_size else each.tensor.dims
        for each in (source, target)
    ]
    if not compatible(*shapes):
        text = f"'{name}' is {list(shapes[0])} from {source.what} and {list(shapes[1])} for"
        yield Problem(field, f"{text} {target.what}")
