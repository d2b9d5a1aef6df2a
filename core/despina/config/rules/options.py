"""Files, labels, metrics and the backend's options: what hangs together with nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from despina.config.model_config_pb2 import ModelConfig, ModelMetrics, ModelOptimizationPolicy
from despina.config.problem import Problem
from despina.config.rules.common import distinct, file_name, sizes

_COMPUTE_CAPABILITY = re.compile(r"[0-9]+\.[0-9]+")
_LABEL = re.compile(r"[a-zA-Z0-9_]+")

_GraphSpec = ModelOptimizationPolicy.Cuda.GraphSpec
Graph = _GraphSpec | _GraphSpec.LowerBound


def check_files(config: ModelConfig) -> Iterator[Problem]:
    """Checks what names files of the model."""
    yield from file_name("default_model_filename", config.default_model_filename)
    for capability in sorted(config.cc_model_filenames):
        field = f"cc_model_filenames['{capability}']"
        if not _COMPUTE_CAPABILITY.fullmatch(capability):
            text = f"'{capability}' is no compute capability, such as '8.6'"
            yield Problem(field, text)
        yield from file_name(field, config.cc_model_filenames[capability])
    if "/" in config.runtime or config.runtime in (".", ".."):
        yield Problem("runtime", f"{config.runtime!r} is not the name of a file alone")
    for index, name in enumerate(config.model_operations.op_library_filename):
        if not name:
            yield Problem(f"model_operations.op_library_filename[{index}]", "is empty")


def check_labels(config: ModelConfig) -> Iterator[Problem]:
    """Checks the labels of a model's metrics, and its repository agents."""
    for key in sorted(config.metric_tags):
        if not _LABEL.fullmatch(key):
            text = f"'{key}' cannot be a label: letters, digits and '_' only"
            yield Problem(f"metric_tags['{key}']", text)
    for index, agent in enumerate(config.model_repository_agents.agents):
        if not agent.name:
            yield Problem(f"model_repository_agents.agents[{index}].name", "is missing")


def check_metrics(config: ModelConfig) -> Iterator[Problem]:
    """Checks the buckets that a model chooses for its histograms."""
    controls = config.model_metrics.metric_control
    for index, control in enumerate(controls):
        yield from _metric(f"model_metrics.metric_control[{index}]", control)
    families = [each.metric_identifier.family for each in controls]
    yield from distinct("model_metrics.metric_control", (each for each in families if each))


def _metric(field: str, control: ModelMetrics.MetricControl) -> Iterator[Problem]:
    family, buckets = control.metric_identifier.family, list(control.histogram_options.buckets)
    if not family:
        yield Problem(f"{field}.metric_identifier.family", "is missing")
    if not buckets:
        yield Problem(f"{field}.histogram_options.buckets", "is missing")
    ascending = all(a < b for a, b in zip(buckets, buckets[1:], strict=False))
    if not (ascending and all(map(math.isfinite, buckets))):
        yield Problem(f"{field}.histogram_options.buckets", "must ascend, and be finite")


def check_optimization(config: ModelConfig) -> Iterator[Problem]:
    """Checks what backends are told of how to run a model."""
    accelerators = config.optimization.execution_accelerators
    for kind in ("gpu_execution_accelerator", "cpu_execution_accelerator"):
        for index, accelerator in enumerate(getattr(accelerators, kind)):
            if not accelerator.name:
                field = f"optimization.execution_accelerators.{kind}[{index}].name"
                yield Problem(field, "is missing")
    for index, graph in enumerate(config.optimization.cuda.graph_spec):
        field = f"optimization.cuda.graph_spec[{index}]"
        yield from _graph(field, graph, config.max_batch_size)
        if graph.HasField("graph_lower_bound"):
            lowest = graph.graph_lower_bound
            yield from _graph(f"{field}.graph_lower_bound", lowest, graph.batch_size)


def _graph(field: str, graph: Graph, most: int) -> Iterator[Problem]:
    """``most`` is what the size of the batches may be."""
    if not 0 <= graph.batch_size <= most:
        yield Problem(f"{field}.batch_size", f"{graph.batch_size} is not between 0 and {most}")
    for name in sorted(graph.input):
        dim: Sequence[int] = graph.input[name].dim
        yield from sizes(f"{field}.input['{name}'].dim", dim, variable=False)
