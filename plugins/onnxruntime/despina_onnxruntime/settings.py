"""Session options, run options and execution providers, as a model configuration sets them."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import onnxruntime  # type: ignore[import-untyped]

from despina_onnxruntime.errors import reason_of, refusal
from despina_sdk import ModelSpec

logger = logging.getLogger(__name__)

Providers = list[tuple[str, dict[str, str]]]

_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_PARAMETERS = {
    "intra_op_thread_count",
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
    "profiling",
    _SHRINKAGE,
}

_MOST_THREADS = 1024
_FLAGS = MappingProxyType({"1": True, "true": True, "0": False, "false": False})

# The numbers are the incumbent's: configurations move over as they are.
_GRAPH_LEVELS = MappingProxyType(
    {
        -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        0: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
        1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
        2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    }
)
_EXECUTION_MODES = (
    onnxruntime.ExecutionMode.ORT_SEQUENTIAL,
    onnxruntime.ExecutionMode.ORT_PARALLEL,
)

_ACCELERATORS = MappingProxyType(
    {
        "gpu_execution_accelerator": {
            "tensorrt": "TensorrtExecutionProvider",
            "cuda": "CUDAExecutionProvider",
        },
        "cpu_execution_accelerator": {"openvino": "OpenVINOExecutionProvider"},
    }
)
_TENSORRT_OPTIONS = MappingProxyType(
    {
        "max_workspace_size_bytes": "trt_max_workspace_size",
        "int8_calibration_table_name": "trt_int8_calibration_table_name",
        "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
    }
)
_TENSORRT_PRECISIONS = MappingProxyType(
    {
        "FP32": {},
        "FP16": {"trt_fp16_enable": "1"},
        "BF16": {"trt_bf16_enable": "1"},
        "INT8": {"trt_int8_enable": "1"},
    }
)


def session_options(spec: ModelSpec) -> onnxruntime.SessionOptions:
    """Makes the options of the model's sessions.

    Unless configured, one run uses as many threads as its instances leave it of the machine's
    cores, and threads without work sleep: spinning, they would take the cores of other models.

    Raises:
        BackendError: a value that cannot be (INVALID_ARGUMENT); names the parameter.
    """
    options = onnxruntime.SessionOptions()
    level = int(_at(spec.config, "optimization", "graph").get("level") or 0)
    if level not in _GRAPH_LEVELS:
        raise refusal(spec, f"optimization.graph.level is {level}, none of -1, 0, 1, 2")
    options.graph_optimization_level = _GRAPH_LEVELS[level]

    options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // instance_count(spec))
    if (count := _integer(spec, "intra_op_thread_count", _MOST_THREADS)) is not None:
        options.intra_op_num_threads = count
    if (count := _integer(spec, "inter_op_thread_count", _MOST_THREADS)) is not None:
        options.inter_op_num_threads = count
    options.execution_mode = _EXECUTION_MODES[_integer(spec, "execution_mode", 1) or 0]
    if (flag := _flag(spec, "enable_mem_arena")) is not None:
        options.enable_cpu_mem_arena = flag
    if (flag := _flag(spec, "enable_mem_pattern")) is not None:
        options.enable_mem_pattern = flag
    if prefix := spec.parameters.get("profiling"):
        options.enable_profiling, options.profile_file_prefix = True, prefix
    _add_entries(spec, options)
    _warn_of_unknown(spec)
    return options


def _warn_of_unknown(spec: ModelSpec) -> None:
    """A parameter may be meant for somebody else, so it is no error; a misspelt one is seen."""
    for key in sorted(spec.parameters.keys() - _PARAMETERS):
        if not key.startswith("session."):
            logger.warning("model '%s': parameter '%s' has no effect", spec.name, key)


def _add_entries(spec: ModelSpec, options: onnxruntime.SessionOptions) -> None:
    entries = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
    entries |= {k: v for k, v in spec.parameters.items() if k.startswith("session.")}
    for key, value in entries.items():
        try:
            options.add_session_config_entry(key, value)
        except RuntimeError as error:
            raise refusal(spec, f"parameter '{key}': {reason_of(error)}") from error


def run_options(spec: ModelSpec) -> onnxruntime.RunOptions | None:
    """Makes the options of every run; ``None`` when there are none.

    Raises:
        BackendError: a value that cannot be (INVALID_ARGUMENT); names the parameter.
    """
    value = spec.parameters.get(_SHRINKAGE)
    if not value:
        return None
    for item in value.split(";"):
        device, _, number = item.partition(":")
        if device not in ("cpu", "gpu") or not number.isdecimal():
            raise refusal(spec, f"parameter '{_SHRINKAGE}' is '{value}', not like 'cpu:0;gpu:0'")
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_SHRINKAGE, value)
    return options


def providers(spec: ModelSpec, device: str) -> Providers:
    """Lists the execution providers for instances on a device, most preferred first.

    Accelerators of GPUs serve instances on GPUs, those of CPUs all instances.

    Args:
        spec: whose ``optimization.execution_accelerators`` name what is wanted.
        device: ``cpu`` or ``cuda:<index>``.

    Raises:
        BackendError: an accelerator that is unknown, or that the installed onnxruntime does not
            have, also if this device has no use for it (INVALID_ARGUMENT).
    """
    chosen: dict[str, dict[str, str]] = {}
    unused: list[str] = []
    kind, _, index = device.partition(":")
    for group, known in _ACCELERATORS.items():
        for entry in _at(spec.config, "optimization", "execution_accelerators").get(group) or ():
            name = entry.get("name", "")
            if name not in known:
                text = f"unknown {group} '{name}'; known: {', '.join(known)}"
                raise refusal(spec, text)
            if group.startswith("gpu") and kind != "cuda":
                unused.append(known[name])
                continue
            chosen[known[name]] = _provider_options(spec, name, entry.get("parameters") or {})
    if kind == "cuda":
        chosen.setdefault("CUDAExecutionProvider", {})
        for name in chosen.keys() & set(_ACCELERATORS["gpu_execution_accelerator"].values()):
            chosen[name] = {"device_id": index or "0"} | chosen[name]
    chosen["CPUExecutionProvider"] = {}
    available = onnxruntime.get_available_providers()
    for name in [*chosen, *unused]:
        if name not in available:
            text = f"the installed onnxruntime has no {name}; it has {', '.join(available)}"
            raise refusal(spec, text)
    return list(chosen.items())


def _provider_options(
    spec: ModelSpec, accelerator: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    if accelerator == "openvino":
        return {"device_type": "CPU", **parameters}
    if accelerator != "tensorrt":
        return dict(parameters)
    options: dict[str, str] = {}
    for key, value in parameters.items():
        if key != "precision_mode":
            options[_TENSORRT_OPTIONS.get(key, key)] = value
        elif value in _TENSORRT_PRECISIONS:
            options |= _TENSORRT_PRECISIONS[value]
        else:
            known = ", ".join(_TENSORRT_PRECISIONS)
            raise refusal(spec, f"tensorrt: precision_mode '{value}' is none of {known}")
    return options


def instance_count(spec: ModelSpec) -> int:
    """How many instances the configuration asks for; 1 where it does not say."""
    groups = spec.config.get("instance_group") or ()
    counts = [
        max(1, int(group.get("count") or 1)) * max(1, len(group.get("gpus") or ()))
        for group in groups
    ]
    return sum(counts) or 1


def first_device(spec: ModelSpec) -> str:
    """The device of the first instance that the configuration asks for."""
    group: Mapping[str, Any] = next(iter(spec.config.get("instance_group") or ()), {})
    if group.get("kind") != "KIND_GPU":
        return "cpu"
    return f"cuda:{next(iter(group.get('gpus') or ()), 0)}"


def _at(config: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for name in path:
        config = config.get(name) or {}
    return config


def _integer(spec: ModelSpec, key: str, largest: int) -> int | None:
    value = spec.parameters.get(key)
    if value is None:
        return None
    if not value.isdecimal() or int(value) > largest:
        raise refusal(spec, f"parameter '{key}' is '{value}', no whole number from 0 to {largest}")
    return int(value)


def _flag(spec: ModelSpec, key: str) -> bool | None:
    value = spec.parameters.get(key)
    if value is None:
        return None
    if value.lower() not in _FLAGS:
        raise refusal(spec, f"parameter '{key}' is '{value}', none of 1, 0, true, false")
    return _FLAGS[value.lower()]
