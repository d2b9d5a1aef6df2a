"""``despina serve``: the server as a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from despina.cli.options import SettingsCommand, setting_options
from despina.errors import DespinaError
from despina.settings import resolve
from despina.settings.check import check_served, check_settings
from despina.text import escaped


@click.command(
    cls=SettingsCommand,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--config-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with settings, under the names of the flags. (DESPINA_CONFIG_FILE)",
    envvar="DESPINA_CONFIG_FILE",
)
@setting_options
def serve(config_file: Path | None, **flags: Any) -> None:
    """Serve the models of a repository.

    A repository is a folder with a folder for each model: NAME/config.pbtxt, and NAME/1/ with the
    model's files. SIGTERM or SIGINT ends the server once it has answered what it has accepted.

    Each flag can also be set in the environment, by the name in parentheses, or in a file; its
    default is in brackets. The server prints what it uses, and from where.
    """
    try:
        settings, origins = resolve(flags, os.environ, config_file)
        check_served(settings)
        check_settings(settings)
        # Not before: `--help` and mistakes in flags need no engine.
        from despina.cli.process import run

        status = run(settings, origins)
    except DespinaError as error:
        click.echo(f"error: {escaped(error.message)}", err=True)
        status = 1
    sys.stdout.flush()
    sys.exit(status)
