"""The flags of ``despina bench``, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from despina.cli.client import DEFAULT_URL
from despina.errors import DespinaError
from despina_sdk import Code

Command = Callable[..., Any]

FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
SECONDS = click.FloatRange(min=0)

_OPTIONS: tuple[Callable[[Command], Command], ...] = (
    click.option(
        "--url",
        default=DEFAULT_URL,
        envvar="DESPINA_URL",
        show_default=True,
        help="Where the server is; grpc://HOST:PORT: asked over gRPC. (DESPINA_URL)",
    ),
    click.option(
        "--model-repository",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of models: MODEL is served by this process, and asked without HTTP.",
    ),
    click.option("--version", default="", help="Of the model; the latest by default."),
    click.option("--concurrency", metavar="N[,N...]|FROM:TO:STEP", help="Requests at a time.  [1]"),
    click.option(
        "--rate",
        metavar="N[,N...]|FROM:TO:STEP",
        help="Requests a second, sent at fixed times whether answers have come or not; then"
        " --concurrency is how many may be under way [256].",
    ),
    click.option("--duration", type=SECONDS, help="Seconds to measure each load.  [5]"),
    click.option("--requests", type=click.IntRange(min=1), help="Requests of each load at most."),
    click.option(
        "--warm-up",
        type=SECONDS,
        default=1.0,
        show_default=True,
        help="Seconds before, not counted.",
    ),
    click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Rows."),
    click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="INPUT:N,N,...",
        help="Shape of an input that the model leaves open, with or without the batch axis.",
    ),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="INPUT=FILE",
        help="An input to send, from a .npy file; INPUT=@FILE: the file itself, as one element of"
        " BYTES. The others are made up.",
    ),
    click.option("--json-tensors", is_flag=True, help="Send tensors as JSON instead of binary."),
    click.option(
        "--generate",
        is_flag=True,
        help="Post flat JSON to generate_stream. Decoupled models are asked for events on infer"
        " otherwise, which other servers do not have.",
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME=VALUE",
        envvar="DESPINA_HEADER",
        help="Header to send, of a server with --http-restricted-api. (DESPINA_HEADER)",
    ),
    click.option(
        "--streams-per-connection",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Over gRPC, requests under way on one connection at most.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="Seconds to wait for each response.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Threads that send; one is enough for some 100000 requests a second.",
    ),
    click.option("--csv", "csv_file", type=FILE, help="Write a row for each load."),
    click.option("--json", "json_file", type=FILE, help="Write all figures."),
    click.option("--plot", "plot_file", type=FILE, help="Draw them: FILE.html, or FILE.png."),
)


def bench_options(command: Command) -> Command:
    """Adds them, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """By input.

    Raises:
        DespinaError: INVALID_ARGUMENT: one is not of the form ``INPUT:N,N,...``.
    """
    found = {}
    for text in texts:
        name, _, dims = text.rpartition(":")
        try:
            shape = tuple(int(dim) for dim in dims.split(","))
        except ValueError:
            shape = ()
        if not name or not shape or min(shape) < 0:
            form = "not of the form INPUT:N,N,..., as with IMAGE:3,224,224"
            raise DespinaError(Code.INVALID_ARGUMENT, f"--shape {text}: {form}")
        found[name] = shape
    return found


def inputs(texts: Sequence[str]) -> dict[str, str]:
    """Where each comes from, by input.

    Raises:
        DespinaError: INVALID_ARGUMENT: one is not of the form ``INPUT=FILE``.
    """
    given = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not (name and equals and source.removeprefix("@")):
            form = "not of the form INPUT=FILE.npy or INPUT=@FILE"
            raise DespinaError(Code.INVALID_ARGUMENT, f"--input {text}: {form}")
        given[name] = source
    return given
