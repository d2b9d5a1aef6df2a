"""Answers of both servers over gRPC, and when two of them count as alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from answers import normalised, says_as_much
from corpus.calls import RpcExchange
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2 as pb

ANSWER_SECONDS = 30
SERVICE = "/inference.GRPCInferenceService/"


@dataclass(frozen=True)
class RpcAnswer:
    """What counts of an answer.

    Attributes:
        code: of gRPC.
        text: of the status.
        messages: as JSON; what is raw in them is bytes in base64.
    """

    code: str
    text: str
    messages: tuple[Any, ...]


def alike(ours: RpcAnswer, theirs: RpcAnswer) -> bool:
    """Whether the difference, if any, is one of those that hold for every call."""
    return (
        ours.code == theirs.code
        and texts_alike(ours.text, theirs.text)
        and len(ours.messages) == len(theirs.messages)
        and all(map(messages_alike, ours.messages, theirs.messages))
    )


def texts_alike(ours: str, theirs: str) -> bool:
    """Ours begins with Triton's, but for what its library says of a number that is none."""
    return ours == theirs or says_as_much(ours, theirs.replace(" (details: stol)", ""))


def messages_alike(ours: Any, theirs: Any) -> bool:
    """The same, or errors in band of which ours begins with Triton's."""
    text, other = ours.get("error_message"), theirs.get("error_message")
    if not text or not other:
        return bool(ours == theirs)
    rest = {key: each for key, each in ours.items() if key != "error_message"}
    others = {key: each for key, each in theirs.items() if key != "error_message"}
    return rest == others and texts_alike(text, other)


def ask(channel: grpc.Channel, exchange: RpcExchange) -> RpcAnswer:
    """Makes a call and reads all that comes."""
    methods = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    kind = getattr(pb, f"{exchange.method}Response", pb.ServerLiveResponse)
    assert exchange.method in methods or exchange.method == "Nothing"
    call = channel.stream_stream(
        SERVICE + exchange.method,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=kind.FromString,
    )(iter(exchange.messages), timeout=ANSWER_SECONDS, metadata=exchange.metadata)
    found = []
    try:
        found += [normalised(readable(each)) for each in call]
    except grpc.RpcError as error:
        return RpcAnswer(error.code().name, error.details() or "", tuple(found))
    return RpcAnswer("OK", "", tuple(found))


def readable(message: Any) -> Any:
    """A message as JSON, with all its fields by their names in the protocol."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
