"""Classes 21 and 26: ways around a restriction, and ends of connections and of the server."""

from __future__ import annotations

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from harness.raw_http import Answer, Connection, good, is_good, request
from harness.serve import Serve

SECRET = "a-secret"
RESTRICTED = "metadata,shared-memory,model-config,model-repository,statistics,trace,logging"
FLAGS = (
    "--model-control-mode=explicit",
    "--load-model=*",
    "--allow-client-shm=true",
    f"--http-restricted-api={RESTRICTED}:key={SECRET}",
)
GETS = [
    "/v2",
    "/v2/openapi.json",
    "/v2/models/stats",
    "/v2/models/identity_fp32",
    "/v2/models/identity_fp32/versions/1",
    "/v2/models/identity_fp32/config",
    "/v2/models/identity_fp32/stats",
    "/v2/systemsharedmemory/status",
    "/v2/cudasharedmemory/status",
    "/v2/logging",
    "/v2/trace/setting",
    "/v2/models/identity_fp32/trace/setting",
]
POSTS = [
    "/v2/repository/index",
    "/v2/repository/models/behaviour/unload",
    "/v2/repository/models/behaviour/load",
    "/v2/repository/r/index",
    "/v2/repository/r/models/behaviour/unload",
    "/v2/systemsharedmemory/unregister",
    "/v2/systemsharedmemory/region/r/unregister",
    "/v2/cudasharedmemory/unregister",
]


def ask(server: Serve, data: bytes) -> Answer:
    with Connection(server.port) as connection:
        return connection.exchange(data)


def encoded(path: str) -> str:
    """Every letter by its number."""
    return "".join(c if c == "/" else f"%{ord(c):02x}" for c in path)


def spellings(path: str) -> list[str]:
    first, _, rest = path[1:].partition("/")
    return [
        path,
        encoded(path),
        path.upper(),
        path + "/",
        path + "//",
        "/" + path,
        "//" + path,
        "/." + path,
        "/x/.." + path,
        f"/{first}//{rest}",
        f"/{first}/./{rest}",
        f"/{first}/%2e/{rest}",
        f"/{first}%2f{rest}",
        path + "?key=" + SECRET,
        path + ";key=" + SECRET,
        path + "%00",
        path + "%20",
        path + "%0d%0akey:%20" + SECRET,
        path + "#/v2/health/live",
        "/v2/health/live/../.." + path[3:],
        "http://localhost" + path,
        "http://x/v2/health/live" + path,
        path.replace("/", "\\"),
    ]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", each) for each in GETS] + [("POST", each) for each in POSTS]
)
def test_no_spelling_of_a_path_leads_around_a_restriction(
    server: Serve, method: str, path: str
) -> None:
    for spelling in spellings(path):
        for each in (method, "HEAD", "PUT", "OPTIONS"):
            data = request(spelling, method=each)
            with Connection(server.port) as connection:
                connection.send(data)
                answer = connection.read(head_only=each == "HEAD")
            assert answer.status in (400, 403, 404, 405), (spelling, each)
    known = request(path, headers={"Key": SECRET}, method=method)
    assert ask(server, known).status not in (403, 405)


VALUES = {
    "another": "x",
    "a beginning": SECRET[:-1],
    "more": SECRET + "x",
    "capitals": SECRET.upper(),
    "in quotes": f'"{SECRET}"',
    "a list": f"x, {SECRET}",
    "with a NUL": SECRET + "\0",
    "very long": SECRET * 1000,
}


@pytest.mark.parametrize("what", VALUES)
def test_a_value_is_the_secret_or_not(server: Serve, what: str) -> None:
    answer = ask(server, request("/v2", headers={"Key": VALUES[what]}, method="GET"))
    assert answer.status in (400, 403)
    assert SECRET not in answer.error


@pytest.mark.parametrize(
    "fields",
    [
        f"key_: {SECRET}",
        f"x-key: {SECRET}",
        f"kéy: {SECRET}",
        f"key : {SECRET}",
        f"key\0: {SECRET}",
        f"Cookie: key={SECRET}",
        f"X-Forwarded-Key: {SECRET}",
        "X-Original-URL: /v2/health/live\r\nkey: x",
    ],
)
def test_a_secret_stands_in_its_own_header(server: Serve, fields: str) -> None:
    data = request("/v2", method="GET").replace(b"Host:", f"{fields}\r\nHost:".encode())
    assert ask(server, data).status in (400, 403)


def test_a_secret_of_one_request_is_none_of_the_next(connection: Connection) -> None:
    known = request("/v2", headers={"Key": SECRET}, method="GET")
    for _ in range(3):
        assert connection.exchange(known).status == 200
        assert connection.exchange(request("/v2", method="GET")).status == 403
    trailer = request("/v2/logging", headers={"Transfer-Encoding": "chunked"})
    answer = connection.exchange(trailer + b"2\r\n{}\r\n0\r\nkey: %s\r\n\r\n" % SECRET.encode())
    assert answer.status == 403


def test_nothing_restricted_is_on_the_port_of_the_metrics(server: Serve) -> None:
    for path in GETS:
        assert server.get(path, metrics=True)[0] == 404


def test_connections_that_are_reset_at_every_point(server: Serve) -> None:
    """What is written to them then is an error of the connection, and no SIGPIPE."""
    data = good()
    reset = struct.pack("ii", 1, 0)
    for end in range(1, len(data) + 1, 7):
        with Connection(server.port) as connection:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.send(data[:end] if end < len(data) - 7 else data * 20)


def test_connections_that_never_say_anything(server: Serve) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(Connection(server.port))
        assert is_good(ask(server, good()))


def test_an_end_between_requests_loses_none(models: Path, tmp_path: Path) -> None:
    """While clients ask and others say nothing: what was accepted is answered, and it ends well."""
    with Serve(models, tmp_path) as ending, ExitStack() as stack:
        for part in (b"", b"GET", good()[:40]):
            stack.enter_context(Connection(ending.port)).send(part)
        stopping = threading.Event()
        port = ending.port

        def client() -> list[Answer]:
            answers = []
            with suppress(OSError, AssertionError), Connection(port) as connection:
                while not stopping.is_set():
                    answers.append(connection.exchange(good()))
            return answers

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(client) for _ in range(8)]
            while ending.statistics("identity_fp32")["inference_count"] < 100:
                time.sleep(0.01)
            status = ending.stop()
            stopping.set()
            answers = [answer for each in asking for answer in each.result()]
    assert status == 0, ending.stderr
    assert len(answers) >= 100
    assert all(is_good(answer) or answer.status == 503 for answer in answers)
