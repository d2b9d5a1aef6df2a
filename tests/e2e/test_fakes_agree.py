"""The fakes of the author's kit say what the engine says, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.answering import backend
from harness.dlpack import COMPLEX, Lender, Passing

from despina import Server
from despina_sdk import BackendError, Batch, Capability, ModelSpec, TensorSpec
from despina_sdk.testing import FakeBatch, FakeRequest

ROW = np.ones((1, 3), np.float32)
Use = Callable[[Batch], Any]
Said = tuple[str, str] | None


class Rude:
    """Raises where it is to become an array."""

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise LookupError("there is nothing here")


class Answering:
    """Answers the request that it is the answer to."""

    def __init__(self, request: Any) -> None:
        self.request = request

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        self.request.complete({})
        return ROW


def engine(use: Use, datatype: str = "FP32", **settings: Any) -> Said:
    """What the engine says to a use of a batch: the code and the text."""
    said: list[Said] = []

    def execute(batch: Batch) -> None:
        said.append(said_to(use, batch))

    kind = backend(execute, datatype)
    kind.capabilities = settings.get("capabilities", kind.capabilities)
    config = {"model_transaction_policy": {"decoupled": settings.get("decoupled", False)}}
    with Server(models={"m": (kind, config)}) as server:
        parts = server.stream("m", {"X": sent_as(datatype)}, request_id="a", parameters={"p": 1})
        try:
            list(parts)
        except Exception:
            assert said, "the request came to nothing before the backend saw it"
    (each,) = said
    return each


def fake(use: Use, datatype: str = "FP32", **settings: Any) -> Said:
    """What the fakes say to it."""
    kind = backend(lambda batch: None, datatype)
    settings = {"capabilities": kind.capabilities, **settings}
    signature = kind({}).load(ModelSpec("m", "1", None)).signature  # type: ignore[arg-type]
    request = FakeRequest(
        {"X": sent_as(datatype)}, "a", {"p": 1}, signature=signature, model="m", **settings
    )
    return said_to(use, FakeBatch([request]))


def sent_as(datatype: str) -> np.ndarray:
    dtype = TensorSpec("X", datatype, ()).dtype
    return np.full((1, 3), b"a", object) if dtype.hasobject else ROW.astype(dtype)


def said_to(use: Use, batch: Batch) -> Said:
    try:
        use(batch)
    except BackendError as error:
        return error.code.name, error.message
    except Exception as error:
        return type(error).__name__, str(error)
    return None


OUTPUTS: dict[str, Callable[[], dict[str, Any]]] = {
    "what fits": lambda: {"Y": ROW},
    "an unknown output": lambda: {"Y": ROW, "W": ROW},
    "too many rows": lambda: {"Y": np.ones((2, 3), np.float32)},
    "no axis for rows": lambda: {"Y": np.float32(1)},
    "another datatype": lambda: {"Y": ROW, "Z": ROW.astype(np.float64)},
    "another datatype and rows": lambda: {"Y": np.ones((2, 3), np.int8)},
    "swapped bytes": lambda: {"Y": ROW.astype(">f4")},
    "complex numbers": lambda: {"Y": ROW.astype(complex)},
    "dates": lambda: {"Y": np.zeros((1, 3), "M8[s]")},
    "a list": lambda: {"Y": [[1, 2, 3]]},
    "a ragged list": lambda: {"Y": [[1], [1, 2]]},
    "a text": lambda: {"Y": "text"},
    "None": lambda: {"Y": None},
    "an exception": lambda: {"Y": Rude()},
    "memory of uint16": lambda: {"Y": memoryview(ROW.astype(np.uint16))},
    "DLPack that fits": lambda: {"Y": Passing(ROW)},
    "DLPack of uint16": lambda: {"Y": Passing(ROW.astype(np.uint16))},
    "DLPack on cuda": lambda: {"Y": Lender(ROW, device=(2, 1))},
    "DLPack on something": lambda: {"Y": Lender(ROW, device=(14, 3))},
    "DLPack nowhere": lambda: {"Y": Lender(ROW, device="cpu")},
}


@pytest.mark.parametrize("how", ["complete", "send", "scatter", "batch send", "detached"])
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_outputs_are_refused_with_the_same_text(outputs: str, how: str) -> None:
    def use(batch: Batch) -> None:
        request = batch.requests[0]
        answer = {
            "complete": request.complete,
            "send": request.send,
            "scatter": batch.scatter,
            "batch send": batch.send,
            "detached": lambda outputs: request.detach().complete(outputs),
        }[how]
        answer(OUTPUTS[outputs]())

    said = engine(use, decoupled=True)
    assert fake(use, decoupled=True) == said
    assert (said is None) == (outputs in ("what fits", "swapped bytes", "DLPack that fits"))


def test_elements_of_complex_tensors_are_refused_by_both() -> None:
    """numpy, which takes them over for the fakes, has its own words."""

    def use(batch: Batch) -> None:
        batch.scatter({"Y": Lender(ROW, COMPLEX)})

    for said in (engine(use), fake(use)):
        assert said is not None
        assert said[1].startswith("output 'Y' of model 'm': ")


STRINGS: dict[str, Any] = {
    "bytes": [[b"a"]],
    "text": np.array([["a"]]),
    "numbers": np.array([[1]], object),
    "numbers of numpy": np.array([[1]]),
    "half a character": np.array([["\ud800"]], object),
    "nothing": np.array([[None]], object),
}


@pytest.mark.parametrize("what", STRINGS)
def test_strings_are_refused_with_the_same_text(what: str) -> None:
    def use(batch: Batch) -> None:
        batch.scatter({"Y": STRINGS[what]})

    said = engine(use, "BYTES")
    assert fake(use, "BYTES") == said
    assert (said is None) == (what in ("bytes", "text"))


def test_bfloat16_stands_for_uint16_in_arrays_of_numpy_alone() -> None:
    bits = ROW.astype(np.uint16)
    for tensor, fits in ((bits, True), (Passing(bits), False)):
        said = engine(lambda batch, t=tensor: batch.scatter({"Y": t}), "BF16")
        assert fake(lambda batch, t=tensor: batch.scatter({"Y": t}), "BF16") == said
        assert (said is None) == fits


def test_bfloat16_of_torch_is_what_it_is() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tensor = torch.ones((1, 3), dtype=torch.bfloat16)
    for datatype in ("BF16", "UINT16"):
        said = engine(lambda batch: batch.scatter({"Y": tensor}), datatype)
        assert fake(lambda batch: batch.scatter({"Y": tensor}), datatype) == said
        assert (said is None) == (datatype == "BF16")


PARAMETERS: dict[str, Any] = {
    "what fits": {"a": 1, "b": True, "c": 0.5, "d": "ä"},
    "a list": {"a": [1]},
    "None": {"a": None},
    "a number of numpy": {"a": np.int64(1)},
    "a large number": {"a": 2**63},
    "a small number": {"a": -(2**63) - 1},
    "half a character": {"a": "\ud800"},
    "a name that is a number": {7: 1},
    "a name of half a character": {"\ud800": 1},
    "no mapping": [("a", 1)],
}


@pytest.mark.parametrize("how", ["complete", "send", "detached"])
@pytest.mark.parametrize("what", PARAMETERS)
def test_parameters_are_refused_with_the_same_text(what: str, how: str) -> None:
    def use(batch: Batch) -> None:
        request: Any = batch.requests[0]
        if how == "detached":
            request = request.detach()
        (request.send if how == "send" else request.complete)({"Y": ROW}, PARAMETERS[what])

    said = engine(use, decoupled=True)
    assert fake(use, decoupled=True) == said
    assert (said is None) == (what == "what fits")


def twice(first: Use, second: Use) -> Use:
    def use(batch: Batch) -> None:
        first(batch)
        second(batch)

    return use


def complete(batch: Batch) -> None:
    batch.requests[0].complete({})


def detach(batch: Batch) -> Any:
    return batch.requests[0].detach()


USES: dict[str, Use] = {
    "an unknown input": lambda batch: batch.gather("W"),
    "inputs": lambda batch: batch.requests[0].inputs,
    "parameters": lambda batch: batch.requests[0].parameters,
    "inputs after the answer": twice(complete, lambda batch: batch.requests[0].inputs),
    "inputs after detaching": twice(detach, lambda batch: batch.requests[0].inputs),
    "inputs that were looked at": twice(
        lambda batch: batch.requests[0].inputs,
        twice(complete, lambda batch: batch.requests[0].inputs),
    ),
    "parameters after the answer": twice(complete, lambda batch: batch.requests[0].parameters),
    "parameters after detaching": twice(detach, lambda batch: batch.requests[0].parameters),
    "an answer after the answer": twice(complete, complete),
    "a part after the answer": twice(complete, lambda batch: batch.requests[0].send({})),
    "an error after the answer": twice(complete, lambda b: b.requests[0].fail(ValueError())),
    "detaching after the answer": twice(complete, detach),
    "detaching twice": twice(detach, detach),
    "an answer after detaching": twice(detach, complete),
    "no exception": lambda batch: batch.requests[0].fail("text"),  # type: ignore[arg-type]
    "an answer within the answer": lambda batch: batch.requests[0].complete(
        {"Y": Answering(batch.requests[0])}
    ),
}


@pytest.mark.parametrize("what", USES)
def test_uses_are_refused_with_the_same_text(what: str) -> None:
    said = engine(USES[what], decoupled=True)
    assert fake(USES[what], decoupled=True) == said
    assert (said is None) == (what in ("inputs", "parameters", "inputs that were looked at"))


NOT_ALLOWED: dict[str, tuple[Use, dict[str, Any]]] = {
    "send, not declared": (
        lambda batch: batch.requests[0].send({}),
        {"capabilities": Capability.ASYNC, "decoupled": True},
    ),
    "batch send, not declared": (
        lambda batch: batch.send({}),
        {"capabilities": Capability.NONE, "decoupled": True},
    ),
    "detach, not declared": (detach, {"capabilities": Capability.STREAMING}),
    "send, not decoupled": (lambda batch: batch.requests[0].send({}), {"decoupled": False}),
    "batch send, not decoupled": (lambda batch: batch.send({}), {"decoupled": False}),
}


@pytest.mark.parametrize("what", NOT_ALLOWED)
def test_what_is_not_declared_is_refused_with_the_same_text(what: str) -> None:
    use, settings = NOT_ALLOWED[what]
    said = engine(use, **settings)
    assert said is not None
    assert fake(use, **settings) == said


LATE: dict[str, Use] = {
    "requests": lambda batch: batch.requests,
    "rows": lambda batch: batch.rows,
    "gather": lambda batch: batch.gather("X"),
    "scatter": lambda batch: batch.scatter({}),
    "send": lambda batch: batch.send({}),
}


@pytest.mark.parametrize("what", LATE)
def test_a_batch_that_has_ended_is_refused_with_the_same_text(what: str) -> None:
    kept: list[Batch] = []
    with Server(models={"m": backend(lambda b: (kept.append(b), b.scatter({}))[1])}) as server:
        server.infer("m", {"X": ROW})
    fakes = FakeBatch([FakeRequest({"X": ROW}, capabilities=Capability.STREAMING)])
    fakes.end()
    assert said_to(LATE[what], fakes) == said_to(LATE[what], kept[0])
