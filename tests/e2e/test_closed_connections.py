"""A client that goes away: its request is cancelled wherever it is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.raw_http import Connection, json_infer
from harness.repository import add_model, ensemble, fixture, step, tensor
from harness.serve import Serve
from harness.waiting import wait_until

from despina_sdk.cmake import include_folder

X, Y = tensor("X", "FP32", [-1]), tensor("Y", "FP32", [-1])


def around(*models: str) -> str:
    """An ensemble that gives its input to all models at once."""
    outputs = [tensor(f"Y{i}", "FP32", [-1]) for i in range(len(models))]
    steps = [step(model, {"X": "X"}, {"Y": f"Y{i}"}) for i, model in enumerate(models)]
    return ensemble([X], outputs, steps)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves a native backend that hears of cancellations, one that polls, and ensembles."""
    repository = tmp_path_factory.mktemp("repository")
    add_model(repository, "listening", 'backend: "listening"\nmax_batch_size: 8\n')
    library = repository / "listening" / "libdespina_listening.so"
    command = ["g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden"]
    command += [f"-I{include_folder()}", "-o", str(library)]
    subprocess.run([*command, str(Path(__file__).with_name("listening.cc"))], check=True)
    add_model(repository, "polling", fixture("behaviour"))
    add_model(repository, "both", around("listening", "polling"))
    add_model(repository, "nested", around("both"))
    (repository / "nested" / "config.pbtxt").write_text(
        ensemble([X], [Y], [step("both", {"X": "X"}, {"Y0": "Y"})])
    )
    with Serve(repository, tmp_path_factory.mktemp("server")) as running:
        yield running
        assert running.stop() == 0, running.stderr


def metric(server: Serve, name: str, **labels: str) -> float:
    """A value of the metrics page; 0 where it is not there."""
    text = server.get("/metrics", metrics=True)[1].decode()
    for found, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE):
        if all(f'{key}="{each}"' in found for key, each in labels.items()):
            return float(value)
    return 0.0


def cancelled(server: Serve, model: str) -> float:
    return metric(server, "nv_inference_request_failure", model=model, reason="CANCELED")


def executions(server: Serve, model: str) -> float:
    return metric(server, "nv_inference_exec_count", model=model)


def ask(server: Serve, model: str, behaviour: str = "double") -> Connection:
    connection = Connection(server.port)
    x = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
    document = {"inputs": [x], "parameters": {"behaviour": behaviour}}
    connection.send(json_infer(model, document))
    return connection


def close(connection: Connection) -> None:
    connection.__exit__(None, None, None)


@pytest.fixture
def begin(server: Serve) -> Callable[..., Connection]:
    """Sends a request to a model that ``listening`` works on; returns when it does."""

    def begin(model: str, behaviour: str = "double") -> Connection:
        before = metric(server, "listening_begun")
        connection = ask(server, model, behaviour)
        wait_until(lambda: metric(server, "listening_begun") > before, "begun")
        return connection

    return begin


def test_a_native_backend_hears_of_it(server: Serve, begin: Callable[..., Connection]):
    heard, failed = metric(server, "listening_heard_total"), cancelled(server, "listening")
    connection = begin("listening")
    assert metric(server, "listening_heard_total") == heard
    close(connection)
    wait_until(lambda: metric(server, "listening_heard_total") == heard + 1, "heard")
    wait_until(lambda: cancelled(server, "listening") == failed + 1, "counted")


def test_a_backend_that_looks_sees_it(server: Serve, tmp_path: Path):
    failed = cancelled(server, "polling")
    connection = ask(server, "polling", f"until_cancelled:{tmp_path}/begun")
    wait_until((tmp_path / "begun").exists, "begun")
    close(connection)
    wait_until(lambda: cancelled(server, "polling") == failed + 1, "seen")


def test_a_request_that_waits_leaves_the_queue(server: Serve, tmp_path: Path):
    failed, executed = cancelled(server, "polling"), executions(server, "polling")
    running = ask(server, "polling", f"until_cancelled:{tmp_path}/begun")
    wait_until((tmp_path / "begun").exists, "begun")
    waiting = ask(server, "polling")
    server.wait_pending("polling", 1)
    close(waiting)
    wait_until(lambda: cancelled(server, "polling") == failed + 1, "left the queue")
    close(running)
    wait_until(lambda: cancelled(server, "polling") == failed + 2, "ended")
    wait_until(lambda: executions(server, "polling") >= executed + 1, "counted")
    assert executions(server, "polling") == executed + 1


@pytest.mark.parametrize("model", ["both", "nested"])
def test_every_step_of_an_ensemble_hears_of_it(
    server: Serve, begin: Callable[..., Connection], model: str, tmp_path: Path
):
    heard = metric(server, "listening_heard_total")
    failed = {each: cancelled(server, each) for each in ("polling", "both", model)}
    connection = begin(model, f"until_cancelled:{tmp_path}/begun")
    if model == "both":
        wait_until((tmp_path / "begun").exists, "begun")
    close(connection)
    wait_until(lambda: metric(server, "listening_heard_total") == heard + 1, "heard")
    wait_until(lambda: cancelled(server, model) == failed[model] + 1, "the ensemble has ended")
    wait_until(lambda: cancelled(server, "both") == failed["both"] + 1, "the member has ended")
    if model == "both":
        wait_until(lambda: cancelled(server, "polling") == failed["polling"] + 1, "seen")


def test_the_server_serves_on(server: Serve):
    connection = ask(server, "polling")
    assert connection.read().json["outputs"][0]["data"] == [2.0]
    close(connection)
