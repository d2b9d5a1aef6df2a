"""Class 18: messages and calls of gRPC that lie, are cut off, given up, or without number."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from harness.grpc_calls import (
    ONE,
    SERVICE,
    UNLIMITED,
    behave,
    floats,
    messages,
    opened,
    parameter,
    request,
    stub,
)
from harness.http2 import Connection, data, message, reset
from harness.serve import Serve

FLAGS = ("--model-control-mode=explicit", "--load-model=*")
Code = grpc.StatusCode
INFER, STREAM = SERVICE + "ModelInfer", SERVICE + "ModelStreamInfer"
Input = messages.ModelInferRequest.InferInputTensor
Output = messages.ModelInferRequest.InferRequestedOutputTensor


@pytest.fixture
def channel(server: Serve) -> Iterator[grpc.Channel]:
    with opened(server.grpc_port) as made:
        yield made


def refused(channel: grpc.Channel, sent: Any) -> grpc.RpcError:
    """The error of a request, which a stream gives in band with the same text."""
    with pytest.raises(grpc.RpcError) as caught:
        stub(channel).ModelInfer(sent)
    error = caught.value
    (answer,) = stub(channel).ModelStreamInfer(iter([sent]))
    assert answer.error_message == error.details()
    return error


def tensor(shape: list[int], datatype: str = "FP32", **contents: Any) -> Any:
    """An input, with typed contents if there are any."""
    made = Input(name="INPUT0", datatype=datatype, shape=shape)
    if contents:
        made.contents.CopyFrom(messages.InferTensorContents(**contents))
    return made


def infer(*inputs: Any, raw: tuple[bytes, ...] = (), **fields: Any) -> Any:
    """A request of these inputs."""
    model = fields.pop("model_name", "identity_fp32")
    return messages.ModelInferRequest(
        model_name=model, inputs=inputs, raw_input_contents=raw, **fields
    )


FLOAT = struct.pack("<f", 1.0)
CONTENTS = {
    "fragments": infer(tensor([1, 2]), raw=(FLOAT, FLOAT)),
    "fragments of a byte": infer(tensor([1, 1]), raw=tuple(FLOAT[i : i + 1] for i in range(4))),
    "an empty fragment more": infer(tensor([1, 1]), raw=(FLOAT, b"")),
    "fewer than inputs": infer(tensor([1, 1]), tensor([1, 1]), raw=(FLOAT,)),
    "no contents": infer(tensor([1, 1])),
    "both kinds": infer(tensor([1, 1], fp32_contents=[1.0]), raw=(FLOAT,)),
    "one kind for each": infer(tensor([1, 1], fp32_contents=[1.0]), tensor([1, 1]), raw=(FLOAT,)),
    "contents of another type": infer(tensor([1, 1], int_contents=[1])),
    "contents of two types": infer(tensor([1, 1], int_contents=[1], fp32_contents=[1.0])),
    "too few contents": infer(tensor([1, 3], fp32_contents=[1.0])),
    "too many contents": infer(tensor([1, 1], fp32_contents=[1.0] * 1000)),
    "too few bytes": infer(tensor([1, 2]), raw=(FLOAT,)),
    "too many bytes": infer(tensor([1, 1]), raw=(FLOAT * 1000,)),
    "an input twice": infer(tensor([1, 1]), tensor([1, 1]), raw=(FLOAT, FLOAT)),
    "a negative shape": infer(tensor([1, -1]), raw=(FLOAT,)),
    "a shape of two negatives": infer(tensor([-1, -1]), raw=(FLOAT,)),
    "a shape that overflows": infer(tensor([1, 2**62, 4]), raw=(FLOAT,)),
    "a shape that overflows to nothing": infer(tensor([1, 2**32, 2**32]), raw=(b"",)),
    "a huge shape without data": infer(tensor([1, 2**40]), raw=(b"",)),
    "a shape of a million axes": infer(tensor([1] * 1_000_000), raw=(FLOAT,)),
    "no shape": infer(tensor([]), raw=(FLOAT,)),
    "no datatype": infer(tensor([1, 1], ""), raw=(FLOAT,)),
    "a datatype that is none": infer(tensor([1, 1], "FP33"), raw=(FLOAT,)),
    "no inputs": infer(),
    "contents without inputs": infer(raw=(FLOAT,) * 1000),
    "a hundred thousand inputs": infer(
        *(Input(name=f"I{i}", datatype="FP32", shape=[1, 1]) for i in range(100_000))
    ),
    "an output that is none": infer(
        tensor([1, 1]), raw=(FLOAT,), outputs=[Output(name=str(i)) for i in range(100_000)]
    ),
    "BYTES that end within a length": infer(
        tensor([1, 1], "BYTES"), raw=(b"\1\0\0",), model_name="identity_bytes"
    ),
    "BYTES of the largest length": infer(
        tensor([1, 1], "BYTES"), raw=(b"\xff\xff\xff\xffab",), model_name="identity_bytes"
    ),
    "BYTES with something behind": infer(
        tensor([1, 1], "BYTES"), raw=(b"\1\0\0\0ab",), model_name="identity_bytes"
    ),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_tensors_that_cannot_be(channel: grpc.Channel, what: str) -> None:
    error = refused(channel, CONTENTS[what])
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details()
    assert len(error.details()) < 10_000


@pytest.mark.parametrize(
    "parameters",
    [
        {"timeout": parameter("soon")},
        {"priority": parameter(-1)},
        {"sequence_start": parameter(1)},
        {"sequence_id": parameter(0.5)},
        {"triton_anything": parameter(True)},
        {"triton_enable_empty_final_response": parameter(1)},
        {"nothing": messages.InferParameter()},
    ],
    ids=lambda each: next(iter(each)),
)
def test_parameters_that_cannot_be(channel: grpc.Channel, parameters: dict[str, Any]) -> None:
    sent = request("identity_fp32", ONE)
    for name, value in parameters.items():
        sent.parameters[name].CopyFrom(value)
    assert refused(channel, sent).code() == Code.INVALID_ARGUMENT


def test_a_hundred_thousand_parameters(channel: grpc.Channel) -> None:
    many = {f"p{i}": i for i in range(100_000)}
    for _ in range(3):
        answer = stub(channel).ModelInfer(request("identity_fp32", ONE, parameters=many))
        assert floats(answer) == [1.0]


GOOD = request("identity_fp32", ONE, id="an id", parameters={"a": 1, "b": "c"}).SerializeToString()


def test_a_message_that_is_cut_off_at_any_byte(server: Serve) -> None:
    """All are answered, and the connection serves on."""
    with Connection(server.grpc_port, timeout=30) as connection:
        streams = range(1, 2 * len(GOOD), 2)
        for size, stream in enumerate(streams):
            connection.send(connection.calling(stream, INFER, GOOD[:size]))
        for stream in streams:
            assert connection.answer(stream).status is not None
        assert connection.serves(2 * len(GOOD) + 1)


def test_a_message_with_any_byte_changed(server: Serve) -> None:
    with Connection(server.grpc_port, timeout=30) as connection:
        for number in range(2 * len(GOOD)):
            at, value = divmod(number, 2)
            wrong = bytearray(GOOD)
            wrong[at] ^= (0xFF, 0x07)[value]
            stream = 2 * number + 1
            connection.send(connection.calling(stream, INFER, bytes(wrong)))
            assert connection.answer(stream).status is not None


NESTED = b"\x0b" * 5_000
VARINTS = b"\x80" * 20
ODD = {
    "groups in groups": NESTED,
    "the end of no group": b"\x0c",
    "a number of twenty bytes": b"\x08" + VARINTS,
    "a field of number 0": b"\x02\x00",
    "a length of 2^63": b"\x0a" + b"\xff" * 9 + b"\x7f",
    "a length beyond the message": b"\x3a\xff\xff\xff\x7fabc",
    "a million unknown fields": b"\xa0\x06\x01" * 1_000_000,
    "a model's name in a number": b"\x08\x01",
    "an input in an input": b"\x2a\x04\x2a\x02\x2a\x00",
}


@pytest.mark.parametrize("rpc", [INFER, STREAM, SERVICE + "ModelReady", SERVICE + "LogSettings"])
@pytest.mark.parametrize("what", ODD)
def test_messages_that_are_none(server: Serve, what: str, rpc: str) -> None:
    with Connection(server.grpc_port, timeout=30) as connection:
        connection.send(connection.opening(1, rpc))
        assert connection.upload(1, message(ODD[what]))
        assert connection.answer(1).status is not None
        assert connection.serves(3)


# Given up.


@pytest.mark.parametrize("rpc", [INFER, STREAM])
def test_a_call_that_is_given_up_at_each_of_its_bytes(server: Serve, rpc: str) -> None:
    """While it is sent, while it runs, and when it is answered."""
    with Connection(server.grpc_port, timeout=30) as connection:
        body, stream = message(GOOD), 1
        for size in range(len(body) + 1):
            connection.send(connection.opening(stream, rpc), data(stream, body[:size]))
            connection.send(reset(stream))
            connection.send(connection.calling(stream + 2, rpc, GOOD), reset(stream + 2))
            connection.send(connection.calling(stream + 4, INFER, GOOD))
            assert connection.answer(stream + 4).status == 0
            stream += 6


@pytest.mark.parametrize("behaviour", ["double", "sleep:0.001", "raise", "large:100000"])
def test_calls_that_are_given_up_while_they_run(server: Serve, behaviour: str) -> None:
    async def run() -> None:
        address = f"127.0.0.1:{server.grpc_port}"
        async with grpc.aio.insecure_channel(address, UNLIMITED) as channel:
            service = stub(channel)
            for turn in range(100):
                calls = [service.ModelInfer(behave(behaviour)) for _ in range(4)]
                for _ in range(turn % 7):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.parametrize("timeout", [1e-6, 1e-4, 1e-3])
def test_calls_whose_time_is_over_at_once(channel: grpc.Channel, timeout: float) -> None:
    service = stub(channel)
    calls = [service.ModelInfer.future(behave("double"), timeout=timeout) for _ in range(300)]
    assert {call.code() for call in calls} <= {Code.DEADLINE_EXCEEDED, Code.OK}


def test_streams_that_are_given_up_while_they_run(server: Serve) -> None:
    with Connection(server.grpc_port, timeout=30) as connection:
        for stream in range(1, 401, 2):
            connection.send(connection.opening(stream, STREAM))
            body = message(behave("sleep:0.001").SerializeToString())
            connection.send(data(stream, body * 3), reset(stream))
        assert connection.serves(1001)


def test_connections_that_end_while_calls_run(server: Serve) -> None:
    body = behave("sleep:0.001").SerializeToString()
    for _ in range(30):
        with Connection(server.grpc_port) as connection:
            for stream in range(1, 21, 2):
                connection.send(connection.calling(stream, INFER, body))


# What clients may not say.


def test_no_file_is_chosen_by_a_client(channel: grpc.Channel, tmp_path: Path) -> None:
    path = tmp_path / "chosen"
    service = stub(channel)
    log, trace = messages.LogSettingsRequest(), messages.TraceSettingRequest()
    log.settings["log_file"].string_param = str(path)
    trace.settings["trace_file"].value.append(str(path))
    with pytest.raises(grpc.RpcError):
        service.LogSettings(log)
    with pytest.raises(grpc.RpcError):
        service.TraceSetting(trace)
    assert service.ServerLive(messages.ServerLiveRequest()).live
    assert not path.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../identity_fp32", "x" * 10_000, "a\0b"])
def test_names_of_models_that_lead_elsewhere(channel: grpc.Channel, name: str) -> None:
    service = stub(channel)
    with pytest.raises(grpc.RpcError):
        service.RepositoryModelLoad(messages.RepositoryModelLoadRequest(model_name=name))
    ready = service.ServerReady(messages.ServerReadyRequest())
    assert ready.ready


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside", "1/../../outside", "1/a\0b"])
def test_files_of_a_load_stay_in_the_model(channel: grpc.Channel, path: str) -> None:
    sent = messages.RepositoryModelLoadRequest(model_name="identity_fp32")
    sent.parameters["config"].string_param = '{"backend": "identity_python"}'
    sent.parameters[f"file:{path}"].bytes_param = b"x"
    with pytest.raises(grpc.RpcError) as caught:
        stub(channel).RepositoryModelLoad(sent)
    assert caught.value.code() == Code.INVALID_ARGUMENT


def test_health_is_not_what_a_client_says(channel: grpc.Channel) -> None:
    """Fields of answers in a request, and names of services, change nothing."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"\x10\x02") == b"\x08\x01"
    with pytest.raises(grpc.RpcError):
        check(b"\x0a\x06../../")


def test_a_large_request_for_each_method_is_read_or_refused(channel: grpc.Channel) -> None:
    methods = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
    body = b"\x0a" + b"\x80\x80\x40" + bytes(1 << 20)  # a text of a mebibyte
    for method in methods:
        call = channel.unary_unary(SERVICE + method.name)
        try:
            assert isinstance(call(body, timeout=5), bytes), method.name
        except grpc.RpcError as error:
            assert error.code() != Code.DEADLINE_EXCEEDED, method.name  # noqa: PT017


def test_an_array_of_nothing_is_no_way_in(channel: grpc.Channel) -> None:
    answer = stub(channel).ModelInfer(request("plain_uint8", np.zeros(0, np.uint8)))
    assert answer.raw_output_contents[0] == b""
