"""Models that are loaded again and again while clients hammer them: nobody sees it fail."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.hammer import ONE, Hammer
from harness.raw_http import Connection
from harness.repository import add_model, ensemble, fixture, step, tensor
from harness.serve import Serve
from harness.tensors import infer
from harness.waiting import wait_until

RELOADS = 50
CLIENTS = 3
"""Of each model."""
FLAT_BYTES = 24 << 20

X, Y = tensor("X", "FP32", [-1]), tensor("Y", "FP32", [-1])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """``scale`` multiplies by 1, ``twice`` is an ensemble of two of it, ``native`` an identity."""
    folder = tmp_path / "repository"
    add_model(folder, "scale", fixture("scale"), {"1/factor": b"1"})
    steps = [step("scale", {"X": "X"}, {"Y": "t"}), step("scale", {"X": "t"}, {"Y": "Y"})]
    add_model(folder, "twice", ensemble([X], [Y], steps))
    add_model(folder, "native", native(8))
    return folder


def native(rows: int) -> str:
    tensors = "data_type: TYPE_FP32 dims: [ -1 ]"
    return (
        f'backend: "identity"\nmax_batch_size: {rows}\ndynamic_batching {{ }}\n'
        f'input [ {{ name: "X" {tensors} }} ]\noutput [ {{ name: "Y" {tensors} }} ]\n'
    )


@pytest.fixture
def server(repository: Path, tmp_path: Path) -> Iterator[Serve]:
    flags = ["--model-control-mode=explicit", "--load-model=*"]
    with Serve(repository, tmp_path / "out", *flags) as running:
        yield running
        assert running.stop() == 0, running.stderr


class Growing:
    """Checks that what is answered never goes back to what was before."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, answer: float) -> None:
        assert answer >= self._last, f"{answer} after {self._last}"
        self._last = answer


def test_fifty_reloads_are_not_seen_by_those_who_ask(server: Serve, repository: Path) -> None:
    models = ("scale", "twice", "native")
    clients = [Hammer(server.port, model, Growing()) for model in models for _ in range(CLIENTS)]
    files = memory = 0
    try:
        for reload in range(1, RELOADS + 1):
            (repository / "scale" / "1" / "factor").write_text(str(reload))
            (repository / "native" / "config.pbtxt").write_text(native(8 + reload))
            for model in ("scale", "native"):
                status, body = server.post(f"/v2/repository/models/{model}/load")
                assert status == 200, body
            assert server.ready()
            with Connection(server.port) as connection:
                assert infer(connection, "scale", X=ONE)["Y"][0, 0] == reload
                assert infer(connection, "twice", X=ONE)["Y"][0, 0] == reload**2
            if reload == RELOADS // 2:
                files, memory = server.open_files(), server.resident_bytes()
        wait_until(lambda: server.open_files() <= files, "let go of")
        assert server.resident_bytes() - memory < FLAT_BYTES
    finally:
        for client in clients:
            client.stop()
    assert [client.error for client in clients if client.error] == []
    assert all(client.answers > RELOADS for client in clients)
    index = server.post("/v2/repository/index")[1]
    assert index.count(b"READY") == 3
    assert b"reason" not in index


def test_changes_that_fail_are_not_seen_by_those_who_ask(server: Serve, repository: Path) -> None:
    def one(answer: float) -> None:
        assert answer == 1

    clients = [Hammer(server.port, model, one) for model in ("scale", "twice", "native")]
    try:
        breaks = itertools.cycle([("factor", "none"), ("../config.pbtxt", "nonsense: 1")])
        for (file, text), _ in zip(breaks, range(RELOADS // 2), strict=False):
            (repository / "scale" / "1" / file).write_text(text)
            status, body = server.post("/v2/repository/models/scale/load")
            assert status == 400
            assert b"load failed for model 'scale': version 1 is at UNAVAILABLE state: " in body
            assert server.get("/v2/models/scale/ready")[0] == 200
            assert server.ready()
    finally:
        for client in clients:
            client.stop()
    assert [client.error for client in clients if client.error] == []
    assert b"nonsense" in server.post("/v2/repository/index")[1]
    assert "what served before goes on, the change failed: ValueError" in server.stderr
