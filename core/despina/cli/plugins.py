"""``despina plugins``: what is installed, whether it works, and why not."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from click.core import ParameterSource

from despina.cli import tables
from despina.cli.checks import check_lines, check_objects
from despina.cli.options import backend_directory_option
from despina.cli.signals import exit_on_sigterm
from despina.diagnosis.plugin import diagnose
from despina.errors import DespinaError
from despina.plugins.installed import BACKENDS
from despina.plugins.offer import Offer
from despina.plugins.trial import all_targets, attempts
from despina.text import escaped


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backend_directory_option
@click.pass_context
def plugins(context: click.Context, as_json: bool, directory: str) -> None:
    """List the installed backends and plugins, and whether they work.

    Each is loaded to see that, in a process of its own. It is then loaded, refused for the reason
    that is given, or shadowed by another of the same name.
    """
    exit_on_sigterm()
    if command := context.invoked_subcommand:
        for parameter in context.command.params:
            if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"say {parameter.opts[0]} after '{command}'")
        return
    targets = all_targets(directory)
    try:
        tried = attempts(targets, directory)
    except DespinaError as error:
        click.echo(f"error: {escaped(error.message)}; `despina doctor` tells more", err=True)
        sys.exit(1)
    backends: list[Offer] = []
    hooks: list[Offer] = []
    for target, attempt in zip(targets, tried, strict=True):
        (backends if target.group == BACKENDS else hooks).extend(attempt.offers)
    if as_json:
        rows = {"backends": list(map(asdict, backends)), "plugins": list(map(asdict, hooks))}
        click.echo(json.dumps(rows, indent=2))
        return
    console = tables.console()
    console.print(tables.offer_table("Backend", backends))
    if hooks:
        console.print(tables.offer_table("Plugin", hooks))


@plugins.command("doctor")
@click.argument("name")
@click.option(
    "--library",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="A library to take for the backend, such as one that lies in the folder of a model.",
)
@backend_directory_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins_doctor(name: str, library: str | None, directory: str, as_json: bool) -> None:
    """Tell why backend or plugin NAME does not load, and what to do.

    Looks at its entry point, at the versions of what it needs, and loads it in a process of its
    own: what is printed then are the traceback (--> before the plugin's own lines), the libraries
    and symbols that the system's loader misses, or how the interface of a library differs.

    The exit status is 0 only if it loads.
    """
    try:
        loads, checks = diagnose(name, directory, library or "")
    except DespinaError as error:
        click.echo(f"error: {escaped(error.message)}; `despina doctor` tells more", err=True)
        sys.exit(1)
    if as_json:
        shown = {"name": name, "loads": loads, "checks": check_objects(checks)}
        click.echo(json.dumps(shown, indent=2))
    else:
        click.echo("\n".join(check_lines(checks)))
        click.echo(escaped(f"'{name}' {'loads' if loads else 'does not load'}"))
    sys.exit(0 if loads else 1)
