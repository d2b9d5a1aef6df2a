"""Fills in what a configuration leaves to the server."""

from __future__ import annotations

from pathlib import Path

from despina.config.model_config_pb2 import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInstanceGroup,
    ModelSequenceBatching,
)

ENSEMBLE = "ensemble"
"""Platform of an ensemble; there is no backend of that name."""

BACKEND_OF_PLATFORM = {
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    "tensorflow_graphdef": "tensorflow",
    "tensorflow_savedmodel": "tensorflow",
    "tensorrt_plan": "tensorrt",
}

PLATFORM_OF_BACKEND = {
    "onnxruntime": "onnxruntime_onnx",
    "pytorch": "pytorch_libtorch",
    "tensorrt": "tensorrt_plan",
}

BACKEND_OF_FILE = {
    "model.graphdef": "tensorflow",
    "model.onnx": "onnxruntime",
    "model.plan": "tensorrt",
    "model.pt": "pytorch",
    "model.pt2": "pytorch",
    "model.py": "python",
    "model.savedmodel": "tensorflow",
    "model.xml": "openvino",
}
"""What a version folder tells by the name of its file."""

DEFAULT_FILE = {
    "onnxruntime": "model.onnx",
    "openvino": "model.xml",
    "python": "model.py",
    "pytorch": "model.pt",
    "tensorrt": "model.plan",
    "tensorflow_graphdef": "model.graphdef",
    "tensorflow_savedmodel": "model.savedmodel",
}
"""Of a backend, or of a platform where its backend has several."""

SEQUENCE_IDLE_MICROSECONDS = 1_000_000

SEVERAL_CPU_INSTANCES = {"onnxruntime": 2, "tensorflow": 2}
"""Backends that get more than one instance on a CPU by default, as the incumbent does it."""


def detect_backend(name: str, version_folder: Path) -> str:
    """The backend that a file or the model's name (``classify.onnxruntime``) tells, or ``""``."""
    for file, backend in BACKEND_OF_FILE.items():
        if (version_folder / file).exists():
            return backend
    return name.rpartition(".")[2] if "." in name.strip(".") else ""


def normalise(config: ModelConfig, name: str) -> None:
    """Fills in defaults, in place. Doing it again changes nothing.

    Args:
        config: a configuration as it was read. Its backend must be known by now, unless it is an
            ensemble.
        name: the name of the model's folder.
    """
    config.name = config.name or name
    if config.HasField("ensemble_scheduling"):
        config.platform = config.platform or ENSEMBLE
    _normalise_backend(config)
    if config.version_policy.WhichOneof("policy_choice") is None:
        config.version_policy.latest.num_versions = 1
    if config.HasField("ensemble_scheduling"):
        _normalise_ensemble(config)
        return
    _normalise_groups(config)
    _normalise_optimization(config)
    if config.HasField("dynamic_batching"):
        _normalise_sizes(config, config.dynamic_batching)
    if config.HasField("sequence_batching"):
        _normalise_sequences(config)


def _normalise_backend(config: ModelConfig) -> None:
    """Backend, platform and file tell each other."""
    config.backend = (
        config.backend
        or BACKEND_OF_PLATFORM.get(config.platform)
        or BACKEND_OF_FILE.get(config.default_model_filename, "")
    )
    config.platform = config.platform or PLATFORM_OF_BACKEND.get(config.backend, "")
    config.default_model_filename = (
        config.default_model_filename
        or DEFAULT_FILE.get(config.backend)
        or DEFAULT_FILE.get(config.platform, "")
    )


def _normalise_sequences(config: ModelConfig) -> None:
    batching = config.sequence_batching
    if not batching.max_sequence_idle_microseconds:
        batching.max_sequence_idle_microseconds = SEQUENCE_IDLE_MICROSECONDS
    if batching.HasField("oldest"):
        _normalise_sizes(config, batching.oldest)


def _normalise_sizes(
    config: ModelConfig, batching: ModelDynamicBatching | ModelSequenceBatching.StrategyOldest
) -> None:
    if config.max_batch_size > 0 and not batching.preferred_batch_size:
        batching.preferred_batch_size.append(config.max_batch_size)


def _normalise_ensemble(config: ModelConfig) -> None:
    config.model_transaction_policy.SetInParent()
    for step in config.ensemble_scheduling.step:
        step.model_version = step.model_version or -1  # unset means the latest as well


def _normalise_groups(config: ModelConfig) -> None:
    if not config.instance_group:
        count = SEVERAL_CPU_INSTANCES.get(config.backend, 1)
        config.instance_group.add(name=config.name, count=count)
    for index, group in enumerate(config.instance_group):
        group.name = group.name or f"{config.name}_{index}"
        group.count = group.count or 1
        if group.kind == ModelInstanceGroup.KIND_AUTO:
            gpu, cpu = ModelInstanceGroup.KIND_GPU, ModelInstanceGroup.KIND_CPU
            group.kind = gpu if group.gpus else cpu


def _normalise_optimization(config: ModelConfig) -> None:
    for buffers in ("input_pinned_memory", "output_pinned_memory"):
        if not config.optimization.HasField(buffers):
            getattr(config.optimization, buffers).enable = True
