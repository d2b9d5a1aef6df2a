"""``despina models``: the models of a running server."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click
from google.protobuf import json_format

from despina.cli.client import DEFAULT_URL, Client, model_path
from despina.cli.tables import console, table
from despina.config.load import config_from_dict, config_to_text, load_config
from despina.errors import DespinaError
from despina.text import escaped
from despina_sdk import Code

Row = Mapping[str, Any]
Command = Callable[..., None]

TIMEOUT_SECONDS = 600.0

STATS_HEADER = (
    "Model",
    "Version",
    "Succeeded",
    "Failed",
    "Inferences",
    "Executions",
    "Whole ms",
    "Queue ms",
    "Compute ms",
)
"""Times are averages."""


def _command(name: str) -> Callable[[Command], click.Command]:
    """A command of the group, with the options of all; errors end it with status 1."""

    def wrap(function: Command) -> click.Command:
        @models.command(name)
        @click.option(
            "--url",
            default=DEFAULT_URL,
            envvar="DESPINA_URL",
            show_default=True,
            help="Where the server is. (DESPINA_URL)",
        )
        @click.option(
            "--timeout",
            default=TIMEOUT_SECONDS,
            show_default=True,
            help="Seconds to wait for an answer.",
            type=click.FloatRange(min=0, min_open=True),
        )
        @click.option(
            "--header",
            "headers",
            multiple=True,
            metavar="NAME=VALUE",
            envvar="DESPINA_HEADER",
            help="Header to send, of a server with --http-restricted-api. May be given several"
            " times. (DESPINA_HEADER, separated by spaces)",
        )
        @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
        @wraps(function)
        def run(url: str, timeout: float, headers: Sequence[str], **options: Any) -> None:
            try:
                function(Client(url, timeout, headers), **options)
            except DespinaError as error:
                click.echo(f"error: {escaped(error.message)}", err=True)
                sys.exit(1)

        return run

    return wrap


@click.group()
def models() -> None:
    """Look at the models of a running server, load and unload them.

    Each command takes --url, or DESPINA_URL, if the server is not at http://127.0.0.1:8000. Models
    are loaded and unloaded by clients only where --model-control-mode=explicit allows it.
    """


@_command("list")
@click.option("--ready", is_flag=True, help="Only those that take requests.")
def list_models(client: Client, ready: bool, as_json: bool) -> None:
    """List the models and their states."""
    _print_rows(client.post("/v2/repository/index", {"ready": ready}), as_json)


@_command("config")
@click.argument("model")
@click.option("--version", default="", help="Of the model; the latest by default.")
def config(client: Client, model: str, version: str, as_json: bool) -> None:
    """Print the configuration that a model is served with."""
    fields = client.get(f"{model_path(model, version)}/config")
    if not as_json:
        try:
            click.echo(config_to_text(config_from_dict(fields, model)), nl=False)
            return
        except DespinaError:  # of a server that knows other fields
            pass
    click.echo(json.dumps(fields, indent=2))


@_command("stats")
@click.argument("model", required=False)
@click.option("--version", default="", help="Of the model; all by default.")
def stats(client: Client, model: str | None, version: str, as_json: bool) -> None:
    """Print what has been counted: requests, batches, times."""
    path = f"{model_path(model, version)}/stats" if model else "/v2/models/stats"
    answer = client.get(path)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    console().print(table(STATS_HEADER, map(_stats_row, answer["model_stats"])))


@_command("load")
@click.argument("model")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration to load it with, instead of its own: text or JSON.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH=LOCALFILE",
    help="File to load it from, at PATH below the model's folder, such as 1/model.onnx=new.onnx."
    " Those of the repository do not count then. May be given several times.",
)
def load(
    client: Client, model: str, config_file: Path | None, files: Sequence[str], as_json: bool
) -> None:
    """Load a model, or what has changed of it.

    It is done once the model is ready. One that cannot be loaded is an error that says why; what
    was served before still is.
    """
    parameters = dict(map(_file_parameter, files))
    if config_file is not None:
        parameters["config"] = _config_parameter(config_file)
    elif parameters:
        parameters["config"] = "{}"  # all of it is told by the files
    model_path(model)
    body = {"parameters": parameters} if parameters else None
    client.post(f"/v2/repository/models/{model}/load", body)
    _print_rows(_rows_of(client, model), as_json)


@_command("unload")
@click.argument("model")
@click.option(
    "--dependents", is_flag=True, help="And members of an ensemble that nothing else needs."
)
def unload(client: Client, model: str, dependents: bool, as_json: bool) -> None:
    """Unload a model, and the ensembles that are made of it."""
    model_path(model)
    body = {"parameters": {"unload_dependents": True}} if dependents else None
    client.post(f"/v2/repository/models/{model}/unload", body)
    _print_rows(_rows_of(client, model), as_json)


def _rows_of(client: Client, model: str) -> list[Row]:
    return [row for row in client.post("/v2/repository/index") if row["name"] == model]


def _print_rows(rows: Iterable[Row], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    console().print(table(("Model", "Version", "Status"), map(_index_row, rows)))


def _index_row(row: Row) -> tuple[str, str, str]:
    state, reason = row.get("state", "not loaded"), row.get("reason")
    return row["name"], row.get("version", "-"), f"{state}: {reason}" if reason else state


def _stats_row(row: Row) -> tuple[str, ...]:
    stats = row["inference_stats"]
    requests = stats["success"]["count"], stats["fail"]["count"]
    counts = *requests, row["inference_count"], row["execution_count"]
    times = (_milliseconds(stats[each]) for each in ("success", "queue", "compute_infer"))
    return (row["name"], row["version"], *map(str, counts), *times)


def _milliseconds(duration: Row) -> str:
    """The average of one."""
    count = duration["count"]
    return f"{duration['ns'] / count / 1e6:.3f}" if count else "-"


def _file_parameter(text: str) -> tuple[str, str]:
    path, equals, local = text.partition("=")
    if not (path and equals and local):
        raise DespinaError(Code.INVALID_ARGUMENT, f"--file={text}: not of the form PATH=LOCALFILE")
    return f"file:{path}", base64.b64encode(_read(Path(local))).decode()


def _config_parameter(file: Path) -> str:
    """The JSON form of a configuration, which may be that already."""
    text = _read(file)
    if text.lstrip().startswith(b"{"):
        return text.decode(errors="replace")
    config = load_config(file)
    fields: str = json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)
    return fields


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DespinaError(Code.NOT_FOUND, f"{file}: {error.strerror}") from error
