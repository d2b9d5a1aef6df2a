"""What flags make of gRPC: restrictions, forwarded metadata, pings, the age of connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from harness.grpc_calls import (
    ONE,
    SERVICE,
    behave,
    floats,
    messages,
    opened,
    request,
    stub,
)
from harness.http2 import Code as Error
from harness.http2 import Connection, Kind, data, message
from harness.serve import Serve

Code = grpc.StatusCode
SECRET = "a secret=of=mine"
FLAGS = (
    f"--grpc-restricted-protocol=model-config,statistics:admin-key={SECRET}",
    "--grpc-restricted-protocol=inference:infer-key=other",
    "--grpc-restricted-protocol=health:health-key=well",
)


@pytest.fixture(scope="module")
def restricted(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with Serve(zoo, tmp_path_factory.mktemp("restricted"), *FLAGS) as running:
        yield running
        assert running.stop() == 0, running.stderr


@pytest.fixture
def service(restricted: Serve) -> Iterator[Any]:
    with opened(restricted.grpc_port) as channel:
        yield stub(channel)


CALLS = {
    "ModelConfig": (messages.ModelConfigRequest(name="fixed"), "admin-key", SECRET),
    "ModelStatistics": (messages.ModelStatisticsRequest(), "admin-key", SECRET),
    "ModelInfer": (request("identity_fp32", ONE), "infer-key", "other"),
    "ServerLive": (messages.ServerLiveRequest(), "health-key", "well"),
    "ModelReady": (messages.ModelReadyRequest(name="fixed"), "health-key", "well"),
}


@pytest.mark.parametrize("rpc", CALLS)
def test_a_protocol_that_is_restricted_needs_its_secret(service: Any, rpc: str) -> None:
    sent, key, secret = CALLS[rpc]
    name = f"triton-grpc-protocol-{key}"
    for metadata in ((), ((name, "wrong"),), ((name, ""),), ((key, secret),)):
        with pytest.raises(grpc.RpcError) as caught:
            getattr(service, rpc)(sent, metadata=metadata)
        assert caught.value.code() == Code.UNAVAILABLE
        wanted = f"This protocol is restricted, expecting header '{name}'"
        assert caught.value.details() == wanted
    getattr(service, rpc)(sent, metadata=((name, secret),))


def test_a_stream_is_restricted_before_it_is_read(service: Any) -> None:
    requests = [request("identity_fp32", ONE)] * 3
    with pytest.raises(grpc.RpcError) as caught:
        list(service.ModelStreamInfer(iter(requests)))
    assert caught.value.code() == Code.UNAVAILABLE
    metadata = (("triton-grpc-protocol-infer-key", "other"),)
    answers = list(service.ModelStreamInfer(iter(requests), metadata=metadata))
    assert [floats(each.infer_response) for each in answers] == [[1.0]] * 3


def test_what_is_not_named_is_free(service: Any) -> None:
    assert service.ServerMetadata(messages.ServerMetadataRequest()).name
    assert service.RepositoryIndex(messages.RepositoryIndexRequest()).models


def test_a_client_that_sleeps_is_asked_whether_it_is_there(zoo: Path, tmp_path: Path) -> None:
    flags = (
        "--grpc-keepalive-time=300",
        "--grpc-keepalive-timeout=3000",
        "--grpc-keepalive-permit-without-calls=true",
        "--grpc-http2-max-pings-without-data=0",
    )
    with Serve(zoo, tmp_path, *flags) as server, Connection(server.grpc_port) as connection:
        # A client that answers pings, as this one does, stays.
        pings = 0
        deadline = time.monotonic() + 10
        while pings < 3 and time.monotonic() < deadline:
            came = connection.step()
            pings += came is not None and came.kind == Kind.PING
        assert pings == 3
        assert connection.serves(1)
        with Connection(server.grpc_port) as deaf:
            assert deaf.serves(1)
            deaf.acknowledges = False
            assert deaf.until_closed()
        assert server.stop() == 0, server.stderr


def test_calls_survive_connections_that_are_too_old(zoo: Path, tmp_path: Path) -> None:
    flags = ("--grpc-max-connection-age=200", "--grpc-max-connection-age-grace=2000")
    with Serve(zoo, tmp_path, *flags) as server:
        assert server.ready()
        with Connection(server.grpc_port) as old:
            assert old.serves(1)
            assert old.until_closed()
            assert old.goaway == Error.NO_ERROR
        with opened(server.grpc_port) as channel:
            service = stub(channel)
            end = time.monotonic() + 2
            answered = 0
            while time.monotonic() < end:
                assert floats(service.ModelInfer(request("identity_fp32", ONE))) == [1.0]
                answered += 1
            assert answered > 20
        assert server.stop() == 0, server.stderr


def test_a_call_that_outlives_the_grace_of_its_connection_ends(zoo: Path, tmp_path: Path) -> None:
    flags = ("--grpc-max-connection-age=100", "--grpc-max-connection-age-grace=300")
    with Serve(zoo, tmp_path, *flags) as server:
        assert server.ready()
        with opened(server.grpc_port) as channel, pytest.raises(grpc.RpcError) as caught:
            stub(channel).ModelInfer(behave(f"until_cancelled:{tmp_path}/begun"), timeout=30)
        assert caught.value.code() == Code.UNAVAILABLE
        assert server.stop() == 0, server.stderr


def test_messages_that_do_not_go_on_give_back_what_they_hold(zoo: Path, tmp_path: Path) -> None:
    """Others are served then, though each had promised half of what there may be."""
    flags = ("--grpc-message-timeout-secs=0.2", "--grpc-max-bytes-in-flight=200000")
    infer = SERVICE + "ModelInfer"
    with Serve(zoo, tmp_path, *flags) as server, Connection(server.grpc_port) as connection:
        promised = message(bytes(1_000_000))[:10]
        for stream in (1, 3, 5):
            connection.send(connection.opening(stream, infer), data(stream, promised))
        assert connection.answer(5).status == Code.RESOURCE_EXHAUSTED.value[0]
        for stream in (1, 3):
            assert connection.answer(stream).status == Code.DEADLINE_EXCEEDED.value[0]
        connection.send(connection.opening(7, infer), data(7, promised))
        assert connection.serves(9)
        assert server.stop() == 0, server.stderr
