"""What ``Server.infer`` says to arguments that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import despina
from despina_sdk import Array, BackendError, Code, TensorSpec, batch_function


@batch_function(inputs=[TensorSpec("x", "FP32", (1,))], outputs=[TensorSpec("y", "FP32", (1,))])
def negate(x: Array) -> dict[str, Array]:
    if x[0, 0] < 0:
        raise BackendError(Code.INVALID_ARGUMENT, "no\0negative numbers")
    return {"y": -x}


@pytest.fixture(scope="module")
def server() -> Iterator[despina.Server]:
    with despina.Server(models={"negate": (negate, {"max_batch_size": 4})}) as running:
        yield running


ONE = np.ones((1, 1), np.float32)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"parameters": {"big": 2**63}}, "parameter 'big' is out of range for 'int'."),
        ({"parameters": {"list": [1]}}, "parameter 'list' has invalid type"),
        ({"parameters": {1: "x"}}, "the name of a parameter is not a text"),
        ({"parameters": {"half": "\ud800"}}, "parameter 'half' is not a text that UTF-8 can carry"),
        ({"timeout": -1.0}, "the timeout is not a number of seconds from 0 on"),
        ({"timeout": float("nan")}, "the timeout is not a number of seconds from 0 on"),
        ({"outputs": ["Z"]}, "unexpected inference output 'Z' for model 'negate'"),
        ({"inputs": {"Z": ONE}}, "unexpected inference input 'Z' for model 'negate'"),
        ({"inputs": {"x": ONE.astype(complex)}}, "no datatype carries arrays of complex128"),
        ({"inputs": {"x": np.ones((1,) * 17)}}, "has 17 axes, at most 16 fit"),
    ],
)
def test_an_argument_that_cannot_be_is_named(
    server: despina.Server, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(despina.DespinaError) as raised:
        server.infer("negate", **({"inputs": {"x": ONE}} | arguments))
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert text in raised.value.message


def test_parameters_of_every_kind_are_taken(server: despina.Server) -> None:
    parameters = {"text": "ä", "number": -(2**63), "flag": True, "part": 0.5}
    assert server.infer("negate", {"x": ONE}, parameters=parameters)["y"] == -1


def test_what_a_backend_raises_on_purpose_arrives_as_it_is(server: despina.Server) -> None:
    with pytest.raises(despina.DespinaError) as raised:
        server.infer("negate", {"x": -ONE})
    assert (raised.value.code, raised.value.message) == (
        Code.INVALID_ARGUMENT,
        "no\0negative numbers",
    )
