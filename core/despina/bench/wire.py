"""Requests as they go over the wire."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from despina.bench.model import Description
from despina.control.descriptors import message_class
from despina.errors import DespinaError
from despina_sdk import Array, Code

Headers = Sequence[tuple[str, str]]

MAX_MESSAGE_BYTES = (1 << 31) - 1
"""Of protobuf."""


def infer_body(
    model: Description, inputs: Mapping[str, Array], *, binary: bool, binary_answer: bool
) -> tuple[bytes, int | None]:
    """A body for ``infer``, and the size of its JSON part if tensors follow it.

    Args:
        model: that takes them.
        inputs: as ``make_inputs`` gives them.
        binary: tensors follow the JSON as they are; otherwise they are in it.
        binary_answer: asks for that of the outputs too.
    """
    tensors: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for spec in model.inputs:
        if spec.name not in inputs:
            continue
        array = inputs[spec.name]
        shape = list(array.shape)
        tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": shape}
        if binary:
            blobs.append(_bytes_of(array))
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = json_data(spec.name, spec.datatype, array)
        tensors.append(tensor)
    head: dict[str, Any] = {"inputs": tensors}
    if binary_answer:
        head["parameters"] = {"binary_data_output": True}
    text = json.dumps(head, separators=(",", ":")).encode()
    return text + b"".join(blobs), len(text) if binary else None


def infer_message(model: Description, version: str, inputs: Mapping[str, Array]) -> bytes:
    """A ``ModelInferRequest``, with tensors as they are.

    Args:
        model: that takes them.
        version: empty for the latest.
        inputs: as ``make_inputs`` gives them.

    Raises:
        DespinaError: INVALID_ARGUMENT: they are too large for one message.
    """
    message = message_class("ModelInferRequest")(model_name=model.name, model_version=version)
    for spec in model.inputs:
        if spec.name in inputs:
            array = inputs[spec.name]
            message.inputs.add(name=spec.name, datatype=spec.datatype, shape=array.shape)
            message.raw_input_contents.append(_bytes_of(array))
    if (size := message.ByteSize()) > MAX_MESSAGE_BYTES:
        text = f"a message of gRPC has {MAX_MESSAGE_BYTES} bytes at most, this would be {size}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    return bytes(message.SerializeToString())


def generate_body(model: Description, inputs: Mapping[str, Array]) -> bytes:
    """A body for ``generate_stream``: a flat object."""
    fields = {
        spec.name: json_data(spec.name, spec.datatype, inputs[spec.name], nested=True)
        for spec in model.inputs
        if spec.name in inputs
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def json_data(name: str, datatype: str, array: Array, *, nested: bool = False) -> Any:
    """The elements for JSON.

    Raises:
        DespinaError: INVALID_ARGUMENT: JSON cannot carry them.
    """
    values = array if nested else array.reshape(-1)
    if datatype == "BF16":
        raise DespinaError(Code.INVALID_ARGUMENT, f"input '{name}': JSON has no form for BF16")
    if datatype != "BYTES":
        return values.tolist()
    try:
        texts = np.vectorize(lambda element: element.decode(), otypes=[np.object_])(values)
    except UnicodeDecodeError as error:
        text = f"input '{name}': JSON cannot carry bytes that are not UTF-8"
        raise DespinaError(Code.INVALID_ARGUMENT, text) from error
    return texts.tolist()


def _bytes_of(array: Array) -> bytes:
    if array.dtype == np.object_:
        return b"".join(struct.pack("<I", len(each)) + each for each in array.reshape(-1))
    return array.tobytes()


def http_request(host: str, path: str, body: bytes, headers: Headers) -> bytes:
    """Head and body of a POST.

    Args:
        host: as a URL has it, with the port.
        path: of the route.
        body: of any size.
        headers: besides those that each request needs.
    """
    fields = [("Host", host), *headers, ("Content-Length", str(len(body)))]
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode() + body
