"""The life cycle of models in a server: loading, failing, versions, reloading, unloading."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from despina import Backend, BackendError, Code, DespinaError, ModelStatus, Server, TensorSpec
from despina.engine import LoadedModel
from despina_sdk import Batch, Instance, Model, ModelSpec, Placement, Signature

ROW = TensorSpec("X", "FP32", (4,)), TensorSpec("Y", "FP32", (4,))


def ones(rows: int = 1) -> np.ndarray:
    return np.ones((rows, 4), np.float32)


def states(server: Server) -> dict[str, str]:
    return {f"{row.name}/{row.version}": row.state for row in server.models()}


def test_a_model_that_fails_leaves_its_reason_and_the_others(write_scale, repository: Path):
    write_scale("good", 2)
    write_scale("bad", None)
    with Server(repository, exit_on_error=False) as server:
        assert not server.ready
        assert server.models() == [
            ModelStatus("bad", 1, "UNAVAILABLE", "there is no factor in version 1"),
            ModelStatus("good", 1, "READY", ""),
        ]
        server.infer("good", {"X": ones()})
        with pytest.raises(DespinaError) as raised:
            server.infer("bad", {"X": ones()})
        assert raised.value.code is Code.NOT_FOUND


def test_without_strict_readiness_a_failed_model_does_not_count(write_scale, repository: Path):
    write_scale("bad", None)
    with Server(repository, exit_on_error=False, strict_readiness=False) as server:
        assert server.ready


def test_by_default_a_failed_model_keeps_the_server_from_starting(write_scale, repository: Path):
    write_scale("bad", None)
    with pytest.raises(DespinaError, match="model 'bad' version 1: there is no factor"):
        Server(repository)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("max_batch_size: -1", "config.pbtxt:1:17: max_batch_size: -1 is not between"),
        ("inputs { }", "config.pbtxt:1:17: ModelConfig has no field 'inputs'; did you mean"),
        ("model_warmup { }", "model_warmup: not supported: warm-up is not there yet"),
        ("max_batch_size: 9", "max_batch_size: is 9, and the model takes 8 rows at most"),
        ('input { name: "Q" }', "input[0].name: the model has no 'Q'"),
        ('output { name: "Y" label_filename: "none" }', "'none': No such file"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_the_reason(
    write_scale, repository: Path, config: str, reason: str
):
    write_scale("m", 1, f'backend: "scale"{config}')
    with Server(repository, exit_on_error=False) as server:
        (row,) = server.models()
    assert row.state == "UNAVAILABLE"
    assert reason in row.reason


def test_a_backend_that_nobody_offers_is_the_reason(write_scale, repository: Path):
    write_scale("m", 1, 'backend: "scala"')
    with Server(repository, exit_on_error=False) as server:
        (row,) = server.models()
    assert "offers backend 'scala'; did you mean 'scale'?" in row.reason


def test_a_library_for_the_incumbent_is_the_reason(write_scale, repository: Path):
    folder = write_scale("m", 1, 'backend: "twice"')
    (folder / "1" / "libtriton_twice.so").touch()
    with Server(repository, exit_on_error=False) as server:
        (row,) = server.models()
    assert "'libtriton_twice.so' was made for Triton's backend interface" in row.reason


class Broken(Backend):
    """Fails where its model's parameter says."""

    name = "broken"
    closed: list[str]

    def load(self, spec: ModelSpec) -> Model:
        return BrokenModel(spec.parameters["where"], self.closed)


class BrokenModel(Model):
    signature = Signature(*((each,) for each in ROW))

    def __init__(self, where: str, closed: list[str]) -> None:
        if where == "load":
            raise RuntimeError("no weights")
        if where == "exit":
            raise SystemExit(3)
        self.where, self.closed = where, closed

    def instance(self, placement: Placement) -> Instance:
        if self.where == "instance":
            raise BackendError(Code.RESOURCE_EXHAUSTED, "no memory")
        return BrokenInstance()

    def close(self) -> None:
        self.closed.append(self.where)


class BrokenInstance(Instance):
    def execute(self, batch: Batch) -> None:
        raise BackendError(Code.FAILED_PRECONDITION, "not today")


@pytest.mark.parametrize(
    ("where", "reason", "closed"),
    [
        ("load", "RuntimeError: no weights", []),
        ("exit", "SystemExit: 3", []),
        ("instance", "no memory", ["instance"]),
    ],
)
def test_a_model_that_fails_half_way_is_closed(where: str, reason: str, closed: list[str]):
    Broken.closed = []
    config = {"parameters": {"where": {"string_value": where}}}
    with Server(models={"m": (Broken, config)}, exit_on_error=False) as server:
        (row,) = server.models()
        assert row.state == "UNAVAILABLE"
        assert reason in row.reason
    assert Broken.closed == closed


def test_an_error_of_the_backend_keeps_its_code():
    Broken.closed = []
    config = {"parameters": {"where": {"string_value": "execute"}}}
    with Server(models={"m": (Broken, config)}) as server:
        with pytest.raises(DespinaError, match="not today") as raised:
            server.infer("m", {"X": ones()[0]})
        assert raised.value.code is Code.FAILED_PRECONDITION
    assert Broken.closed == ["execute"]


def test_an_ensemble_fails_with_its_member(pipeline: Path):
    (pipeline / "triple" / "1" / "factor").unlink()
    with Server(pipeline, exit_on_error=False) as server:
        rows = {row.name: row for row in server.models()}
        assert rows["double"].state == "READY"
        assert rows["six"].reason == (
            "its model 'triple' is not available: there is no factor in version 1"
        )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"triple"', '"tripel"', "there is no model 'tripel'; did you mean 'triple'?"),
        ('"triple"', '"six"', "the ensemble contains itself: six -> six"),
        ('key: "Y" value: "mid"', 'key: "Q" value: "mid"', "model 'double' has no output 'Q'"),
        ("TYPE_FP32 dims: [ 4 ] }\noutput", "TYPE_FP16 dims: [ 4 ] }\noutput", "'IN' is FP16"),
        ("dims: [ 4 ] }\nensemble", "dims: [ 5 ] }\nensemble", "'OUT' is [4] from step 1"),
    ],
)
def test_an_ensemble_that_does_not_hang_together_is_refused(
    pipeline: Path, old: str, new: str, reason: str
):
    file = pipeline / "six" / "config.pbtxt"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with Server(pipeline, exit_on_error=False) as server:
        rows = {row.name: row for row in server.models()}
    assert rows["six"].state == "UNAVAILABLE"
    assert reason in rows["six"].reason
    assert f"{file}:" in rows["six"].reason


def test_versions_are_served_side_by_side(write_scale, repository: Path):
    for version in (1, 2, 3):
        policy = 'backend: "scale" version_policy { specific { versions: [ 1, 3 ] } }'
        write_scale("m", version, policy, str(version))
    with Server(repository) as server:
        assert states(server) == {"m/1": "READY", "m/3": "READY"}
        assert server.infer("m", {"X": ones()})["Y"][0, 0] == 3
        assert server.infer("m", {"X": ones()}, version=1)["Y"][0, 0] == 1
        with pytest.raises(DespinaError) as raised:
            server.infer("m", {"X": ones()}, version=2)
        assert raised.value.code is Code.NOT_FOUND


def test_explicit_mode_loads_what_it_is_told(pipeline: Path, write_scale):
    write_scale("other", 1)
    explicit = {"model_control_mode": "explicit"}
    with Server(pipeline, **explicit) as server:
        assert server.ready
        assert server.models() == []
    with Server(pipeline, load_model=("six",), **explicit) as server:
        assert states(server) == {"double/1": "READY", "six/1": "READY", "triple/1": "READY"}
        server.load("other")
        assert states(server)["other/1"] == "READY"
    with Server(pipeline, load_model=("*",), **explicit) as server:
        assert len(server.models()) == 4


def test_an_unknown_model_cannot_be_loaded(pipeline: Path):
    with Server(pipeline) as server:
        with pytest.raises(DespinaError, match="there is no model 'dubble'; did you mean 'double'"):
            server.load("dubble")
        with pytest.raises(DespinaError, match="'dubble' is not known") as raised:
            server.unload("dubble")
        assert raised.value.code is Code.NOT_FOUND
        assert server.ready


def test_a_model_to_load_at_the_start_that_is_not_there_is_a_row(pipeline: Path):
    settings = {"model_control_mode": "explicit", "load_model": ("dubble", "double")}
    with Server(pipeline, exit_on_error=False, **settings) as server:
        assert states(server) == {"double/1": "READY", "dubble/0": "UNAVAILABLE"}


def test_a_member_takes_its_ensemble_along_and_brings_it_back(pipeline: Path):
    with Server(pipeline) as server:
        server.unload("double")
        assert states(server) == {
            "double/1": "UNAVAILABLE",
            "six/1": "UNAVAILABLE",
            "triple/1": "READY",
        }
        assert {row.reason for row in server.models()} == {"", "unloaded"}
        assert server.ready
        server.load("double")
        deadline = time.monotonic() + 10
        while states(server)["six/1"] != "READY" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.infer("six", {"IN": ones()})["OUT"][0, 0] == 6


def test_unloading_an_ensemble_leaves_its_members(pipeline: Path):
    with Server(pipeline) as server:
        server.unload("six")
        assert states(server)["double/1"] == "READY"
        server.unload("double")
        server.load("double")
        assert states(server)["six/1"] == "UNAVAILABLE"


def test_loading_what_did_not_change_does_nothing(pipeline: Path):
    with Server(pipeline) as server:
        server.infer("double", {"X": ones()})
        server.load("double")
        (statistics,) = server.statistics("double")["model_stats"]
        assert statistics["inference_count"] == 1


def test_loading_what_changed_loads_it_again(pipeline: Path):
    with Server(pipeline) as server:
        (pipeline / "double" / "1" / "factor").write_text("20.0")
        server.load("double")
        assert server.infer("double", {"X": ones()})["Y"][0, 0] == 20


def test_a_new_version_replaces_the_old_one(pipeline: Path, write_scale):
    with Server(pipeline) as server:
        write_scale("double", 200, version="2")
        server.load("double")
        assert server.infer("double", {"X": ones()})["Y"][0, 0] == 200
        wait_for(lambda: states(server)["double/1"] == "UNAVAILABLE")


def test_an_old_version_stays_when_the_new_one_fails(pipeline: Path, write_scale):
    with Server(pipeline) as server:
        write_scale("double", None, version="2")
        with pytest.raises(DespinaError, match="model 'double' version 2: there is no factor"):
            server.load("double")
        assert server.infer("six", {"IN": ones()})["OUT"][0, 0] == 6


def test_a_configuration_that_became_bad_keeps_what_is_served(pipeline: Path):
    with Server(pipeline) as server:
        (pipeline / "double" / "config.pbtxt").write_text("nonsense")
        with pytest.raises(DespinaError, match=r"config.pbtxt:1:1"):
            server.load("double")
        assert server.infer("double", {"X": ones()})["Y"][0, 0] == 2


def test_a_model_that_failed_can_be_tried_again(write_scale, repository: Path):
    folder = write_scale("m", None)
    with Server(repository, exit_on_error=False) as server:
        with pytest.raises(DespinaError, match="load failed for model 'm' version 1: there is no"):
            server.load("m")
        (folder / "1" / "factor").write_text("5")
        server.load("m")
        assert server.ready
        assert server.infer("m", {"X": ones()})["Y"][0, 0] == 5


def test_a_version_that_failed_and_is_not_wanted_any_more_does_not_count(
    write_scale, repository: Path
):
    write_scale("m", None)
    with Server(repository, exit_on_error=False) as server:
        write_scale("m", 2, version="2")
        server.load("m")
        assert states(server) == {"m/1": "UNAVAILABLE", "m/2": "READY"}
        assert server.ready


class Waiting(Backend):
    """Loads once the test says so, and answers what it gets once the test says so."""

    name = "waiting"
    may_load: threading.Event
    may_answer: threading.Event
    asked: threading.Event
    error: Exception | None

    def load(self, spec: ModelSpec) -> Model:
        assert self.may_load.wait(30)
        if self.error:
            raise self.error
        return WaitingModel()


class WaitingModel(Model):
    signature = Signature(*((each,) for each in ROW), max_batch_size=8)

    def instance(self, placement: Placement) -> Instance:
        return WaitingInstance()


class WaitingInstance(Instance):
    def execute(self, batch: Batch) -> None:
        Waiting.asked.set()
        assert Waiting.may_answer.wait(30)
        batch.scatter({"Y": batch.gather("X")})


@pytest.fixture
def waiting(pipeline: Path) -> Iterator[Server]:
    """An ensemble whose first model is the backend above; nothing is loaded yet."""
    Waiting.may_load, Waiting.may_answer, Waiting.asked = (threading.Event() for _ in range(3))
    Waiting.error = None
    shutil.rmtree(pipeline / "double")
    models = {"double": Waiting}
    with Server(pipeline, models=models, model_control_mode="explicit") as server:
        yield server
        Waiting.may_load.set()
        Waiting.may_answer.set()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_version_that_still_waits_and_is_not_wanted_any_more_is_let_go(
    waiting: Server, repository: Path
):
    with ThreadPoolExecutor() as pool:
        first = pool.submit(waiting.load, "six")
        wait_for(lambda: states(waiting).get("double/1") == "LOADING")
        assert states(waiting)["six/1"] == "UNKNOWN"
        (repository / "six" / "2").mkdir()
        second = pool.submit(waiting.load, "six")
        wait_for(lambda: "six/2" in states(waiting))
        Waiting.may_load.set()
        first.result(10)
        second.result(10)
    assert (states(waiting)["six/1"], states(waiting)["six/2"]) == ("UNAVAILABLE", "READY")
    assert waiting.ready


def test_a_load_that_fails_when_it_is_not_wanted_any_more_does_not_count(waiting: Server):
    with ThreadPoolExecutor() as pool:
        pool.submit(waiting.load, "double")
        wait_for(lambda: states(waiting).get("double/1") == "LOADING")
        unloading = pool.submit(waiting.unload, "double")
        time.sleep(0.05)
        Waiting.error = RuntimeError("no weights")
        Waiting.may_load.set()
        unloading.result(10)
    assert waiting.models() == [ModelStatus("double", 1, "UNAVAILABLE", "unloaded")]
    assert waiting.ready


def test_a_request_inside_an_ensemble_keeps_its_models(waiting: Server):
    Waiting.may_load.set()
    waiting.load("six")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(waiting.infer, "six", {"IN": ones()})
        assert Waiting.asked.wait(10)
        unloading = pool.submit(waiting.unload, "triple")
        wait_for(lambda: states(waiting)["six/1"] == "UNLOADING")
        assert states(waiting)["triple/1"] == "UNLOADING"
        Waiting.may_answer.set()
        np.testing.assert_array_equal(answer.result(10)["OUT"], 3 * ones())
        unloading.result(10)
    assert states(waiting)["triple/1"] == "UNAVAILABLE"


def test_a_model_whose_unload_fails_is_closed_and_says_why(monkeypatch):
    Broken.closed = []
    config = {"parameters": {"where": {"string_value": "execute"}}}
    with Server(models={"m": (Broken, config)}) as server:
        engine = server._runtime.engine
        unload = engine.unload

        def fail(model: LoadedModel, timeout: float | None = None) -> bool:
            unload(model, timeout)
            raise DespinaError(Code.INTERNAL, "stuck")

        monkeypatch.setattr(engine, "unload", fail)
        server.unload("m")
        assert server.models() == [ModelStatus("m", 1, "UNAVAILABLE", "failed to unload: stuck")]
        assert Broken.closed == ["execute"]


def test_a_folder_name_that_is_not_utf8_fails_that_model_only(write_scale, repository: Path):
    write_scale("good", 2)
    (repository / os.fsdecode(b"bad\xff") / "1").mkdir(parents=True)
    with Server(repository, exit_on_error=False) as server:
        assert states(server) == {"bad\\udcff/0": "UNAVAILABLE", "good/1": "READY"}
        assert "its name is not UTF-8" in server.models()[0].reason


def test_preferred_batch_sizes_are_held_against_what_the_backend_fills_in(
    write_scale, repository: Path
):
    batching = 'backend: "scale" dynamic_batching { preferred_batch_size: '
    write_scale("m", 2, batching + "4 }")
    write_scale("n", 2, batching + "16 }")
    with Server(repository, exit_on_error=False) as server:
        assert states(server) == {"m/1": "READY", "n/1": "UNAVAILABLE"}
        assert "16 is not between 1 and max_batch_size, 8" in server.models()[1].reason


def test_a_name_to_load_that_is_not_utf8_is_a_row(pipeline: Path):
    settings = {"model_control_mode": "explicit", "load_model": ("double", "bad\udcff")}
    with Server(pipeline, exit_on_error=False, **settings) as server:
        assert states(server) == {"bad\\udcff/0": "UNAVAILABLE", "double/1": "READY"}
