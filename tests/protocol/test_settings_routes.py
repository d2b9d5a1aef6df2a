"""The routes of the settings that can change while the server runs: of the log, and of traces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Connection, request
from harness.repository import add_model, identity
from harness.serve import Serve

LOG = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}
LOGGING, TRACING, OF_MODEL = "/v2/logging", "/v2/trace/setting", "/v2/models/one/trace/setting"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serve]:
    repository = tmp_path / "models"
    add_model(repository, "one", identity("FP32", (-1,)))
    flags = [f"--trace-config=triton,file={tmp_path / 'traces.json'}"]
    with Serve(repository, tmp_path, *flags) as running:
        yield running
        assert running.stop() == 0, running.stderr


def post(server: Serve, path: str, document: object) -> tuple[int, Any]:
    with Connection(server.port) as connection:
        answer = connection.exchange(request(path, json.dumps(document).encode()))
    return answer.status, json.loads(answer.body)


def test_log_settings_are_read_and_changed(server: Serve) -> None:
    assert server.json(LOGGING) == LOG
    changed = {**LOG, "log_info": False, "log_verbose_level": 2, "log_format": "ISO8601"}
    named = {key: changed[key] for key in ("log_info", "log_verbose_level", "log_format")}
    assert post(server, LOGGING, named) == (200, changed)
    assert server.json(LOGGING) == changed
    assert post(server, LOGGING, {}) == (200, changed)


@pytest.mark.parametrize(
    ("document", "status", "text"),
    [
        ({"log_info": 1}, 400, "attempt to access JSON non-boolean as boolean"),
        ({"log_format": "xml"}, 400, "invalid argument for --log_format, got: xml"),
        ({"log_file": "x"}, 501, "log file location can not be updated through network protocol"),
        ([], 400, "failed to parse the request JSON buffer: it is not an object"),
    ],
)
def test_log_settings_that_cannot_be_change_nothing(
    server: Serve, document: Any, status: int, text: str
) -> None:
    if isinstance(document, dict):
        document = {"log_warning": False, **document}
    assert post(server, LOGGING, document) == (status, {"error": text})
    assert server.json(LOGGING) == LOG


def test_trace_settings_of_a_model_count_more_than_those_of_all(server: Serve) -> None:
    start = server.json(TRACING)
    assert start["trace_level"] == ["OFF"]
    assert server.json(OF_MODEL) == start
    of_model = {**start, "trace_level": ["TIMESTAMPS"], "trace_rate": "7"}
    update = {"trace_level": ["TIMESTAMPS"], "trace_rate": "7"}
    assert post(server, OF_MODEL, update) == (200, of_model)
    assert server.json(TRACING) == start
    of_all = {**start, "trace_rate": "9"}
    assert post(server, TRACING, {"trace_rate": "9"}) == (200, of_all)
    assert server.json(OF_MODEL) == of_model
    cleared = {"trace_level": None, "trace_rate": None}
    assert post(server, OF_MODEL, cleared) == (200, of_all)


def test_trace_settings_of_an_unknown_model_and_wrong_values_are_refused(server: Serve) -> None:
    unknown = (400, {"error": "Request for unknown model : nobody"})
    assert post(server, "/v2/models/nobody/trace/setting", {}) == unknown
    status, body = server.get("/v2/models/nobody/trace/setting")
    assert (status, json.loads(body)) == unknown
    status, answer = post(server, TRACING, {"trace_rate": "often"})
    assert (status, answer) == (400, {"error": "Unable to parse 'trace_rate', got: often"})
    assert server.get("/v2/models/one/versions/1/trace/setting")[0] == 404
