"""A repository that is polled, when the test says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from despina import ModelStatus, Server, TensorSpec
from despina.repository.watch import Changes
from despina_sdk import batch_function

ONES = np.ones((1, 4), np.float32)
TENSOR = "data_type: TYPE_FP32 dims: [ 4 ]"
MAPS = 'input_map { key: "X" value: "IN" } output_map { key: "Y" value: "OUT" }'


def times(server: Server, model: str, name: str = "X", **options: Any) -> float:
    (output,) = server.infer(model, {name: ONES}, **options).values()
    return float(output[0, 0])


def rows(server: Server) -> dict[str, tuple[str, str]]:
    return {f"{row.name}/{row.version}": (row.state, row.reason) for row in server.models()}


X = TensorSpec("X", "FP32", (4,))


def same(X: Any) -> dict[str, Any]:  # noqa: N803
    return {"X": X}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def ensemble_of(model: str) -> str:
    return f"""
    max_batch_size: 8
    input {{ name: "IN" {TENSOR} }}
    output {{ name: "OUT" {TENSOR} }}
    ensemble_scheduling {{ step {{ model_name: "{model}" {MAPS} }} }}
    """


class Polled:
    """A server of a repository that is polled when the test says so."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._watch = server._runtime.poller._watch

    def look(self) -> Changes:
        return self._watch.look()

    def poll(self) -> list[ModelStatus]:
        return self.sync(self.look())

    def sync(self, changes: Changes) -> list[ModelStatus]:
        future: Future[list[ModelStatus]] = self.server._runtime.manager.sync(changes)
        return future.result(30)


POLL: dict[str, Any] = {
    "model_control_mode": "poll",
    "repository_settle_secs": 0,
    "repository_poll_secs": 100_000,
    "exit_on_error": False,
}


@pytest.fixture
def polled(pipeline: Path) -> Iterator[Callable[..., Polled]]:
    servers = []

    def start(**options: Any) -> Polled:
        servers.append(Server(pipeline, **POLL, **options))
        return Polled(servers[-1])

    yield start
    for server in servers:
        server.close()


def test_polling_loads_what_is_there_what_comes_and_what_changes(polled, write_scale):
    polled = polled()
    assert polled.server.ready
    assert times(polled.server, "six", "IN") == 6
    write_scale("new", 7)
    write_scale("double", 20)
    assert {row.name for row in polled.poll()} == {"new", "double"}
    assert (times(polled.server, "new"), times(polled.server, "six", "IN")) == (7, 60)
    assert polled.server.ready


def test_polling_unloads_and_forgets_what_is_gone(polled, pipeline: Path, write_scale):
    polled = polled()
    (pipeline / "double").rename(pipeline / ".double")
    polled.poll()
    wait_for(lambda: "double/1" not in rows(polled.server))
    polled.server.unload("triple")
    assert rows(polled.server) == {
        "six/1": ("UNAVAILABLE", "its model 'double' is not loaded"),
        "triple/1": ("UNAVAILABLE", "unloaded"),
    }
    assert not polled.server.ready
    (pipeline / ".double").rename(pipeline / "double")
    (pipeline / "triple" / "1" / "factor").write_text("30")
    polled.poll()
    assert times(polled.server, "six", "IN") == 60
    assert polled.server.ready


def test_polling_keeps_what_serves_when_a_change_fails(polled, pipeline: Path):
    polled = polled()
    (pipeline / "double" / "1" / "factor").write_text("two")
    (pipeline / "triple" / "config.pbtxt").write_text("nonsense")
    polled.poll()
    assert times(polled.server, "six", "IN") == 6
    assert "could not convert string to float" in rows(polled.server)["double/1"][1]
    assert "has no field 'nonsense'" in rows(polled.server)["triple/1"][1]
    assert polled.server.ready
    (pipeline / "double" / "1" / "factor").write_text("20.0")
    (pipeline / "triple" / "config.pbtxt").write_text('backend: "scale"')
    polled.poll()
    assert times(polled.server, "six", "IN") == 60
    assert {reason for _, reason in rows(polled.server).values()} == {""}


def test_what_still_cannot_be_read_fails_once(
    polled, pipeline: Path, write_scale, caplog: pytest.LogCaptureFixture
):
    polled = polled()
    (pipeline / "triple" / "config.pbtxt").write_text("nonsense")
    polled.poll()
    write_scale("new", 7)
    polled.poll()  # reads it again: it might have waited for the new one
    assert caplog.text.count("model 'triple' cannot be read: ") == 1
    assert polled.server._runtime.manager._models["triple"].reload_failures == 1


def test_an_ensemble_that_came_before_its_member_is_read_again_with_it(
    polled, pipeline: Path, write_scale, write_model
):
    polled = polled()
    write_model("late", ensemble_of("missing"))
    polled.poll()
    assert "there is no model 'missing'" in rows(polled.server)["late/0"][1]
    write_scale("missing", 9)
    polled.poll()
    assert times(polled.server, "late", "IN") == 9
    assert "late/0" not in rows(polled.server)


def test_an_ensemble_does_not_take_a_member_that_is_still_being_copied(
    polled, pipeline: Path, write_scale, write_model
):
    polled = polled()
    write_model("late", ensemble_of("moving"))
    write_scale("moving", 9)
    content = polled.look().changed
    polled.sync(Changes({"late": content["late"]}))
    assert "there is no model 'moving'" in rows(polled.server)["late/0"][1]
    polled.sync(Changes({"moving": content["moving"]}))
    assert times(polled.server, "late", "IN") == 9


def test_what_changes_again_before_it_is_read_is_left_for_the_next_look(
    polled, pipeline: Path, write_scale
):
    polled = polled()
    write_scale("new", 9)
    changes = polled.look()
    (pipeline / "new" / "1" / "more").touch()
    polled.sync(changes)
    assert "new/1" not in rows(polled.server)
    polled.poll()
    assert times(polled.server, "new") == 9


def test_a_configuration_that_is_half_written_when_it_is_read_is_no_failure(
    polled, pipeline: Path, write_scale
):
    polled = polled()
    write_scale("new", 9)
    changes = polled.look()
    write_scale("new", 9, 'backend: "sca')
    polled.sync(changes)
    assert "new" not in str(polled.server.models())
    assert polled.server.ready
    write_scale("new", 9)
    polled.poll()
    assert times(polled.server, "new") == 9


def test_a_repository_that_cannot_be_read_for_a_while_leaves_everything(polled, pipeline: Path):
    polled = polled()
    pipeline.rename(pipeline.with_name("away"))
    polled.poll()
    assert times(polled.server, "six", "IN") == 6
    assert polled.server.ready
    pipeline.with_name("away").rename(pipeline)
    polled.poll()
    assert {reason for _, reason in rows(polled.server).values()} == {""}
    assert polled.server.statistics("six")["model_stats"][0]["inference_count"] == 1


def test_models_of_the_program_are_served_beside_those_that_are_polled(polled):
    polled = polled(models={"m": batch_function(inputs=(X,), outputs=(X,))(same)})
    assert times(polled.server, "six", "IN") == 6
    assert rows(polled.server)["m/1"] == ("READY", "")
