"""What the settings say of gRPC, as the engine wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from despina import Code, DespinaError
from despina.engine import GrpcOptions
from despina.front_ends import grpc_options
from despina.settings import Settings


def options(**given: Any) -> GrpcOptions:
    return grpc_options(Settings(**given), "1.2.3")


def refusal(**given: Any) -> str:
    with pytest.raises(DespinaError) as raised:
        options(**given)
    assert raised.value.code is Code.INVALID_ARGUMENT
    return raised.value.message


def test_without_settings_grpc_is_plain_and_open():
    made = options()
    assert (made.address, made.port, made.threads) == ("127.0.0.1", 8001, 1)
    assert (made.server_name, made.server_version) == ("despina", "1.2.3")
    assert made.max_message_bytes == (1 << 31) - 1
    assert (made.tls, made.access, made.forwarding) == (None, None, None)
    assert not made.allow_shared_memory
    assert made.compression_level == 0
    assert (made.max_connection_age, made.max_connection_age_grace) == (0, 0)


def test_times_are_seconds():
    made = options(
        grpc_keepalive_time=1500,
        grpc_keepalive_timeout=250,
        grpc_http2_min_recv_ping_interval_without_data=100,
        grpc_message_timeout_secs=0.5,
        grpc_max_connection_age=60_000,
        grpc_max_connection_age_grace=1,
    )
    assert (made.keepalive.time, made.keepalive.timeout) == (1.5, 0.25)
    assert made.keepalive.min_ping_interval == 0.1
    assert made.message_timeout == 0.5
    assert (made.max_connection_age, made.max_connection_age_grace) == (60.0, 0.001)


def test_compression_costs_more_from_level_to_level():
    names = ("none", "low", "medium", "high")
    levels = [
        options(grpc_infer_response_compression_level=name).compression_level for name in names
    ]
    assert levels == [0, 1, 6, 9]


def test_reflection_is_told_each_file():
    names = [FileDescriptorProto.FromString(each).name for each in options().descriptors]
    assert "inference/service.proto" in names
    assert len(set(names)) == len(names) == 5


def test_restrictions_and_forwarding_are_made():
    made = options(
        grpc_restricted_protocol=("inference,health:key=secret", "logging:other=x"),
        grpc_header_forward_pattern="^x-",
    )
    assert made.access is not None
    assert made.forwarding is not None


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("inference", "inference: is not of the form API[,API...]:KEY=VALUE"),
        ("inference:key=", "inference:key=***: is not of the form API[,API...]:KEY=VALUE"),
        ("nothing:key=s3cret", "nothing:key=***: unknown restricted api 'nothing'"),
        (
            "trace:a b=s3cret",
            "trace:a b=***: 'triton-grpc-protocol-a b' is no name of a header",
        ),
        (
            "trace,trace:key=s3cret",
            "trace,trace:key=***: restricted api 'trace' can not be specified in multiple config"
            " groups",
        ),
    ],
)
def test_a_restriction_that_cannot_be_names_its_flag_and_no_secret(group: str, text: str):
    message = refusal(grpc_restricted_protocol=(group,))
    assert message == f"--grpc-restricted-protocol={text}"


def test_a_pattern_that_cannot_be_names_its_flag():
    assert refusal(grpc_header_forward_pattern="(").startswith("--grpc-header-forward-pattern=(: ")


def test_a_file_that_cannot_be_used_names_its_flag(tmp_path: Path):
    missing = str(tmp_path / "cert.pem")
    message = refusal(grpc_use_ssl=True, grpc_server_cert=missing, grpc_server_key=missing)
    assert message.startswith(f"--grpc-server-cert={missing}: ")
