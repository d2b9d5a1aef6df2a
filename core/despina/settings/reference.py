"""The page ``docs/reference/flags.md``, made of the declaration of the settings.

``python -m despina.settings.reference`` prints it.
"""

from __future__ import annotations

from dataclasses import Field
from itertools import groupby
from pathlib import Path
from typing import Any

from despina.settings.model import (
    choices,
    environment_name,
    flag_name,
    setting_fields,
    setting_type,
    value_text,
)

_HEAD = """\
# Settings of `despina serve`

Made of the declaration in `core/despina/settings/model.py` by
`python -m despina.settings.reference`; do not edit.

A value is taken from a flag (`--http-port=8000`, also `--http-port 8000`), else from the
environment (`DESPINA_HTTP_PORT=8000`; several values are separated by commas), else from the TOML
file of `--config-file` (`http-port = 8000`, `load-model = ["a", "b"]`), else it is the default.
Booleans are `true`, `false`, `1` or `0`; a flag alone means `true`.
"""


def render() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for group, each in groupby(setting_fields(), key=lambda each: each.metadata["group"]):
        parts.append(f"\n## {group}\n\n| flag | environment | default | |\n|---|---|---|---|\n")
        parts += map(_row, each)
    return "".join(parts)


def value_name(name: str) -> str:
    """What stands for a value in a usage line."""
    if allowed := choices(name):
        return "|".join(allowed)
    words = {bool: "BOOL", int: "N", float: "SECONDS", Path: "PATH", str: "TEXT"}
    return words[setting_type(name)]


def _row(each: Field[Any]) -> str:
    value = each.metadata["metavar"] or value_name(each.name)
    flag = f"`--{flag_name(each.name)}={value}`".replace("|", "\\|")
    if each.metadata["alias"]:
        flag += f", `--{each.metadata['alias']}`"
    cells = (flag, f"`{environment_name(each.name)}`", _default(each), each.metadata["help"])
    return f"| {' | '.join(cells)} |\n"


def _default(each: Field[Any]) -> str:
    text = value_text(each.default)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    print(render(), end="")
