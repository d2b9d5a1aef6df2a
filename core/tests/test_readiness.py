"""Models that say whether they can serve."""

from __future__ import annotations

import logging
import threading
import urllib.error
import urllib.request

import pytest

from despina import Backend, BackendError, Code, Server, TensorSpec
from despina.lifecycle.readiness import Readiness
from despina_sdk import Batch, Instance, Model, ModelSpec, Placement, Signature

X = TensorSpec("X", "FP32", (1,))


class Unused(Instance):
    def execute(self, batch: Batch) -> None:
        raise NotImplementedError


class Moody(Model):
    signature = Signature((X,), (TensorSpec("Y", "FP32", (1,)),), 8)

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.asked = 0

    def instance(self, placement: Placement) -> Instance:
        return Unused()

    def check_ready(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


class Silent(Moody):
    check_ready = Model.check_ready


def ignore(ready: bool) -> None:
    """Of no interest."""


@pytest.fixture
def answers() -> list[bool]:
    return []


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


def test_only_changes_are_passed_on(readiness: Readiness, answers: list[bool]):
    model = Moody()
    readiness.watch("m", model, answers.append)
    readiness.ask()
    assert answers == []
    model.error = BackendError(Code.UNAVAILABLE, "it is tired")
    readiness.ask()
    readiness.ask()
    model.error = None
    readiness.ask()
    readiness.ask()
    assert answers == [False, True]


def test_a_model_that_cannot_serve_is_never_shown_as_one_that_can(
    readiness: Readiness, answers: list[bool]
):
    model = Moody()
    model.error = BackendError(Code.UNAVAILABLE, "it is tired")
    readiness.watch("m", model, answers.append)
    assert answers == [False]


def test_each_new_reason_is_logged_once(readiness: Readiness, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    model = Moody()
    readiness.watch("model 'm' version 1", model, ignore)
    for error in (BackendError(Code.UNAVAILABLE, "tired"), ValueError("hungry"), KeyError(), None):
        model.error = error
        readiness.ask()
        readiness.ask()
    assert [record.getMessage() for record in caplog.records] == [
        "model 'm' version 1 cannot serve: BackendError: tired",
        "model 'm' version 1 cannot serve: ValueError: hungry",
        "model 'm' version 1 cannot serve: KeyError",
        "model 'm' version 1 can serve again",
    ]


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [SystemExit(3), SpeechlessError(), KeyboardInterrupt()])
def test_whatever_a_model_raises_others_are_asked_on(
    readiness: Readiness, answers: list[bool], error: BaseException
):
    model, other = Moody(), Moody()
    readiness.watch("m", model, answers.append)
    readiness.watch("other", other, answers.append)
    model.error = error
    readiness.ask()
    assert answers == [False]
    assert (model.asked, other.asked) == (2, 2)


def test_a_model_that_cannot_be_watched_is_not_loaded(monkeypatch: pytest.MonkeyPatch):
    model = Moody()
    closed: list[str] = []
    monkeypatch.setattr(model, "close", lambda: closed.append("closed"))

    def fail(*arguments: object) -> None:
        raise RuntimeError("no thread")

    class MoodyBackend(Backend):
        name = "moody"

        def load(self, spec: ModelSpec) -> Model:
            return model

    monkeypatch.setattr(Readiness, "watch", fail)
    with Server(models={"m": (MoodyBackend, {})}, exit_on_error=False) as server:
        assert server.models()[0].reason == "RuntimeError: no thread"
        assert closed == ["closed"]
        monkeypatch.undo()
        server.load("m")
        assert server.models()[0].state == "READY"


def test_a_model_that_does_not_say_is_not_asked(readiness: Readiness, answers: list[bool]):
    model = Silent()
    assert readiness.watch("m", model, answers.append) is None
    readiness.ask()
    assert model.asked == 0


def test_a_model_that_is_gone_is_not_asked(readiness: Readiness):
    model = Moody()
    watch = readiness.watch("m", model, ignore)
    assert watch
    readiness.forget(watch)
    readiness.ask()
    assert model.asked == 1


def test_a_model_is_not_closed_while_it_is_asked(readiness: Readiness):
    inside, leave = threading.Event(), threading.Event()

    class Slow(Moody):
        def check_ready(self) -> None:
            if self.asked:
                inside.set()
                assert leave.wait(10)
            super().check_ready()

    watch = readiness.watch("m", Slow(), ignore)
    asking = threading.Thread(target=readiness.ask)
    asking.start()
    assert inside.wait(10)
    forgetting = threading.Thread(target=readiness.forget, args=[watch])
    forgetting.start()
    forgetting.join(0.05)
    assert forgetting.is_alive()
    leave.set()
    forgetting.join(10)
    asking.join(10)
    assert not forgetting.is_alive()


def test_the_readiness_route_gives_the_models_answer_and_requests_come_all_the_same():
    model = Moody()

    class MoodyBackend(Backend):
        name = "moody"

        def load(self, spec: ModelSpec) -> Model:
            return model

    with Server(models={"m": (MoodyBackend, {})}) as server:
        runtime = server._runtime
        (line,) = [each for each in runtime.listen("1") if "HTTP" in each]
        route = f"http://127.0.0.1:{line.rpartition(':')[2]}/v2/models/m/ready"
        assert urllib.request.urlopen(route).status == 200
        model.error = BackendError(Code.UNAVAILABLE, "it is tired")
        runtime.readiness.ask()
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(route)
        assert raised.value.code == 400
        assert raised.value.read() == b'{"error":"Model version not ready"}'
        model.error = None
        runtime.readiness.ask()
        assert urllib.request.urlopen(route).status == 200
