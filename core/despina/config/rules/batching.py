"""The dynamic batcher: sizes, delays, priorities and queues."""

from __future__ import annotations

from collections.abc import Iterator

from despina.config.model_config_pb2 import ModelConfig, ModelDynamicBatching, ModelQueuePolicy
from despina.config.problem import Problem
from despina.config.rules.common import preferred_sizes, time

MAX_QUEUE_DELAY_MICROSECONDS = 3_600_000_000
"""An hour."""

MAX_PRIORITY_LEVELS = 1024
"""Each has a queue of its own."""


def check_dynamic_batching(config: ModelConfig, *, completing: bool) -> Iterator[Problem]:
    """Checks the dynamic batcher; while completing, the backend may still say how it batches."""
    batching = config.dynamic_batching
    if config.max_batch_size == 0 and not completing:
        for field in ("preferred_batch_size", "max_queue_delay_microseconds"):
            if getattr(batching, field):
                text = "has no effect: max_batch_size is 0, the model does not batch"
                yield Problem(f"dynamic_batching.{field}", text)
    elif config.max_batch_size > 0:
        field = "dynamic_batching.preferred_batch_size"
        yield from preferred_sizes(field, batching.preferred_batch_size, config.max_batch_size)
    yield from queue_delay("dynamic_batching", batching.max_queue_delay_microseconds)
    yield from _priorities(batching)
    yield from _policies(batching)


def queue_delay(parent: str, delay: int) -> Iterator[Problem]:
    """How long requests are held back to fill a batch."""
    if delay > MAX_QUEUE_DELAY_MICROSECONDS:
        text = f"{delay} is more than an hour ({MAX_QUEUE_DELAY_MICROSECONDS})"
        yield Problem(f"{parent}.max_queue_delay_microseconds", text)


def _priorities(batching: ModelDynamicBatching) -> Iterator[Problem]:
    levels, default = batching.priority_levels, batching.default_priority_level
    if levels > MAX_PRIORITY_LEVELS:
        text = f"{levels} is more than {MAX_PRIORITY_LEVELS}"
        yield Problem("dynamic_batching.priority_levels", text)
    elif levels and not 1 <= default <= levels:
        text = f"{default} is not between 1 and priority_levels, {levels}"
        yield Problem("dynamic_batching.default_priority_level", text)
    if not levels and default:
        text = "has no effect: priority_levels is 0"
        yield Problem("dynamic_batching.default_priority_level", text)
    for level in sorted(batching.priority_queue_policy):
        if not 1 <= level <= levels:
            text = f"{level} is not between 1 and priority_levels, {levels}"
            yield Problem(f"dynamic_batching.priority_queue_policy['{level}']", text)
    if batching.preserve_ordering and levels > 1:
        text = f"requests of {levels} priorities overtake each other"
        yield Problem("dynamic_batching.preserve_ordering", text)


def _policies(batching: ModelDynamicBatching) -> Iterator[Problem]:
    policies = {"default_queue_policy": batching.default_queue_policy}
    for level in sorted(batching.priority_queue_policy):
        name = f"priority_queue_policy['{level}']"
        policies[name] = batching.priority_queue_policy[level]
    for name, policy in policies.items():
        field, timeout = f"dynamic_batching.{name}", policy.default_timeout_microseconds
        yield from time(f"{field}.default_timeout_microseconds", timeout)
        delayed = policy.timeout_action == ModelQueuePolicy.DELAY and timeout
        if batching.preserve_ordering and delayed:
            text = "DELAY lets requests overtake each other, preserve_ordering is true"
            yield Problem(f"{field}.timeout_action", text)
