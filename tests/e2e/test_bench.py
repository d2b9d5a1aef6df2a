"""``despina bench`` as a process, and what may happen to it and to its server meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.repository import add_model, identity
from harness.serve import Serve, environment


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serve]:
    add_model(tmp_path / "models", "m", identity(dims=[16]))
    with Serve(tmp_path / "models", tmp_path / "out") as running:
        yield running


class Bench:
    """The command, with a load that does not end by itself."""

    def __init__(self, server: Serve, folder: Path, *flags: str) -> None:
        self.file = folder / "figures.json"
        command = [sys.executable, "-m", "despina", "bench", "m", "--warm-up=0", "--duration=1000"]
        command += [f"--url=http://{server.address}", f"--json={self.file}", *flags]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=environment(), stdout=pipe, stderr=pipe, text=True
        )
        deadline = time.monotonic() + 60
        # The first request is not yet the load.
        while server.statistics("m")["inference_count"] < 2:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self) -> tuple[int, str, str]:
        """Status and outputs, once it has ended."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors

    def figures(self) -> dict[str, Any]:
        """What it has written."""
        written: dict[str, Any] = json.loads(self.file.read_text())
        return written


def test_ctrl_c_prints_what_was_measured(server: Serve, tmp_path: Path) -> None:
    bench = Bench(server, tmp_path, "--concurrency=2,4")
    bench.process.send_signal(signal.SIGINT)
    status, output, errors = bench.end()
    assert (status, errors) == (130, "interrupted: the last load is not complete\n")
    assert "| 2    |" in output
    figures = bench.figures()
    assert figures["interrupted"]
    (load,) = figures["loads"]
    assert load["succeeded"] > 0
    assert load["failed"] == 0
    assert 0 < load["seconds"] < 1000


@pytest.mark.parametrize("flags", [("--concurrency=4,8",), ("--rate=200,400",)])
def test_a_server_that_dies_ends_it_with_what_was_measured(
    server: Serve, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    bench = Bench(server, tmp_path, *flags)
    server.process.kill()
    status, output, errors = bench.end()
    assert status == 1
    where = f"127.0.0.1:{server.port}"
    assert f"error: cannot connect to {where}: Connection refused\n" in errors
    figures = bench.figures()
    assert figures["error"] == f"cannot connect to {where}: Connection refused"
    assert len(figures["loads"]) == 1
    assert figures["loads"][0]["succeeded"] > 0
    assert "| Load" in output


def test_a_server_that_dies_ends_a_load_over_grpc(server: Serve, tmp_path: Path) -> None:
    where = f"127.0.0.1:{server.grpc_port}"
    shared = ("--concurrency=8", "--streams-per-connection=4")
    bench = Bench(server, tmp_path, f"--url=grpc://{where}", *shared)
    server.process.kill()
    status, _, errors = bench.end()
    assert status == 1
    assert f"error: cannot connect to {where}: Connection refused\n" in errors
    (load,) = bench.figures()["loads"]
    assert load["succeeded"] > 0
    # What was under way has no status.
    assert set(load["failures"]) <= {
        "the server closed the connection without an answer",
        "the server closed the connection within the answer",
    }


def test_nothing_is_shown_of_the_progress_where_nobody_watches(
    server: Serve, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "despina", "bench", "m", f"--url=http://{server.address}"]
    command += ["--requests=50", "--warm-up=0.1", "--concurrency=1:4:2x"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1 + 8 + 8


def test_a_model_of_this_process_can_be_interrupted(tmp_path: Path) -> None:
    add_model(tmp_path / "models", "m", identity(dims=[16], delay_ms=3))
    command = [sys.executable, "-m", "despina", "bench", "m", "--duration=1000", "--warm-up=0"]
    command += [f"--model-repository={tmp_path / 'models'}", f"--json={tmp_path / 'x.json'}"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # The load runs on a thread of that name.
        deadline = time.monotonic() + 60
        while "load 0" not in threads_of(process.pid):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "| 1    |" in output
    assert json.loads((tmp_path / "x.json").read_text())["interrupted"]


def threads_of(process: int) -> set[str]:
    names = Path(f"/proc/{process}/task").glob("*/comm")
    return {name.read_text().strip() for name in names}
