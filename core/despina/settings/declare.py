"""How a setting is declared."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(
    default: Any,
    help: str,
    *,
    group: str,
    alias: str = "",
    metavar: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    separator: str = ",",
    secret: bool = False,
) -> Any:
    """Declares a setting: a field of ``Settings``. A tuple may be given several times.

    Args:
        default: also says its type.
        help: for the command line and the page.
        group: of the page.
        alias: another name of the flag.
        metavar: what stands for a value.
        minimum, maximum: of a number.
        separator: of several values in the environment.
        secret: what stands behind an equals sign is not shown.
    """
    metadata = {
        "help": help,
        "group": group,
        "alias": alias,
        "metavar": metavar,
        "minimum": minimum,
        "maximum": maximum,
        "separator": separator,
        "secret": secret,
    }
    return field(default=default, metadata=metadata)
