"""Which fields of a configuration this server acts on.

A field that it does not act on is refused by name: a model that is served does what its
configuration says. A test demands that each field of the message stands in one of the two tables.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from despina.config.model_config_pb2 import (
    ModelConfig,
    ModelInstanceGroup,
    ModelOptimizationPolicy,
    ModelQueuePolicy,
)
from despina.config.problem import Problem

USED = {
    "": """name platform backend default_model_filename max_batch_size version_policy input output
        instance_group dynamic_batching ensemble_scheduling optimization parameters
        model_transaction_policy response_cache metric_tags model_metrics""",
    "version_policy": "latest all specific",
    "version_policy.latest": "num_versions",
    "version_policy.specific": "versions",
    "input": "name data_type format dims reshape optional",
    "input.reshape": "shape",
    "output": "name data_type dims label_filename reshape",
    "output.reshape": "shape",
    "instance_group": "name count gpus kind",
    "dynamic_batching": """preferred_batch_size max_queue_delay_microseconds preserve_ordering
        default_queue_policy""",
    "dynamic_batching.default_queue_policy": "max_queue_size timeout_action",
    "ensemble_scheduling": "step max_inflight_requests",
    "ensemble_scheduling.step": "model_name model_version input_map output_map",
    "optimization": """graph execution_accelerators input_pinned_memory output_pinned_memory
        priority cuda""",
    "optimization.graph": "level",
    "optimization.execution_accelerators": "gpu_execution_accelerator cpu_execution_accelerator",
    "optimization.execution_accelerators.gpu_execution_accelerator": "name parameters",
    "optimization.execution_accelerators.cpu_execution_accelerator": "name parameters",
    "optimization.input_pinned_memory": "enable",
    "optimization.output_pinned_memory": "enable",
    "parameters": "string_value",
    "model_transaction_policy": "decoupled",
    "model_metrics": "metric_control",
    "model_metrics.metric_control": "metric_identifier histogram_options",
    "model_metrics.metric_control.metric_identifier": "family",
    "model_metrics.metric_control.histogram_options": "buckets",
}
"""Fields that are acted on, by the path of their message. Those that are messages are looked into:
each field of theirs stands here or among those that are refused."""

UNSUPPORTED = {
    "sequence_batching": "the sequence batcher is not there yet",
    "model_warmup": "warm-up is not there yet",
    "response_cache.enable": "the response cache is not there yet",
    "model_repository_agents": "repository agents are not there yet",
    "batch_input": "ragged batching is not there yet",
    "batch_output": "ragged batching is not there yet",
    "input.allow_ragged_batch": "ragged batching is not there yet",
    "input.is_shape_tensor": "shape tensors are not there yet",
    "output.is_shape_tensor": "shape tensors are not there yet",
    "input.is_non_linear_format_io": "other layouts than row-major are not there yet",
    "output.is_non_linear_format_io": "other layouts than row-major are not there yet",
    "instance_group.rate_limiter": "the rate limiter is not there yet",
    "instance_group.passive": "passive instances are not there yet",
    "instance_group.profile": "optimization profiles are not there yet",
    "instance_group.secondary_devices": "secondary devices are not there yet",
    "instance_group.host_policy": "host policies are not there yet",
    "dynamic_batching.priority_levels": "priorities are not there yet",
    "dynamic_batching.default_priority_level": "priorities are not there yet",
    "dynamic_batching.priority_queue_policy": "priorities are not there yet",
    "dynamic_batching.default_queue_policy.default_timeout_microseconds": (
        "timeouts of queued requests are not there yet"
    ),
    "dynamic_batching.default_queue_policy.allow_timeout_override": (
        "timeouts of queued requests are not there yet"
    ),
    "ensemble_scheduling.step.model_namespace": "the server sets it",
    "optimization.cuda.graphs": "CUDA options are not there yet",
    "optimization.cuda.busy_wait_events": "CUDA options are not there yet",
    "optimization.cuda.graph_spec": "CUDA options are not there yet",
    "optimization.cuda.output_copy_stream": "CUDA options are not there yet",
    "optimization.gather_kernel_buffer_threshold": "gather kernels are not there yet",
    "optimization.eager_batching": "eager batching is not there yet",
    "cc_model_filenames": "files by compute capability are not there yet",
    "model_operations": "libraries of custom operations are not there yet",
    "runtime": "naming the library of a backend is not there yet",
}
"""Paths of the fields that are refused, and why. Nothing below them is looked at."""

UNSUPPORTED_VALUES = {
    ("instance_group.kind", ModelInstanceGroup.KIND_MODEL): (
        "models that place themselves are not there yet"
    ),
    ("dynamic_batching.default_queue_policy.timeout_action", ModelQueuePolicy.DELAY): (
        "timeouts of queued requests are not there yet"
    ),
    ("optimization.priority", ModelOptimizationPolicy.PRIORITY_MAX): (
        "priorities of models are not there yet"
    ),
    ("optimization.priority", ModelOptimizationPolicy.PRIORITY_MIN): (
        "priorities of models are not there yet"
    ),
}
"""Values of used fields that are refused, and why."""


def backend_fields(config: ModelConfig) -> frozenset[str]:
    """What a configuration, as it was read, sets that has an effect in a backend only.

    The names are those of ``despina_sdk.Backend.uses``. Pinned memory is the server's own matter.
    """
    gpu = ModelInstanceGroup.KIND_GPU
    pinned = {"input_pinned_memory", "output_pinned_memory"}
    is_set = {
        "default_model_filename": bool(config.default_model_filename),
        "instance_group.gpus": any(g.gpus or g.kind == gpu for g in config.instance_group),
        "optimization": any(f.name not in pinned for f, _ in config.optimization.ListFields()),
    }
    return frozenset(name for name, value in is_set.items() if value)


def unsupported(config: ModelConfig) -> list[Problem]:
    """Names every field of the configuration that is set and would have no effect."""
    return list(_unsupported(config, "", ""))


def _unsupported(message: Message, path: str, shown: str) -> Iterator[Problem]:
    """``path`` is the key of the tables, ``shown`` has the indices as well."""
    for field, value in message.ListFields():
        below, seen, enum = f"{path}{field.name}", f"{shown}{field.name}", field.enum_type
        if below in UNSUPPORTED:
            yield Problem(seen, f"not supported: {UNSUPPORTED[below]}")
        elif enum and (below, value) in UNSUPPORTED_VALUES:
            name = enum.values_by_number[value].name
            yield Problem(seen, f"{name} is not supported: {UNSUPPORTED_VALUES[below, value]}")
        else:
            for each, suffix in _messages(field, value):
                yield from _unsupported(each, f"{below}.", f"{seen}{suffix}.")


def _messages(field: FieldDescriptor, value: object) -> Iterator[tuple[Message, str]]:
    """The messages that a field holds, each with what tells it from its neighbours."""
    if isinstance(value, Message):
        yield value, ""
    elif hasattr(value, "items"):
        for key, each in value.items():
            if isinstance(each, Message):
                yield each, f"['{key}']"
    elif field.message_type is not None:
        for index, each in enumerate(value):  # type: ignore[arg-type]
            yield each, f"[{index}]"
