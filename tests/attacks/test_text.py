"""Classes 6 and 9: what clients write does not forge lines, and errors tell nothing of inside."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest
from harness.raw_http import Answer, Connection, good, json_infer, request
from harness.serve import Serve

FLAGS = (
    "--model-control-mode=explicit",
    "--load-model=*",
    "--allow-client-shm=true",
    "--log-verbose=2",
)
EVIL = "x\r\nE0101 00:00:00.000000 1 forged.cc:1] \x1b[31mforged\x07\x08%s%n%p{0}$(id)\u202e\x7f"
LINE = re.compile(r"[IWEV]\d{4} \d\d:\d\d:\d\d\.\d{6} \d+ [\w.]+:\d+\] ")


def input0(**members: object) -> dict[str, object]:
    return {
        "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 1], "data": [1.0]} | members]
    }


def behaving(behaviour: str, **members: object) -> bytes:
    document = input0(name="X") | {"parameters": {"behaviour": behaviour}} | members
    return json_infer("behaviour", document)


PLACES = {
    "model": good(quote(EVIL)),
    "version": request(f"/v2/models/identity_fp32/versions/{quote(EVIL)}/infer"),
    "path": request("/v2/" + quote(EVIL)),
    "path as it is": f"GET /v2/{EVIL} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "method": f"{EVIL} / HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "header": good().replace(b"Host:", f"X-Evil: {EVIL}\r\nHost:".encode()),
    "header's name": good().replace(b"Host:", f"{EVIL}: x\r\nHost:".encode()),
    "content encoding": good().replace(b"Host:", b"Content-Encoding: \x1b[31m%n\r\nHost:"),
    "id": json_infer("identity_fp32", input0() | {"id": EVIL}),
    "id of a failure": behaving("raise:on purpose", id=EVIL),
    "input": json_infer("identity_fp32", input0(name=EVIL)),
    "datatype": json_infer("identity_fp32", input0(datatype=EVIL)),
    "output": json_infer("identity_fp32", input0() | {"outputs": [{"name": EVIL}]}),
    "parameter": json_infer("identity_fp32", input0() | {"parameters": {EVIL: [EVIL]}}),
    "member": json_infer("identity_fp32", input0() | {EVIL: EVIL}),
    "error of a backend": behaving(f"raise:{EVIL}"),
    "line of a backend": behaving(f"log:{EVIL}"),
    "load": request(f"/v2/repository/models/{quote(EVIL)}/load"),
    "unload": request(f"/v2/repository/models/{quote(EVIL)}/unload"),
    "load parameter": request(
        "/v2/repository/models/new/load", json.dumps({"parameters": {EVIL: EVIL}}).encode()
    ),
    "file": request(
        "/v2/repository/models/new/load",
        json.dumps({"parameters": {"config": "{}", f"file:{EVIL}": EVIL}}).encode(),
    ),
    "configuration": request(
        "/v2/repository/models/new/load",
        json.dumps(
            {"parameters": {"config": json.dumps({"backend": EVIL}), "file:1/x": ""}}
        ).encode(),
    ),
    "region": request(
        f"/v2/systemsharedmemory/region/{quote(EVIL)}/register",
        json.dumps({"key": EVIL, "byte_size": 1}).encode(),
    ),
    "log format": request("/v2/logging", json.dumps({"log_format": EVIL}).encode()),
    "trace": request("/v2/trace/setting", json.dumps({"trace_rate": EVIL}).encode()),
}


def ask(server: Serve, data: bytes) -> Answer:
    with Connection(server.port) as connection:
        return connection.exchange(data)


@pytest.mark.parametrize("where", PLACES)
def test_no_line_of_the_log_is_forged(server: Serve, where: str) -> None:
    """Not a line more than the server's own, nothing that drives a terminal, nothing expanded."""
    answer = ask(server, PLACES[where])
    assert answer.status < 500 or "of a" in where
    if where == "configuration":
        assert server.post("/v2/repository/models/new/unload")[0] == 200
    text = server.stderr
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u202e]", text)
    assert not [line for line in text.splitlines() if not LINE.match(line)]
    assert "E0101" not in {line[:5] for line in text.splitlines()}


@pytest.mark.parametrize("where", PLACES)
def test_no_answer_is_split(server: Serve, where: str) -> None:
    """What a client writes stands in answers as JSON, and never in their header."""
    with Connection(server.port) as connection:
        connection.send(PLACES[where])
        answer = connection.read()
    assert not set(answer.headers) & {"x-evil", "e0101 00", "forged"}
    assert b"\x1b" not in answer.body
    if answer.body:
        json.loads(answer.body)
    if where == "configuration":
        assert server.post("/v2/repository/models/new/unload")[0] == 200


INSIDE = re.compile(
    r"/tmp|/dev/shm|/usr|/home|/proc|site-packages|\.py\b|\.cc\b|line \d+|Traceback|0x[0-9a-f]{5}"
)
BEHAVIOURS = ["raise", "wrong_dtype", "wrong_rows", "unknown_output", "no_array", "unanswered"]
BEHAVIOURS += ["exit", "write_view", "large:-1", "nan_parameter", "nobody"]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_an_error_of_a_python_backend_shows_nothing_of_inside(
    server: Serve, behaviour: str
) -> None:
    """The real Triton sends the traceback, with the paths of model.py."""
    answer = ask(server, behaving(behaviour))
    assert answer.status >= 400
    assert not INSIDE.search(answer.error), answer.error


def loading(backend: str, **files: str) -> bytes:
    parameters = {"config": json.dumps({"backend": backend})}
    parameters |= {f"file:{name}": content for name, content in files.items()}
    body = json.dumps({"parameters": parameters}).encode()
    return request("/v2/repository/models/new/load", body)


LOADS = {
    "nobody's": loading("nobody", **{"1/x": ""}),
    "a file that is missing": loading("onnxruntime", **{"1/x": ""}),
    "a file that is no model": loading("onnxruntime", **{"1/model.onnx": "Z2FyYmFnZQ=="}),
    "a value that is no number": loading("fixture_scale", **{"1/factor": "Z2FyYmFnZQ=="}),
    "a file that Python does not find": loading("fixture_scale", **{"1/x": ""}),
    "a module that is missing": loading("fixture_broken_import", **{"1/x": ""}),
    "no base64": loading("fixture_scale", **{"1/factor": "!"}),
}


@pytest.mark.parametrize("what", LOADS)
def test_an_error_of_what_a_client_brings_shows_nothing_of_inside(server: Serve, what: str) -> None:
    """The private folder that its files lie in is nobody's business."""
    answer = ask(server, LOADS[what])
    index = server.post("/v2/repository/index")[1].decode()
    assert server.post("/v2/repository/models/new/unload")[0] == 200
    assert answer.status == 400
    assert not INSIDE.search(answer.error), answer.error
    assert not INSIDE.search(index), index


def warm_up(server: Serve) -> None:
    """Has onnxruntime opened what it keeps open."""
    ask(server, LOADS["a file that is no model"])
    assert server.post("/v2/repository/models/new/unload")[0] == 200


REGIONS = [
    {"key": "/not_there", "byte_size": 64},
    {"key": "/dev/null", "byte_size": 64},
    {"key": "/../proc/self/mem", "byte_size": 64},
    {"key": "", "byte_size": 64},
]


@pytest.mark.parametrize("place", REGIONS, ids=str)
def test_an_error_of_shared_memory_names_what_the_client_said(
    server: Serve, place: dict[str, object]
) -> None:
    body = json.dumps(place).encode()
    answer = ask(server, request("/v2/systemsharedmemory/region/r/register", body))
    assert answer.status == 400
    assert not INSIDE.search(answer.error.replace(str(place["key"]), "")), answer.error
