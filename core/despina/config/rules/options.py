"""Files, agents and the backend's options: what hangs together with nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from despina.config.model_config_pb2 import ModelConfig, ModelOptimizationPolicy
from despina.config.problem import Problem
from despina.config.rules.common import file_name, sizes

_COMPUTE_CAPABILITY = re.compile(r"[0-9]+\.[0-9]+")

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


def check_agents(config: ModelConfig) -> Iterator[Problem]:
    """Checks what is done to the repository."""
    for index, agent in enumerate(config.model_repository_agents.agents):
        if not agent.name:
            yield Problem(f"model_repository_agents.agents[{index}].name", "is missing")


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
