"""What a configuration must keep to, apart from its model and from other models.

Every rule adds to a list of problems, so that one look at the errors shows all of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from despina.config.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelInstanceGroup
from despina.config.observe import metric_problems
from despina.config.problem import Problem
from despina.config.tensors import TensorMessage
from despina.text import quoted

MAX_INSTANCES = 1024
"""Of one model: each is a thread."""

MAX_ELEMENTS = 1 << 40
"""Of the fixed part of one tensor; keeps every product of dimensions within 64 bits."""

MAX_BATCH_SIZE = 1 << 20
MAX_QUEUE_DELAY_MICROSECONDS = 3_600_000_000
"""An hour."""


def validate(config: ModelConfig, folder_name: str, *, completing: bool) -> list[Problem]:
    """Checks a normalised configuration.

    Args:
        config: the configuration.
        folder_name: what the model's folder is called.
        completing: whether the backend may still fill in tensors.
    """
    problems = [
        *check_name(config.name, folder_name),
        *_version_policy(config),
        *_tensors("input", config.input, completing),
        *_tensors("output", config.output, completing),
        *_file_name("default_model_filename", config.default_model_filename),
        *_parameters(config),
        *metric_problems(config),
    ]
    if not 0 <= config.max_batch_size <= MAX_BATCH_SIZE:
        text = f"{config.max_batch_size} is not between 0 and {MAX_BATCH_SIZE}"
        problems.append(Problem("max_batch_size", text))
    scheduling = config.WhichOneof("scheduling_choice")
    if scheduling == "ensemble_scheduling":
        problems += _ensemble(config)
    elif config.platform == "ensemble":
        problems.append(Problem("ensemble_scheduling", "an ensemble needs steps"))
    else:
        if not config.backend:
            problems.append(Problem("backend", "neither given, nor told by a platform or a file"))
        problems += _instance_groups(config)
        # While completing, the backend may still say how large batches can be.
        if scheduling == "dynamic_batching" and (config.max_batch_size or not completing):
            problems += _dynamic_batching(config)
    return problems


def check_name(name: str, folder_name: str) -> Iterator[Problem]:
    """A model's name is its folder's, and is safe in a path, a URL and a log."""
    if name != folder_name:
        yield Problem("name", f"'{name}' is not the name of the folder, '{folder_name}'")
    if not name.strip() or name in (".", "..") or "/" in name or not name.isprintable():
        yield Problem("name", f"{name!r} cannot be the name of a model")


def _version_policy(config: ModelConfig) -> Iterator[Problem]:
    policy = config.version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "latest" and policy.latest.num_versions == 0:
        yield Problem("version_policy.latest.num_versions", "must be at least 1")
    if choice == "specific" and not policy.specific.versions:
        yield Problem("version_policy.specific.versions", "names no version")
    for version in policy.specific.versions if choice == "specific" else ():
        if version < 1:
            yield Problem("version_policy.specific.versions", f"{version} is not a version")


def _tensors(kind: str, tensors: Sequence[TensorMessage], completing: bool) -> Iterator[Problem]:
    for index, tensor in enumerate(tensors):
        field = f"{kind}[{index}]"
        if not tensor.name:
            yield Problem(f"{field}.name", "is missing")
        if tensor.data_type == DataType.TYPE_INVALID and not completing:
            yield Problem(f"{field}.data_type", f"is missing for '{tensor.name}'")
        if not tensor.dims and not completing:
            yield Problem(f"{field}.dims", f"is missing for '{tensor.name}'")
        yield from _shapes(field, tensor)
        if isinstance(tensor, ModelInput):
            image = tensor.format != ModelInput.FORMAT_NONE
            if image and tensor.dims and len(tensor.dims) != 3:
                yield Problem(f"{field}.format", "an image has three dims")
        else:
            yield from _file_name(f"{field}.label_filename", tensor.label_filename)
    yield from _duplicates(kind, (tensor.name for tensor in tensors))


def _shapes(field: str, tensor: TensorMessage) -> Iterator[Problem]:
    dims, shape = list(tensor.dims), list(tensor.reshape.shape)
    reshaped = tensor.HasField("reshape")
    for name, values in (("dims", dims), ("reshape.shape", shape)):
        for value in values:
            if value < 1 and value != -1:
                yield Problem(f"{field}.{name}", f"{value} is neither -1 nor at least 1")
        if math.prod(abs(value) for value in values) > MAX_ELEMENTS:
            yield Problem(f"{field}.{name}", f"{values} has more than {MAX_ELEMENTS} elements")
    if reshaped and not dims:
        yield Problem(f"{field}.reshape", "needs dims")
    elif reshaped and _sections(dims) != _sections(shape):
        text = f"{shape} does not hold the elements of dims {dims}"
        yield Problem(f"{field}.reshape.shape", text)


def _sections(shape: Sequence[int]) -> list[int]:
    """Elements before, between and after the dimensions that vary."""
    sections = [1]
    for size in shape:
        if size == -1:
            sections.append(1)
        else:
            sections[-1] *= size
    return sections


def _file_name(field: str, name: str) -> Iterator[Problem]:
    path = PurePosixPath(name)
    if "\0" in name or path.is_absolute() or ".." in path.parts:
        yield Problem(field, f"{name!r} leads out of the model's folder")


def _parameters(config: ModelConfig) -> Iterator[Problem]:
    isolation = config.parameters.get("isolation")
    if isolation is not None and isolation.string_value not in ("", "thread"):
        text = f"'{isolation.string_value}' is not supported: worker processes are not there yet"
        yield Problem("parameters['isolation']", text)


def _instance_groups(config: ModelConfig) -> Iterator[Problem]:
    total = 0
    for index, group in enumerate(config.instance_group):
        field = f"instance_group[{index}]"
        if group.count < 1:
            yield Problem(f"{field}.count", f"{group.count} is less than 1")
        if group.kind == ModelInstanceGroup.KIND_CPU and group.gpus:
            yield Problem(f"{field}.gpus", "are of no use to KIND_CPU")
        if group.kind == ModelInstanceGroup.KIND_GPU and not group.gpus:
            yield Problem(f"{field}.gpus", "must be listed for KIND_GPU, such as [0]")
        for gpu in group.gpus:
            if gpu < 0:
                yield Problem(f"{field}.gpus", f"{gpu} is not the index of a GPU")
        yield from _repeated(f"{field}.gpus", map(str, group.gpus))
        total += max(group.count, 0) * max(len(group.gpus), 1)
    if total > MAX_INSTANCES:
        yield Problem("instance_group", f"{total} instances, more than {MAX_INSTANCES}")
    yield from _duplicates("instance_group", (group.name for group in config.instance_group))


def _dynamic_batching(config: ModelConfig) -> Iterator[Problem]:
    batching = config.dynamic_batching
    if config.max_batch_size == 0:
        for field in ("preferred_batch_size", "max_queue_delay_microseconds"):
            if getattr(batching, field):
                text = "has no effect: max_batch_size is 0, the model does not batch"
                yield Problem(f"dynamic_batching.{field}", text)
        return
    for size in batching.preferred_batch_size:
        if not 1 <= size <= config.max_batch_size:
            text = f"{size} is not between 1 and max_batch_size, {config.max_batch_size}"
            yield Problem("dynamic_batching.preferred_batch_size", text)
    delay = batching.max_queue_delay_microseconds
    if delay > MAX_QUEUE_DELAY_MICROSECONDS:
        text = f"{delay} is more than an hour ({MAX_QUEUE_DELAY_MICROSECONDS})"
        yield Problem("dynamic_batching.max_queue_delay_microseconds", text)


def _ensemble(config: ModelConfig) -> Iterator[Problem]:
    if config.backend:
        yield Problem("backend", f"an ensemble has none, not '{config.backend}'")
    if config.platform != "ensemble":
        yield Problem("platform", f"'{config.platform}' cannot have ensemble_scheduling")
    for field in ("instance_group", "model_warmup"):
        if len(getattr(config, field)):
            yield Problem(field, "belongs to the models of the steps, not to an ensemble")
    if config.HasField("optimization"):
        yield Problem("optimization", "belongs to the models of the steps, not to an ensemble")
    both: tuple[tuple[str, Sequence[TensorMessage]], ...] = (
        ("input", config.input),
        ("output", config.output),
    )
    for kind, tensors in both:
        if not tensors:
            yield Problem(kind, "an ensemble must list its own")
        for index, tensor in enumerate(tensors):
            if tensor.data_type == DataType.TYPE_INVALID or not tensor.dims:
                text = f"'{tensor.name}' of an ensemble needs data_type and dims"
                yield Problem(f"{kind}[{index}]", text)
            if tensor.HasField("reshape"):
                text = "belongs to the models of the steps, not to an ensemble"
                yield Problem(f"{kind}[{index}].reshape", text)
    steps = config.ensemble_scheduling.step
    if not steps:
        yield Problem("ensemble_scheduling.step", "is missing")
    for index, step in enumerate(steps):
        field = f"ensemble_scheduling.step[{index}]"
        if not step.model_name:
            yield Problem(f"{field}.model_name", "is missing")
        if step.model_version < -1:
            yield Problem(f"{field}.model_version", f"{step.model_version} is not a version")
        if not step.output_map:
            yield Problem(f"{field}.output_map", f"takes nothing from model '{step.model_name}'")


def _duplicates(kind: str, names: Iterable[str]) -> Iterator[Problem]:
    yield from _repeated(f"{kind}.name", (name for name in names if name))


def _repeated(field: str, values: Iterable[str]) -> Iterator[Problem]:
    if repeated := [value for value, count in Counter(values).items() if count > 1]:
        yield Problem(field, f"more than once: {quoted(repeated)}")
