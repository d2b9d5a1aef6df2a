"""Ensembles, as far as one configuration alone tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from despina.config.model_config_pb2 import DataType, ModelConfig, ModelInput
from despina.config.problem import Problem
from despina.config.tensors import TensorMessage

MAX_STEPS = 1024

OF_MEMBERS = "belongs to the models of the steps, not to an ensemble"


def check_ensemble_fields(config: ModelConfig) -> Iterator[Problem]:
    """Checks the fields of an ensemble; how its tensors flow is looked at elsewhere."""
    if config.backend:
        yield Problem("backend", f"an ensemble has none, not '{config.backend}'")
    if config.platform != "ensemble":
        yield Problem("platform", f"'{config.platform}' cannot have ensemble_scheduling")
    for field in ("instance_group", "model_warmup", "batch_input", "batch_output"):
        if len(getattr(config, field)):
            yield Problem(field, OF_MEMBERS)
    if config.HasField("optimization"):
        yield Problem("optimization", OF_MEMBERS)
    both: tuple[tuple[str, Sequence[TensorMessage]], ...] = (
        ("input", config.input),
        ("output", config.output),
    )
    for kind, tensors in both:
        if not tensors:
            yield Problem(kind, "an ensemble must list its own")
        for index, tensor in enumerate(tensors):
            yield from _tensor(f"{kind}[{index}]", tensor)
    yield from _steps(config)


def _tensor(field: str, tensor: TensorMessage) -> Iterator[Problem]:
    if tensor.data_type == DataType.TYPE_INVALID or not tensor.dims:
        yield Problem(field, f"'{tensor.name}' of an ensemble needs data_type and dims")
    if tensor.HasField("reshape"):
        yield Problem(f"{field}.reshape", OF_MEMBERS)
    if isinstance(tensor, ModelInput) and tensor.allow_ragged_batch:
        yield Problem(f"{field}.allow_ragged_batch", OF_MEMBERS)


def _steps(config: ModelConfig) -> Iterator[Problem]:
    steps = config.ensemble_scheduling.step
    if not steps:
        yield Problem("ensemble_scheduling.step", "is missing")
    if len(steps) > MAX_STEPS:
        yield Problem("ensemble_scheduling.step", f"{len(steps)} are more than {MAX_STEPS}")
    for index, step in enumerate(steps):
        field = f"ensemble_scheduling.step[{index}]"
        if not step.model_name:
            yield Problem(f"{field}.model_name", "is missing")
        if step.model_version < -1:
            yield Problem(f"{field}.model_version", f"{step.model_version} is not a version")
        if not step.output_map:
            yield Problem(f"{field}.output_map", f"takes nothing from model '{step.model_name}'")
