"""Backends that each break one promise of the contract, under the conformance tests.

Not collected by itself: ``test_conformance_catches.py`` runs it, and looks at what fails.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from despina_sdk import (
    Array,
    Backend,
    BackendError,
    Batch,
    Capability,
    Code,
    DetachedRequest,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Request,
    Signature,
    TensorSpec,
)
from despina_sdk.testing.conformance import BackendConformance

NEGATIVE = BackendError(Code.INVALID_ARGUMENT, "negative")
LOST: list[Any] = []
"""What leaks leak into."""


def doubled(request: DetachedRequest) -> dict[str, Array]:
    return {"Y": 2 * request.inputs["X"]}


class Doubles(Instance):
    """The good one: each broken one is it but for one thing."""

    def __init__(self, model: DoublesModel) -> None:
        self.model = model

    def execute(self, batch: Batch) -> None:
        for request in batch.requests:
            self.answer(request)

    def answer(self, request: Request) -> None:
        request.complete(doubled(request))


class DoublesModel(Model):
    signature = Signature(
        (TensorSpec("X", "FP32", (2,)), TensorSpec("TEXT", "BYTES", (1,))),
        (TensorSpec("Y", "FP32", (2,)),),
    )
    instance_class: type[Doubles] = Doubles

    def instance(self, placement: Placement) -> Instance:
        return self.instance_class(self)


class DoublesBackend(Backend):
    name = "broken"
    model_class: type[DoublesModel] = DoublesModel
    instance_class: type[Doubles] = Doubles

    def load(self, spec: ModelSpec) -> Model:
        model = self.model_class()
        model.instance_class = self.instance_class
        return model


class Suite(BackendConformance):
    time_limit: ClassVar[float] = 5.0
    cycles: ClassVar[int] = 5

    @pytest.fixture
    def spec(self) -> ModelSpec:
        config = {"model_transaction_policy": {"decoupled": True}}
        return ModelSpec("broken", "1", Path("broken/1"), 8, config=config)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        text = np.array([[b"mug"]], object)
        return {"X": np.array([[1, 2]], np.float32), "TEXT": text}


Part = type[Doubles] | type[DoublesModel] | type[DoublesBackend]


def case(
    capabilities: Capability = Capability(0),  # noqa: B008 - a constant
    **quirks: Any,
) -> Callable[[Part], Part]:
    """Makes a backend with this part, and a class of tests for it."""

    def wrap(part: Part) -> Part:
        roles = {Doubles: "instance_class", DoublesModel: "model_class"}
        role = next((name for base, name in roles.items() if issubclass(part, base)), None)
        bases = (DoublesBackend,) if role else (part,)
        members = {role: part} if role else {}
        backend = type(part.__name__, bases, {**members, "capabilities": capabilities})
        suite = type(f"Test{part.__name__}", (Suite,), {"backend_class": backend, **quirks})
        globals()[suite.__name__] = suite
        return part

    return wrap


# ---- answers


@case()
class AnswersTwice(Doubles):
    def answer(self, request: Request) -> None:
        request.complete(doubled(request))
        request.complete(doubled(request))


@case()
class NeverAnswers(Doubles):
    def execute(self, batch: Batch) -> None:
        pass


@case()
class GivesTooManyRows(Doubles):
    def answer(self, request: Request) -> None:
        request.complete({"Y": np.concatenate([request.inputs["X"]] * 2)})


@case()
class GivesAWrongDatatype(Doubles):
    def answer(self, request: Request) -> None:
        request.complete({"Y": doubled(request)["Y"].astype(np.float64)})


@case()
class GivesAWrongShape(Doubles):
    def answer(self, request: Request) -> None:
        request.complete({"Y": doubled(request)["Y"][:, :1]})


@case()
class NamesAnUndeclaredOutput(Doubles):
    def answer(self, request: Request) -> None:
        request.complete({"Z": doubled(request)["Y"]})


@case()
class WritesToItsInput(Doubles):
    def answer(self, request: Request) -> None:
        x = request.inputs["X"]
        x *= 2
        request.complete({"Y": x})


@case()
class ForcesItsWayIntoItsInput(Doubles):
    def answer(self, request: Request) -> None:
        x = request.inputs["X"]
        x.flags.writeable = True
        x += 1
        request.complete({"Y": 2 * (x - 1)})


@case()
class KeepsItsBatch(Doubles):
    kept: Batch | None = None

    def execute(self, batch: Batch) -> None:
        try:
            if self.kept is not None:
                self.kept.gather("X")
        except BackendError:
            pass
        finally:
            self.kept = batch
        super().execute(batch)


@case(time_limit=1.0)
class BlocksForEver(Doubles):
    def execute(self, batch: Batch) -> None:
        threading.Event().wait()


# ---- batches and failures


@case()
class MixesUpItsBatch(Doubles):
    def execute(self, batch: Batch) -> None:
        answers = [doubled(request) for request in batch.requests]
        if answers[0]["Y"].shape != answers[-1]["Y"].shape:
            answers = [{"Y": -each["Y"]} for each in answers]
        for request, answer in zip(batch.requests, answers, strict=True):
            request.complete(answer)


@case()
class HasNoRoomForItsLargestBatch(Doubles):
    def execute(self, batch: Batch) -> None:
        if batch.rows > 7:
            raise IndexError("row 7")
        super().execute(batch)


@case(
    fails_on={
        "X": np.array([[-1, 2]], np.float32),
        "TEXT": np.array([[b"mug"]], object),
    }
)
class FailsAWholeBatch(Doubles):
    def execute(self, batch: Batch) -> None:
        if any((request.inputs["X"] < 0).any() for request in batch.requests):
            raise NEGATIVE
        super().execute(batch)


@case()
class NeverRecovers(Doubles):
    failed = False

    def answer(self, request: Request) -> None:
        if self.failed:
            raise RuntimeError("has failed before")
        self.failed = True
        super().answer(request)
        self.failed = False


@case()
class ChokesOnOddBytes(Doubles):
    choked = False

    def answer(self, request: Request) -> None:
        self.choked = self.choked or request.inputs["TEXT"][0, 0] == b"\0"
        if self.choked:
            raise RuntimeError("choked")
        super().answer(request)


@case()
class SharesItsScratch(DoublesModel):
    def instance(self, placement: Placement) -> Instance:
        return _OnScratch(self)


class _OnScratch(Doubles):
    def answer(self, request: Request) -> None:
        self.model.scratch = doubled(request)  # type: ignore[attr-defined]
        time.sleep(0.002)
        request.complete({"Y": self.model.scratch["Y"][: request.rows]})  # type: ignore[attr-defined]


@case(
    slow={"X": np.array([[9, 9]], np.float32), "TEXT": np.array([[b"mug"]], object)},
    cancel_seconds=0.1,
)
class HearsNoCancellation(Doubles):
    def answer(self, request: Request) -> None:
        if (request.inputs["X"] == 9).all():
            time.sleep(1)
        super().answer(request)


# ---- life cycle


@case()
class ThrowsInLoad(DoublesBackend):
    def load(self, spec: ModelSpec) -> Model:
        raise FileNotFoundError("weights.bin")


@case()
class HasNoSignature(DoublesBackend):
    def load(self, spec: ModelSpec) -> Model:
        model = DoublesModel()
        model.signature = None  # type: ignore[assignment]
        return model


@case()
class ThrowsInInstance(DoublesModel):
    def instance(self, placement: Placement) -> Instance:
        raise MemoryError("no room")


@case()
class ThrowsInClose(DoublesModel):
    def close(self) -> None:
        raise RuntimeError("cannot let go")


@case()
class ClosesItsInstances(DoublesModel):
    def instance(self, placement: Placement) -> Instance:
        self.made = super().instance(placement)
        return self.made

    def close(self) -> None:
        self.made.close()


@case()
class LoadsOnce(DoublesBackend):
    closed = False

    def load(self, spec: ModelSpec) -> Model:
        if self.closed:
            raise RuntimeError("has unloaded before")
        backend = self

        class OneOfAKind(DoublesModel):
            used = False

            def instance(self, placement: Placement) -> Instance:
                self.used = True
                return super().instance(placement)

            def close(self) -> None:
                backend.closed = True

        return OneOfAKind()


@case()
class EndsAllModelsWithOne(DoublesBackend):
    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.loaded: list[DoublesModel] = []

    def load(self, spec: ModelSpec) -> Model:
        backend = self

        class Ending(DoublesModel):
            signature = DoublesModel.signature
            ended = False
            instance_class = _Ending

            def close(self) -> None:
                for each in backend.loaded:
                    each.ended = True  # type: ignore[attr-defined]
                backend.loaded.clear()

        self.loaded.append(Ending())
        return self.loaded[-1]


class _Ending(Doubles):
    def answer(self, request: Request) -> None:
        if self.model.ended:  # type: ignore[attr-defined]
            raise RuntimeError("ended")
        super().answer(request)


@case()
class HasNoName(DoublesBackend):
    name = ""


# ---- capabilities


@case()
class UsesWhatItHasNotDeclared(Doubles):
    def answer(self, request: Request) -> None:
        request.send(doubled(request))
        request.complete({})


@case(Capability.STREAMING)
class SendsLate(Doubles):
    def answer(self, request: Request) -> None:
        request.send(doubled(request))
        request.complete({})
        request.send(doubled(request))


@case(
    Capability.STREAMING,
    expected_parts=[
        {"Y": np.array([[1, 2]], np.float32)},
        {"Y": np.array([[2, 4]], np.float32)},
        {},
    ],
)
class SendsInTheWrongOrder(Doubles):
    def answer(self, request: Request) -> None:
        request.send(doubled(request))
        request.send({"Y": np.array(request.inputs["X"])})
        request.complete({})


@case(Capability.ASYNC)
class DetachesAndDrops(Doubles):
    def answer(self, request: Request) -> None:
        request.detach()


@case(Capability.ASYNC, time_limit=1.0)
class DetachesAndForgets(Doubles):
    def __init__(self, model: DoublesModel) -> None:
        super().__init__(model)
        self.kept: list[DetachedRequest] = []

    def answer(self, request: Request) -> None:
        self.kept.append(request.detach())


@case(Capability.ASYNC, time_limit=1.0)
class ForgetsCancelledRequests(Doubles):
    def __init__(self, model: DoublesModel) -> None:
        super().__init__(model)
        self.kept: list[DetachedRequest] = []

    def answer(self, request: Request) -> None:
        detached = request.detach()
        if detached.cancelled:
            self.kept.append(detached)
            return
        try:
            detached.complete(doubled(detached))
        except BackendError as error:
            detached.fail(error)


@case(Capability.ASYNC)
class NeverDetaches(Doubles):
    pass


# ---- leaks


@case()
class LeaksAThread(Doubles):
    def __init__(self, model: DoublesModel) -> None:
        super().__init__(model)
        threading.Thread(target=time.sleep, args=(600,), daemon=True, name="leaked").start()


@case()
class LeaksADescriptor(Doubles):
    def __init__(self, model: DoublesModel) -> None:
        super().__init__(model)
        self.file = os.open(os.devnull, os.O_RDONLY)


@case()
class LeaksItsInstances(DoublesModel):
    def instance(self, placement: Placement) -> Instance:
        LOST.append(super().instance(placement))
        return LOST[-1]  # type: ignore[no-any-return]


@case(cycles=BackendConformance.cycles)
class LeaksMemory(DoublesModel):
    def __init__(self) -> None:
        LOST.append(np.ones(80_000))
