"""Which models are served, as an operator and tritonclient's users decide it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from harness.repository import add_model, ensemble, fixture, step, tensor
from harness.serve import Serve
from harness.waiting import wait_until
from tritonclient.utils import InferenceServerException

import despina

ONE = np.ones((1, 1), np.float32)
X, Y = tensor("X", "FP32", [-1]), tensor("Y", "FP32", [-1])
EXPLICIT = "--model-control-mode=explicit"


def chain(*models: str) -> str:
    names = ["X", *(f"t{at}" for at in range(1, len(models))), "Y"]
    steps = [step(model, {"X": names[at]}, {"Y": names[at + 1]}) for at, model in enumerate(models)]
    return ensemble([X], [Y], steps)


def add_scale(repository: Path, name: str, factor: float) -> Path:
    return add_model(repository, name, fixture("scale"), {"1/factor": str(factor).encode()})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    add_scale(folder, "double", 2)
    add_scale(folder, "triple", 3)
    add_model(folder, "six", chain("double", "triple"))
    return folder


@pytest.fixture
def server(repository: Path, tmp_path: Path) -> Iterator[Serve]:
    with Serve(repository, tmp_path / "out", EXPLICIT) as running:
        yield running
        assert running.stop() == 0, running.stderr


@pytest.fixture
def client(server: Serve) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.address) as made:
        yield made


def times(client: triton.InferenceServerClient, model: str) -> float:
    tensor = triton.InferInput("X", [1, 1], "FP32").set_data_from_numpy(ONE)
    return float(client.infer(model, [tensor]).as_numpy("Y")[0, 0])


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(InferenceServerException) as caught:
        call()
    return f"{caught.value.status()}: {caught.value.message()}"


def index(client: triton.InferenceServerClient) -> dict[str, str]:
    rows = client.get_model_repository_index()
    return {row["name"]: row.get("state", "") for row in rows}


def test_a_model_comes_and_goes(client: triton.InferenceServerClient) -> None:
    assert index(client) == {"double": "", "six": "", "triple": ""}
    assert client.is_server_ready()
    assert not client.is_model_ready("double")
    client.load_model("double")
    assert client.is_model_ready("double")
    assert client.is_model_ready("double", "1")
    assert times(client, "double") == 2
    client.unload_model("double")
    assert not client.is_model_ready("double")
    assert "has no available versions" in refused(lambda: times(client, "double"))
    wait_until(lambda: index(client)["double"] == "UNAVAILABLE")
    (row,) = (row for row in client.get_model_repository_index() if row["name"] == "double")
    assert row["reason"] == "unloaded"
    assert client.is_server_ready()


def test_an_ensemble_brings_its_members_and_may_take_them_along(
    client: triton.InferenceServerClient,
) -> None:
    client.load_model("double")
    client.load_model("six")
    assert times(client, "six") == 6
    client.unload_model("triple")
    assert not client.is_model_ready("six")
    client.load_model("triple")
    assert times(client, "six") == 6
    client.unload_model("six", unload_dependents=True)
    assert client.is_model_ready("double")
    # Somebody has asked for it meanwhile.
    assert client.is_model_ready("triple")


def test_a_model_is_changed_and_stays_when_the_change_fails(
    client: triton.InferenceServerClient, repository: Path
) -> None:
    client.load_model("six")
    (repository / "double" / "1" / "factor").write_text("20.0")
    client.load_model("double")
    assert (times(client, "double"), times(client, "six")) == (20, 60)
    (repository / "double" / "1" / "factor").write_text("many")
    text = refused(lambda: client.load_model("double"))
    assert text.startswith(
        "400: load failed for model 'double': version 1 is at UNAVAILABLE state: "
    )
    assert (times(client, "double"), times(client, "six")) == (20, 60)
    assert client.is_server_ready()


def test_the_metrics_tell_of_changes_that_failed(
    server: Serve, client: triton.InferenceServerClient, repository: Path
) -> None:
    def failures() -> str:
        page = server.get("/metrics", metrics=True)[1].decode()
        return "".join(re.findall(r"^despina_model_reload_failures_total{.*", page, re.MULTILINE))

    name = 'despina_model_reload_failures_total{model="double"}'
    assert not failures()
    client.load_model("double")
    assert failures() == f"{name} 0"
    (repository / "double" / "1" / "factor").write_text("many")
    refused(lambda: client.load_model("double"))
    assert failures() == f"{name} 1"
    (repository / "double" / "1" / "factor").write_text("20.0")
    client.load_model("double")
    assert times(client, "double") == 20
    assert failures() == f"{name} 1"
    (repository / "double" / "config.pbtxt").write_text("nonsense")
    refused(lambda: client.load_model("double"))
    assert failures() == f"{name} 2"


def test_a_configuration_and_files_may_be_given(client: triton.InferenceServerClient) -> None:
    config = {"backend": "fixture_scale", "max_batch_size": 4}
    client.load_model("double", config=json.dumps(config))
    assert client.get_model_config("double")["max_batch_size"] == 4
    client.load_model("double")
    assert client.get_model_config("double")["max_batch_size"] == 8

    files = {"file:5/factor": b"5"}
    client.load_model("double", config=json.dumps(config), files=files)
    assert times(client, "double") == 5
    assert client.get_model_metadata("double")["versions"] == ["5"]
    client.load_model("new", config=json.dumps(config), files=files)
    assert times(client, "new") == 5
    client.load_model("double")
    assert times(client, "double") == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model_name": "nope"}, "404: there is no model 'nope'"),
        ({"model_name": "x" * 300}, "400: "),
        (
            {"model_name": "double", "files": {"file:1/factor": b"5"}},
            "400: Load parameter 'config' must be specified for model file override",
        ),
        ({"model_name": "double", "config": "{"}, "400: failed to parse 'config'"),
        (
            {"model_name": "new", "config": "{}", "files": {"file:../x": b"5"}},
            "400: load parameter 'file:../x': it leads out of the model's folder",
        ),
    ],
)
def test_a_load_that_cannot_be_changes_nothing(
    client: triton.InferenceServerClient, arguments: dict[str, Any], text: str
) -> None:
    assert refused(lambda: client.load_model(**arguments)).startswith(text)
    assert index(client) == {"double": "", "six": "", "triple": ""}
    assert client.is_server_ready()
    assert client.is_server_live()


def test_without_explicit_control_clients_change_nothing(repository: Path, tmp_path: Path) -> None:
    with (
        Serve(repository, tmp_path / "out") as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        text = "503: explicit model load / unload is not allowed if polling is enabled"
        assert refused(lambda: client.load_model("double")) == text
        assert refused(lambda: client.unload_model("double")) == text
        assert set(index(client).values()) == {"READY"}
        assert server.stop() == 0


POLL = ["--model-control-mode=poll", "--repository-poll-secs=0.05", "--repository-settle-secs=0.2"]


def test_a_polled_repository_is_followed(repository: Path, tmp_path: Path) -> None:
    with (
        Serve(repository, tmp_path / "out", *POLL) as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        assert times(client, "six") == 6
        (repository / "double" / "1" / "factor").write_text("20.0")
        wait_until(lambda: times(client, "six") == 60)
        add_scale(repository, "new", 7)
        wait_until(lambda: client.is_model_ready("new"))
        (repository / "new").rename(tmp_path / "gone")
        wait_until(lambda: "new" not in index(client))
        (repository / "double" / "config.pbtxt").write_text("nonsense")
        wait_until(lambda: "nonsense" in str(client.get_model_repository_index()))
        assert times(client, "six") == 60
        assert client.is_server_ready()
        assert server.stop() == 0


def test_a_folder_that_is_copied_slowly_is_loaded_once_and_whole(
    repository: Path, tmp_path: Path
) -> None:
    flags = [*POLL[:2], "--repository-settle-secs=4"]
    with Serve(repository, tmp_path / "out", *flags) as server:
        folder = repository / "slow" / "1"
        folder.mkdir(parents=True)
        (repository / "slow" / "config.pbtxt").write_text(fixture("scale"))
        with (folder / "factor").open("w") as file:
            for part in [*" " * 20, "5"]:  # the last one makes it a number
                file.write(part)
                file.flush()
                time.sleep(0.05)
        wait_until(lambda: server.get("/v2/models/slow/ready")[0] == 200)
        assert server.stderr.count("the model repository has changed: slow") == 1
        assert "is not served" not in server.stderr
        assert server.stop() == 0


def test_the_command_loads_and_lists(server: Serve, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from despina.cli import main

    def run(*arguments: str) -> str:
        url = f"http://{server.address}"
        result = CliRunner().invoke(main, ["models", arguments[0], "--url", url, *arguments[1:]])
        assert result.exit_code == 0, result.output
        return result.output

    assert "| six    | 1       | READY" in run("load", "six") + run("list")
    (tmp_path / "factor").write_text("5")
    run("load", "new", "--config", str(_config(tmp_path)), "--file", f"1/factor={tmp_path}/factor")
    with triton.InferenceServerClient(server.address) as client:
        assert times(client, "new") == 5


def _config(folder: Path) -> Path:
    (folder / "config.pbtxt").write_text(fixture("scale"))
    return folder / "config.pbtxt"


def test_models_of_several_repositories_may_have_one_name(repository: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    add_scale(second, "double", 20)
    add_model(second, "twenty", chain("double"))
    with (
        Serve([repository, second], tmp_path / "out", "--model-namespacing=true") as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        assert (times(client, "six"), times(client, "twenty")) == (6, 20)
        text = refused(lambda: times(client, "double"))
        assert text.startswith("400: There are 2 identifiers of model 'double' in global map")
        assert refused(lambda: times(client, "x")).startswith("400: ")
        statistics = client.get_inference_statistics()["model_stats"]
        assert [row["inference_count"] for row in statistics if row["name"] == "double"] == [1, 1]
        page = server.get("/metrics", metrics=True)[1].decode()
        for folder in (repository, second):
            labels = f'namespace="{folder}",model="double",version="1"'
            assert f"nv_inference_request_success{{{labels}}} 1\n" in page
        assert server.stop() == 0
    with pytest.raises(despina.DespinaError, match="more than one repository"):
        despina.Server([repository, second])
