"""Which versions of a model are served. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from despina.config.model_config_pb2 import ModelVersionPolicy
from despina.errors import ConfigError, Diagnostic


def version_number(folder_name: str) -> int | None:
    """The version of a folder: a positive whole number without leading zeros; or ``None``."""
    is_number = folder_name.isascii() and folder_name.isdecimal() and folder_name[0] != "0"
    return int(folder_name) if is_number and len(folder_name) < 19 else None


def choose_versions(policy: ModelVersionPolicy, available: Iterable[int]) -> tuple[int, ...]:
    """Applies a normalised policy to the versions there are; ascending.

    Raises:
        ConfigError: nothing is left to serve, or a version that the policy names is missing.
    """
    versions = sorted(available)
    match policy.WhichOneof("policy_choice"):
        case "all":
            chosen = versions
        case "specific":
            wanted = sorted(set(policy.specific.versions))
            if missing := [version for version in wanted if version not in versions]:
                numbers, there = (", ".join(map(str, each)) for each in (missing, versions))
                text = f"no folder for {numbers}; there are {there}"
                raise _refused("version_policy.specific.versions", text)
            chosen = wanted
        case _:
            chosen = versions[-policy.latest.num_versions :]
    if not chosen:
        raise _refused("version_policy", "it leaves no version to serve")
    return tuple(chosen)


def _refused(field: str, text: str) -> ConfigError:
    """An error that does not say of which file: only the caller knows it."""
    return ConfigError([Diagnostic("", text, field)])
