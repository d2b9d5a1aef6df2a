"""The command ``despina``."""

from __future__ import annotations

from importlib import import_module

import click

from despina import __version__

# In the order of the help: each is in a module of its name, as what is named here.
COMMANDS = {
    "serve": "serve",
    "models": "models",
    "plugins": "plugins",
    "doctor": "doctor",
    "validate": "validate",
    "explain": "explain_command",
    "new": "new",
    "bench": "bench",
}


class Commands(click.Group):
    """Commands that are imported when they are asked for, since a server needs none but its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or ``None`` where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"despina.cli.{cmd_name}")
        command: click.Command = getattr(module, COMMANDS[cmd_name])
        return command


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with `despina validate DIR`, then `despina serve --model-repository DIR`.",
)
@click.version_option(__version__, prog_name="despina")
def main() -> None:
    """Serve models whose backends are plugins."""
