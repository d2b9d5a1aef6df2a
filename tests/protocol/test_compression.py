"""Compressed bodies: what is taken, what is refused, and what an attack costs."""

from __future__ import annotations

import gzip
import json
import selectors
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from harness.raw_http import Answer, Connection, binary_infer, good, is_good, request
from harness.serve import Serve

PATH = "/v2/models/identity_fp32/infer"
BODY, IN_FLIGHT = 4_000_000, 10_000_000
MEGABYTE = 1 << 20
DOCUMENT = {
    "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 3], "data": [1.5, -2.25, 3.0]}]
}
JSON = json.dumps(DOCUMENT).encode()
GZIP = gzip.compress(JSON, mtime=0)  # its bytes are in names of tests


@pytest.fixture(scope="module")
def limited(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    flags = (f"--http-max-input-size={BODY}", f"--http-max-bytes-in-flight={IN_FLIGHT}")
    with Serve(zoo, tmp_path_factory.mktemp("limited"), *flags) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


def ask(server: Serve, data: bytes) -> Answer:
    """The answer on a connection of its own; the server serves others afterwards."""
    with Connection(server.port) as connection:
        answer = connection.exchange(data)
    with Connection(server.port) as connection:
        assert is_good(connection.exchange(good()))
    return answer


def infer(body: bytes, coding: str, headers: Mapping[str, object] | None = None) -> bytes:
    return request(PATH, body, {"Content-Encoding": coding, **(headers or {})})


def chunked(body: bytes, coding: str, size: int) -> bytes:
    fields = {"Content-Encoding": coding, "Transfer-Encoding": "chunked"}
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return request(PATH, framed + b"0\r\n\r\n", fields)


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", GZIP),
        ("GZIP", GZIP),
        ("deflate", zlib.compress(JSON)),
        ("identity", JSON),
        # A wrong name is no harm: the stream says what it is.
        ("deflate", GZIP),
        ("gzip", zlib.compress(JSON)),
    ],
)
def test_what_is_taken(limited: Serve, coding: str, body: bytes) -> None:
    assert is_good(ask(limited, infer(body, coding)))
    assert is_good(ask(limited, chunked(body, coding, 3)))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "nothing to be decompressed"),
        (JSON, "the request's body cannot be decompressed: incorrect header check"),
        (raw_deflate(JSON), "the request's body cannot be decompressed: "),
        (GZIP[:-4], "the request's body ends before its compressed data do"),
        (GZIP[:20], "the request's body ends before its compressed data do"),
        (
            GZIP[:-8] + bytes(8),
            "the request's body cannot be decompressed: incorrect data check",
        ),
        (GZIP + b"more", "the request's body has bytes behind its compressed data"),
        (
            gzip.compress(JSON[:40], mtime=0) + gzip.compress(JSON[40:], mtime=0),
            "the request's body has bytes behind its compressed data",
        ),
    ],
)
def test_what_is_refused(limited: Serve, body: bytes, error: str) -> None:
    for data in (infer(body, "gzip"), chunked(body, "gzip", 1000)):
        answer = ask(limited, data)
        assert answer.status == 400
        assert answer.error.startswith(error)


def test_what_was_compressed_twice_is_no_json(limited: Serve) -> None:
    answer = ask(limited, infer(gzip.compress(GZIP), "gzip"))
    assert answer.status == 400


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip, identity", "x-gzip", "*"])
def test_other_codings_are_refused_with_those_that_are_not(limited: Serve, coding: str) -> None:
    answer = ask(limited, infer(GZIP, coding))
    assert (answer.status, answer.error) == (501, "Unsupported compression type")
    assert answer.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("columns", [*range(1, 18), 300_000])
def test_the_json_part_is_counted_in_what_was_compressed(limited: Serve, columns: int) -> None:
    array = np.arange(columns, dtype=np.float32)
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, columns]}
    document = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": array.nbytes}}],
        "parameters": {"binary_data_output": True},
        # Every alignment of the tensor.
        "id": "x" * columns if columns < 100 else "",
    }
    plain = binary_infer("identity_fp32", document, array.tobytes())
    head, _, body = plain.partition(b"\r\n\r\n")
    (size,) = (line for line in head.split(b"\r\n") if line.startswith(b"Inference-Header"))
    fields = {"Inference-Header-Content-Length": size.partition(b": ")[2].decode()}
    answer = ask(limited, infer(gzip.compress(body), "gzip", fields))
    assert answer.status == 200, answer.body
    assert answer.binary == array.tobytes()


@pytest.mark.parametrize("value", ["-1", "abc", str(len(JSON) + 1), str(2**63), str(2**64)])
def test_a_json_size_that_cannot_be_is_refused(limited: Serve, value: str) -> None:
    fields = {"Inference-Header-Content-Length": value}
    assert ask(limited, infer(GZIP, "gzip", fields)).status == 400


@pytest.mark.parametrize("zeros", [BODY + 1, 64 * MEGABYTE, 512 * MEGABYTE])
def test_a_bomb_is_refused_and_takes_no_memory(limited: Serve, zeros: int) -> None:
    compressor = zlib.compressobj(9, wbits=31)
    bomb = b"".join(compressor.compress(bytes(MEGABYTE)) for _ in range(zeros // MEGABYTE))
    bomb += compressor.compress(bytes(zeros % MEGABYTE)) + compressor.flush()
    before = limited.resident_bytes()
    for data in (infer(bomb, "gzip"), chunked(bomb, "gzip", 100_000)):
        answer = ask(limited, data)
        assert answer.status == 413
        assert answer.error == (
            f"the request's body is larger than the limit of {BODY} bytes once it is decompressed"
        )
    # What the pool keeps for later, and no more.
    assert limited.resident_bytes() < before + 4 * BODY


def test_bombs_at_a_time_are_held_by_the_budget(limited: Serve) -> None:
    bomb = infer(gzip.compress(bytes(BODY)), "gzip")
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(6):
            connection = stack.enter_context(Connection(limited.port))
            # All that is to be decompressed, without its end.
            connection.send(bomb[:-8])
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        # Two of these bodies fit the budget.
        for _ in range(4):
            (key, _), *_ = selector.select()
            assert key.data.read().status == 503
            selector.unregister(key.fileobj)
        for key in list(selector.get_map().values()):
            key.data.send(bomb[-8:])
            assert key.data.read().status == 400, "zeros are no JSON"
    assert is_good(ask(limited, good()))


def test_a_body_of_the_largest_size_is_taken(limited: Serve) -> None:
    document = JSON + b" " * (BODY - len(JSON))
    assert is_good(ask(limited, infer(gzip.compress(document), "gzip")))


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br, gzip;q=0.5, deflate;q=0.6", "deflate"),
        ("identity, gzip", None),
        ("gzip;q=0", None),
        ("*", None),
        ("br", None),
    ],
)
def test_answers_are_compressed_as_the_client_likes(
    limited: Serve, accepted: str, coding: str | None
) -> None:
    answer = ask(limited, request(PATH, JSON, {"Accept-Encoding": accepted}))
    assert answer.status == 200
    assert answer.headers.get("content-encoding") == coding
    undo = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding]
    assert json.loads(undo(answer.body))["outputs"][0]["data"] == [1.5, -2.25, 3.0]
