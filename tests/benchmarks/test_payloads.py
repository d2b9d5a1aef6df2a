"""Requests of gRPC as h2load and the soak's raw clients send them."""

from __future__ import annotations

import struct

from payloads import PREFIX, grpc_payload, values
from soak_grpc import DATA, END_STREAM, FRAME_SIZE, PREFACE, request_bytes
from tritonclient.grpc import service_pb2


def test_a_payload_is_one_message_with_its_prefix() -> None:
    body = grpc_payload("some_model", 16).body
    assert struct.unpack(">BI", body[:PREFIX]) == (0, len(body) - PREFIX)
    request = service_pb2.ModelInferRequest.FromString(body[PREFIX:])
    assert request.model_name == "some_model"
    assert list(request.inputs[0].shape) == [16]
    assert list(struct.unpack("<16f", request.raw_input_contents[0])) == values(16)


def test_a_raw_connection_carries_the_body_in_frames_that_any_server_takes() -> None:
    body = bytes(range(256)) * 200
    text = request_bytes(body)
    assert text.startswith(PREFACE)
    at, carried, flags = len(PREFACE), b"", 0
    while at < len(text):
        size = int.from_bytes(text[at : at + 3], "big")
        assert size <= FRAME_SIZE
        kind, flags = text[at + 3], text[at + 4]
        carried += text[at + 9 : at + 9 + size] if kind == DATA else b""
        at += 9 + size
    assert carried == body
    assert flags == END_STREAM
