"""Inputs and outputs of a model, and the tensors that ragged batches are described by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from despina.config.model_config_pb2 import (
    BatchInput,
    BatchOutput,
    DataType,
    ModelConfig,
    ModelInput,
)
from despina.config.problem import Problem
from despina.config.rules.common import distinct, distinct_names, file_name, sizes
from despina.config.tensors import TensorMessage
from despina.text import did_you_mean

MAX_TENSORS = 4096
"""Inputs, or outputs, of one model."""

TENSORRT = "tensorrt_plan"
"""The platform that some kinds of tensors belong to."""


def check_tensors(config: ModelConfig, *, completing: bool) -> Iterator[Problem]:
    """Checks inputs and outputs; while completing, the backend may still fill in what lacks."""
    both: tuple[tuple[str, Sequence[TensorMessage]], ...] = (
        ("input", config.input),
        ("output", config.output),
    )
    for kind, tensors in both:
        if len(tensors) > MAX_TENSORS:
            yield Problem(kind, f"{len(tensors)} are more than {MAX_TENSORS}")
        for index, tensor in enumerate(tensors):
            yield from _tensor(f"{kind}[{index}]", tensor, config, completing)
        yield from distinct_names(kind, (tensor.name for tensor in tensors))
    for index, tensor in enumerate(config.input):
        if tensor.allow_ragged_batch and not (config.max_batch_size or completing):
            field = f"input[{index}].allow_ragged_batch"
            yield Problem(field, "max_batch_size is 0, the model does not batch")


def check_batch_tensors(config: ModelConfig, *, completing: bool) -> Iterator[Problem]:
    """Checks what a backend is told of a ragged batch, and how its outputs are split."""
    if (config.batch_input or config.batch_output) and not (config.max_batch_size or completing):
        field = "batch_input" if config.batch_input else "batch_output"
        yield Problem(field, "max_batch_size is 0, the model does not batch")
    for index, batch_input in enumerate(config.batch_input):
        field = f"batch_input[{index}]"
        yield from _sources(field, batch_input, config, completing)
        if batch_input.data_type not in (DataType.TYPE_INT32, DataType.TYPE_FP32):
            yield Problem(f"{field}.data_type", "must be TYPE_INT32 or TYPE_FP32")
    outputs = [tensor.name for tensor in config.output]
    for index, batch_output in enumerate(config.batch_output):
        field = f"batch_output[{index}]"
        yield from _sources(field, batch_output, config, completing)
        for name in batch_output.target_name:
            if name not in outputs and not completing:
                text = f"there is no output '{name}'{did_you_mean(name, outputs)}"
                yield Problem(f"{field}.target_name", text)


def _sources(
    field: str, tensor: BatchInput | BatchOutput, config: ModelConfig, completing: bool
) -> Iterator[Problem]:
    if not tensor.target_name:
        yield Problem(f"{field}.target_name", "is missing")
    yield from distinct(f"{field}.target_name", tensor.target_name)
    if len(tensor.source_input) != 1:
        text = f"one input is needed, {len(tensor.source_input)} are given"
        yield Problem(f"{field}.source_input", text)
    inputs = [each.name for each in config.input]
    for name in tensor.source_input:
        if name not in inputs and not completing:
            text = f"there is no input '{name}'{did_you_mean(name, inputs)}"
            yield Problem(f"{field}.source_input", text)


def _tensor(
    field: str, tensor: TensorMessage, config: ModelConfig, completing: bool
) -> Iterator[Problem]:
    if not tensor.name:
        yield Problem(f"{field}.name", "is missing")
    if tensor.data_type == DataType.TYPE_INVALID and not completing:
        yield Problem(f"{field}.data_type", f"is missing for '{tensor.name}'")
    if not tensor.dims and not completing:
        yield Problem(f"{field}.dims", f"is missing for '{tensor.name}'")
    yield from _shapes(field, tensor)
    for name in ("is_shape_tensor", "is_non_linear_format_io"):
        if getattr(tensor, name) and config.platform != TENSORRT:
            yield Problem(f"{field}.{name}", f"belongs to the platform {TENSORRT}")
    if tensor.is_non_linear_format_io and tensor.dims and len(tensor.dims) != 3:
        yield Problem(f"{field}.is_non_linear_format_io", "needs three dims")
    if not isinstance(tensor, ModelInput):
        yield from file_name(f"{field}.label_filename", tensor.label_filename)
    elif tensor.format != ModelInput.FORMAT_NONE and tensor.dims and len(tensor.dims) != 3:
        yield Problem(f"{field}.format", "an image has three dims")


def _shapes(field: str, tensor: TensorMessage) -> Iterator[Problem]:
    dims, shape = list(tensor.dims), list(tensor.reshape.shape)
    yield from sizes(f"{field}.dims", dims)
    yield from sizes(f"{field}.reshape.shape", shape)
    if not tensor.HasField("reshape"):
        return
    if not dims:
        yield Problem(f"{field}.reshape", "needs dims")
    elif _sections(dims) != _sections(shape):
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
