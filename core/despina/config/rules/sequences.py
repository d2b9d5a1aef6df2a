"""The sequence batcher: control tensors, strategies and states."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from despina.config.model_config_pb2 import DataType, ModelConfig, ModelSequenceBatching
from despina.config.problem import Problem
from despina.config.rules.batching import queue_delay
from despina.config.rules.common import (
    distinct,
    distinct_names,
    file_name,
    preferred_sizes,
    sizes,
    time,
)

Control = ModelSequenceBatching.Control
State = ModelSequenceBatching.State

CORRELATION_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")


def check_sequence_batching(config: ModelConfig, *, completing: bool) -> Iterator[Problem]:
    """Checks the sequence batcher; while completing, the backend may still say how it batches."""
    batching = config.sequence_batching
    field = "sequence_batching"
    idle = batching.max_sequence_idle_microseconds
    yield from time(f"{field}.max_sequence_idle_microseconds", idle)
    yield from _controls(batching)
    if batching.HasField("direct"):
        yield from _direct(batching.direct)
    if batching.HasField("oldest"):
        yield from _oldest(batching.oldest, config.max_batch_size, completing)
    for index, state in enumerate(batching.state):
        yield from _state(f"{field}.state[{index}]", state)
    for name in ("input_name", "output_name"):
        yield from distinct(
            f"{field}.state", (n for each in batching.state if (n := getattr(each, name)))
        )
    if config.response_cache.enable:
        text = "answers of a sequence depend on what came before, and cannot be cached"
        yield Problem("response_cache.enable", text)


def _controls(batching: ModelSequenceBatching) -> Iterator[Problem]:
    field = "sequence_batching.control_input"
    kinds: Counter[int] = Counter()
    for index, tensor in enumerate(batching.control_input):
        if not tensor.name:
            yield Problem(f"{field}[{index}].name", "is missing")
        if not tensor.control:
            yield Problem(f"{field}[{index}].control", "is missing")
        for number, control in enumerate(tensor.control):
            here = f"{field}[{index}].control[{number}]"
            if kinds[control.kind]:
                text = f"{Control.Kind.Name(control.kind)} is there more than once"
                yield Problem(f"{here}.kind", text)
            kinds[control.kind] += 1
            if control.kind == Control.CONTROL_SEQUENCE_CORRID:
                yield from _correlation(here, control)
            else:
                yield from _signal(here, control)
    yield from distinct_names(field, (tensor.name for tensor in batching.control_input))


def _correlation(field: str, control: Control) -> Iterator[Problem]:
    if DataType.Name(control.data_type) not in CORRELATION_TYPES:
        yield Problem(f"{field}.data_type", f"must be one of {', '.join(CORRELATION_TYPES)}")
    for name in VALUES:
        if getattr(control, name):
            yield Problem(f"{field}.{name}", "is of no use to CONTROL_SEQUENCE_CORRID")


def _signal(field: str, control: Control) -> Iterator[Problem]:
    """A control that is either on or off has a value for each."""
    given = [name for name in VALUES if getattr(control, name)]
    kind = Control.Kind.Name(control.kind)
    if len(given) != 1:
        found = " and ".join(given) or "none is given"
        yield Problem(field, f"{kind} needs one of {', '.join(VALUES)}: {found}")
    for name in given:
        if (count := len(getattr(control, name))) != 2:
            text = f"takes two values, that for false and that for true, not {count}"
            yield Problem(f"{field}.{name}", text)
    if not all(map(math.isfinite, control.fp32_false_true)):
        yield Problem(f"{field}.fp32_false_true", "must be finite")


def _direct(strategy: ModelSequenceBatching.StrategyDirect) -> Iterator[Problem]:
    field = "sequence_batching.direct"
    yield from queue_delay(field, strategy.max_queue_delay_microseconds)
    if not 0 <= strategy.minimum_slot_utilization <= 1:
        text = f"{strategy.minimum_slot_utilization:g} is not between 0 and 1"
        yield Problem(f"{field}.minimum_slot_utilization", text)


def _oldest(
    strategy: ModelSequenceBatching.StrategyOldest, max_batch_size: int, completing: bool
) -> Iterator[Problem]:
    field = "sequence_batching.oldest"
    yield from queue_delay(field, strategy.max_queue_delay_microseconds)
    if strategy.max_candidate_sequences < 1:
        text = f"{strategy.max_candidate_sequences} is less than 1: no sequence would ever run"
        yield Problem(f"{field}.max_candidate_sequences", text)
    if max_batch_size > 0 or not completing:
        sizes_field = f"{field}.preferred_batch_size"
        yield from preferred_sizes(sizes_field, strategy.preferred_batch_size, max_batch_size)


def _state(field: str, state: State) -> Iterator[Problem]:
    for name in ("input_name", "output_name"):
        if not getattr(state, name):
            yield Problem(f"{field}.{name}", "is missing")
    if state.data_type == DataType.TYPE_INVALID:
        yield Problem(f"{field}.data_type", "is missing")
    if not state.dims:
        yield Problem(f"{field}.dims", "is missing")
    yield from sizes(f"{field}.dims", state.dims)
    if state.use_growable_memory and not state.use_same_buffer_for_input_output:
        text = "needs use_same_buffer_for_input_output"
        yield Problem(f"{field}.use_growable_memory", text)
    if len(state.initial_state) > 1:
        text = f"{len(state.initial_state)} are given, one is taken"
        yield Problem(f"{field}.initial_state", text)
    for index, initial in enumerate(state.initial_state):
        yield from _initial(f"{field}.initial_state[{index}]", initial, state)


def _initial(
    field: str, initial: ModelSequenceBatching.InitialState, state: State
) -> Iterator[Problem]:
    if not initial.name:
        yield Problem(f"{field}.name", "is missing")
    if initial.data_type != state.data_type:
        mine, its = DataType.Name(initial.data_type), DataType.Name(state.data_type)
        yield Problem(f"{field}.data_type", f"is {mine}, and that of its state {its}")
    yield from sizes(f"{field}.dims", initial.dims, variable=False)
    fits = len(initial.dims) == len(state.dims) and all(
        b in (-1, a) for a, b in zip(initial.dims, state.dims, strict=True)
    )
    if not fits:
        text = f"{list(initial.dims)} does not fit dims {list(state.dims)} of its state"
        yield Problem(f"{field}.dims", text)
    if initial.WhichOneof("state_data") is None:
        yield Problem(field, "needs zero_data or data_file")
    yield from file_name(f"{field}.data_file", initial.data_file)
