"""Classes 12, 13, 15, 16 and 17: JSON, shapes, elements, outputs and parameters that are wrong.

What ``tests/protocol/test_infer_requests.py`` sends to ``infer`` is sent to every other route that
takes a body as well; what stands only here is what crosses the routes, or a buffer's end.
"""

from __future__ import annotations

from typing import Any

import pytest
from harness.raw_http import Connection, binary_infer, bytes_tensor, json_infer, request
from harness.serve import Serve

FLAGS = (
    "--model-control-mode=explicit",
    "--load-model=*",
    "--allow-client-shm=true",
    "--http-header-forward-pattern=forwarded|triton_",
)
ROUTES = [
    "/v2/models/identity_fp32/infer",
    "/v2/models/identity_fp32/versions/1/infer",
    "/v2/models/identity_fp32/generate",
    "/v2/models/identity_fp32/generate_stream",
    "/v2/repository/models/new/load",
    "/v2/repository/models/new/unload",
    "/v2/systemsharedmemory/region/r/register",
    "/v2/logging",
    "/v2/trace/setting",
    "/v2/models/identity_fp32/trace/setting",
]
DOCUMENTS = {
    "arrays to no depth": b"[" * 100_000,
    "arrays and back": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects and back": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "an array": b"[]",
    "text": b'"x"',
    "a number": b"7",
    "null": b"null",
    "a document behind the document": b"{}{}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a huge exponent": b'{"a":1e999999999}',
    "an integer beyond 64 bits": b'{"a":' + b"9" * 10_000 + b"}",
    "half a character": b'{"a":"\\ud800"}',
    "half a character as it is": b'{"a":"\xed\xa0\x80"}',
    "bytes that are no UTF-8": b'{"a":"\xff\xfe"}',
    "a NUL": b'{"a":\0}',
    "a name that is NUL": b'{"\\u0000":1}',
    "a name twice": b'{"parameters":{"a":1,"a":2},"parameters":{}}',
    "names twice, many": b"{" + b'"a":1,' * 100_000 + b'"a":1}',
    "a name of a megabyte": b'{"' + b"x" * 1_000_000 + b'":1}',
    "a text of ten megabytes": b'{"parameters":"' + b"x" * 10_000_000 + b'"}',
    "blanks": b" " * 1_000_000,
    "a byte order mark": b"\xef\xbb\xbf{",
}
PASSED_OVER = {
    "a name that is NUL",
    "a name of a megabyte",
    "an integer beyond 64 bits",
    "half a character",
    "a text of ten megabytes",
}
"""By routes that pass over members which they do not know."""
KNOWN_ALONE = ("load", "unload", "logging", "setting")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_document_that_makes_no_sense(connection: Connection, route: str, what: str) -> None:
    answer = connection.exchange(request(route, DOCUMENTS[what]))
    passed_over = what in PASSED_OVER and route.endswith(KNOWN_ALONE)
    assert answer.status in ((200, 400, 404) if passed_over else (400,)), answer.body[:500]
    assert len(answer.body) < 2 * len(DOCUMENTS[what]) + 1000


def tensor(name: str = "INPUT0", **members: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": [1, 1], "data": [1.0]} | members


MANY = {f"key {number}": "x" * 20 for number in range(100_000)}


def warm_up(server: Serve) -> None:
    """Sends what is large and right, or nearly: what is kept of that is no growth."""
    with Connection(server.port, timeout=60) as connection:
        for _ in range(2):
            for document in (
                {"inputs": [tensor()], "parameters": MANY},
                {"inputs": [tensor()], "id": "x" * 10_000_000},
                {"inputs": [tensor(shape=[1] * 1_000_000)]},
            ):
                connection.exchange(json_infer("identity_fp32", document))
            connection.exchange(request("/v2/logging", DOCUMENTS["a text of ten megabytes"]))


SHAPES: dict[str, list[int]] = {
    "negative": [-1, 1],
    "2^63": [1, 2**63],
    "2^62 times 4": [2**62, 4],
    "2^32 squared": [2**32, 2**32],
    "2^64 by overflow of bytes": [1, 2**62],
    "2^61 elements": [1, 2**61],
    "nothing of very much": [0, 2**62],
    "as many rows": [2**31, 1],
    "a hundred dimensions": [1] * 100,
    "a million dimensions": [1] * 1_000_000,
    "a million dimensions of 2": [2] * 1_000_000,
}


@pytest.mark.parametrize("form", ["JSON", "binary", "no bytes", "memory"])
@pytest.mark.parametrize("what", SHAPES)
def test_a_shape_takes_no_memory(server: Serve, what: str, form: str) -> None:
    """A few bytes that promise a tensor of 2^62 elements cost a few bytes."""
    before = server.resident_bytes()
    document: dict[str, Any] = {"inputs": [tensor(shape=SHAPES[what])]}
    (given,) = document["inputs"]
    if form != "JSON":
        del given["data"]
    if form == "memory":
        given["parameters"] = {"shared_memory_region": "r", "shared_memory_byte_size": 2**62}
    elif form != "JSON":
        given["parameters"] = {"binary_data_size": 8 if form == "binary" else 0}
    data = json_infer("identity_fp32", document)
    if form in ("binary", "no bytes"):
        data = binary_infer("identity_fp32", document, b"12345678" if form == "binary" else b"")
    with Connection(server.port) as connection:
        answer = connection.exchange(data)
    assert answer.status in ((400, 404) if form == "memory" else (400,))
    assert len(answer.body) < 1000
    assert server.resident_bytes() - before < 64 << 20


LENGTHS = {
    "more than there is": b"\x05\0\0\0abcd",
    "2^32-1": b"\xff\xff\xff\xffabcd",
    "2^31": b"\0\0\0\x80abcd",
    "half a length": b"\x01\0",
    "nothing": b"",
    "a length and half of one": bytes_tensor(b"abcd") + b"\x01\0",
    "an element too many": bytes_tensor(b"a", b"b", b"c"),
    "an element too few": bytes_tensor(b"a"),
    "sums that overflow": b"\xfc\xff\xff\xff" * 4,
}


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("what", LENGTHS)
def test_lengths_of_elements_wherever_buffers_end(
    connection: Connection, what: str, size: int
) -> None:
    sent = LENGTHS[what]
    given = {"name": "INPUT0", "datatype": "BYTES", "shape": [1, 2]}
    given["parameters"] = {"binary_data_size": len(sent)}
    whole = binary_infer("identity_bytes", {"inputs": [given]}, sent)
    head, _, body = whole.partition(b"\r\n\r\n")
    lines = [each for each in head.split(b"\r\n") if not each.startswith(b"Content-Length")]
    connection.send(b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n")
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in parts)
    answer = connection.exchange(chunks + b"0\r\n\r\n")
    assert answer.status == 400
    assert "INPUT0" in answer.error


def wanted(**parameters: Any) -> dict[str, Any]:
    return {"name": "OUTPUT0", "parameters": parameters}


OUTPUTS: dict[str, Any] = {
    "as many of one name": [{"name": "OUTPUT0"}] * 100_000,
    "as many names": [{"name": f"OUTPUT{number}"} for number in range(100_000)],
    "a name of a megabyte": [{"name": "x" * 1_000_000}],
    "no classes": [wanted(classification=-1)],
    "classes beyond 64 bits": [wanted(classification=2**64)],
    "a fraction of classes": [wanted(classification=1.5)],
    "classes as text": [wanted(classification="1")],
    "classes in binary": [wanted(classification=1, shared_memory_region="r")],
    "an input": [{"name": "INPUT0"}],
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_outputs_that_cannot_be(connection: Connection, what: str) -> None:
    document = {"inputs": [tensor()], "outputs": OUTPUTS[what]}
    answer = connection.exchange(json_infer("identity_fp32", document))
    assert answer.status in (400, 404)
    assert len(answer.body) < 2_000_000


def test_more_classes_than_memory_holds(server: Serve) -> None:
    """As many as there are elements, whatever is asked for; an element becomes a text then."""
    output = wanted(classification=2**63)
    document = {"inputs": [tensor(data=[0.5] * 10_000, shape=[1, 10_000])], "outputs": [output]}
    before = server.resident_bytes()
    with Connection(server.port) as connection:
        answer = connection.exchange(json_infer("identity_fp32", document))
    assert answer.status == 200
    assert len(answer.json["outputs"][0]["data"]) == 10_000
    assert server.resident_bytes() - before < 16 << 20


PARAMETERS: dict[str, Any] = {
    "reserved": {"triton_enable_empty_final_response": 1},
    "reserved, unknown": {"triton_x": "y"},
    "null": {"a": None},
    "an array": {"a": [1]},
    "an object": {"a": {"b": 1}},
    "beyond signed 64 bits": {"a": 2**63},
    "sequence_id as boolean": {"sequence_id": True},
    "sequence_id as array": {"sequence_id": [1]},
    "sequence_id as fraction": {"sequence_id": 0.5},
    "sequence_start as number": {"sequence_start": 1},
    "sequence_end as text": {"sequence_end": "true"},
    "priority as text": {"priority": "high"},
    "timeout beyond 64 bits": {"timeout": 2**64},
    "binary_data_output as text": {"binary_data_output": "true"},
    "text": "x",
    "an array of them": [{"a": 1}],
}


@pytest.mark.parametrize("what", PARAMETERS)
def test_parameters_that_cannot_be(connection: Connection, what: str) -> None:
    document = {"inputs": [tensor()], "parameters": PARAMETERS[what]}
    answer = connection.exchange(json_infer("identity_fp32", document))
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "field", ["triton_x: 1", "triton_enable_empty_final_response: true", "Triton_X: 1"]
)
def test_a_header_is_no_reserved_parameter(connection: Connection, field: str) -> None:
    data = json_infer("identity_fp32", {"inputs": [tensor()]})
    answer = connection.exchange(data.replace(b"Host:", field.encode() + b"\r\nHost:"))
    assert answer.status == 400
    assert "triton_" in answer.error.lower()


def test_very_many_parameters_are_gone_with_their_request(server: Serve) -> None:
    data = json_infer("identity_fp32", {"inputs": [tensor()], "parameters": MANY})
    with Connection(server.port) as connection:
        sizes = []
        for _ in range(4):
            assert connection.exchange(data).status == 200
            sizes.append(server.resident_bytes())
    assert sizes[-1] - sizes[1] < 16 << 20
