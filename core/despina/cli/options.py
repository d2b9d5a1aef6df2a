"""Flags of a command, made of the declaration of the settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import Field
from typing import Any

import click

from despina.errors import DespinaError
from despina.repository.layout import is_config_name
from despina.settings.model import (
    environment_name,
    flag_name,
    is_repeatable,
    setting_fields,
    value_text,
)
from despina.settings.reference import value_name
from despina.settings.sources import parse

Command = Callable[..., Any]


class SettingsCommand(click.Command):
    """Lists the flags in the groups of the page, below the command's own."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes them, as click does with one list."""
        group_of = {each.name: each.metadata["group"] for each in setting_fields()}
        groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(context):
            if record := parameter.get_help_record(context):
                groups[group_of.get(parameter.name or "", "Options")].append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


def setting_options(command: Command) -> Command:
    """Adds a flag for every setting; one that is not given is ``None`` or empty."""
    for each in reversed(setting_fields()):
        command = _option(each)(command)
    return command


def config_name_option(command: Command) -> Command:
    """Adds ``config_name``, for commands that look at repositories as a server does."""
    (declared,) = (each for each in setting_fields() if each.name == "model_config_name")

    def check(context: click.Context, parameter: click.Parameter, value: str) -> str:
        if not is_config_name(value):
            text = f"{value!r} is not the name of a file in 'configs'"
            raise click.BadParameter(text, context, parameter)
        return value

    return click.option(
        f"--{flag_name(declared.name)}",
        "config_name",
        default=declared.default,
        callback=check,
        metavar=declared.metadata["metavar"],
        help=declared.metadata["help"].replace("`", ""),
    )(command)


def backend_directory_option(command: Command) -> Command:
    """Adds ``directory``, for commands that look for backends as a server does."""
    (declared,) = (each for each in setting_fields() if each.name == "backend_directory")
    variable = environment_name(declared.name)
    return click.option(
        f"--{flag_name(declared.name)}",
        "directory",
        default=declared.default,
        metavar=declared.metadata["metavar"],
        envvar=variable,
        help=f"{declared.metadata['help'].replace('`', '')} ({variable})",
    )(command)


def _option(each: Field[Any]) -> Callable[[Command], Command]:
    metadata, name = each.metadata, each.name
    flags = [f"--{flag_name(name)}", name]
    if metadata["alias"]:
        flags.append(f"--{metadata['alias']}")
    default = value_text(each.default)
    shown = f"  [{default}]" if default else ""

    # A Boolean may stand without a value.
    optional: dict[str, Any] = (
        {"is_flag": False, "flag_value": "true"} if isinstance(each.default, bool) else {}
    )

    def check(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        """As the other sources are checked; the usage error names the flag."""
        try:
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None:
                    parse(each, one, flags[0])
        except DespinaError as error:
            what = error.message.removeprefix(f"{flags[0]}: ")
            raise click.BadParameter(what, context, parameter) from error
        return value

    return click.option(
        *flags,
        type=str,
        callback=check,
        default=None,
        multiple=is_repeatable(name),
        metavar=metadata["metavar"] or value_name(name),
        **optional,
        help=f"{metadata['help'].replace('`', '')} ({environment_name(name)}){shown}",
    )
