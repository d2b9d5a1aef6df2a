"""What beside inference is served over gRPC: health and reflection, by grpcio's own clients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from harness.grpc_calls import Feed, messages, opened, stub
from harness.http2 import EMPTY_MESSAGE, Connection, data
from harness.repository import add_model, fixture
from harness.serve import Serve

Code = grpc.StatusCode
SERVICE = "inference.GRPCInferenceService"
SERVING = health_pb2.HealthCheckResponse.SERVING
WATCH = "/grpc.health.v1.Health/Watch"


@pytest.fixture(scope="module")
def channel(server: Serve) -> Iterator[grpc.Channel]:
    with opened(server.grpc_port) as made:
        yield made


@pytest.fixture(scope="module")
def health(channel: grpc.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("name", ["", SERVICE])
def test_health_is_checked(health: Any, name: str) -> None:
    assert health.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING


def test_health_of_a_service_that_is_none(health: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() == Code.NOT_FOUND


def test_health_is_watched_until_the_client_goes(health: Any) -> None:
    watched = health.Watch(health_pb2.HealthCheckRequest())
    assert next(watched).status == SERVING
    watched.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        next(watched)
    assert caught.value.code() == Code.CANCELLED


def test_a_watch_of_a_service_that_is_none_goes_on(health: Any) -> None:
    """It might come: gRPC's health protocol wants SERVICE_UNKNOWN, and no status."""
    watched = health.Watch(health_pb2.HealthCheckRequest(service="nobody"))
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watched.cancel()


def test_those_who_watch_are_told_of_a_change(tmp_path: Path) -> None:
    """Also of the end: who watches is told before the stream ends."""
    add_model(tmp_path / "models", "double", fixture("scale"), {"1/factor": b"2"})
    with Serve(tmp_path / "models", tmp_path) as server, opened(server.grpc_port) as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == SERVING
        server.process.terminate()
        told = [each.status for each in until_broken_off(watched)]
        assert set(told) <= {health_pb2.HealthCheckResponse.NOT_SERVING}
        assert watched.code() in (Code.OK, Code.UNAVAILABLE)
        assert server.wait() == 0


def until_broken_off(answers: Any) -> Iterator[Any]:
    """Those that come; how it ends is asked of the call."""
    with contextlib.suppress(grpc.RpcError):
        yield from answers


def test_hundreds_of_watches_hold_nobody(server: Serve) -> None:
    with Connection(server.grpc_port) as connection:
        for stream in range(1, 601, 2):
            connection.send(connection.opening(stream, WATCH))
            connection.send(data(stream, EMPTY_MESSAGE, end=True))
        assert connection.until(
            lambda: sum(bool(s.data) for s in connection.streams.values()) == 300
        )
        assert connection.serves(1001)


# Reflection.


@pytest.fixture
def database(channel: grpc.Channel) -> ProtoReflectionDescriptorDatabase:
    return ProtoReflectionDescriptorDatabase(channel)


def test_reflection_lists_the_services(database: ProtoReflectionDescriptorDatabase) -> None:
    assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services())


def test_a_client_without_the_protocol_can_call(
    channel: grpc.Channel, database: ProtoReflectionDescriptorDatabase
) -> None:
    """As grpcurl does: names and types come from the server."""
    pool = DescriptorPool(database)
    service = pool.FindServiceByName(SERVICE)
    method = service.FindMethodByName("ModelMetadata")
    ask, answer = (GetMessageClass(each) for each in (method.input_type, method.output_type))
    call = channel.unary_unary(
        f"/{SERVICE}/ModelMetadata",
        request_serializer=ask.SerializeToString,
        response_deserializer=answer.FromString,
    )
    assert call(ask(name="pair")).versions == ["1"]


def test_reflection_knows_all_methods_of_the_clients(
    database: ProtoReflectionDescriptorDatabase,
) -> None:
    ours = DescriptorPool(database).FindServiceByName(SERVICE)
    theirs = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {each.name for each in theirs.methods} <= {each.name for each in ours.methods}
    for each in theirs.methods:
        own = ours.FindMethodByName(each.name)
        assert own.input_type.full_name == each.input_type.full_name
        assert own.output_type.full_name == each.output_type.full_name
        for kind, known in ((own.input_type, each.input_type), (own.output_type, each.output_type)):
            fields = {field.name: field.number for field in kind.fields}
            assert {field.name: field.number for field in known.fields}.items() <= fields.items()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection(channel: grpc.Channel, version: str) -> None:
    """The messages of v1 are those of v1alpha."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    feed = Feed(reflection_pb2.ServerReflectionRequest(list_services=""))
    answers = call(iter(feed))
    assert SERVICE in {each.name for each in next(answers).list_services_response.service}
    feed.send(reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
    assert next(answers).file_descriptor_response.file_descriptor_proto
    feed.end()
    assert list(answers) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"file_by_filename": "nobody.proto"},
        {"file_containing_symbol": "nobody.Service"},
        {"file_containing_extension": {"containing_type": "nobody", "extension_number": 7}},
        {"all_extension_numbers_of_type": "nobody"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_what_reflection_does_not_know_is_an_answer(
    channel: grpc.Channel, wrong: dict[str, Any]
) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [reflection_pb2.ServerReflectionRequest(**wrong)]
    (answer,) = reflection.ServerReflectionInfo(iter(asked))
    assert answer.error_response.error_code == Code.NOT_FOUND.value[0]
    assert stub(channel).ServerLive(messages.ServerLiveRequest()).live
