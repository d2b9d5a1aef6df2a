"""Request bodies of the v2 protocol, as a client would send them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

from tritonclient.grpc import service_pb2

MODEL = "identity_fp32"
INFER = "/inference.GRPCInferenceService/ModelInfer"
PREFIX = 5
"""Bytes before a message of gRPC: whether it is compressed, and its length."""


@dataclass(frozen=True)
class Payload:
    """A body, and where its JSON part ends if tensors follow it."""

    body: bytes
    json_size: int | None
    grpc: bool = False
    """Whether the body is a message of gRPC, its prefix included."""


def json_payload(elements: int) -> Payload:
    """One FP32 input of so many elements, as JSON."""
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [elements]}
    body = json.dumps({"inputs": [tensor | {"data": values(elements)}]}, separators=(",", ":"))
    return Payload(body.encode(), None)


def binary_payload(elements: int) -> Payload:
    """One FP32 input of so many elements, input and output in the binary form."""
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [elements]}
    head = json.dumps(
        {
            "inputs": [tensor | {"parameters": {"binary_data_size": 4 * elements}}],
            "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}],
        },
        separators=(",", ":"),
    ).encode()
    return Payload(head + struct.pack(f"<{elements}f", *values(elements)), len(head))


def grpc_payload(model: str, elements: int) -> Payload:
    """A ModelInferRequest with one FP32 input of so many elements, as raw contents."""
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[elements])
    request.raw_input_contents.append(struct.pack(f"<{elements}f", *values(elements)))
    message = request.SerializeToString()
    return Payload(struct.pack(">BI", 0, len(message)) + message, None, grpc=True)


def values(elements: int) -> list[float]:
    """Figures with a fraction, so that JSON has something to print."""
    return [i % 997 * 0.25 + 0.125 for i in range(elements)]


PAYLOADS = {
    "empty": Payload(b"", None),
    "binary/16": binary_payload(16),
    "json/16": json_payload(16),
    "binary/150528": binary_payload(150528),
    "json/150528": json_payload(150528),
    "grpc/16": grpc_payload(MODEL, 16),
    "grpc/150528": grpc_payload(MODEL, 150528),
}
"""By the names that rows carry: form and number of FP32 elements, or `empty` for a GET of
`/v2/health/live`, which costs what every request costs."""
