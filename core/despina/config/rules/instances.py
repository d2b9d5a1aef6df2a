"""Instance groups: how many instances, where, and what they share."""

from __future__ import annotations

from collections.abc import Iterator

from despina.config.model_config_pb2 import ModelConfig, ModelInstanceGroup
from despina.config.problem import Problem
from despina.config.rules.common import distinct, distinct_names
from despina.config.rules.tensors import TENSORRT

MAX_INSTANCES = 1024
"""Of one model: each is a thread."""

WITHOUT_GPUS = {
    ModelInstanceGroup.KIND_CPU: "KIND_CPU",
    ModelInstanceGroup.KIND_MODEL: "KIND_MODEL",
}


def check_groups(config: ModelConfig) -> Iterator[Problem]:
    """Checks the instance groups of a model that is not an ensemble."""
    total = 0
    for index, group in enumerate(config.instance_group):
        field = f"instance_group[{index}]"
        yield from _group(field, group)
        yield from _profiles(field, group, config.platform)
        yield from _resources(f"{field}.rate_limiter", group)
        total += max(group.count, 0) * max(len(group.gpus), 1)
    if total > MAX_INSTANCES:
        yield Problem("instance_group", f"{total} instances, more than {MAX_INSTANCES}")
    yield from distinct_names("instance_group", (group.name for group in config.instance_group))
    yield from _shared_resources(config)


def _group(field: str, group: ModelInstanceGroup) -> Iterator[Problem]:
    if group.count < 1:
        yield Problem(f"{field}.count", f"{group.count} is less than 1")
    if group.gpus and (kind := WITHOUT_GPUS.get(group.kind)):
        text = f"are of no use to {kind}: leave them out, or write KIND_GPU"
        yield Problem(f"{field}.gpus", text)
    if group.kind == ModelInstanceGroup.KIND_GPU and not group.gpus:
        yield Problem(f"{field}.gpus", "must be listed for KIND_GPU, such as [ 0 ]")
    for index, gpu in enumerate(group.gpus):
        if gpu < 0:
            yield Problem(f"{field}.gpus[{index}]", f"{gpu} is not the index of a GPU")
    yield from distinct(f"{field}.gpus", map(str, group.gpus))
    for index, device in enumerate(group.secondary_devices):
        if device.device_id < 0:
            text = f"{device.device_id} is not the index of a device"
            yield Problem(f"{field}.secondary_devices[{index}].device_id", text)


def _profiles(field: str, group: ModelInstanceGroup, platform: str) -> Iterator[Problem]:
    if group.profile and platform != TENSORRT:
        yield Problem(f"{field}.profile", f"belongs to the platform {TENSORRT}")
    for index, profile in enumerate(group.profile):
        if not (profile.isascii() and profile.isdecimal()):
            text = f"'{profile}' is not the index of a profile, such as \"0\""
            yield Problem(f"{field}.profile[{index}]", text)


def _resources(field: str, group: ModelInstanceGroup) -> Iterator[Problem]:
    resources = group.rate_limiter.resources
    for index, resource in enumerate(resources):
        if not resource.name:
            yield Problem(f"{field}.resources[{index}].name", "is missing")
        if resource.count == 0:
            yield Problem(f"{field}.resources[{index}].count", "must be at least 1")
    yield from distinct_names(f"{field}.resources", (resource.name for resource in resources))


def _shared_resources(config: ModelConfig) -> Iterator[Problem]:
    """A resource is either each device's or everybody's."""
    scopes: dict[str, bool] = {}
    for index, group in enumerate(config.instance_group):
        for number, resource in enumerate(group.rate_limiter.resources):
            if scopes.setdefault(resource.name, getattr(resource, "global")) != getattr(
                resource, "global"
            ):
                field = f"instance_group[{index}].rate_limiter.resources[{number}].global"
                yield Problem(field, f"'{resource.name}' is global in one place and not in another")
