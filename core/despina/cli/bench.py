"""``despina bench``: how a model bears load."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from despina.cli.bench_options import bench_options, inputs, shapes
from despina.cli.client import DEFAULT_URL, Client, header, model_path
from despina.errors import DespinaError
from despina.text import escaped
from despina_sdk import Code

if TYPE_CHECKING:  # `--help` and mistakes in flags need no engine
    from despina.bench.measure import Measurement
    from despina.bench.report import Report
    from despina.bench.targets import Target

INTERRUPTED = 130
FILES = ("csv_file", "json_file", "plot_file")


@click.command(context_settings={"max_content_width": 110})
@click.argument("model")
@bench_options
def bench(model: str, **options: Any) -> None:
    """Put loads on MODEL, and print how long its answers take.

    MODEL is the name of a model, or its URL: http://HOST:PORT/v2/models/NAME, or over gRPC
    grpc://HOST:PORT/NAME. Its inputs are made up from what the server says of them. With several
    values of --concurrency or --rate the loads run one after the other.

    Latency counts from when a request was due: with --rate, what a slow server keeps from being
    sent is late. Ctrl-C prints what was measured until then. The exit status is 1 if a request
    failed.
    """
    try:
        status = _bench(model, options)
    except DespinaError as error:
        click.echo(f"error: {escaped(error.message)}", err=True)
        status = 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.stdout.flush()
    sys.exit(status)


def _bench(model: str, options: Mapping[str, Any]) -> int:
    from despina.bench.inputs import make_inputs
    from despina.bench.measure import Measurement, Timing
    from despina.bench.report import Report
    from despina.bench.sweep import steps
    from despina.cli import bench_output
    from despina.cli.process import raise_file_limit

    sweep = steps(options["concurrency"], options["rate"])
    said, given = shapes(options["shapes"]), inputs(options["inputs"])
    _check_files(options)
    duration, requests = options["duration"], options["requests"]
    if duration is None and requests is None:
        duration = 5.0
    timing = Timing(options["warm_up"], duration, requests, options["timeout"], options["threads"])
    raise_file_limit()
    with closing(_target(model, options)) as target:
        description = target.describe()
        made = make_inputs(description, said, given, options["batch"])
        target.prepare(description, made)
        measurement = Measurement(target, sweep, timing)
        with bench_output.Display(timing) as display:
            measurement.run(display.update)
    report = Report(target.where, description, made, options["batch"], measurement)
    bench_output.print_report(report)
    _write(report, options)
    return _status(measurement)


def _check_files(options: Mapping[str, Any]) -> None:
    """Before anything runs: what was measured is not to be lost at the end."""
    from despina.bench.plot import check_plot

    for name in FILES:
        file = options[name]
        if file and not file.absolute().parent.is_dir():
            text = f"{file}: there is no folder '{file.parent}'"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
    if options["plot_file"]:
        check_plot(options["plot_file"])


def _status(measurement: Measurement) -> int:
    if measurement.fatal:
        click.echo(f"error: {escaped(measurement.fatal)}", err=True)
    if measurement.interrupted:
        return INTERRUPTED
    return 1 if measurement.failed else 0


def _write(report: Report, options: Mapping[str, Any]) -> None:
    from despina.bench.plot import write_plot
    from despina.bench.report import as_csv, as_json

    try:
        if file := options["csv_file"]:
            file.write_text(as_csv(report))
        if file := options["json_file"]:
            file.write_text(json.dumps(as_json(report), indent=1) + "\n")
        if file := options["plot_file"]:
            write_plot(file, report)
    except OSError as error:
        raise DespinaError(Code.INVALID_ARGUMENT, f"{error.filename}: {error.strerror}") from error


def _target(model: str, options: Mapping[str, Any]) -> Target:
    if options["model_repository"]:
        return _process_target(model, options)
    url, version = options["url"], options["version"]
    if "://" in model:
        if version:
            text = "--version: say it in the URL, as .../versions/1"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
        url, model, version = _split(model)
    _check_scheme(url)
    if url.startswith("grpc://"):
        return _grpc_target(url, model, version, options)
    return _http_target(url, model, version, options)


def _process_target(model: str, options: Mapping[str, Any]) -> Target:
    from despina import Server
    from despina.bench.targets import ProcessTarget

    if options["generate"] or options["json_tensors"] or "://" in model:
        text = "--model-repository asks the model without HTTP: no URL, no form of HTTP"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    version = _version(options["version"])
    folder = options["model_repository"]
    server = Server(folder, model_control_mode="explicit", load_model=(model,))
    return ProcessTarget(server, model, version, options["timeout"])


def _grpc_target(url: str, model: str, version: str, options: Mapping[str, Any]) -> Target:
    from despina.bench.grpc import GrpcForm, GrpcTarget

    if options["generate"] or options["json_tensors"]:
        text = f"{url}: --generate and --json-tensors are forms of HTTP"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    metadata = tuple((name.lower(), value) for name, value in map(header, options["headers"]))
    form = GrpcForm(metadata, options["streams_per_connection"])
    return GrpcTarget(url, model, version, form, options["timeout"])


def _http_target(url: str, model: str, version: str, options: Mapping[str, Any]) -> Target:
    from despina.bench.targets import HttpForm, HttpTarget

    if options["streams_per_connection"] > 1:
        text = f"{url}: --streams-per-connection is of gRPC, as with --url grpc://127.0.0.1:8001"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    headers = tuple(header(each) for each in options["headers"])
    form = HttpForm(not options["json_tensors"], options["generate"], headers)
    timeout = options["timeout"]
    client = Client(url, timeout, options["headers"])
    return HttpTarget(client, url, model_path(model, version), form, timeout)


def _check_scheme(url: str) -> None:
    scheme = url.partition("://")[0]
    if scheme in ("grpcs", "https"):
        what = f"{url}: TLS is not there yet, despina bench speaks plain HTTP and gRPC"
        raise DespinaError(Code.UNIMPLEMENTED, what)


def _split(url: str) -> tuple[str, str, str]:
    """The server, and the model's name and version."""
    _check_scheme(url)
    scheme, _, rest = url.partition("://")
    if scheme == "grpc":
        form = "grpc://127.0.0.1:8001/NAME"
        server, found, name = rest.partition("/")
    else:
        form = f"{DEFAULT_URL}/v2/models/NAME"
        server, found, name = rest.partition("/v2/models/")
        name = name.removesuffix("/infer")
    model, _, version = name.removesuffix("/").partition("/versions/")
    if not found or not model:
        raise DespinaError(Code.INVALID_ARGUMENT, f"{url}: not of the form {form}")
    return f"{scheme}://{server}", model, version


def _version(text: str) -> int | None:
    if text and not text.isdecimal():
        raise DespinaError(Code.INVALID_ARGUMENT, f"--version={text}: not a number")
    return int(text) if text else None
