"""Clients of a soak that speak gRPC: streams, decoupled answers, calls that are given up."""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter

import grpc
from payloads import INFER, grpc_payload
from tritonclient.grpc import service_pb2, service_pb2_grpc

REQUESTS_OF_STREAM = 100
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4
FRAME_SIZE = 16384
TIMEOUT = 60.0
"""Seconds that no call may take."""


class GrpcClients:
    """What threads do again and again over one channel. Each raises if an answer is not right."""

    def __init__(self, port: int, counts: Counter[str]) -> None:
        self.port = port
        self.counts = counts
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def stream(self) -> None:
        """Sends requests on one stream, and finds every answer among those that come."""
        sent = {str(number): number.to_bytes(4, "little") for number in range(REQUESTS_OF_STREAM)}
        requests = [identity_request("native", key, data) for key, data in sent.items()]
        for answer in self.stub.ModelStreamInfer(iter(requests), timeout=TIMEOUT):
            if answer.error_message:
                raise RuntimeError(f"an error on a stream: {answer.error_message}")
            response = answer.infer_response
            if response.raw_output_contents[0] != sent.pop(response.id):
                raise RuntimeError("an answer on a stream is not what was sent")
        if sent:
            raise RuntimeError(f"a stream lost {len(sent)} answers")
        self.counts["requests on streams"] += REQUESTS_OF_STREAM

    def decoupled(self) -> None:
        """One request whose answers come in parts."""
        count = 50
        call = self.stub.ModelStreamInfer(iter([repeat_request(count, 0)]), timeout=TIMEOUT)
        received = [
            struct.unpack("<i", answer.infer_response.raw_output_contents[0])[0] for answer in call
        ]
        if received != list(range(count)):
            raise RuntimeError(f"decoupled answers {received}")
        self.counts["decoupled answers"] += count

    def give_up(self, chance: random.Random) -> None:
        """Cancels a stream in the middle of its answers, or a call that has its answer or not."""
        if chance.random() < 0.5:
            call = self.stub.ModelStreamInfer(iter([repeat_request(1000, 1)]), timeout=TIMEOUT)
            for _ in range(chance.randrange(1, 5)):
                next(call)
        else:
            request = identity_request("native", "", bytes(4 * 150528))
            call = self.stub.ModelInfer.future(request, timeout=TIMEOUT)
        call.cancel()
        if call.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.OK):
            raise RuntimeError(f"a cancelled call ended with {call.code()}: {call.details()}")
        self.counts["cancelled calls"] += 1

    def vanish(self, chance: random.Random) -> None:
        """Sends a request, or the beginning of one, and leaves; every other time with a reset."""
        whole = request_bytes(grpc_payload("native", chance.choice([16, 150528])).body)
        size = chance.choice([len(whole), chance.randrange(len(whole)), chance.randrange(200)])
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            if chance.random() < 0.5:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(whole[:size])
        self.counts["gRPC clients that vanished"] += 1


def identity_request(model: str, key: str, data: bytes) -> service_pb2.ModelInferRequest:
    """FP32 elements for an identity, under an id."""
    request = service_pb2.ModelInferRequest(model_name=model, id=key)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[len(data) // 4])
    request.raw_input_contents.append(data)
    return request


def repeat_request(count: int, delay_ms: int) -> service_pb2.ModelInferRequest:
    """So many answers, so far apart."""
    request = service_pb2.ModelInferRequest(model_name="repeat")
    numbers = ("IN", "INT32", range(count)), ("DELAY", "UINT32", [delay_ms] * count)
    for name, datatype, contents in (*numbers, ("WAIT", "UINT32", [0])):
        request.inputs.add(name=name, datatype=datatype, shape=[len(contents)])
        request.raw_input_contents.append(struct.pack(f"<{len(contents)}i", *contents))
    return request


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    head = struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream)
    return head + content


def request_bytes(body: bytes) -> bytes:
    """A whole connection with one request, for as long as the peer's windows are not looked at."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": INFER,
        ":authority": "soak",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    # Literal fields that are in no table (RFC 7541, 6.2.2), all shorter than 127 bytes.
    block = b"".join(
        b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field)
        for field in fields.items()
    )
    pieces = [body[at : at + FRAME_SIZE] for at in range(0, len(body), FRAME_SIZE)]
    frames = [frame(SETTINGS, 0, 0), frame(HEADERS, END_HEADERS, 1, block)]
    frames += [frame(DATA, 0, 1, piece) for piece in pieces[:-1]]
    return PREFACE + b"".join([*frames, frame(DATA, END_STREAM, 1, pieces[-1])])
