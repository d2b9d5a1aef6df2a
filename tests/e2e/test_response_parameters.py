"""Custom parameters of an answer: from the backend to the client."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from despina_fixtures.behaviour import BAD_PARAMETERS, PARAMETERS
from harness.answering import backend
from harness.raw_http import Answer, Connection, json_infer
from harness.serve import Serve

from despina import Server
from despina_sdk import BackendError, Batch, Code

X: dict[str, Any] = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}


def ask(server: Serve, behaviour: str, **members: Any) -> Answer:
    document = {"inputs": [X], "parameters": {"behaviour": behaviour}, **members}
    with Connection(server.port) as connection:
        return connection.exchange(json_infer("behaviour", document))


def test_they_are_in_the_answer(server: Serve) -> None:
    answer = ask(server, "parameters")
    assert answer.json["parameters"] == PARAMETERS
    assert answer.json["outputs"][0]["data"] == X["data"]


def test_they_are_in_an_answer_with_binary_tensors(server: Serve) -> None:
    outputs = [{"name": "Y", "parameters": {"binary_data": True}}]
    answer = ask(server, "parameters", outputs=outputs)
    size = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.body[:size])["parameters"] == PARAMETERS
    assert np.frombuffer(answer.body[size:], np.float32).tolist() == X["data"]


def test_an_answer_without_any_says_nothing_of_them(server: Serve) -> None:
    assert "parameters" not in ask(server, "double").json


REFUSED = {
    "list": "parameter 'bad' has invalid type. It should be either 'int', 'bool', 'float' or",
    "none": "parameter 'bad' has invalid type",
    "numpy": "parameter 'bad' has invalid type",
    "large": "parameter 'bad' is out of range for 'int'.",
    "text": "parameter 'bad' is not a text that UTF-8 can carry",
    "name": "the name of a parameter is not a text that UTF-8 can carry",
}


@pytest.mark.parametrize("what", BAD_PARAMETERS)
def test_a_refused_one_leaves_the_request_as_it_was(server: Serve, what: str) -> None:
    """The backend then answers without outputs: nothing of what was refused is in the answer."""
    answer = ask(server, f"bad_parameter:{what}").json
    assert list(answer["parameters"]) == ["refused"]
    text = "an answer of model 'behaviour': " + REFUSED[what]
    assert answer["parameters"]["refused"].startswith(text)
    assert answer["outputs"] == []


ROW = np.ones((1, 3), np.float32)
TWO_ROWS = np.ones((2, 3), np.float32)
WRONG: dict[str, tuple[Any, str]] = {
    "an unknown output": (lambda: ({"Y": ROW, "W": ROW}, None), "no output 'W'"),
    "a wrong shape": (lambda: ({"Y": ROW, "Z": TWO_ROWS}, {"good": 1}), "the batch has 1 rows"),
    "a wrong datatype": (lambda: ({"Y": ROW, "Z": ROW.astype(int)}, None), "'Z' .* is INT64"),
    "a wrong parameter": (lambda: ({"Y": ROW}, {"good": 1, "bad": ()}), "parameter 'bad'"),
    "parameters that are no mapping": (lambda: ({"Y": ROW}, [("a", 1)]), "items"),
    "a mapping without pairs": (lambda: ({"Y": ROW}, NoPairs()), "gives pairs"),
}


class NoPairs(dict[str, int]):
    def items(self) -> Any:
        return [1]


@pytest.mark.parametrize("detached", [False, True], ids=["in the batch", "detached"])
@pytest.mark.parametrize("how", ["complete", "send"])
@pytest.mark.parametrize("what", WRONG)
def test_of_a_refused_answer_nothing_is_left(what: str, how: str, detached: bool) -> None:
    make, text = WRONG[what]

    def execute(batch: Batch) -> None:
        request = batch.requests[0].detach() if detached else batch.requests[0]
        outputs, parameters = make()
        with pytest.raises((BackendError, TypeError, AttributeError), match=text):
            getattr(request, how)(outputs, parameters)
        request.complete({})

    config = {"model_transaction_policy": {"decoupled": how == "send"}}
    with Server(models={"m": (backend(execute), config)}) as server:
        assert list(server.stream("m", {"X": ROW})) == []


@pytest.mark.parametrize("how", ["send", "batch send", "detached send"])
def test_of_a_part_that_may_not_be_sent_nothing_is_left(how: str) -> None:
    """The model is not decoupled."""

    def execute(batch: Batch) -> None:
        request: Any = batch.requests[0]
        if how == "detached send":
            request = request.detach()
        with pytest.raises(BackendError, match="is not decoupled") as caught:
            (batch if how == "batch send" else request).send({"Y": ROW})
        assert caught.value.code is Code.FAILED_PRECONDITION
        request.complete({})

    with Server(models={"m": backend(execute)}) as server:
        assert server.infer("m", {"X": ROW}) == {}


@pytest.mark.parametrize("how", ["scatter", "send"])
def test_of_a_refused_scatter_nothing_is_left(how: str) -> None:
    """The first output fits, the second does not."""

    def execute(batch: Batch) -> None:
        with pytest.raises(BackendError, match="'Z' .* but the batch has 1 rows"):
            getattr(batch, how)({"Y": ROW, "Z": TWO_ROWS})
        batch.scatter({})

    config = {"model_transaction_policy": {"decoupled": how == "send"}}
    with Server(models={"m": (backend(execute), config)}) as server:
        assert list(server.stream("m", {"X": ROW})) == []


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((), {}), (({}, None, None), {}), (({},), {"outputs": {}}), (({},), {"parameter": {}})],
)
def test_an_answer_has_outputs_and_parameters_and_nothing_else(
    arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    def execute(batch: Batch) -> None:
        request = batch.requests[0]
        with pytest.raises(TypeError, match="an answer has outputs and, if there are any, param"):
            request.complete(*arguments, **keywords)
        request.complete(outputs={"Y": ROW}, parameters={"a": 1})

    with Server(models={"m": backend(execute)}) as server:
        assert np.array_equal(server.infer("m", {"X": ROW})["Y"], ROW)


def test_a_number_that_json_lacks_fails_the_request_over_http(server: Serve) -> None:
    answer = ask(server, "nan_parameter")
    assert answer.status == 500
    assert answer.json["error"] == "response parameter 'nan' is not finite, which JSON lacks"
