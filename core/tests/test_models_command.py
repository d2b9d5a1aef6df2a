"""``despina models``, against a server of this process."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from despina import Server
from despina.cli import main


@pytest.fixture
def server(pipeline: Path) -> Iterator[Server]:
    options = {"http_port": 0, "metrics_port": 0, "model_control_mode": "explicit"}
    with Server(pipeline, load_model=("double",), **options) as running:
        yield running


@pytest.fixture
def url(server: Server) -> str:
    (line,) = (each for each in server._runtime.listen("1") if "HTTP" in each)
    return f"http://127.0.0.1:{line.rpartition(':')[2]}"


def run(url: str, command: str, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["models", command, "--url", url, *arguments])
    assert result.exit_code == status, result.output
    return result


def test_models_are_listed(url: str):
    output = run(url, "list").stdout
    assert [line.split("|")[1:-1] for line in output.splitlines() if line.startswith("|")] == [
        [" Model  ", " Version ", " Status     "],
        [" double ", " 1       ", " READY      "],
        [" six    ", " -       ", " not loaded "],
        [" triple ", " -       ", " not loaded "],
    ]
    rows = [{"name": "double", "version": "1", "state": "READY"}]
    assert json.loads(run(url, "list", "--ready", "--json").stdout) == rows


def test_a_configuration_is_printed_as_text_and_as_json(url: str):
    assert 'backend: "scale"' in run(url, "config", "double").stdout
    fields = json.loads(run(url, "config", "double", "--version", "1", "--json").stdout)
    assert (fields["name"], fields["max_batch_size"]) == ("double", 8)


def test_statistics_are_printed(server: Server, url: str):
    server.infer("double", {"X": np.ones((3, 4), np.float32)})
    row = run(url, "stats").stdout.splitlines()[3].split("|")
    assert [cell.strip() for cell in row[1:7]] == ["double", "1", "1", "0", "3", "1"]
    (stats,) = json.loads(run(url, "stats", "double", "--json").stdout)["model_stats"]
    assert stats["inference_count"] == 3


def test_models_are_loaded_and_unloaded(server: Server, url: str):
    assert "| six   | 1       | READY  |" in run(url, "load", "six").stdout
    rows = json.loads(run(url, "unload", "six", "--dependents", "--json").stdout)
    assert rows[0]["name"] == "six"
    assert [row.name for row in server.models() if row.state == "READY"] == ["double"]


def test_a_model_is_loaded_from_files_of_ones_own(server: Server, url: str, tmp_path: Path):
    (tmp_path / "config.pbtxt").write_text('backend: "scale" max_batch_size: 2 # text')
    (tmp_path / "config.json").write_text('{"backend": "scale", "maxBatchSize": 3}')
    (tmp_path / "factor").write_text("7")
    file = f"1/factor={tmp_path / 'factor'}"
    for name, rows in (("config.pbtxt", 2), ("config.json", 3)):
        run(url, "load", "new", "--config", str(tmp_path / name), "--file", file)
        assert json.loads(run(url, "config", "new", "--json").stdout)["max_batch_size"] == rows
    assert server.infer("new", {"X": np.ones((1, 4), np.float32)})["Y"][0, 0] == 7
    error = run(url, "load", "other", "--file", file, status=1).stderr
    assert "backend: neither given, nor told by a platform or a file" in error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("load", "duoble"), "error: there is no model 'duoble'; did you mean 'double'?"),
        (("config", "none"), "error: Request for unknown model: 'none' is not found"),
        (("stats", "none"), "error: requested model 'none' is not available"),
        (("config", "double", "--version", "x"), "error: Not Found"),
        (("load", "a/b"), "error: 'a/b' cannot be the name of a model"),
        (("unload", "a b"), "error: 'a b' cannot be the name of a model"),
        (("list", "--header", "secret"), "error: --header: not of the form NAME=VALUE"),
        (("list", "--header", "=secret"), "error: --header: not of the form NAME=VALUE"),
        (("load", "m", "--file", "x"), "error: --file=x: not of the form PATH=LOCALFILE"),
        (("load", "m", "--file", "x=/no/such"), "error: /no/such: No such file or directory"),
        (("load", "m", "--config", "/no/such"), "error: /no/such: No such file or directory"),
    ],
)
def test_an_error_is_told_and_is_the_status(url: str, arguments: tuple[str, ...], error: str):
    result = run(url, *arguments, status=1)
    assert result.stderr.strip() == error
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:1", "error: http://127.0.0.1:1 cannot be reached: Connection refused"),
        ("http://no.such.host.invalid", "error: http://no.such.host.invalid cannot be reached: "),
        ("http://127.0.0.1:port", "error: --url=http://127.0.0.1:port: not of the form "),
        ("127.0.0.1:8000", "error: --url=127.0.0.1:8000: not of the form http://127.0.0.1:8000"),
        ("file:///etc", "error: --url=file:///etc: not of the form "),
    ],
)
def test_a_server_that_cannot_be_reached_is_told(url: str, error: str):
    assert run(url, "list", status=1).stderr.startswith(error)


@pytest.mark.parametrize("url", ["http://[::1", "http://[x]", "http://127.0.0.1:99999"])
def test_a_url_that_is_none_was_a_traceback_or_another_port(url: str):
    error = f"error: --url={url}: not of the form http://127.0.0.1:8000\n"
    assert run(url, "list", status=1).stderr == error


class OtherServer(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # noqa: N802 - the name is the library's
        self.send_response(200 if "index" in self.path else 502)
        self.end_headers()
        self.wfile.write(b"<html>\x1b[31mwelcome</html>")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_another_kind_of_server_is_told():
    with http.server.HTTPServer(("127.0.0.1", 0), OtherServer) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"
        assert run(url, "list", status=1).stderr.strip() == (
            f"error: {url} does not speak the protocol of inference servers:"
            " <html>\\x1b[31mwelcome</html>"
        )
        assert run(url, "load", "m", status=1).stderr.strip() == "error: 502 Bad Gateway"
        other.shutdown()


def test_headers_open_a_restricted_server(pipeline: Path, monkeypatch: pytest.MonkeyPatch):
    groups = ("model-repository:a-key=one=1", "statistics:b-key=two")
    options = {"http_port": 0, "metrics_port": 0, "http_restricted_api": groups}
    with Server(pipeline, **options) as server:
        (line,) = (each for each in server._runtime.listen("1") if "HTTP" in each)
        url = f"http://127.0.0.1:{line.rpartition(':')[2]}"
        error = "This API is restricted, expecting header 'a-key'"
        assert error in run(url, "list", status=1).stderr
        assert error in run(url, "list", "--header", "a-key=two", status=1).stderr
        assert "READY" in run(url, "list", "--header", "a-key=one=1").stdout
        monkeypatch.setenv("DESPINA_HEADER", "a-key=one=1 b-key=two")
        assert "READY" in run(url, "list").stdout
        assert "double" in run(url, "stats", "double").stdout


def test_the_server_may_be_named_in_the_environment(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DESPINA_URL", url)
    assert CliRunner().invoke(main, ["models", "list"]).exit_code == 0
