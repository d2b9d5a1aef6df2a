"""Lines of the log: whom they are about, where they go, and what no client can do with them."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Connection, json_infer, request
from harness.repository import add_model, fixture
from harness.serve import Serve

X = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
NASTY = 'a"\n\u2028\x1b[31m\u202eE1123 00:00:00.000000 1 x.cc:1] forged'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    add_model(tmp_path / "models", "behaviour", fixture("behaviour"))
    return tmp_path / "models"


def infer(behaviour: str, request_id: str, headers: dict[str, object] | None = None) -> bytes:
    document = {"id": request_id, "inputs": [X], "parameters": {"behaviour": behaviour}}
    return json_infer("behaviour", document, headers)


def json_lines(text: str) -> Iterator[dict[str, Any]]:
    """Every line, each of which has to be an object."""
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        yield json.loads(line)


def wait_for(read: Any, what: str) -> str:
    deadline = time.monotonic() + 20
    while what not in (text := str(read())):
        assert time.monotonic() < deadline, f"no {what!r} in {text}"
        time.sleep(0.02)
    return text


def test_lines_about_a_request_carry_it(repository: Path, tmp_path: Path) -> None:
    with Serve(repository, tmp_path, "--log-format=json") as server:
        with Connection(server.port) as connection:
            assert connection.exchange(infer("raise", NASTY)).status == 500
            assert connection.exchange(infer("log:seen", "of a backend")).status == 200
        wait_for(lambda: server.stderr, "seen")
        assert server.stop() == 0
        lines = list(json_lines(server.stderr))
    about = [line for line in lines if line.get("request_id") == NASTY]
    assert any("raised on purpose" in line["message"] for line in about)
    (own,) = (line for line in lines if line["message"] == "seen")
    for line in [*about, own]:
        assert (line["model"], line["version"], line["instance"]) == (
            "behaviour",
            "1",
            "behaviour_0",
        )
    assert own["request_id"] == "of a backend"
    assert own["file"] == "behaviour.py"
    assert all(set(line) >= {"time", "level", "process", "file", "line"} for line in lines)


def test_nothing_from_outside_forges_a_line(repository: Path, tmp_path: Path) -> None:
    with Serve(repository, tmp_path, "--log-access=true", "--log-verbose=1") as server:
        with Connection(server.port) as connection:
            connection.exchange(infer("raise", NASTY))
            connection.send(request("/v2/models/\x9b31m\xffa\x7f/infer"))
            connection.read()
        assert server.stop() == 0
        raw = server.stderr
    for line in raw.removesuffix("\n").split("\n"):
        assert re.match(r"[EWIV]\d{4} \d\d:\d\d:\d\d\.\d{6} \d+ \S+:\d+\] \"", line), line
    assert all(c == "\n" or c.isprintable() for c in raw)
    assert "\u2028" not in raw
    assert "\u202e" not in raw
    assert 'request_id="a\\"\\n\\u2028\\u001b[31m\\u202eE1123' in raw


def test_requests_are_logged_where_that_is_asked_for(repository: Path, tmp_path: Path) -> None:
    with Serve(repository, tmp_path, "--log-access=true", "--log-format=json") as server:
        with Connection(server.port) as connection:
            connection.exchange(infer("double", "r1"))
            connection.exchange(request("/v2/nothing?secret=1", method="GET"))
        assert server.stop() == 0
        lines = [each for each in json_lines(server.stderr) if "client" in each]
    found = [(each["method"], each["path"], each["status"]) for each in lines]
    assert ("POST", "/v2/models/behaviour/infer", "200") in found
    assert ("GET", "/v2/nothing", "404") in found
    (of_request,) = (each for each in lines if each.get("request_id") == "r1")
    assert of_request["client"].startswith("127.0.0.1:")
    assert int(of_request["bytes"]) > 100
    assert int(of_request["duration_us"]) > 0


def test_requests_are_not_logged_by_default(repository: Path, tmp_path: Path) -> None:
    with Serve(repository, tmp_path) as server:
        with Connection(server.port) as connection:
            connection.exchange(infer("double", "r1"))
        assert server.stop() == 0
        assert "r1" not in server.stderr


def test_a_log_file_is_appended_to_and_opened_again_at_sighup(
    repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "server.log"
    file.write_text("before\n")
    with Serve(repository, tmp_path, f"--log-file={file}", "--log-access=true") as server:
        server.get("/v2/first")
        wait_for(file.read_text, "/v2/first")
        assert file.read_text().startswith("before\n")
        file.rename(tmp_path / "server.log.1")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.get("/v2/second")
        wait_for(file.read_text, "/v2/second")
        assert server.stop() == 0
        assert "/v2/second" not in (tmp_path / "server.log.1").read_text()
        assert server.stderr == ""


def test_a_log_file_that_cannot_be_opened_ends_the_start(repository: Path, tmp_path: Path) -> None:
    flag = f"--log-file={tmp_path / 'none' / 'log'}"
    with Serve(repository, tmp_path, flag, wait=False) as server:
        assert server.wait() == 1
        assert "cannot be opened: No such file or directory" in server.stderr
