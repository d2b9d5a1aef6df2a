"""Ensembles whose members change, go and come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from despina import Code, DespinaError, Server

ONES = np.ones((1, 4), np.float32)
TENSOR = "data_type: TYPE_FP32 dims: [ 4 ]"
MAPS = 'input_map { key: "X" value: "IN" } output_map { key: "Y" value: "OUT" }'
EXPLICIT = {"model_control_mode": "explicit"}


def times(server: Server, model: str, name: str = "X", **options: Any) -> float:
    (output,) = server.infer(model, {name: ONES}, **options).values()
    return float(output[0, 0])


def rows(server: Server) -> dict[str, tuple[str, str]]:
    return {f"{row.name}/{row.version}": (row.state, row.reason) for row in server.models()}


def ensemble_of(model: str) -> str:
    return f"""
    max_batch_size: 8
    input {{ name: "IN" {TENSOR} }}
    output {{ name: "OUT" {TENSOR} }}
    ensemble_scheduling {{ step {{ model_name: "{model}" {MAPS} }} }}
    """


def other_signature(write_scale) -> None:
    """``double`` with another datatype in its configuration fits no ensemble of it."""
    output = 'output { name: "Y" data_type: TYPE_FP32 dims: [ 4, 1 ] reshape { shape: [ 4 ] } }'
    write_scale("double", 20, f'backend: "scale"{output}')


def test_an_ensemble_that_does_not_fit_its_new_member_goes_and_comes_back(
    pipeline: Path, write_scale, write_model
):
    write_model("outer", ensemble_of("six").replace('"X"', '"IN"').replace('"Y"', '"OUT"'))
    with Server(pipeline) as server:
        assert times(server, "outer", "IN") == 6
        other_signature(write_scale)
        server.load("double")
        assert server.infer("double", {"X": ONES})["Y"].shape == (1, 4, 1)
        models = server._runtime.manager._models
        assert {name: model.reload_failures for name, model in models.items()} == {
            "double": 0,
            "outer": 0,  # nothing of it was tried
            "six": 1,
            "triple": 0,
        }
        state, reason = rows(server)["six/1"]
        assert state in ("UNLOADING", "UNAVAILABLE")
        server.unload("triple")  # so that nothing of the ensemble is left
        server.load("triple")
        state, reason = rows(server)["six/1"]
        assert state == "UNAVAILABLE"
        assert "'mid' is [4, 1] from step 0 (model 'double') and [4] for" in reason
        assert "its model 'six' is not available: " in rows(server)["outer/1"][1]
        assert not server.ready
        with pytest.raises(DespinaError) as raised:
            times(server, "six", "IN")
        assert raised.value.code is Code.NOT_FOUND
        write_scale("double", 200)
        server.load("double")
        assert times(server, "outer", "IN") == 600
        assert server.ready


def test_an_ensemble_follows_its_member_also_when_its_own_change_failed(
    pipeline: Path, write_scale, write_model
):
    with Server(pipeline) as server:
        config = (pipeline / "six" / "config.pbtxt").read_text()
        write_model("six", config.replace('key: "Y" value: "OUT"', 'key: "Q" value: "OUT"'))
        with pytest.raises(DespinaError, match="model 'triple' has no output 'Q'"):
            server.load("six")
        assert times(server, "six", "IN") == 6
        write_scale("double", 20)
        server.load("double")
        assert times(server, "six", "IN") == 60
        assert "has no output 'Q'" in rows(server)["six/1"][1]


def test_ensembles_never_become_members_of_each_other(pipeline: Path, write_model):
    """Not even by changes that are loaded one after the other."""
    write_model("outer", ensemble_of("six").replace('"X"', '"IN"').replace('"Y"', '"OUT"'))
    with Server(pipeline) as server:
        write_model("outer", ensemble_of("double"))
        write_model("six", ensemble_of("outer").replace('"X"', '"IN"').replace('"Y"', '"OUT"'))
        with pytest.raises(DespinaError, match="contains itself: six -> outer -> six"):
            server.load("six")
        assert times(server, "outer", "IN") == 6
        server.load("outer")
        server.load("six")
        assert times(server, "six", "IN") == 2


DEPENDENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], set[str]]] = {
    "members that only it needs go with it": (("six",), ("six",), set()),
    "one that was asked for stays": (("six", "double"), ("six",), {"double"}),
    "also if it was asked for before": (("double", "six"), ("six",), {"double"}),
    "one that another ensemble needs stays": (("six", "two"), ("six",), {"two", "double"}),
    "until that goes too": (("six", "two"), ("six", "two"), set()),
}


@pytest.mark.parametrize("case", DEPENDENTS)
def test_unloading_with_dependents(pipeline: Path, write_model, case: str):
    write_model("two", ensemble_of("double"))
    loaded, unloaded, left = DEPENDENTS[case]
    with Server(pipeline, **EXPLICIT) as server:
        for name in loaded:
            server.load(name)
        for name in unloaded:
            server._runtime.manager.unload(name, dependents=True).result(10)
        assert {row.name for row in server.models() if row.state == "READY"} == left
        assert server.ready


def test_all_models_of_the_start_count_as_asked_for(pipeline: Path):
    with Server(pipeline, **EXPLICIT, load_model=("*",)) as server:
        server._runtime.manager.unload("six", dependents=True).result(10)
        assert {row.name for row in server.models() if row.state == "READY"} == {"double", "triple"}


def test_members_of_members_go_too(pipeline: Path, write_model):
    write_model("outer", ensemble_of("six").replace('"X"', '"IN"').replace('"Y"', '"OUT"'))
    with Server(pipeline, **EXPLICIT) as server:
        server.load("outer")
        server._runtime.manager.unload("outer", dependents=True).result(10)
        assert not any(row.state == "READY" for row in server.models())


def test_a_member_that_could_never_be_read_may_be_unloaded_before_its_ensemble(
    pipeline: Path, write_model
):
    """The ensemble came to look for what had been forgotten."""
    write_model("double", "nonsense")
    with Server(pipeline, exit_on_error=False) as server:
        server.unload("double")
        assert "double/0" not in rows(server)
        server._runtime.manager.unload("six", dependents=True).result(10)
        assert rows(server)["six/1"] == ("UNAVAILABLE", "unloaded")
