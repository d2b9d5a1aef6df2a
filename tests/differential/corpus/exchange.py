"""One request, and short ways to write one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True)
class Exchange:
    """One request.

    Attributes:
        name: unlike any other's.
        headers: besides Host and Content-Length; the latter is left out of a chunked request.
        of_metrics: sent to the port of the metrics.
        comes_late: the answer tells of requests before; Triton counts them once they are answered.
    """

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    of_metrics: bool = False
    comes_late: bool = False


def get(name: str, path: str) -> Exchange:
    """A GET."""
    return Exchange(name, "GET", path)


def post(name: str, path: str, document: Json = b"", **headers: str) -> Exchange:
    """A POST; what is not bytes is sent as JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    fields = {key.replace("_", "-"): value for key, value in headers.items()}
    return Exchange(name, "POST", path, body, fields)


def infer(name: str, model: str, document: Json, **headers: str) -> Exchange:
    """An inference request of JSON."""
    return post(f"infer {name}", f"/v2/models/{model}/infer", document, **headers)


def given(name: str, datatype: str, shape: Json, data: Json = None, **more: Json) -> Json:
    """One input."""
    filled = {} if data is None else {"data": data}
    return {"name": name, "datatype": datatype, "shape": shape, **filled, **more}


def without(value: Mapping[str, Json], name: str) -> Json:
    """The object but for a member."""
    return {key: each for key, each in value.items() if key != name}


def one(value: float) -> Json:
    """A request of one number."""
    return {"inputs": [given("INPUT0", "FP32", [1], [value])]}


GOOD = {"inputs": [given("INPUT0", "FP32", [3], [1.5, -2, 3])]}
