"""``despina plugins``: what is installed, and whether it works."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(as_json: bool) -> None:
    """List the installed backends and plugins, and whether they work.

    Each is imported to see that.
    """
    # Not before: other commands need no engine, which the registry loads.
    from despina.cli import tables
    from despina.plugins.hooks import Hooks
    from despina.plugins.registry import Registry

    backends, hooks = Registry().probe(), Hooks().rows
    if as_json:
        rows = {"backends": list(map(asdict, backends)), "plugins": list(map(asdict, hooks))}
        click.echo(json.dumps(rows, indent=2))
        return
    console = tables.console()
    console.print(tables.backend_table(backends))
    if hooks:
        states = ((h.name, h.distribution, h.version, h.reason or "ready") for h in hooks)
        console.print(tables.table(("Plugin", "Distribution", "Version", "State"), states))
