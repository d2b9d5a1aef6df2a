"""What an ensemble must keep to, seen together with the models of its steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from despina.config.connections import check_tensors, doubts
from despina.config.definition import Definition, outline
from despina.config.model_config_pb2 import ModelConfig
from despina.config.problem import MAX_PROBLEMS, Problem
from despina.text import did_you_mean


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


def check_ensemble(
    name: str, configs: Mapping[str, ModelConfig], known: Iterable[str], *, completing: bool
) -> list[Problem]:
    """Checks all that the configurations of an ensemble and of its members tell.

    Args:
        name: of the ensemble.
        configs: by name, normalised: of the ensemble, and of members that could be read.
        known: names of all models there are.
        completing: whether backends may still fill in what the members' configurations leave out.
    """
    config = configs[name]
    problems = missing_members(config, known) + check_flow(config)
    if path := cycle(name, {each: members(one) for each, one in configs.items()}):
        text = f"the ensemble contains itself: {' -> '.join(path)}"
        problems.append(Problem("ensemble_scheduling", text))
    return problems or check_connections(config, configs, completing=completing)


def check_connections(
    config: ModelConfig, configs: Mapping[str, ModelConfig], *, completing: bool
) -> list[Problem]:
    """Checks what the configurations tell of the tensors between the steps.

    Args:
        config: of an ensemble whose flow has been checked.
        configs: by name, of the members that could be read.
        completing: as ``check_ensemble`` has it.
    """
    ensemble, models = _outlines(config, configs)
    may_complete = (step.model for step in ensemble.steps if _completes(step.model, configs))
    return check_tensors(ensemble, models, frozenset(may_complete) if completing else ())


def doubtful_names(config: ModelConfig, configs: Mapping[str, ModelConfig]) -> list[str]:
    """Names of tensors in steps that are wrong unless backends fill them in.

    Args:
        config, configs: as ``check_connections`` has them, and it finds nothing wrong.
    """
    return list(doubts(*_outlines(config, configs)))


def _outlines(
    config: ModelConfig, configs: Mapping[str, ModelConfig]
) -> tuple[Definition, dict[tuple[str, int], Definition]]:
    """An ensemble, and the models of its steps as far as they could be read."""
    ensemble = outline(config, 1)
    return ensemble, {
        (step.model, step.version): outline(configs[step.model], step.version)
        for step in ensemble.steps
        if step.model in configs
    }


def _completes(model: str, configs: Mapping[str, ModelConfig]) -> bool:
    """Whether a backend may fill in what its configuration leaves out."""
    return model in configs and not configs[model].HasField("ensemble_scheduling")


class _Producer(NamedTuple):
    """What makes a tensor, and the field that says so."""

    field: str
    what: str


def check_flow(config: ModelConfig) -> list[Problem]:
    """Checks that each tensor is made once, before it is needed, and is needed."""
    producers: dict[str, list[_Producer]] = defaultdict(list)
    for index, tensor in enumerate(config.input):
        producers[tensor.name].append(_Producer(f"input[{index}]", "the ensemble's inputs"))
    for index, step in enumerate(config.ensemble_scheduling.step):
        for tensor_name, name in sorted(step.output_map.items()):
            field = f"ensemble_scheduling.step[{index}].output_map['{tensor_name}']"
            what = f"step {index} (model '{step.model_name}')"
            producers[name].append(_Producer(field, what))
    problems = chain(_check_ends(config, producers), _check_steps(config, producers))
    return list(islice(problems, MAX_PROBLEMS + 1)) or _check_order(config)


def _check_ends(
    config: ModelConfig, producers: Mapping[str, Sequence[_Producer]]
) -> Iterator[Problem]:
    """What the ensemble takes and gives."""
    for name, by in producers.items():
        if len(by) > 1:
            text = f"tensor '{name}' has several producers: {', '.join(each.what for each in by)}"
            yield Problem(by[-1].field, text)
    for index, output in enumerate(config.output):
        if output.name not in producers:
            text = f"no step makes '{output.name}'{did_you_mean(output.name, producers)}"
            yield Problem(f"output[{index}]", text)
    consumed = _consumed(config)
    for index, tensor in enumerate(config.input):
        if tensor.name not in consumed:
            yield Problem(f"input[{index}]", f"no step takes '{tensor.name}'")


def _check_steps(
    config: ModelConfig, producers: Mapping[str, Sequence[_Producer]]
) -> Iterator[Problem]:
    """Tensors between steps: each that is taken is made, each that is made is taken."""
    needed = _consumed(config) | {tensor.name for tensor in config.output}
    for index, step in enumerate(config.ensemble_scheduling.step):
        where, model = f"ensemble_scheduling.step[{index}]", f"model '{step.model_name}'"
        for tensor, name in sorted(step.input_map.items()):
            if name not in producers:
                text = f"'{tensor}' of {model} takes '{name}', which nothing makes"
                hint = did_you_mean(name, producers)
                yield Problem(f"{where}.input_map['{tensor}']", f"{text}{hint}")
        for tensor, name in sorted(step.output_map.items()):
            if name not in needed:
                text = f"'{name}', from '{tensor}' of {model}, is used by nothing"
                hint = "leave it out, or let a step or an output of the ensemble take it"
                yield Problem(f"{where}.output_map['{tensor}']", f"{text}: {hint}")


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
