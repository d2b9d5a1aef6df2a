"""Classes 10, 11 and 14: bytes that are no HTTP, lie about their number, or unfold into more."""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from harness.raw_http import Connection, good, is_good, request
from harness.serve import Serve

LIMIT = 4_000_000
FLAGS = (
    "--model-control-mode=explicit",
    "--load-model=*",
    f"--http-max-input-size={LIMIT}",
    "--http-header-timeout-secs=1",
    "--http-body-timeout-secs=1",
)
PATH = "/v2/models/identity_fp32/infer"
CHUNKED = request(PATH, headers={"Transfer-Encoding": "chunked"})
BODY = good().partition(b"\r\n\r\n")[2]


ENDLESS = {
    "chunks": b"400\r\n" + b"x" * 1024 + b"\r\n",
    "chunks of a byte": b"1\r\nx\r\n",
    "extensions": b"1;" + b"x" * 200 + b"\r\nx\r\n",
    "an extension": b"x",
    "trailers": b"a: b\r\n",
    "digits": b"0",
}
BEFORE = {"an extension": b"1;", "trailers": b"0\r\n"}


@pytest.mark.parametrize("what", ENDLESS)
def test_chunks_without_end(server: Serve, what: str) -> None:
    """No more of a body is held than its limit, and of its framing nothing."""
    piece = ENDLESS[what] * ((1 << 20) // len(ENDLESS[what]))
    before = server.resident_bytes()
    with Connection(server.port) as connection:
        connection.send(CHUNKED + BEFORE.get(what, b""))
        with suppress(OSError):  # of a connection that the server has closed
            for _ in range(64):
                connection.send(piece)
        assert server.resident_bytes() - before < 4 * LIMIT


def test_three_million_chunks_of_a_byte(models: Path, tmp_path: Path) -> None:
    """Each is looked at once, however they are split."""
    chunk = b"1\r\n \r\n"
    with Serve(models, tmp_path) as server, Connection(server.port, timeout=60) as connection:
        connection.send(CHUNKED)
        for _ in range(300):
            connection.send(chunk * 10_000)
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert is_good(connection.read())
        assert server.stop() == 0


SMUGGLED = good("nobody")
FRAMES = {
    "both lengths": request(PATH, BODY + SMUGGLED, {"Content-Length": len(BODY)}).replace(
        b"Host:", b"Transfer-Encoding: chunked\r\nHost:"
    ),
    "two lengths": request(PATH, BODY).replace(b"Host:", b"Content-Length: 5\r\nHost:"),
    "a list of lengths": request(PATH, BODY, {"Content-Length": f"{len(BODY)}, 5"}),
    "a signed length": request(PATH, BODY, {"Content-Length": f"+{len(BODY)}"}),
    "a negative length": request(PATH, BODY, {"Content-Length": -1}),
    "a length in hexadecimal": request(PATH, BODY, {"Content-Length": hex(len(BODY))}),
    "a length beyond 64 bits": request(PATH, BODY, {"Content-Length": 2**64 + len(BODY)}),
    "a length without end": request(PATH, BODY, {"Content-Length": "9" * 10_000}),
    "chunked twice": request(PATH, BODY, {"Transfer-Encoding": "chunked, chunked"}),
    "nearly chunked": request(PATH, BODY, {"Transfer-Encoding": "xchunked"}),
    "chunked, with a tab": request(PATH, BODY, {"Transfer-Encoding": "\x0bchunked"}),
    "a blank before the colon": request(PATH, BODY).replace(
        b"Content-Length:", b"Content-Length :"
    ),
    "a chunk of 2^64": CHUNKED + b"10000000000000000\r\n" + BODY,
    "a chunk of 2^64-1": CHUNKED + b"ffffffffffffffff\r\n" + BODY,
    "a negative chunk": CHUNKED + b"-1\r\n" + BODY,
    "a chunk 0x5": CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"2\r\nabcd\r\n0\r\n\r\n",
    "NUL in the header": good().replace(b"Host: localhost", b"Host: local\0host"),
    "no line ends": good().replace(b"\r\n", b"\r"),
    "a gigabyte that is promised": request(PATH, BODY, {"Content-Length": 1 << 30}),
}


@pytest.mark.parametrize("what", FRAMES)
def test_framing_that_could_be_read_in_two_ways(connection: Connection, what: str) -> None:
    """Nothing behind it is taken for a request: the connection ends."""
    connection.send(FRAMES[what] + SMUGGLED)
    answer = connection.read()
    assert answer.status in (400, 408, 413, 501)
    assert connection.closed()


def test_a_field_on_two_lines_is_one_field(connection: Connection) -> None:
    folded = request(PATH, BODY).replace(b"Content-Length: ", b"Content-Length:\r\n ")
    assert is_good(connection.exchange(folded + good("nobody")))
    assert connection.read().status == 404


@pytest.mark.parametrize(
    "field", ["Inference-Header-Content-Length: 3", "Content-Encoding: gzip", "Host: x"]
)
def test_a_trailer_is_no_header(connection: Connection, field: str) -> None:
    """It could say something else than what proxies have checked."""
    chunk = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(BODY), BODY, field.encode())
    assert is_good(connection.exchange(CHUNKED + chunk))
    assert is_good(connection.exchange(good()))


@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_trailer_says_nothing_of_the_body(connection: Connection, field: str) -> None:
    chunk = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(BODY), BODY, field.encode())
    answer = connection.exchange(CHUNKED + chunk)
    assert is_good(answer) or (answer.status == 400 and connection.closed())


def test_those_who_never_finish_hold_nobody(server: Serve) -> None:
    """Slowloris: they have the time of the flags, and others are served meanwhile."""
    with ExitStack() as stack:
        slow = [stack.enter_context(Connection(server.port)) for _ in range(200)]
        for number, each in enumerate(slow):
            each.send(good()[: (number * 7) % (len(good()) - 1) + 1])
        with Connection(server.port) as other:
            for _ in range(20):
                assert is_good(other.exchange(good()))
        for each in slow:
            assert each.read().status == 408
            assert each.closed()


def test_a_thousand_pipelined_requests(connection: Connection) -> None:
    connection.send(good() * 1000)
    assert all(is_good(connection.read()) for _ in range(1000))


LENGTHS = ["-1", "abc", "", "1e9", "1000000000", str(2**63), str(2**64), "0x10", "+5", "\u0663"]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_of_the_json_part_that_cannot_be(
    connection: Connection, length: str, coding: str
) -> None:
    body = BODY if coding == "identity" else gzip.compress(BODY)
    fields = {"Inference-Header-Content-Length": length, "Content-Encoding": coding}
    assert connection.exchange(request(PATH, body, fields)).status == 400


def test_the_length_of_the_json_part_is_said_once(connection: Connection) -> None:
    field = f"Inference-Header-Content-Length: {len(BODY)}\r\n".encode()
    twice = request(PATH, BODY).replace(b"Host:", field * 2 + b"Host:")
    assert connection.exchange(twice).status == 400


def bomb(wbits: int, size: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=wbits)
    parts = [compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(parts) + compressor.flush()


BOMB = bomb(31, 64 << 20)
CODED = {
    "a bomb": ("gzip", BOMB, 413),
    "a bomb of deflate": ("deflate", bomb(15, 64 << 20), 413),
    "a bomb in a bomb": ("gzip", gzip.compress(BOMB), 400),
    "members behind each other": ("gzip", gzip.compress(BODY) + gzip.compress(BODY), 400),
    "thousands of members": ("gzip", gzip.compress(b"") * 10_000, 400),
    "a stream that is cut off": ("gzip", gzip.compress(BODY)[:-9], 400),
    "a checksum that is wrong": ("gzip", gzip.compress(BODY)[:-8] + bytes(8), 400),
    "plain text": ("gzip", BODY, 400),
    "nothing": ("gzip", b"", 400),
    "a field of a header without end": ("gzip", b"\x1f\x8b\x08\x08" + b"x" * 1_000_000, 400),
    "two codings": ("gzip, gzip", gzip.compress(gzip.compress(BODY)), 501),
    "many codings": (", ".join(["gzip"] * 1000), BODY, 501),
    "an unknown coding": ("zstd", BODY, 501),
}


@pytest.mark.parametrize("what", CODED)
def test_compressed_bodies_that_are_wrong(server: Serve, what: str) -> None:
    coding, body, status = CODED[what]
    before = server.resident_bytes()
    for _ in range(3):
        with Connection(server.port) as connection:
            with suppress(OSError):
                connection.send(request(PATH, body, {"Content-Encoding": coding}))
            answer = connection.read()
            assert answer.status == status, answer.body
            assert json.loads(answer.body)["error"]
    assert server.resident_bytes() - before < 4 * LIMIT
