"""``despina bench``, against servers of this process."""

from __future__ import annotations

import csv
import http.server
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from despina import Server
from despina.bench import targets
from despina.bench.report import COLUMNS
from despina.cli import main
from despina.engine import Load, load_http

SHORT = ("--warm-up=0", "--requests=20")

PARTS = """
from despina_sdk import Backend, BackendError, Capability, Code, Instance, Model, Signature
from despina_sdk import TensorSpec

class PartsInstance(Instance):
    def execute(self, batch):
        for request in batch.requests:
            count = int(request.inputs["COUNT"][0])
            for i in range(count):
                request.send({"PART": request.inputs["COUNT"] * 0 + i})
            if count > 3:
                request.fail(BackendError(Code.INTERNAL, "no more"))
            else:
                request.complete({})

class PartsModel(Model):
    inputs = (TensorSpec("COUNT", "INT32", (1,)),)
    signature = Signature(inputs, (TensorSpec("PART", "INT32", (1,)),), 0)
    def instance(self, placement):
        return PartsInstance()

class Parts(Backend):
    name = "parts"
    capabilities = Capability.STREAMING
    def load(self, spec):
        return PartsModel()
"""
"""A backend that answers COUNT times, and fails after more than three."""

DECOUPLED = 'backend: "parts" model_transaction_policy { decoupled: true }'


@pytest.fixture
def models(pipeline: Path, install_plugin, write_model) -> Path:
    install_plugin("plugin-parts", PARTS, backends={"parts": "Parts"})
    write_model("parts", DECOUPLED)
    return pipeline


@pytest.fixture
def server(models: Path) -> Iterator[Server]:
    with Server(
        models, http_port=0, grpc_port=0, metrics_port=0, http_max_input_size=250
    ) as running:
        yield running


@pytest.fixture
def urls(server: Server) -> dict[str, str]:
    """Of HTTP and of gRPC."""
    started = {line.split()[1]: line.rpartition(":")[2] for line in server._runtime.listen("1")}
    return {
        "http": f"http://127.0.0.1:{started['HTTPService']}",
        "grpc": f"grpc://127.0.0.1:{started['GRPCInferenceService']}",
    }


@pytest.fixture
def url(urls: dict[str, str]) -> str:
    return urls["http"]


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["bench", *SHORT, *arguments])
    assert result.exit_code == status, result.output
    return result


def loads(output: str) -> list[list[str]]:
    """The cells of the first table."""
    lines = [line for line in output.splitlines() if line.startswith(("|", "What"))]
    if "What the server" in output:
        lines = lines[: [line[0] for line in lines].index("W")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_a_sweep_is_printed_and_written(url: str, tmp_path: Path):
    files = {name: tmp_path / f"out.{name}" for name in ("csv", "json", "html")}
    options = (f"--csv={files['csv']}", f"--json={files['json']}", f"--plot={files['html']}")
    output = run("double", "--url", url, "--concurrency=1,4", "--batch=2", *options).stdout
    assert output.startswith(f"{url}/v2/models/double: X FP32 [2, 4]\n")
    assert [row[:2] for row in loads(output)] == [["Load", "Answers"], ["1", "20"], ["4", "20"]]
    assert max(map(len, output.splitlines()[1:])) <= 80
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["model"], row["concurrency"], row["succeeded"]) for row in rows] == [
        ("double", "1", "20"),
        ("double", "4", "20"),
    ]
    assert float(rows[0]["rows_per_second"]) == pytest.approx(
        2 * float(rows[0]["requests_per_second"]), rel=1e-3
    )
    written = json.loads(files["json"].read_text())
    assert written["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [2, 4]}]
    assert (written["model"], written["interrupted"], written["error"]) == ("double", False, "")
    for load in written["loads"]:
        assert load["statuses"] == {"200": 20}
        assert load["server"]["rows"] == 2 * load["server"]["requests"] == 40
        latency = load["latency_ms"]
        percentiles = [latency[name] for name in ("p50", "p90", "p95", "p99", "p99.9", "max")]
        assert 0 < latency["min"] <= percentiles[0]
        assert percentiles == sorted(percentiles)
    page = files["html"].read_text()
    assert page.count("<svg") == 2
    assert not re.search(r"(src|href)=|url\(|@import", page)


def test_a_png_is_drawn_too(url: str, tmp_path: Path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "out.png"
    run("double", "--url", url, f"--plot={file}")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_png_without_matplotlib_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("despina.bench.plot.find_spec", lambda name: None)
    error = run("double", f"--plot={tmp_path / 'x.png'}", status=1).stderr
    assert "PNG needs matplotlib, which the extra despina[bench] brings along" in error
    error = run("double", f"--plot={tmp_path / 'x.pdf'}", status=1).stderr
    assert "its name ends with neither .html nor .png" in error


def test_a_rate_is_a_load_of_its_own(url: str):
    output = run("double", "--url", url, "--rate=500,1000").stdout
    assert [row[0] for row in loads(output)[1:]] == ["500/s", "1000/s"]


def test_the_load_goes_to_the_address_that_has_answered(url: str, monkeypatch: pytest.MonkeyPatch):
    """A name may have others, where nobody listens."""
    asked = []

    def load(host: str, *arguments: Any, **options: Any) -> Load:
        asked.append(host)
        return load_http(host, *arguments, **options)

    monkeypatch.setattr(targets, "load_http", load)
    run("double", "--url", url.replace("127.0.0.1", "localhost"), "--shape=X:4")
    assert asked == ["127.0.0.1"]


def test_a_rate_that_is_not_kept_is_told_and_why(url: str):
    loaded = (
        "--rate=1e6",
        "--concurrency=1",
        "--warm-up=0",
        "--duration=0.2",
        "--requests=1000000",
    )
    told = (
        CliRunner().invoke(main, ["bench", "double", "--url", url, "--shape=X:4", *loaded]).stderr
    )
    assert re.search(
        r"^1e\+06 requests/s: \d+ requests that were due were not sent, and [\d.]+ a second were"
        r" answered: the server, or --concurrency=1, is the limit$",
        told,
        re.MULTILINE,
    )
    assert "not sent" not in run("double", "--url", url, "--rate=20", "--concurrency=8").stderr


def test_a_model_is_named_by_its_url(url: str):
    for path in ("double", "double/versions/1", "six/infer"):
        output = run(f"{url}/v2/models/{path}", "--json-tensors").stdout
        assert output.startswith(f"{url}/v2/models/{path.removesuffix('/infer')}: ")


@pytest.mark.parametrize("form", [(), ("--generate",)])
def test_answers_in_parts_are_timed_one_by_one(url: str, tmp_path: Path, form: tuple[str, ...]):
    file = tmp_path / "out.json"
    count = tmp_path / "count.npy"
    write_count(count, 3)
    output = run("parts", "--url", url, f"--input=COUNT={count}", f"--json={file}", *form).stdout
    assert "First p50" in output
    (load,) = json.loads(file.read_text())["loads"]
    assert (load["succeeded"], load["responses"]) == (20, 60)
    assert load["first_response_ms"]["p50"] <= load["latency_ms"]["max"]


def write_count(file: Path, count: int) -> None:
    import numpy as np

    np.save(file, np.array([count], np.int32))


def test_an_error_within_an_answer_in_parts_is_told_before_the_load(url: str, tmp_path: Path):
    count = tmp_path / "count.npy"
    write_count(count, 4)
    error = run("parts", "--url", url, f"--input=COUNT={count}", status=1).stderr
    where = f"error: {url}/v2/models/parts: the first request was answered with 200: "
    assert error.startswith(where)
    assert error.endswith("no more\n")


def test_a_model_of_this_process_is_asked_without_http(models: Path, tmp_path: Path):
    file = tmp_path / "out.json"
    output = run("six", "--model-repository", str(models), f"--json={file}").stdout
    assert output.startswith("model 'six' in process: IN FP32 [1, 4]\n")
    (load,) = json.loads(file.read_text())["loads"]
    assert (load["succeeded"], load["statuses"]) == (20, {})
    assert load["server"]["requests"] >= 20


def test_parts_of_a_model_of_this_process_are_timed(models: Path, tmp_path: Path):
    file, count = tmp_path / "out.json", tmp_path / "count.npy"
    write_count(count, 2)
    run("parts", f"--model-repository={models}", f"--input=COUNT={count}", f"--json={file}")
    (load,) = json.loads(file.read_text())["loads"]
    assert (load["succeeded"], load["responses"]) == (20, 40)
    write_count(count, 4)
    error = run("parts", f"--model-repository={models}", f"--input=COUNT={count}", status=1).stderr
    assert error == "error: model 'parts' in process: the first request failed: no more\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nobody"], "v2/models/nobody: Request for unknown model: 'nobody' is not found"),
        (["double", "--version=7"], "v2/models/double/versions/7: "),
        (["parts", "--shape=COUNT:2"], "--shape COUNT:2: the input has the shape [1]"),
        (["double", "--shape=X"], "--shape X: not of the form INPUT:N,N,..."),
        (["double", "--shape=X:-1"], "--shape X:-1: not of the form"),
        (["double", "--input=X"], "--input X: not of the form INPUT=FILE.npy or INPUT=@FILE"),
        (["double", "--concurrency=0"], "--concurrency=0: not of the form"),
        (["double", "--header=x"], "--header: not of the form NAME=VALUE"),
        (["a b"], "'a b' cannot be the name of a model"),
    ],
)
def test_mistakes_are_told(url: str, arguments: list[str], error: str):
    assert error in run(*arguments, "--url", url, status=1).stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["double", "--url=http://127.0.0.1:1"], "http://127.0.0.1:1 cannot be reached: "),
        (["double", "--url=grpcs://x:8001"], "TLS is not there yet"),
        (["https://x/v2/models/double"], "TLS is not there yet"),
        (["double", "--url=grpc://127.0.0.1:1"], "grpc://127.0.0.1:1 cannot be reached: "),
        (["grpc://x:8001"], "not of the form grpc://127.0.0.1:8001/NAME"),
        (["grpc://x/m", "--version=1"], "--version: say it in the URL"),
        (["grpc://x/m", "--generate"], "--generate and --json-tensors are forms of HTTP"),
        (["m", "--url=grpc://x", "--json-tensors"], "are forms of HTTP"),
        (["m", "--url=http://x", "--streams-per-connection=2"], "is of gRPC"),
        (["http://x/double"], "not of the form http://127.0.0.1:8000/v2/models/NAME"),
        (["http://x/v2/models/m", "--version=1"], "--version: say it in the URL"),
        (["double", "--model-repository=.", "--generate"], "no form of HTTP"),
        (["double", "--model-repository=.", "--version=x"], "--version=x: not a number"),
        (
            ["double", "--csv=/nowhere/x.csv", "--url=http://127.0.0.1:1"],
            "there is no folder '/nowhere'",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: list[str], error: str):
    assert error in run(*arguments, status=1).stderr


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:port"])
def test_a_url_that_is_none_was_a_traceback(url: str):
    for arguments in (["double", f"--url={url}"], [f"{url}/v2/models/double"]):
        error = f"error: --url={url}: not of the form http://127.0.0.1:8000\n"
        assert run(*arguments, status=1).stderr == error


@pytest.mark.parametrize("url", ["grpc://", "grpc://[::1", "grpc://x:99999", "grpc://x/y"])
def test_a_url_of_grpc_that_is_none(url: str):
    error = f"error: --url={url}: not of the form grpc://127.0.0.1:8001\n"
    assert run("double", f"--url={url}", status=1).stderr == error


def test_a_model_that_cannot_be_loaded_is_named(models: Path):
    error = run("nobody", f"--model-repository={models}", status=1).stderr
    assert "nobody" in error


def test_a_body_that_is_too_large_is_refused_by_the_server(url: str):
    error = run("double", "--url", url, "--batch=8", status=1).stderr
    assert "v2/models/double: the first request was answered with 413: " in error


# Over gRPC.


def test_a_sweep_over_grpc(urls: dict[str, str], tmp_path: Path):
    file, url = tmp_path / "out.json", urls["grpc"]
    flags = ("--concurrency=1,6", "--streams-per-connection=3", "--batch=2", f"--json={file}")
    output = run("double", "--url", url, *flags).stdout
    assert output.startswith(f"{url}/double: X FP32 [2, 4]\n")
    assert [row[:2] for row in loads(output)] == [["Load", "Answers"], ["1", "20"], ["6", "20"]]
    for load in json.loads(file.read_text())["loads"]:
        assert load["statuses"] == {"0": 20}
        assert load["server"]["rows"] == 2 * load["server"]["requests"] == 40


def test_a_model_is_named_by_its_url_of_grpc(urls: dict[str, str]):
    for path in ("double", "double/versions/1"):
        output = run(f"{urls['grpc']}/{path}").stdout
        assert output.startswith(f"{urls['grpc']}/{path}: ")


def test_parts_over_grpc_are_timed_one_by_one(urls: dict[str, str], tmp_path: Path):
    file, count = tmp_path / "out.json", tmp_path / "count.npy"
    write_count(count, 3)
    flags = (f"--input=COUNT={count}", f"--json={file}", "--concurrency=2")
    output = run("parts", "--url", urls["grpc"], *flags).stdout
    assert "First p50" in output
    (load,) = json.loads(file.read_text())["loads"]
    assert (load["succeeded"], load["responses"]) == (20, 60)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nobody"], "/nobody: NOT_FOUND: Request for unknown model: 'nobody' is not found"),
        (["double", "--version=7"], "/double/versions/7: NOT_FOUND: "),
        (["double", "--version=x"], "/double/versions/x: INVALID_ARGUMENT: "),
    ],
)
def test_mistakes_are_told_over_grpc(urls: dict[str, str], arguments: list[str], error: str):
    assert error in run(*arguments, "--url", urls["grpc"], status=1).stderr


def test_an_error_of_a_stream_is_told_before_the_load(urls: dict[str, str], tmp_path: Path):
    count = tmp_path / "count.npy"
    write_count(count, 4)
    error = run(f"{urls['grpc']}/parts", f"--input=COUNT={count}", status=1).stderr
    assert error == f"error: {urls['grpc']}/parts: the first request failed: no more\n"


def test_a_port_of_http_is_none_of_grpc(url: str):
    error = run(f"{url.replace('http', 'grpc')}/double", status=1).stderr
    assert error.startswith(f"error: {url.replace('http', 'grpc')}/double: malformed answer: ")


def test_metadata_open_what_is_restricted(models: Path):
    with Server(
        models,
        http_port=0,
        grpc_port=0,
        metrics_port=0,
        grpc_restricted_protocol=("inference:key=secret",),
    ) as server:
        (line,) = (each for each in server._runtime.listen("1") if "GRPC" in each)
        url = f"grpc://127.0.0.1:{line.rpartition(':')[2]}"
        error = run("double", "--url", url, status=1).stderr
        assert "the first request failed: UNAVAILABLE: This protocol is restricted" in error
        run("double", "--url", url, "--header=Triton-Grpc-Protocol-Key=secret")


class Failing(http.server.BaseHTTPRequestHandler):
    """A server whose model answers the first request, and fails then."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        tensor = {"name": "X", "datatype": "FP32", "shape": [1]}
        self.answer(200, {"name": "m", "inputs": [tensor]} if self.path.endswith("m") else {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        first = type(self).asked == 1
        self.answer(200 if first else 503, {} if first else {"error": "the model is \x1b[31mred"})

    def answer(self, status: int, fields: dict[str, object]) -> None:
        body = json.dumps(fields, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[str]:
    Failing.asked = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_requests_that_fail_are_counted_by_what_the_server_says(failing: str):
    result = run("m", "--url", failing, "--concurrency=2", status=1)
    assert loads(result.stdout)[1][:3] == ["2", "0", "20"]
    assert "concurrency 2: 20 failed: 503: the model is " in result.stderr
    assert "\x1b" not in result.stderr


def test_its_help_says_what_it_does():
    assert "Put loads on MODEL" in CliRunner().invoke(main, ["bench", "--help"]).stdout
