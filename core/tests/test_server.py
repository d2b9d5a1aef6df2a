"""The server inside a program: inference, errors, hooks, settings. The real engine throughout."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import despina
from despina import Backend, Code, DespinaError, Server, TensorSpec, batch_function
from despina.runtime import Runtime
from despina_sdk import Batch, Instance, Model, ModelSpec, Placement, Signature

ROW = TensorSpec("X", "FP32", (4,)), TensorSpec("Y", "FP32", (4,))


def ones(rows: int = 1) -> np.ndarray:
    return np.ones((rows, 4), np.float32)


def test_a_repository_is_served(pipeline: Path):
    with Server(pipeline) as server:
        assert server.ready
        assert [row.name for row in server.models()] == ["double", "six", "triple"]
        np.testing.assert_array_equal(server.infer("double", {"X": ones(2)})["Y"], 2 * ones(2))
        np.testing.assert_array_equal(server.infer("six", {"IN": ones(3)})["OUT"], 6 * ones(3))
    assert not server.ready


def test_a_class_of_the_program_is_served():
    @batch_function(inputs=ROW[:1], outputs=ROW[1:])
    def twice(X):  # noqa: N803 - the name of the tensor
        return {"Y": X * 2}

    with Server(models={"a": (twice, {"max_batch_size": 4}), "b": twice}) as server:
        np.testing.assert_array_equal(server.infer("a", {"X": ones(4)})["Y"], 2 * ones(4))
        np.testing.assert_array_equal(server.infer("b", {"X": ones(8)})["Y"], 2 * ones(8))
        with pytest.raises(DespinaError, match="must be <= 8"):
            server.infer("b", {"X": ones(9)})


def test_two_classes_with_one_name_are_refused():
    def made(factor: int) -> type[Backend]:
        @batch_function(inputs=ROW[:1], outputs=ROW[1:], name="scale_by")
        def scale(X):  # noqa: N803
            return {"Y": X * factor}

        return scale

    with pytest.raises(DespinaError, match="two classes are called 'scale_by'"):
        Server(models={"a": made(2), "b": made(3)})


def test_outputs_id_version_and_parameters_reach_the_backend(write_model):
    seen: list[tuple[str, dict]] = []

    class Echo(Backend):
        name = "echo"

        def load(self, spec: ModelSpec) -> Model:
            return EchoModel(seen)

    with Server(models={"m": (Echo, {"parameters": {"k": {"string_value": "v"}}})}) as server:
        answer = server.infer(
            "m", {"X": ones()[0]}, ["Y"], version=1, request_id="r", parameters={"p": 5}
        )
        assert list(answer) == ["Y"]
    assert seen == [("r", {"p": 5})]


class EchoModel(Model):
    """Gives its input twice, and notes what it was asked."""

    signature = Signature(ROW[:1], (ROW[1], TensorSpec("Z", "FP32", (4,))))

    def __init__(self, seen: list) -> None:
        self.seen = seen

    def instance(self, placement: Placement) -> Instance:
        return EchoInstance(self.seen)


class EchoInstance(Instance):
    def __init__(self, seen: list) -> None:
        self.seen = seen

    def execute(self, batch: Batch) -> None:
        for request in batch.requests:
            self.seen.append((request.id, dict(request.parameters)))
        x = batch.gather("X")
        batch.scatter({"Y": x, "Z": x})


@pytest.mark.parametrize(
    ("model", "inputs", "code", "text"),
    [
        ("none", {"X": ones()}, Code.NOT_FOUND, "'none' is not found"),
        ("double", {"X": ones(1)[:, :3]}, Code.INVALID_ARGUMENT, "unexpected shape for input 'X'"),
        ("double", {"X": ones().astype("i4")}, Code.INVALID_ARGUMENT, "'INT32'"),
        ("double", {"Z": ones()}, Code.INVALID_ARGUMENT, "'Z'"),
        ("double", {}, Code.INVALID_ARGUMENT, "'X'"),
        ("double", {"X": ones(9)}, Code.INVALID_ARGUMENT, "must be <= 8"),
    ],
)
def test_a_bad_request_gets_a_code_and_a_text(pipeline: Path, model, inputs, code, text):
    with Server(pipeline) as server, pytest.raises(DespinaError) as raised:
        server.infer(model, inputs)
    assert raised.value.code is code
    assert text in raised.value.message


class Slow(Backend):
    """Its model answers when the test says so."""

    name = "slow"
    started: threading.Event
    go: threading.Event

    def load(self, spec: ModelSpec) -> Model:
        return SlowModel(self)


class SlowModel(Model):
    signature = Signature(*((each,) for each in ROW))

    def __init__(self, backend: Slow) -> None:
        self.backend = backend

    def instance(self, placement: Placement) -> Instance:
        return SlowInstance(self.backend)


class SlowInstance(Instance):
    def __init__(self, backend: Slow) -> None:
        self.backend = backend

    def execute(self, batch: Batch) -> None:
        self.backend.started.set()
        assert self.backend.go.wait(30)
        batch.scatter({"Y": batch.gather("X")})


@pytest.fixture
def request_that_runs() -> Iterator[tuple[Server, threading.Thread, list]]:
    """A server, and a request inside its model."""
    Slow.started, Slow.go = threading.Event(), threading.Event()
    server = Server(models={"m": Slow}, exit_timeout_secs=0.3)
    answers: list = []
    thread = threading.Thread(
        target=lambda: answers.append(server.infer("m", {"X": ones()[0]})), daemon=True
    )
    thread.start()
    assert Slow.started.wait(10)
    yield server, thread, answers
    Slow.go.set()
    thread.join(10)
    server.close()


def test_unloading_waits_for_the_requests_of_the_model(request_that_runs):
    server, thread, answers = request_that_runs
    unloading = threading.Thread(target=lambda: server.unload("m"))
    unloading.start()
    deadline = time.monotonic() + 10
    while server.models()[0].state != "UNLOADING" and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(DespinaError) as raised:
        server.infer("m", {"X": ones()[0]})
    assert raised.value.code is Code.NOT_FOUND
    assert unloading.is_alive()
    Slow.go.set()
    unloading.join(10)
    thread.join(10)
    assert server.models()[0].state == "UNAVAILABLE"
    assert len(answers) == 1


def test_closing_says_when_a_request_still_runs_and_can_be_repeated(request_that_runs):
    server, thread, answers = request_that_runs
    with pytest.raises(DespinaError, match=r"still running after 0.3 s") as raised:
        server.close()
    assert raised.value.code is Code.DEADLINE_EXCEEDED
    assert not server.ready
    Slow.go.set()
    thread.join(10)
    assert len(answers) == 1
    server.close()
    server.close()


def test_a_timeout_of_a_request_is_kept(request_that_runs):
    server, _, _ = request_that_runs
    with pytest.raises(DespinaError) as raised:
        server.infer("m", {"X": ones()[0]}, timeout=0.05)
    assert raised.value.code is Code.DEADLINE_EXCEEDED


def test_hooks_are_called_at_their_places(install_plugin, pipeline: Path):
    source = """
    from despina_sdk.hooks import hookimpl
    calls = []

    @hookimpl
    def despina_configure(settings):
        calls.append(("configure", settings["id"]))

    @hookimpl
    def despina_model_options(spec):
        return {"added": spec.name}

    @hookimpl
    def despina_may_load(spec):
        calls.append(("may_load", spec.name, spec.parameters["added"]))
        return "not this one" if spec.name == "triple" else None

    @hookimpl
    def despina_model_state(model, version, old, new, reason):
        calls.append((model, version, old, new, reason))

    @hookimpl
    def despina_shutdown():
        calls.append("shutdown")
    """
    install_plugin("plugin-watch", source, plugins={"watch": ""})
    with Server(pipeline, id="s", exit_on_error=False):
        import plugin_watch  # made by the fixture

        calls = plugin_watch.calls
        assert "shutdown" not in calls
    assert calls[0] == ("configure", "s")
    assert ("may_load", "double", "double") in calls
    of_double = [call[2:] for call in calls if call[0] == "double"]
    assert of_double == [
        ("UNKNOWN", "LOADING", ""),
        ("LOADING", "READY", ""),
        ("READY", "UNLOADING", ""),
        ("UNLOADING", "UNAVAILABLE", "unloaded"),
    ]
    objection = "plugin 'watch' objects: not this one"
    assert ("triple", 1, "LOADING", "UNAVAILABLE", objection) in calls
    assert calls[-1] == "shutdown"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"model_control_mode": "pull"}, "'pull' is none of none, poll, explicit"),
        ({"model_config_name": "a/b"}, "--model-config-name='a/b': not the name of a file"),
        ({"modelcontrol_mode": "none"}, "no setting 'modelcontrol-mode'; did you mean"),
        ({"load_model": ("a",)}, "--load-model needs --model-control-mode=explicit"),
        ({"model_load_thread_count": 0}, "--model-load-thread-count: 0 is less than 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, error: str):
    with pytest.raises(DespinaError, match=error):
        Server(**settings)


def test_a_missing_repository_is_refused(tmp_path: Path):
    with pytest.raises(DespinaError, match="does not exist"):
        Server(tmp_path / "none")


def test_many_servers_follow_each_other_and_leave_no_thread(pipeline: Path):
    Server(pipeline).close()
    before = threading.active_count()
    for _ in range(5):
        with Server(pipeline) as server:
            server.infer("six", {"IN": ones()})
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_what_the_package_exports_is_there():
    assert all(getattr(despina, name) is not None for name in despina.__all__)
    with pytest.raises(AttributeError, match="no attribute 'serve'"):
        _ = despina.serve


def test_a_field_that_the_backend_does_not_use_is_refused():
    @batch_function(inputs=ROW[:1], outputs=ROW[1:])
    def twice(X):  # noqa: N803
        return {"Y": X * 2}

    config = {"default_model_filename": "net", "optimization": {"graph": {"level": 1}}}
    with pytest.raises(DespinaError) as raised:
        Server(models={"m": (twice, config)})
    for field in config:
        text = f"the configuration of 'm': {field}: backend 'twice' does not use it"
        assert text in raised.value.message


def test_a_field_that_the_backend_uses_is_left_to_it():
    seen = []

    class Named(Backend):
        name = "named"
        uses = frozenset({"default_model_filename"})

        def load(self, spec: ModelSpec) -> Model:
            seen.append(spec.config["default_model_filename"])
            return EchoModel([])

    Server(models={"m": (Named, {"default_model_filename": "net"})}).close()
    assert seen == ["net"]


def test_an_error_of_a_backend_that_closes_does_not_keep_the_server_open(caplog):
    class Stuck(Backend):
        name = "stuck"

        def load(self, spec: ModelSpec) -> Model:
            return EchoModel([])

        def close(self) -> None:
            raise RuntimeError("not now")

    server = Server(models={"m": Stuck})
    server.close()
    assert not server.ready
    assert "backend 'stuck' failed to close" in caplog.text


def test_a_server_that_cannot_start_is_closed_and_says_why(pipeline: Path, monkeypatch):
    def fail(runtime: Runtime, timeout: float) -> bool:
        assert finish(runtime, timeout)
        raise RuntimeError("the end failed too")

    finish = Runtime.finish
    monkeypatch.setattr(Runtime, "finish", fail)
    before = threading.active_count()
    with pytest.raises(DespinaError, match="there is no model 'none'"):
        Server(pipeline, model_control_mode="explicit", load_model=("none",))
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_calls_beside_the_end_are_answered(pipeline: Path):
    """Whatever is asked while the manager ends gets an answer or an error, and none waits."""
    server = Server(pipeline)
    manager, answers = server._runtime.manager, []

    def ask() -> None:
        try:
            while True:
                answers.append(manager.unload("six").result(10))
        except DespinaError as error:
            answers.append(error.code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    server.close()
    manager.drain()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert answers.count(Code.UNAVAILABLE) == 4
