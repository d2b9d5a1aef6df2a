"""Answers over gRPC to clients that take them compressed, and codings that are not supported."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from harness.grpc_calls import ONE, SERVICE, floats, messages, opened, request, stub
from harness.http2 import Connection, Setting, Stream, data, message, window_update
from harness.repository import REPEAT, add_model
from harness.serve import Serve

INFER = SERVICE + "ModelInfer"
ROOM = 1 << 30
BOTH = "identity, deflate, gzip"
WORDS = np.random.default_rng(7).integers(0, 256, (1000, 16), np.uint8)
"""Of which texts are made."""


def text(size: int) -> np.ndarray:
    """Bytes that get smaller, and the smaller the harder one tries."""
    picked = np.random.default_rng(8).integers(0, len(WORDS), size // 16 + 1)
    return WORDS[picked].reshape(-1)[:size]


LARGE = text(1_000_000)


def started(level: str, zoo: Path, folder: Path) -> Serve:
    add_model(folder / "more", "repeat", REPEAT)
    flags = () if level == "none" else (f"--grpc-infer-response-compression-level={level}",)
    return Serve([zoo, folder / "more"], folder, *flags)


@pytest.fixture(scope="module")
def compressing(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with started("low", zoo, tmp_path_factory.mktemp("compressing")) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


def called(port: int, path: str, asked: Any, *fields: tuple[str, str]) -> Stream:
    """What comes for one request, frame by frame."""
    with Connection(port, {Setting.INITIAL_WINDOW_SIZE: ROOM}) as connection:
        connection.send(window_update(0, ROOM), connection.opening(1, path, *fields))
        connection.upload(1, message(asked.SerializeToString()))
        return connection.answer(1)


def unframed(body: bytes) -> list[tuple[bool, bytes]]:
    """The messages in a body: whether each is compressed, and its bytes as they came."""
    found = []
    while body:
        compressed, size = struct.unpack_from("!BI", body)
        found.append((bool(compressed), body[5 : 5 + size]))
        assert len(found[-1][1]) == size
        body = body[5 + size :]
    return found


def began(connection: Connection) -> bool:
    """Whether the head of the answer has come."""
    return bool(connection.stream(1).heads)


def parsed(content: bytes) -> Any:
    return messages.ModelInferResponse.FromString(content)


@pytest.mark.parametrize(
    ("accepted", "coding", "decompress"),
    [
        (BOTH, "gzip", gzip.decompress),
        ("gzip", "gzip", gzip.decompress),
        ("deflate", "deflate", zlib.decompress),
    ],
)
def test_an_answer_is_compressed_as_the_client_takes_it(
    compressing: Serve, accepted: str, coding: str, decompress: Any
) -> None:
    asked = request("plain_uint8", LARGE)
    answer = called(compressing.grpc_port, INFER, asked, ("grpc-accept-encoding", accepted))
    assert answer.status == 0
    assert answer.heads[0]["grpc-encoding"] == coding
    ((compressed, content),) = unframed(bytes(answer.data))
    assert compressed
    assert len(content) < len(LARGE)
    assert parsed(decompress(content)).raw_output_contents[0] == LARGE.tobytes()


@pytest.mark.parametrize("accepted", [(), (("grpc-accept-encoding", "identity, br"),)])
def test_a_client_that_takes_nothing_compressed_gets_it_as_it_is(
    compressing: Serve, accepted: tuple[tuple[str, str], ...]
) -> None:
    answer = called(compressing.grpc_port, INFER, request("plain_uint8", LARGE), *accepted)
    assert "grpc-encoding" not in answer.heads[0]
    ((compressed, content),) = unframed(bytes(answer.data))
    assert not compressed
    assert parsed(content).raw_output_contents[0] == LARGE.tobytes()


def test_what_is_not_inference_is_not_compressed(compressing: Serve) -> None:
    asked = messages.ModelConfigRequest(name="plain_uint8")
    path, accepts = SERVICE + "ModelConfig", ("grpc-accept-encoding", BOTH)
    answer = called(compressing.grpc_port, path, asked, accepts)
    assert "grpc-encoding" not in answer.heads[0]
    ((compressed, content),) = unframed(bytes(answer.data))
    assert not compressed
    assert messages.ModelConfigResponse.FromString(content).config.name == "plain_uint8"


def test_an_answer_that_would_not_get_smaller_goes_as_it_is(compressing: Serve) -> None:
    noise = np.random.default_rng(9).integers(0, 256, 300_000, np.uint8)
    asked, accepts = request("plain_uint8", noise), ("grpc-accept-encoding", "gzip")
    answer = called(compressing.grpc_port, INFER, asked, accepts)
    ((compressed, content),) = unframed(bytes(answer.data))
    assert not compressed
    assert parsed(content).raw_output_contents[0] == noise.tobytes()


def test_grpcio_reads_answers_and_the_responses_of_streams_in_order(compressing: Serve) -> None:
    arrays = [text(size) for size in (10, 500_000, 100, 500_000, 0, 1000)]
    with opened(compressing.grpc_port) as channel:
        service = stub(channel)
        for array in arrays:
            answer = service.ModelInfer(request("plain_uint8", array))
            assert answer.raw_output_contents[0] == array.tobytes()
        asked = (request("plain_uint8", array, id=str(i)) for i, array in enumerate(arrays))
        came = {each.infer_response.id: each.infer_response.raw_output_contents[0]
                for each in service.ModelStreamInfer(asked)}  # fmt: skip
        assert came == {str(i): array.tobytes() for i, array in enumerate(arrays)}
        count = np.arange(200, dtype=np.int32)
        repeat = request(
            "repeat", count, np.zeros(200, np.uint32), np.zeros(1, np.uint32),
            names=("IN", "DELAY", "WAIT"),
        )  # fmt: skip
        numbers = [
            np.frombuffer(each.infer_response.raw_output_contents[0], np.int32)[0]
            for each in service.ModelStreamInfer(iter([repeat]))
        ]
        assert numbers == list(count)


def test_an_error_is_told_as_ever(compressing: Serve) -> None:
    with opened(compressing.grpc_port) as channel, pytest.raises(grpc.RpcError) as caught:
        stub(channel).ModelInfer(request("nobody", ONE))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_calls_that_are_cancelled_meanwhile_leave_the_server_well(compressing: Serve) -> None:
    asked = message(request("plain_uint8", LARGE).SerializeToString())
    accepts = ("grpc-accept-encoding", "gzip")
    for _ in range(5):
        with Connection(compressing.grpc_port) as connection:
            connection.send(connection.opening(1, INFER, accepts))
            connection.upload(1, asked)
            # The head comes when the compression begins, and there is no more room than 64 KiB.
            assert connection.until(partial(began, connection))
    with opened(compressing.grpc_port) as channel:
        assert floats(stub(channel).ModelInfer(request("identity_fp32", ONE))) == [1.0]


def test_higher_levels_make_answers_smaller_and_none_is_the_default(
    compressing: Serve, zoo: Path, tmp_path: Path
) -> None:
    asked, accepts = request("plain_uint8", LARGE), ("grpc-accept-encoding", "gzip")
    sizes = [len(called(compressing.grpc_port, INFER, asked, accepts).data)]
    for level in ("high", "none"):
        with started(level, zoo, tmp_path / level) as running:
            answer = called(running.grpc_port, INFER, asked, accepts)
            assert ("grpc-encoding" in answer.heads[0]) == (level != "none")
            sizes.append(len(answer.data))
    low, high, plain = sizes
    assert high < low < plain


@pytest.mark.parametrize("rpc", ["ModelInfer", "ModelStreamInfer", "ServerLive"])
def test_a_coding_that_is_not_supported_is_refused_with_those_that_are(
    compressing: Serve, rpc: str
) -> None:
    with Connection(compressing.grpc_port) as connection:
        connection.send(
            connection.opening(1, SERVICE + rpc, ("grpc-encoding", "snappy")),
            data(1, message(b"x", compressed=True), end=True),
        )
        answer = connection.answer(1)
        assert answer.status == grpc.StatusCode.UNIMPLEMENTED.value[0]
        assert answer.heads[0]["grpc-accept-encoding"] == "identity,deflate,gzip"
        assert "snappy" in answer.heads[0]["grpc-message"]
        assert connection.serves(3)
