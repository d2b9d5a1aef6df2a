"""Models of several repositories that have one name."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from despina import Code, DespinaError, Server
from despina.front_ends import metrics_options

EXPLICIT = {"model_control_mode": "explicit"}
TENSOR = "data_type: TYPE_FP32 dims: [ 4 ]"
MAPS = 'input_map { key: "X" value: "X" } output_map { key: "Y" value: "Y" }'
AMBIGUOUS = (
    "There are 2 identifiers of model 'm' in global map, model namespace must be provided to"
    " resolve ambiguity."
)


def ensemble_of(member: str) -> str:
    return f"""
    max_batch_size: 8
    input {{ name: "X" {TENSOR} }}
    output {{ name: "Y" {TENSOR} }}
    ensemble_scheduling {{ step {{ model_name: "{member}" {MAPS} }} }}
    """


def times(server: Server, model: str) -> float:
    return float(server.infer(model, {"X": np.ones((1, 4), np.float32)})["Y"][0, 0])


def metrics_page(server: Server) -> list[str]:
    settings = replace(server._runtime.settings, grpc_port=0, metrics_port=0)
    metrics = server._runtime.engine.serve_metrics(metrics_options(settings))
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
        return answer.read().decode().splitlines()


@pytest.fixture
def repositories(tmp_path: Path, write_scale) -> tuple[Path, Path]:
    """``m`` is in both; each has a model of its own, and an ensemble of ``m``."""
    write_scale("plugin", 1)
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, factor in ((one, 2), (two, 3)):
        for name, content in (("m", factor), (f"only_{folder.name}", factor * 10)):
            (folder / name / "1").mkdir(parents=True)
            (folder / name / "config.pbtxt").write_text('backend: "scale"')
            (folder / name / "1" / "factor").write_text(str(content))
        (folder / f"e_{folder.name}").mkdir()
        (folder / f"e_{folder.name}" / "config.pbtxt").write_text(ensemble_of("m"))
    return one, two


@pytest.fixture
def server(repositories: tuple[Path, Path]) -> Iterator[Server]:
    with Server(
        repositories, model_namespacing=True, http_port=0, grpc_port=0, metrics_port=0
    ) as server:
        yield server


def test_a_name_of_one_model_is_enough(server: Server):
    assert (times(server, "only_one"), times(server, "only_two")) == (20, 30)
    assert server.ready


def test_ensembles_consist_of_the_models_of_their_own_repository(server: Server):
    assert (times(server, "e_one"), times(server, "e_two")) == (2, 3)


def test_others_are_found_in_another_repository(repositories: tuple[Path, Path]):
    (repositories[0] / "e_one" / "config.pbtxt").write_text(ensemble_of("only_two"))
    with Server(repositories, model_namespacing=True) as server:
        assert times(server, "e_one") == 30


def test_but_not_if_there_are_several(repositories: tuple[Path, Path], tmp_path: Path):
    three = tmp_path / "three"
    (three / "e").mkdir(parents=True)
    (three / "e" / "config.pbtxt").write_text(ensemble_of("m"))
    options = {"model_namespacing": True, "exit_on_error": False}
    with Server([*repositories, three], **options) as server:
        (row,) = [row for row in server.models() if row.name == "e"]
        one, two = repositories
        assert f"several repositories have a model 'm': '{one}', '{two}'" in row.reason


@pytest.mark.parametrize(("name", "text"), [("m", AMBIGUOUS), ("x", "'x' is not found")])
def test_a_name_that_is_not_enough_is_the_clients_fault(server: Server, name: str, text: str):
    with pytest.raises(DespinaError) as raised:
        times(server, name)
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert text in raised.value.message


def test_rows_and_routes(server: Server, repositories: tuple[Path, Path]):
    one, two = map(str, repositories)
    rows = [(row.name, row.namespace) for row in server.models() if row.name == "m"]
    assert rows == [("m", one), ("m", two)]
    (line,) = (each for each in server._runtime.listen("1") if "HTTP" in each)
    connection = http.client.HTTPConnection("127.0.0.1", int(line.rpartition(":")[2]))

    def ask(method: str, path: str) -> tuple[int, Any]:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else None

    status, index = ask("POST", "/v2/repository/index")
    assert [row["name"] for row in index].count("m") == 2
    assert ask("GET", "/v2/models/m/ready") == (400, {"error": "Model version not ready"})
    assert ask("GET", "/v2/models/m") == (400, {"error": AMBIGUOUS})
    assert ask("GET", "/v2/models/m/config") == (400, {"error": AMBIGUOUS})
    assert ask("GET", "/v2/models/m/stats")[0] == 400
    assert ask("POST", "/v2/models/m/infer")[0] == 400
    assert ask("GET", "/v2/models/e_one/config")[1]["ensemble_scheduling"]["step"] == [
        {
            "model_name": "m",
            "model_version": -1,
            "input_map": {"X": "X"},
            "output_map": {"Y": "Y"},
            "model_namespace": one,
        }
    ]


def test_models_that_share_a_name_are_counted_each(server: Server, repositories: tuple[Path, Path]):
    one, two = map(str, repositories)
    times(server, "e_two")
    rows = server.statistics()["model_stats"]
    assert [row["inference_count"] for row in rows if row["name"] == "m"] == [0, 1]
    page = metrics_page(server)
    for repository, count in ((one, 0), (two, 1)):
        labels = f'namespace="{repository}",model="m",version="1"'
        assert f"nv_inference_request_success{{{labels}}} {count}" in page
        labels = f'model="m",namespace="{repository}"'
        assert f"despina_model_reload_failures_total{{{labels}}} 0" in page
        assert f'scaled_total{{{labels},version="1"}} {count}' in page


def test_a_name_is_loaded_and_unloaded_in_all_repositories(repositories: tuple[Path, Path]):
    with Server(repositories, model_namespacing=True, **EXPLICIT) as server:
        server.load("m")
        assert [row.state for row in server.models()] == ["READY", "READY"]
        with pytest.raises(DespinaError, match="There are 2 identifiers"):
            times(server, "m")
        server.load("e_one")
        server.unload("m")
        assert {(row.state, row.reason) for row in server.models()} == {("UNAVAILABLE", "unloaded")}
        assert server.ready
        with pytest.raises(DespinaError, match="'m' has no available versions") as raised:
            times(server, "m")
        assert raised.value.code is Code.NOT_FOUND


def test_an_ensemble_pulls_in_only_its_own_member(repositories: tuple[Path, Path]):
    with Server(repositories, model_namespacing=True, **EXPLICIT) as server:
        server.load("e_two")
        assert (times(server, "e_two"), times(server, "m")) == (3, 3)
        assert len(server.models()) == 2


def test_a_name_that_several_have_cannot_be_overridden(repositories: tuple[Path, Path]):
    from despina.repository.override import Override

    with Server(repositories, model_namespacing=True, **EXPLICIT) as server:
        manager = server._runtime.manager
        with pytest.raises(DespinaError, match="several repositories have a model 'm'"):
            manager.load(["m"], override=Override({"backend": "scale"})).result(10)
        manager.load(["only_one"], override=Override({"backend": "scale"})).result(10)
        assert times(server, "only_one") == 20


def test_a_failure_in_one_repository_leaves_the_other(repositories: tuple[Path, Path]):
    (repositories[0] / "m" / "config.pbtxt").write_text("nonsense")
    options = {"model_namespacing": True, "exit_on_error": False}
    with Server(repositories, **options) as server:
        states = {(row.name, Path(row.namespace).name): row.state for row in server.models()}
        assert states["m", "one"] == states["e_one", "one"] == "UNAVAILABLE"
        assert states["m", "two"] == states["e_two", "two"] == "READY"
        assert times(server, "e_two") == 3


def test_without_namespaces_such_a_name_is_served_by_neither(repositories: tuple[Path, Path]):
    with Server(repositories, exit_on_error=False) as server:
        (row,) = [row for row in server.models() if row.name == "m"]
        assert "is in more than one repository" in row.reason
        assert times(server, "only_one") == 20
