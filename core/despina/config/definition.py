"""What the engine is told of a model: plain values, worked out from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from despina.config.model_config_pb2 import (
    ModelConfig,
    ModelEnsembling,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
)
from despina.config.observe import first_response_bounds, metric_tags
from despina.config.problem import Origin, Problem, refuse
from despina.config.rules.common import file_name
from despina.config.tensors import TensorMessage, datatype_name
from despina.config.to_json import config_to_json

MAX_LABEL_BYTES = 16 << 20


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        dims: as clients see it, without the batch axis; -1 varies.
        reshape: as the backend sees it, where that differs.
        labels: of an output: the names of its classes, by index.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Instance:
    """One lane of execution; ``device`` is ``cpu`` or ``cuda:<index>``."""

    name: str
    ordinal: int
    device: str = "cpu"


@dataclass(frozen=True)
class Step:
    """One step of an ensemble; pairs of the member's tensor and the ensemble's."""

    model: str
    version: int
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Definition:
    """One version of a model. 0 for a size of a queue is the engine's default.

    Attributes:
        config_json, config_proto: the whole configuration, as served over HTTP and over gRPC.
        latency_summaries: whether quantiles of the times of its requests are measured.
        first_response_bounds: of a histogram of times to the first response, in milliseconds;
            none: it is not measured.
        metric_tags: labels of its metrics, as they are on the page, besides model and version.
    """

    name: str
    version: int
    platform: str
    max_batch_size: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    dynamic_batching: bool = False
    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_microseconds: int = 0
    preserve_ordering: bool = False
    max_queue_size: int = 0
    instances: tuple[Instance, ...] = ()
    steps: tuple[Step, ...] = ()
    max_inflight_requests: int = 0
    config_json: str = "{}"
    config_proto: bytes = b""
    decoupled: bool = False
    latency_summaries: bool = False
    first_response_bounds: tuple[float, ...] = ()
    metric_tags: tuple[tuple[str, str], ...] = ()


def define(config: ModelConfig, version: int, folder: Path, origin: Origin) -> Definition:
    """Works out the definition of one version.

    Args:
        config: normalised, complete and valid.
        version: its number.
        folder: of the model; label files are inside.
        origin: of the configuration.

    Raises:
        ConfigError: a label file cannot be read.
    """
    labels, problems = read_labels(config, folder)
    refuse(origin, problems)
    whole = outline(config, version)
    outputs = tuple(
        replace(tensor, labels=each) for tensor, each in zip(whole.outputs, labels, strict=True)
    )
    return replace(
        whole,
        outputs=outputs,
        config_json=config_to_json(config),
        config_proto=config.SerializeToString(deterministic=True),
    )


def outline(config: ModelConfig, version: int) -> Definition:
    """What a configuration says of a version, without what is in files.

    Args:
        config: normalised. It need not be complete: a datatype that it leaves to the backend is
            ``INVALID``, and dims that it leaves out are empty.
        version: its number.
    """
    batching, ensemble = config.dynamic_batching, config.ensemble_scheduling
    dynamic = config.HasField("dynamic_batching")
    return Definition(
        name=config.name,
        version=version,
        platform=config.platform or config.backend,
        max_batch_size=config.max_batch_size,
        inputs=tuple(map(_tensor, config.input)),
        outputs=tuple(map(_tensor, config.output)),
        dynamic_batching=dynamic and config.max_batch_size > 0,
        preferred_batch_sizes=tuple(batching.preferred_batch_size),
        max_queue_delay_microseconds=batching.max_queue_delay_microseconds,
        preserve_ordering=batching.preserve_ordering,
        max_queue_size=batching.default_queue_policy.max_queue_size,
        instances=instances(config.instance_group),
        steps=tuple(map(_step, ensemble.step)),
        max_inflight_requests=ensemble.max_inflight_requests,
        decoupled=config.model_transaction_policy.decoupled,
        first_response_bounds=first_response_bounds(config),
        metric_tags=metric_tags(config),
    )


def _tensor(tensor: TensorMessage) -> Tensor:
    return Tensor(
        tensor.name,
        datatype_name(tensor.data_type),
        tuple(tensor.dims),
        tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None,
        optional=isinstance(tensor, ModelInput) and tensor.optional,
    )


def instances(groups: Sequence[ModelInstanceGroup]) -> tuple[Instance, ...]:
    """All instances of the groups: ``count`` of each, on each GPU that is listed."""
    found: list[Instance] = []
    for group in groups:
        on_gpu = group.kind == ModelInstanceGroup.KIND_GPU
        devices = [f"cuda:{gpu}" for gpu in group.gpus] if on_gpu else ["cpu"]
        placed = [device for device in devices for _ in range(group.count)]
        for index, device in enumerate(placed):
            found.append(Instance(f"{group.name}_{index}", len(found), device))
    return tuple(found)


def _step(step: ModelEnsembling.Step) -> Step:
    return Step(
        step.model_name,
        step.model_version,
        tuple(sorted(step.input_map.items())),
        tuple(sorted(step.output_map.items())),
    )


def read_labels(config: ModelConfig, folder: Path) -> tuple[list[tuple[str, ...]], list[Problem]]:
    """Reads the names of the classes of each output, and what is wrong with their files."""
    problems: list[Problem] = []
    labels = [
        _labels(f"output[{index}].label_filename", output, folder, problems)
        for index, output in enumerate(config.output)
    ]
    return labels, problems


def _labels(
    field: str, output: ModelOutput, folder: Path, problems: list[Problem]
) -> tuple[str, ...]:
    """One name per line. A file outside of the folder is a matter of the rules, and not read."""
    if not output.label_filename or any(file_name(field, output.label_filename)):
        return ()
    try:
        path = (folder / output.label_filename).resolve(strict=True)
        if not path.is_relative_to(folder.resolve()):
            problems.append(Problem(field, f"'{output.label_filename}' leads out of the folder"))
            return ()
        if path.stat().st_size > MAX_LABEL_BYTES:
            problems.append(Problem(field, f"larger than {MAX_LABEL_BYTES} bytes"))
            return ()
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")
        return tuple(line.strip() for line in lines)
    except OSError as error:
        problems.append(Problem(field, f"'{output.label_filename}': {error.strerror}"))
    except UnicodeDecodeError:
        problems.append(Problem(field, f"'{output.label_filename}' is not UTF-8"))
    return ()
