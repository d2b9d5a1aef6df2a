"""What a configuration says of the model's metrics."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from despina.config.model_config_pb2 import ModelConfig
from despina.config.problem import Problem

FIRST_RESPONSE_FAMILY = "nv_inference_first_response_histogram_ms"
DEFAULT_BOUNDS = (100.0, 500.0, 2000.0, 5000.0)
"""Of that family, in milliseconds, as the incumbent has them."""

MAX_BOUNDS = 1000
MAX_TAGS = 60

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")


def first_response_bounds(config: ModelConfig) -> tuple[float, ...]:
    """Upper bounds of the histogram; none for a model whose answers have one part."""
    if not config.model_transaction_policy.decoupled:
        return ()
    for control in config.model_metrics.metric_control:
        if control.metric_identifier.family == FIRST_RESPONSE_FAMILY:
            return tuple(control.histogram_options.buckets)
    return DEFAULT_BOUNDS


def metric_tags(config: ModelConfig) -> tuple[tuple[str, str], ...]:
    """Labels of all metrics of the model, by name: a tag's key behind an underscore."""
    return tuple(sorted((f"_{key}", value) for key, value in config.metric_tags.items()))


def model_labels(name: str, namespace: str) -> tuple[tuple[str, str], ...]:
    """Labels that tell a model from all others."""
    return (("model", name), *namespace_label(namespace))


def namespace_label(namespace: str) -> tuple[tuple[str, str], ...]:
    """The label of a model's repository; none where models have no namespaces."""
    return (("namespace", namespace),) if namespace else ()


def metric_problems(config: ModelConfig) -> Iterator[Problem]:
    """What is wrong with the tags and the controls of metrics."""
    for key in sorted(config.metric_tags):
        if not _TAG.fullmatch(key):
            text = "the key is no name of a label: letters, digits and '_', not first"
            yield Problem(f"metric_tags['{key}']", text)
        if "\0" in config.metric_tags[key]:
            yield Problem(f"metric_tags['{key}']", "the value has a NUL character")
    if len(config.metric_tags) > MAX_TAGS:
        yield Problem("metric_tags", f"there are {len(config.metric_tags)}, at most {MAX_TAGS}")
    seen: set[str] = set()
    for index, control in enumerate(config.model_metrics.metric_control):
        where = f"model_metrics.metric_control[{index}]"
        family = control.metric_identifier.family
        if family != FIRST_RESPONSE_FAMILY:
            text = f"'{family}' cannot be controlled, only '{FIRST_RESPONSE_FAMILY}'"
            yield Problem(f"{where}.metric_identifier.family", text)
        elif family in seen:
            yield Problem(f"{where}.metric_identifier.family", f"'{family}' is there twice")
        seen.add(family)
        if (why := _wrong_bounds(tuple(control.histogram_options.buckets))) is not None:
            yield Problem(f"{where}.histogram_options.buckets", why)


def _wrong_bounds(bounds: tuple[float, ...]) -> str | None:
    if not bounds:
        return "there are none"
    if len(bounds) > MAX_BOUNDS:
        return f"there are {len(bounds)}, at most {MAX_BOUNDS}"
    if not all(map(math.isfinite, bounds)):
        return "they are not all finite numbers"
    if any(low >= high for low, high in zip(bounds, bounds[1:], strict=False)):
        return "they do not ascend"
    return None
