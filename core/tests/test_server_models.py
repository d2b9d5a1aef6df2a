"""The life cycle of models in a server: loading, failing, versions, reloading, unloading."""

import time
from pathlib import Path

import numpy as np
import pytest

from despina import Backend, BackendError, Code, DespinaError, ModelStatus, Server, TensorSpec
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
        ("max_batch_size: -1", "config.pbtxt: model 'm': max_batch_size: -1 is not between"),
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
    assert "model 'six'" in rows["six"].reason


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
        assert states(server)["double/1"] == "UNAVAILABLE"
        assert server.infer("double", {"X": ones()})["Y"][0, 0] == 200


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
