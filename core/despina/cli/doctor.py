"""``despina doctor``: what matters for a server on this machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from despina.cli.checks import check_lines, check_objects
from despina.cli.signals import exit_on_sigterm
from despina.diagnosis.check import Verdict
from despina.diagnosis.server import examine
from despina.errors import DespinaError
from despina.settings import resolve
from despina.text import escaped


@click.command()
@click.option(
    "--config-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with settings of the server, as for `despina serve`. (DESPINA_CONFIG_FILE)",
    envvar="DESPINA_CONFIG_FILE",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(config_file: Path | None, as_json: bool) -> None:
    """Tell whether models can be served here, and what is missing if not.

    Prints the versions of what matters and whether they fit each other, what the machine has and
    allows, and which backends work; and serves a small model in a process of its own to know.

    The exit status is 0 if a model can be served on the CPU: a note keeps none from being served, a
    problem does.
    """
    try:
        settings, _ = resolve({}, os.environ, config_file)
    except DespinaError as error:
        click.echo(f"error: {escaped(error.message)}", err=True)
        sys.exit(1)
    exit_on_sigterm()
    sections = examine(settings)
    problems = [c for checks in sections.values() for c in checks if c.verdict is Verdict.PROBLEM]
    if as_json:
        shown = {title: check_objects(checks) for title, checks in sections.items()}
        click.echo(json.dumps({"serves": not problems, "sections": shown}, indent=2))
    else:
        for title, checks in sections.items():
            click.echo("\n".join([title, *(f"  {line}" for line in check_lines(checks)), ""]))
        click.echo("A model can be served" if not problems else "No model can be served")
    sys.exit(1 if problems else 0)
