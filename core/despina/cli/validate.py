"""``despina validate``: what is wrong with configurations, before anything is served."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from despina.cli.options import config_name_option
from despina.config.to_json import config_to_dict
from despina.errors import DespinaError
from despina.inspection.review import Review, review
from despina.text import escaped

NOT_CHECKED = (
    "Not checked: what only loading tells, such as whether backends work, and whether inputs and"
    " outputs are those of the models' files."
)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--disable-auto-complete-config",
    is_flag=True,
    help="Take no configuration for complete that leaves something to the backend, as a server"
    " with this flag.",
)
@config_name_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the configurations.")
def validate(
    paths: Sequence[str], disable_auto_complete_config: bool, config_name: str, as_json: bool
) -> None:
    """Check configurations without loading models.

    PATH is a file (config.pbtxt, or .json for the JSON form), the folder of a model, or a model
    repository. Of an ensemble, the models of its steps are checked too; they are looked for in the
    same repository. Every problem is printed with its file, line and column.

    The exit status is 0 if there is no problem, 1 if there is one, and 2 if the command was wrong.
    """
    reviews: dict[Path, Review] = {}
    try:
        for path in paths:
            found = review(
                Path(path), completing=not disable_auto_complete_config, config_name=config_name
            )
            reviews |= {each.path.resolve(): each for each in found}
    except DespinaError as error:
        click.echo(f"error: {escaped(error.message)}", err=True)
        sys.exit(1)
    rows = list(reviews.values())
    click.echo(json.dumps(_as_json(rows), indent=2) if as_json else escaped_lines(_lines(rows)))
    sys.exit(1 if any(each.problems for each in rows) else 0)


def escaped_lines(lines: Sequence[str]) -> str:
    """The lines, so that none can drive a terminal."""
    return "\n".join(map(escaped, lines))


def _lines(rows: Sequence[Review]) -> list[str]:
    problems = [str(problem) for each in rows for problem in each.problems]
    notes = [f"{each.path}: note: {note}" for each in rows for note in each.notes]
    summary = f"{_count(len(rows), 'model')}, {_count(len(problems), 'problem')}"
    if problems and len(rows) > 1:
        summary += f" in {sum(bool(each.problems) for each in rows)} of them"
    return [*problems, *notes, summary, NOT_CHECKED]


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _as_json(rows: Sequence[Review]) -> dict[str, Any]:
    return {
        "problems": sum(len(each.problems) for each in rows),
        "models": [
            {
                "name": each.name,
                "path": str(each.path),
                "versions": list(each.versions),
                "config": config_to_dict(each.config) if each.config else None,
                "problems": list(map(asdict, each.problems)),
                "notes": list(each.notes),
            }
            for each in rows
        ],
        "not_checked": NOT_CHECKED,
    }
