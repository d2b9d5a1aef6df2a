"""Requests over HTTP that change what is served."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from despina import DespinaError, Server
from despina.control.calls import ControlThread
from despina_sdk import Code


class Client:
    """Posts to a server of this process. Any thread."""

    def __init__(self, server: Server) -> None:
        (line,) = (each for each in server._runtime.listen("1") if "HTTP" in each)
        self.port = int(line.rpartition(":")[2])

    def ask(self, method: str, path: str, data: bytes = b"") -> tuple[int, Any]:
        """Status and JSON of an answer; nothing for an empty one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, data)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text else None

    def post(self, path: str, body: object = None) -> tuple[int, Any]:
        """Of a route of the repository."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        return self.ask("POST", f"/v2/repository/{path}", data)

    def ready(self) -> int:
        return self.ask("GET", "/v2/health/ready")[0]


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
        (b'{"a":"\xed\xa0\x80"}', "failed to parse the request JSON buffer: "),
        ('{"parameters":{}}'.encode("utf-16-le"), "failed to parse the request JSON buffer: "),
        (b'{"a":1e999}', "failed to parse the request JSON buffer: "),
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
    with Server(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
        client = Client(server)
        refusal = {
            "error": "explicit model load / unload is not allowed if polling is enabled",
        }
        assert client.post("models/double/load") == (503, refusal)
        assert client.post("models/double/unload") == (503, refusal)


CONFIG = json.dumps({"backend": "scale"})


def test_a_load_may_bring_configuration_and_files(server: Server, client: Client):
    content = base64.b64encode(b"7").decode()
    parameters = {"config": CONFIG, "file:3/factor": content}
    assert client.post("models/new/load", {"parameters": parameters}) == (200, None)
    row = {"name": "new", "version": "3", "state": "READY"}
    assert client.post("index", {"ready": True}) == (200, [row])
    status, answer = client.post("models/new/load")
    assert (status, answer["error"]) == (404, "there is no model 'new'")
    assert client.post("index", {"ready": True}) == (200, [row])
    assert client.post("models/new/unload") == (200, None)
    assert client.post("index", {"ready": True}) == (200, [])


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"file:1/factor": "Nw=="}, "Load parameter 'config' must be specified for model file"),
        ({"config": CONFIG, "file:../factor": "Nw=="}, "it leads out of the model's folder"),
        ({"config": CONFIG, "file:/tmp/factor": "Nw=="}, "it leads out of the model's folder"),
        ({"config": CONFIG, "file:1/factor": "N"}, "is not base64"),
        ({"config": {}}, "Unable to parse 'config': it is not a string"),
        ({"config": '{"backends": "scale"}', "file:1/factor": "Nw=="}, "backends"),
        ({"config": "{"}, "failed to parse 'config'"),
    ],
)
@pytest.mark.parametrize("name", ["double", "new"])
def test_a_load_that_brings_what_makes_no_sense_changes_nothing(
    client: Client, server: Server, name: str, parameters: dict[str, Any], text: str
):
    status, answer = client.post(f"models/{name}/load", {"parameters": parameters})
    assert status == 400
    assert text in answer["error"]
    assert client.post("index") == (200, [{"name": "double"}])
    server._runtime.manager.open()
    assert client.ready() == 200


def test_a_configuration_alone_needs_a_model(client: Client):
    status, answer = client.post("models/new/load", {"parameters": {"config": CONFIG}})
    assert (status, answer["error"]) == (404, "there is no model 'new'")
    assert client.post("index") == (200, [{"name": "double"}])


def test_a_change_that_fails_is_told_and_what_was_served_still_is(client: Client, repository: Path):
    assert client.post("models/double/load")[0] == 200
    (repository / "double" / "1" / "factor").write_text("two")
    why = "ValueError: could not convert string to float: 'two'"
    text = f"load failed for model 'double': version 1 is at UNAVAILABLE state: {why};"
    assert client.post("models/double/load") == (400, {"error": text})
    row = {"name": "double", "version": "1", "state": "READY", "reason": why}
    assert client.post("index") == (200, [row])
    assert client.ask("GET", "/v2/models/double/ready") == (200, None)


NAMES = {
    "..": 400,
    ".": 400,
    "%2e%2e": 400,
    "%2F": 400,
    "a%20b": 404,
    "a'b": 404,
    '"': 404,
    "$(id)": 404,
    "`id`": 404,
    "a;b": 404,
    "x" * 255: 404,
    "x" * 256: 400,
    "x" * 10_000: 400,
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_odd_names_change_nothing(server: Server, client: Client, name: str):
    server._runtime.manager.open()
    override = {"parameters": {"config": CONFIG, "file:1/other": ""}}
    status = NAMES[name]
    assert client.post(f"models/{name}/load")[0] == status
    assert client.post(f"models/{name}/unload")[0] == (200 if status == 404 else status)
    if status == 400:
        assert client.post(f"models/{name}/load", override)[0] == 400
    assert client.ask("GET", f"/v2/models/{name}/ready")[0] in (400, 404)
    assert client.post("index") == (200, [{"name": "double"}])
    assert client.ready() == 200


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        (b"\xff", (b"400", b"400")),
        (b"a\x1b[31m", (b"400", b"400")),
        ("\u017elu\u0165".encode(), (b"404", b"200")),
    ],
)
def test_names_beyond_ascii_change_nothing(
    client: Client, server: Server, name: bytes, statuses: tuple[bytes, bytes]
):
    server._runtime.manager.open()
    for action, status in zip((b"load", b"unload"), statuses, strict=True):
        with http.client.socket.create_connection(("127.0.0.1", client.port), 30) as connection:
            head = b"POST /v2/repository/models/%s/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            connection.sendall(head % (name, action) + b"Connection: close\r\n\r\n")
            answer = b""
            while received := connection.recv(65536):
                answer += received
        assert answer.split()[1] == status
    assert client.post("index") == (200, [{"name": "double"}])
    assert client.ready() == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"parameters":{"unload_dependents":1}}'])
def test_an_unload_that_makes_no_sense_is_refused(client: Client, body: bytes):
    assert client.post("models/double/load") == (200, None)
    assert client.post("models/double/unload", body)[0] == 400
    assert client.ask("GET", "/v2/models/double/ready")[0] == 200


def test_an_unload_may_take_dependents_along(pipeline: Path):
    options = {"http_port": 0, "metrics_port": 0}
    with Server(pipeline, model_control_mode="explicit", **options) as server:
        client = Client(server)
        assert client.post("models/triple/load") == (200, None)
        assert client.post("models/six/load") == (200, None)
        body = {"parameters": {"unload_dependents": True, "unknown": 1}}
        assert client.post("models/six/unload", body) == (200, None)
        (row,) = client.post("index", {"ready": True})[1]
        assert row["name"] == "triple"


def test_an_unload_does_not_wait_for_requests(install_plugin, write_model, repository: Path):
    install_plugin(
        "despina-held",
        """
        import threading
        from despina_sdk import Signature, TensorSpec, batch_function
        begun, go_on = threading.Event(), threading.Event()
        spec = TensorSpec("X", "FP32", (1,))
        @batch_function(inputs=(spec,), outputs=(spec,))
        def held(X):
            begun.set()
            assert go_on.wait(30)
            return {"X": X}
        """,
        backends={"held": "held"},
    )
    write_model("m", 'backend: "held"')
    with Server(
        repository,
        model_control_mode="explicit",
        load_model=("m",),
        http_port=0,
        grpc_port=0,
        metrics_port=0,
    ) as server:
        client = Client(server)
        import despina_held  # type: ignore[import-not-found]

        tensor = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
        body = json.dumps({"inputs": [tensor]}).encode()
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(client.ask, "POST", "/v2/models/m/infer", body)
            assert despina_held.begun.wait(30)
            assert client.post("models/m/unload") == (200, None)
            assert client.post("index")[1][0]["state"] == "UNLOADING"
            assert client.ready() == 200
            assert client.ask("POST", "/v2/models/m/infer", body)[0] == 404
            assert client.post("models/m/load") == (200, None)  # beside the one that goes
            assert client.ask("GET", "/v2/models/m/ready")[0] == 200
            despina_held.go_on.set()
            assert asked.result(30)[0] == 200


def test_a_flood_of_loads_and_unloads_is_answered_and_ends_well(server: Server, client: Client):
    content = base64.b64encode(b"7").decode()
    parameters = {"config": CONFIG, "file:1/factor": content}

    def one(number: int) -> int:
        action = ("load", "unload")[number % 2]
        body = {"parameters": parameters} if number % 4 == 0 else None
        return client.post(f"models/double/{action}", body)[0]

    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(one, range(200)))
    assert statuses <= {200, 503}  # a load that an unload overtook
    assert client.post("models/double/load") == (200, None)
    assert client.post("index", {"ready": True})[1][0]["name"] == "double"
    server.unload("double")
    assert server._runtime.engine.statistics()["model_stats"] == []


class FakeCall:
    operation, model, body = "operate", "m", b""

    def __init__(self) -> None:
        self.answers: list[object] = []

    def answer(self, content: bytes = b"") -> bool:
        self.answers.append(content)
        return True

    def fail(self, code: int, message: str) -> bool:
        self.answers.append((code, message))
        return True


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (b"content \xff", b"content \xff"),
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
            return b"served"
        if not later:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        future: Future[object] = Future()
        if isinstance(outcome, BaseException):
            threading.Thread(target=future.set_exception, args=[outcome]).start()
        else:
            threading.Thread(target=future.set_result, args=[None]).start()
        waiting.append(future)
        return future

    waiting: list[Future[object]] = []
    ControlThread(lambda: next(calls), {"operate": operate}).join()
    for future in waiting:
        future.exception(10)
    assert second.answers == [b"served"]
    deadline = threading.Event()
    while not first.answers and not deadline.wait(0.01):
        pass
    # What a future gives is no content: it only says when, and whether it went well.
    assert first.answers == [b"" if later and isinstance(answer, bytes) else answer]


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
    server = Server(
        repository, model_control_mode="explicit", http_port=0, grpc_port=0, metrics_port=0
    )
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
