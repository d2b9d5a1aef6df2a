"""The generate extension and answers in events, with backends that answer in parts."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.repository import add_model, identity
from harness.serve import Serve

REPEAT = 'backend: "repeat"\nmodel_transaction_policy { decoupled: true }\n'
TWO = {"IN": [7, 8], "DELAY": [0, 0], "WAIT": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    repository = tmp_path_factory.mktemp("models")
    add_model(repository, "repeat", REPEAT)
    add_model(repository, "repeat_python", REPEAT.replace("repeat", "repeat_python"))
    add_model(repository, "texts", identity("BYTES", (1,), max_batch_size=4))
    with Serve(repository, tmp_path_factory.mktemp("server")) as running:
        yield running
        assert running.stop() == 0, running.stderr


class Stream:
    """One request, and the answer as it comes."""

    def __init__(self, server: Serve, path: str, body: object, accept: str = "*/*") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"Accept": accept}
        self.connection.request("POST", f"/v2/models/{path}", json.dumps(body), headers)
        self.answer = self.connection.getresponse()

    def events(self) -> list[Any]:
        """All events, once the last one has come."""
        events = self.answer.read().decode().split("\n\n")
        assert events.pop() == ""
        assert all(event.startswith("data: ") for event in events)
        return [json.loads(event.removeprefix("data: ")) for event in events]


@pytest.mark.parametrize("model", ["repeat", "repeat_python"])
def test_each_response_is_an_event(server: Serve, model: str):
    stream = Stream(server, f"{model}/generate_stream", {**TWO, "id": "x"})
    assert stream.answer.status == 200
    assert stream.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    rest = {"id": "x", "model_name": model, "model_version": "1"}
    assert stream.events() == [{"OUT": 7, "IDX": 0, **rest}, {"OUT": 8, "IDX": 1, **rest}]


def test_an_event_arrives_while_the_model_works_on_the_next(server: Serve):
    answered = server.gauge("nv_inference_request_success", "repeat")
    slow = {"IN": [7] * 1000, "DELAY": [20] * 1000, "WAIT": 0}
    stream = Stream(server, "repeat/generate_stream", slow)
    first = stream.answer.readline()
    assert json.loads(first.removeprefix(b"data: "))["OUT"] == 7
    stream.connection.close()
    stream.answer.close()
    # The model hears of that: by itself it would need 20 s.
    deadline = time.monotonic() + 10
    while server.gauge("nv_inference_request_success", "repeat") == answered:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("values", [[], [1, 2]])
def test_generate_needs_one_response(server: Serve, values: list[int]):
    body = {"IN": values, "DELAY": [0] * len(values), "WAIT": 0}
    stream = Stream(server, "repeat/generate", body)
    assert stream.answer.status == 400
    assert "exactly 1 response" in json.loads(stream.answer.read())["error"]


def test_generate_answers_with_it(server: Serve):
    stream = Stream(server, "repeat/generate", {"IN": 5, "DELAY": 0, "WAIT": 0})
    rest = {"model_name": "repeat", "model_version": "1"}
    assert json.loads(stream.answer.read()) == {"OUT": 5, "IDX": 0, **rest}


def test_texts_are_texts(server: Serve):
    stream = Stream(server, "texts/versions/1/generate", {"INPUT0": "grüß\n"})
    assert json.loads(stream.answer.read())["OUTPUT0"] == "grüß\n"


def test_infer_answers_in_events_where_they_are_accepted(server: Serve):
    inputs = [
        {"name": name, "datatype": datatype, "shape": [1], "data": [value]}
        for name, datatype, value in (
            ("IN", "INT32", 5),
            ("DELAY", "UINT32", 0),
            ("WAIT", "UINT32", 0),
        )
    ]
    stream = Stream(server, "repeat/infer", {"inputs": inputs}, "text/event-stream")
    (event,) = stream.events()
    assert {each["name"]: each["data"] for each in event["outputs"]} == {"OUT": [5], "IDX": [0]}
    assert Stream(server, "repeat/infer", {"inputs": inputs}).answer.status == 501


def test_a_model_without_rows_for_a_shape_says_so(server: Serve):
    stream = Stream(server, "texts/generate", {"INPUT0": ["a"] * 5})
    assert stream.answer.status == 400
    assert "batch-size must be <= 4" in json.loads(stream.answer.read())["error"]


def test_a_server_that_ends_lets_a_stream_end(tmp_path: Path):
    add_model(tmp_path / "models", "repeat", REPEAT)
    with Serve(tmp_path / "models", tmp_path / "server") as server:
        stream = Stream(server, "repeat/generate_stream", {**TWO, "DELAY": [0, 500]})
        stream.answer.readline()
        assert server.stop() == 0
        assert stream.answer.read().count(b"data: ") == 1
