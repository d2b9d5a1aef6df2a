"""Requests that warm a model up."""

from __future__ import annotations

from collections.abc import Iterator

from despina.config.complete import compatible
from despina.config.model_config_pb2 import DataType, ModelConfig, ModelWarmup
from despina.config.problem import Problem
from despina.config.rules.common import distinct_names, file_name, sizes
from despina.text import did_you_mean

MAX_REPETITIONS = 1_000_000


def check_warmup(config: ModelConfig, *, completing: bool) -> Iterator[Problem]:
    """Checks the samples; while completing, the model may have more inputs than are listed."""
    controls = {tensor.name for tensor in config.sequence_batching.control_input}
    inputs = {tensor.name: tensor for tensor in config.input}
    for index, sample in enumerate(config.model_warmup):
        field = f"model_warmup[{index}]"
        if not sample.inputs:
            yield Problem(f"{field}.inputs", "is missing")
        if config.max_batch_size and sample.batch_size > config.max_batch_size:
            text = f"{sample.batch_size} is more than max_batch_size, {config.max_batch_size}"
            yield Problem(f"{field}.batch_size", text)
        if sample.count > MAX_REPETITIONS:
            yield Problem(f"{field}.count", f"{sample.count} is more than {MAX_REPETITIONS}")
        for name in sorted(sample.inputs):
            here = f"{field}.inputs['{name}']"
            yield from _input(here, sample.inputs[name])
            tensor = inputs.get(name)
            if tensor is None and name not in controls and not completing:
                yield Problem(here, f"there is no input '{name}'{did_you_mean(name, inputs)}")
            elif tensor is not None and tensor.dims:
                yield from _fits(here, sample.inputs[name], list(tensor.dims), tensor.data_type)
    yield from distinct_names("model_warmup", (sample.name for sample in config.model_warmup))


def _input(field: str, value: ModelWarmup.Input) -> Iterator[Problem]:
    if value.data_type == DataType.TYPE_INVALID:
        yield Problem(f"{field}.data_type", "is missing")
    yield from sizes(f"{field}.dims", value.dims, variable=False)
    if value.WhichOneof("input_data_type") is None:
        yield Problem(field, "needs zero_data, random_data or input_data_file")
    yield from file_name(f"{field}.input_data_file", value.input_data_file)


def _fits(
    field: str, value: ModelWarmup.Input, dims: list[int], data_type: DataType
) -> Iterator[Problem]:
    if not compatible(list(value.dims), dims):
        yield Problem(f"{field}.dims", f"{list(value.dims)} does not fit dims {dims} of the input")
    known = DataType.TYPE_INVALID not in (value.data_type, data_type)
    if known and value.data_type != data_type:
        mine, its = DataType.Name(value.data_type), DataType.Name(data_type)
        yield Problem(f"{field}.data_type", f"is {mine}, and that of the input {its}")
