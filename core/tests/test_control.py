"""Requests over HTTP that change what is served."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from despina import DespinaError, Server
from despina.control.http import ControlThread
from despina_sdk import Code


class Client:
    """Posts to a server of this process."""

    def __init__(self, server: Server) -> None:
        (line,) = (each for each in server._runtime.listen("1") if "HTTP" in each)
        self._base = f"http://127.0.0.1:{line.rpartition(':')[2]}/v2/repository"

    def post(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer; nothing for an empty one."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        request = urllib.request.Request(f"{self._base}/{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text else None


@pytest.fixture
def server(write_scale, repository: Path) -> Iterator[Server]:
    write_scale("double", 2)
    options = {"http_port": 0, "metrics_port": 0}
    with Server(repository, model_control_mode="explicit", **options) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server)


def test_a_model_is_loaded_and_unloaded(server: Server, client: Client):
    assert client.post("index") == (200, [{"name": "double"}])
    assert client.post("models/double/load") == (200, None)
    row = {"name": "double", "version": "1", "state": "READY"}
    assert client.post("index") == (200, [row])
    assert client.post("models/double/unload") == (200, None)
    assert client.post("index", {"ready": True}) == (200, [])
    server.unload("double")  # waits until nothing is left
    row |= {"state": "UNAVAILABLE", "reason": "unloaded"}
    assert client.post("index") == (200, [row])


def test_the_answer_to_a_load_says_why_it_failed(write_model, client: Client):
    write_model("broken", 'backend: "nobody"')
    status, answer = client.post("models/broken/load")
    assert status == 400
    assert answer["error"].startswith(
        "load failed for model 'broken': version 1 is at UNAVAILABLE state: "
    )
    assert "nobody" in answer["error"]


def test_a_model_that_there_is_not_is_not_found(client: Client):
    status, answer = client.post("models/duoble/load")
    assert status == 404
    assert "did you mean 'double'" in answer["error"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "failed to parse the request JSON buffer: "),
        (b"[]", "failed to parse the request JSON buffer: it is not an object"),
        (b"[" * 100_000, "failed to parse the request JSON buffer: "),
        (b'{"parameters":{},"parameters":{}}', "'parameters' is there more than once"),
        (b'{"parameters":[]}', "Unable to parse 'parameters': it is not an object"),
        (b"\xff", "failed to parse the request JSON buffer: "),
        (b'{"parameters":{"foo":1}}', "unrecognized load parameter 'foo'"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(client: Client, body: bytes, text: str):
    status, answer = client.post("models/double/load", body)
    assert status == 400
    assert text in answer["error"]
    assert client.post("index") == (200, [{"name": "double"}])


def test_without_explicit_control_clients_change_nothing(write_scale, repository: Path):
    write_scale("double", 2)
    with Server(repository, http_port=0, metrics_port=0) as server:
        client = Client(server)
        refusal = {
            "error": "explicit model load / unload is not allowed if polling is enabled",
        }
        assert client.post("models/double/load") == (503, refusal)
        assert client.post("models/double/unload") == (503, refusal)


class FakeCall:
    operation, model, body = "operate", "m", b""

    def __init__(self) -> None:
        self.answers: list[object] = []

    def answer(self, json: str = "") -> bool:
        self.answers.append(json)
        return True

    def fail(self, code: int, message: str) -> bool:
        self.answers.append((code, message))
        return True


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (None, ""),
        ({"a": [1]}, '{"a":[1]}'),
        (DespinaError(Code.NOT_FOUND, "no \udcff"), (Code.NOT_FOUND, "no \\udcff")),
        (ValueError("bad"), (Code.INTERNAL, "operate failed: ValueError: bad")),
        (SystemExit(3), (Code.INTERNAL, "operate failed: SystemExit: 3")),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_whatever_becomes_of_an_operation_is_answered(outcome: object, answer: object, later: bool):
    first, second = FakeCall(), FakeCall()
    calls = iter([first, second, None])

    def operate(call: object) -> object:
        if call is second:
            return "served"
        if not later:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        future: Future[object] = Future()
        if isinstance(outcome, BaseException):
            threading.Thread(target=future.set_exception, args=[outcome]).start()
        else:
            threading.Thread(target=future.set_result, args=[outcome]).start()
        waiting.append(future)
        return future

    waiting: list[Future[object]] = []
    ControlThread(lambda: next(calls), {"operate": operate}).join()
    for future in waiting:
        future.exception(10)
    assert second.answers == ['"served"']
    deadline = threading.Event()
    while not first.answers and not deadline.wait(0.01):
        pass
    assert first.answers == [answer]


def test_a_server_that_ends_answers_who_waits_for_a_load(
    install_plugin, write_model, repository: Path
):
    install_plugin(
        "despina-slow",
        """
        import threading
        from despina_sdk import Backend
        begun, go_on = threading.Event(), threading.Event()
        class Slow(Backend):
            name = "slow"
            def load(self, spec):
                begun.set()
                go_on.wait(30)
                raise RuntimeError("never mind")
        """,
        backends={"slow": "Slow"},
    )
    write_model("m", 'backend: "slow"')
    server = Server(repository, model_control_mode="explicit", http_port=0, metrics_port=0)
    client = Client(server)
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(client.post("models/m/load")))
    asking.start()
    import despina_slow  # type: ignore[import-not-found]

    assert despina_slow.begun.wait(30)
    closing = threading.Thread(target=server.close)
    closing.start()
    asking.join(30)
    assert answers == [(503, {"error": "the server is shutting down"})]
    despina_slow.go_on.set()
    closing.join(30)
    assert not closing.is_alive()
