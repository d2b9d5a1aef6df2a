"""What decides the batches of a model, how an ensemble's tensors flow, and where they are copied.

What is said here of the engine is what ``cpp/engine`` does: ``batch_policy`` forms batches,
``batch`` gathers and scatters, ``ensemble`` passes tensors on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from despina.config.connections import UNKNOWN
from despina.config.definition import Definition, Step, Tensor, outline
from despina.errors import ConfigError, DespinaError
from despina.inspection.review import Review, is_model, named, review_models
from despina.repository.layout import CONFIG_FILE, scan
from despina.text import quoted
from despina_sdk import Code


@dataclass(frozen=True)
class Flow:
    """A tensor on its way.

    Attributes:
        name: the model's.
        datatype: empty while the backend has not been asked.
        shape: as requests have it, with the axis of rows as the first -1 of a model that batches;
            empty while the backend has not been asked.
        tensor: the ensemble's name for it; empty outside of an ensemble.
        comes_from: what makes it: ``input``, ``step 0``; empty outside of an ensemble.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    tensor: str = ""
    comes_from: str = ""


@dataclass(frozen=True)
class Batches:
    """What decides the batches of a model that is not an ensemble.

    Attributes:
        max_rows: of one batch; 0: there is no axis of rows, requests run one by one.
        dynamic: whether requests share batches.
        preferred_rows: what the batcher aims at.
        max_delay_microseconds: how long the oldest request is held back for more.
        preserve_ordering: whether answers leave in the order of their requests.
        max_queue_size: requests that may wait; 0: as many as the server allows.
        instances: how many there are, by device.
        gathered: inputs that are copied into one buffer when a batch has several requests.
    """

    max_rows: int
    dynamic: bool
    preferred_rows: tuple[int, ...]
    max_delay_microseconds: int
    preserve_ordering: bool
    max_queue_size: int
    instances: dict[str, int]
    gathered: tuple[str, ...]


@dataclass(frozen=True)
class StepExplanation:
    """One step of an ensemble.

    Attributes:
        version: of its model; -1: the latest.
        after: steps whose outputs it waits for; those that share none run side by side.
        batches: nothing if its model is an ensemble itself.
    """

    index: int
    model: str
    version: int
    after: tuple[int, ...]
    inputs: tuple[Flow, ...]
    outputs: tuple[Flow, ...]
    batches: Batches | None


@dataclass(frozen=True)
class Explanation:
    """One model. ``steps`` are those of an ensemble, which has no ``batches`` of its own."""

    name: str
    path: str
    backend: str
    versions: tuple[int, ...]
    max_batch_size: int
    inputs: tuple[Flow, ...]
    outputs: tuple[Flow, ...]
    batches: Batches | None
    steps: tuple[StepExplanation, ...]
    max_inflight_requests: int
    notes: tuple[str, ...]


def explain(path: Path, name: str = "", config_name: str = "") -> Explanation:
    """Explains one model.

    Args:
        path: the folder of a model or its configuration; or a repository.
        name: of the model, if ``path`` is a repository of several.
        config_name: that of the configuration to take where a model has several.

    Raises:
        ConfigError: the model, or one that it needs, has problems; all are told.
        DespinaError: NOT_FOUND: there is no such model. INVALID_ARGUMENT: it is not said which.
    """
    repository, name = _locate(path, name, config_name)
    found_there = review_models(repository, [name], config_name=config_name)
    reviews = {each.name: each for each in found_there}
    if problems := [problem for each in reviews.values() for problem in each.problems]:
        raise ConfigError(problems)
    found, config = reviews[name], reviews[name].config
    assert config is not None  # there are no problems
    whole = outline(config, found.versions[-1])
    sources = _sources(whole)
    return Explanation(
        name=name,
        path=str(found.path),
        backend=config.backend,
        versions=found.versions,
        max_batch_size=whole.max_batch_size,
        inputs=tuple(_flow(each, whole) for each in whole.inputs),
        outputs=tuple(_flow(each, whole, "", sources.get(each.name)) for each in whole.outputs),
        batches=_batches(whole),
        steps=tuple(_steps(whole, sources, reviews)),
        max_inflight_requests=whole.max_inflight_requests,
        notes=tuple(_notes(found, reviews)),
    )


def _locate(path: Path, name: str, config_name: str) -> tuple[Path, str]:
    """The repository and the name of the model that is meant."""
    if path.name == CONFIG_FILE:
        path = path.parent
    if not path.is_dir():
        text = f"'{path}' is neither the folder of a model nor a repository"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    if not is_model(path, config_name):
        return path, name or _only_model(path)
    path = named(path)
    if name not in ("", path.name):
        text = f"'{path}' is a model; '{name}' can only be looked for in a repository"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    return path.parent, path.name


def _only_model(repository: Path) -> str:
    names = [folder.name for folder in scan(repository)[0]]
    if len(names) > 1:
        text = f"'{repository}' has several models; name one of {quoted(names)}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    if not names:
        raise DespinaError(Code.NOT_FOUND, f"there is no model in '{repository}'")
    return names[0]


def _notes(found: Review, reviews: Mapping[str, Review]) -> Iterator[str]:
    """What is not known of the model, and of those of its steps."""
    yield from found.notes
    for name, each in reviews.items():
        if name != found.name:
            yield from (f"model '{name}': {note}" for note in each.notes)


def _flow(
    tensor: Tensor, model: Definition, ensemble_tensor: str = "", comes_from: str | None = None
) -> Flow:
    rows = (-1,) if model.max_batch_size else ()
    return Flow(
        name=tensor.name,
        datatype="" if tensor.datatype == UNKNOWN else tensor.datatype,
        shape=(*rows, *tensor.dims) if tensor.dims else (),
        tensor=ensemble_tensor,
        comes_from=comes_from or "",
    )


def _batches(model: Definition) -> Batches | None:
    if model.steps:
        return None
    counts = Counter(instance.device for instance in model.instances)
    return Batches(
        max_rows=model.max_batch_size,
        dynamic=model.dynamic_batching,
        preferred_rows=model.preferred_batch_sizes if model.dynamic_batching else (),
        max_delay_microseconds=model.max_queue_delay_microseconds,
        preserve_ordering=model.preserve_ordering,
        max_queue_size=model.max_queue_size,
        instances=dict(sorted(counts.items())),
        gathered=tuple(each.name for each in model.inputs) if model.dynamic_batching else (),
    )


def _sources(ensemble: Definition) -> dict[str, str]:
    """What makes each tensor of an ensemble."""
    made = {tensor.name: "input" for tensor in ensemble.inputs}
    for index, step in enumerate(ensemble.steps):
        made |= {name: f"step {index}" for _, name in step.outputs}
    return made if ensemble.steps else {}


def _steps(
    ensemble: Definition, sources: Mapping[str, str], reviews: Mapping[str, Review]
) -> Iterator[StepExplanation]:
    """The steps, each behind those that it waits for."""
    after = [_after(step, sources) for step in ensemble.steps]
    done: set[int] = set()
    while len(done) < len(after):  # there are no cycles: the configuration has been checked
        ready = [i for i, before in enumerate(after) if i not in done and done.issuperset(before)]
        for index in ready:
            yield _step(index, ensemble.steps[index], after[index], sources, reviews)
        done.update(ready)


def _after(step: Step, sources: Mapping[str, str]) -> tuple[int, ...]:
    made_by = {sources[name] for _, name in step.inputs if name in sources} - {"input"}
    return tuple(sorted(int(each.removeprefix("step ")) for each in made_by))


def _step(
    index: int,
    step: Step,
    after: tuple[int, ...],
    sources: Mapping[str, str],
    reviews: Mapping[str, Review],
) -> StepExplanation:
    config = reviews[step.model].config
    assert config is not None  # there are no problems
    model = outline(config, step.version)
    takes = {tensor.name: tensor for tensor in model.inputs}
    gives = {tensor.name: tensor for tensor in model.outputs}
    return StepExplanation(
        index=index,
        model=step.model,
        version=step.version,
        after=after,
        inputs=tuple(
            _flow(takes.get(each, Tensor(each, UNKNOWN, ())), model, name, sources.get(name))
            for each, name in step.inputs
        ),
        outputs=tuple(
            _flow(gives.get(each, Tensor(each, UNKNOWN, ())), model, name)
            for each, name in step.outputs
        ),
        batches=_batches(model),
    )
