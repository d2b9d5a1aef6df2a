"""The command ``despina``."""

from __future__ import annotations

import click

from despina import __version__
from despina.cli.bench import bench
from despina.cli.doctor import doctor
from despina.cli.explain import explain_command
from despina.cli.models import models
from despina.cli.new import new
from despina.cli.plugins import plugins
from despina.cli.serve import serve
from despina.cli.validate import validate


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with `despina validate DIR`, then `despina serve --model-repository DIR`.",
)
@click.version_option(__version__, prog_name="despina")
def main() -> None:
    """Serve models whose backends are plugins."""


main.add_command(serve)
main.add_command(models)
main.add_command(plugins)
main.add_command(doctor)
main.add_command(validate)
main.add_command(explain_command)
main.add_command(new)
main.add_command(bench)
