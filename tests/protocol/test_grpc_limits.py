"""What a call over gRPC may take of the server: RESOURCE_EXHAUSTED."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from harness.grpc_calls import ONE, SERVICE, floats, opened, request, stub
from harness.http2 import Connection, Setting, data, message
from harness.serve import Serve

Code = grpc.StatusCode
LIMIT, STREAMS = 1_000_000, 20
MIB = 1 << 20
INFER = SERVICE + "ModelInfer"


@pytest.fixture(scope="module")
def limited(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    flags = (f"--grpc-max-message-size={LIMIT}", f"--grpc-max-concurrent-streams={STREAMS}")
    with Serve(zoo, tmp_path_factory.mktemp("limited"), *flags) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


@pytest.fixture
def service(limited: Serve) -> Iterator[Any]:
    with opened(limited.grpc_port) as channel:
        yield stub(channel)


def sized(size: int) -> Any:
    """A request whose message has so many bytes."""
    made = request("plain_uint8", np.zeros(size - 100, np.uint8))
    count = size - 100 + size - made.ByteSize()
    made = request("plain_uint8", np.zeros(count, np.uint8))
    assert made.ByteSize() == size
    return made


@pytest.mark.parametrize("compression", list(grpc.Compression))
def test_a_message_up_to_the_limit_is_taken_and_one_beyond_is_not(
    service: Any, compression: grpc.Compression
) -> None:
    answer = service.ModelInfer(sized(LIMIT), compression=compression)
    assert len(answer.raw_output_contents[0]) > LIMIT - 200
    with pytest.raises(grpc.RpcError) as caught:
        service.ModelInfer(sized(LIMIT + 1), compression=compression)
    assert caught.value.code() == Code.RESOURCE_EXHAUSTED
    assert str(LIMIT) in caught.value.details()
    assert floats(service.ModelInfer(request("identity_fp32", ONE))) == [1.0]


def test_a_message_too_large_is_refused_before_it_is_sent(limited: Serve) -> None:
    with Connection(limited.grpc_port) as connection:
        promise = message(b"")[:1] + (2**32 - 1).to_bytes(4, "big")
        connection.send(connection.opening(1, INFER), data(1, promise + b"x"))
        assert connection.answer(1).status == Code.RESOURCE_EXHAUSTED.value[0]
        assert connection.serves(3)


@pytest.mark.parametrize("rpc", ["ModelInfer", "ModelStreamInfer", "RepositoryModelLoad"])
def test_a_bomb_takes_no_memory(limited: Serve, rpc: str) -> None:
    bomb = message(gzip.compress(bytes(512 * MIB), 1), compressed=True)[:LIMIT]
    before = limited.resident_bytes()
    with Connection(limited.grpc_port) as connection:
        connection.send(connection.opening(1, SERVICE + rpc, ("grpc-encoding", "gzip")))
        connection.upload(1, bomb)
        assert connection.answer(1).status == Code.RESOURCE_EXHAUSTED.value[0]
        assert connection.serves(3)
    assert limited.resident_bytes() - before < 32 * MIB


def test_the_number_of_streams_is_that_of_the_flag(limited: Serve) -> None:
    with Connection(limited.grpc_port) as connection:
        connection.until(lambda: bool(connection.settings))
        assert connection.settings[Setting.MAX_CONCURRENT_STREAMS] == STREAMS


def test_a_client_waits_for_its_turn_where_streams_are_few(service: Any) -> None:
    calls = [service.ModelInfer.future(request("identity_fp32", ONE * i)) for i in range(200)]
    assert [floats(call.result()) for call in calls] == [[i] for i in range(200)]
