"""What a configuration must keep to, apart from its model and from other models.

The rules of each part are in ``rules``.
"""

from __future__ import annotations

from collections.abc import Iterator

from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import BACKEND_OF_PLATFORM, ENSEMBLE
from despina.config.observe import metric_problems
from despina.config.problem import Problem
from despina.config.rules.batching import check_dynamic_batching
from despina.config.rules.ensembles import check_ensemble_fields
from despina.config.rules.instances import check_groups
from despina.config.rules.options import (
    check_agents,
    check_files,
    check_optimization,
)
from despina.config.rules.sequences import check_sequence_batching
from despina.config.rules.tensors import check_batch_tensors, check_tensors
from despina.config.rules.warmup import check_warmup
from despina.text import quoted

MAX_BATCH_SIZE = 1 << 20


def validate(config: ModelConfig, folder_name: str, *, completing: bool) -> list[Problem]:
    """Checks a normalised configuration, also the fields that are not supported yet.

    Args:
        config: the configuration.
        folder_name: what the model's folder is called.
        completing: whether the backend may still fill in tensors.
    """
    problems = [
        *check_name(config.name, folder_name),
        *_version_policy(config),
        *check_tensors(config, completing=completing),
        *check_files(config),
        *check_agents(config),
        *_parameters(config),
        *metric_problems(config),
        *_response_cache(config),
    ]
    if not 0 <= config.max_batch_size <= MAX_BATCH_SIZE:
        text = f"{config.max_batch_size} is not between 0 and {MAX_BATCH_SIZE}"
        problems.append(Problem("max_batch_size", text))
    if config.HasField("ensemble_scheduling"):
        problems += check_ensemble_fields(config)
    elif config.platform == ENSEMBLE:
        problems.append(Problem("ensemble_scheduling", "an ensemble needs steps"))
    else:
        problems += _of_one_model(config, completing)
    return problems


def _of_one_model(config: ModelConfig, completing: bool) -> Iterator[Problem]:
    """What an ensemble does not have."""
    yield from _backend(config)
    yield from check_batch_tensors(config, completing=completing)
    yield from check_groups(config)
    yield from check_warmup(config, completing=completing)
    yield from check_optimization(config)
    if config.HasField("dynamic_batching"):
        yield from check_dynamic_batching(config, completing=completing)
    if config.HasField("sequence_batching"):
        yield from check_sequence_batching(config, completing=completing)


def check_name(name: str, folder_name: str) -> Iterator[Problem]:
    """A model's name is its folder's, and is safe in a path, a URL and a log."""
    if name != folder_name:
        text = f"'{name}' is not the name of the folder, '{folder_name}'; it may be left out"
        yield Problem("name", text)
    if not name.strip() or name in (".", "..") or "/" in name or not name.isprintable():
        yield Problem("name", f"{name!r} cannot be the name of a model")


def _backend(config: ModelConfig) -> Iterator[Problem]:
    if not config.backend:
        text = 'neither given, nor told by a platform or a file: write backend: "NAME"'
        yield Problem("backend", text)
    # Another backend may call its platform as it likes.
    platforms = [each for each, its in BACKEND_OF_PLATFORM.items() if its == config.backend]
    if platforms and config.platform and config.platform not in platforms:
        text = f"'{config.platform}' is none of backend '{config.backend}': {quoted(platforms)}"
        yield Problem("platform", text)


def _version_policy(config: ModelConfig) -> Iterator[Problem]:
    policy = config.version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "latest" and policy.latest.num_versions == 0:
        yield Problem("version_policy.latest.num_versions", "must be at least 1")
    if choice == "specific" and not policy.specific.versions:
        yield Problem("version_policy.specific.versions", "names no version")
    for index, version in enumerate(policy.specific.versions):
        if version < 1:
            field = f"version_policy.specific.versions[{index}]"
            yield Problem(field, f"{version} is not a version")


def _parameters(config: ModelConfig) -> Iterator[Problem]:
    isolation = config.parameters.get("isolation")
    if isolation is not None and isolation.string_value not in ("", "thread"):
        text = f"'{isolation.string_value}' is not supported: worker processes are not there yet"
        yield Problem("parameters['isolation']", text)


def _response_cache(config: ModelConfig) -> Iterator[Problem]:
    if config.response_cache.enable and config.model_transaction_policy.decoupled:
        text = "a decoupled model answers in parts, which cannot be cached"
        yield Problem("response_cache.enable", text)
