"""What a model takes, as its routes tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from despina.errors import DespinaError
from despina_sdk import NUMPY_DTYPES, Code


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        shape: that of requests, with the batch axis of a batching model; -1 where it varies.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True)
class Description:
    """A model.

    Attributes:
        max_batch_size: 0: there is no batch axis.
        decoupled: its answers come in parts.
    """

    name: str
    inputs: tuple[Input, ...]
    max_batch_size: int = 0
    decoupled: bool = False


def describe(metadata: Any, config: Any) -> Description:
    """Reads the answers of the metadata and of the configuration route.

    Args:
        metadata: of the model.
        config: empty where the server does not tell it.

    Raises:
        DespinaError: UNAVAILABLE: it is not what inference servers say.
    """
    try:
        optional = {each["name"] for each in config.get("input", ()) if each.get("optional")}
        policy: Mapping[str, Any] = config.get("model_transaction_policy") or {}
        return Description(
            str(metadata["name"]),
            tuple(_input(each, optional) for each in metadata["inputs"]),
            int(config.get("max_batch_size", 0)),
            bool(policy.get("decoupled", False)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = "the server describes the model in a way that despina bench does not understand"
        raise DespinaError(Code.UNAVAILABLE, f"{text}: {error!r}") from error


def _input(fields: Mapping[str, Any], optional: set[str]) -> Input:
    name, datatype = str(fields["name"]), str(fields["datatype"])
    if datatype not in NUMPY_DTYPES:
        raise ValueError(f"input '{name}' is of datatype {datatype}")
    return Input(name, datatype, tuple(int(dim) for dim in fields["shape"]), name in optional)
