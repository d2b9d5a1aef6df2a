"""A server per module that is attacked, and what must hold after every attack."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "plugins"))

from harness.fixtures import LABELS
from harness.raw_http import Connection, good, is_good
from harness.repository import add_model, fixture, identity
from harness.serve import Serve

GROWTH = 64 << 20
"""Bytes that all attacks of a module together may leave behind: what allocators and pools keep of
requests of some megabytes. What leaks, or is held for each request, becomes more."""


@dataclass(frozen=True)
class Rest:
    """What the process holds before it is attacked."""

    files: int
    resident: int


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with all that is attacked; what is loaded besides comes from clients."""
    folder = tmp_path_factory.mktemp("models")
    add_model(folder, "identity_fp32", identity())
    add_model(folder, "identity_bytes", identity("BYTES"))
    add_model(folder, "plain_uint8", identity("UINT8", max_batch_size=0))
    add_model(folder, "behaviour", fixture("behaviour"))
    output = 'output [ { name: "CLASSES" data_type: TYPE_FP32 dims: [ 4 ] '
    output += 'label_filename: "labels.txt" } ]\n'
    add_model(folder, "classes", fixture("classes", extra=output), {"labels.txt": LABELS.encode()})
    return folder


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """With the ``FLAGS`` of the module, in which ``{folder}`` is its own.

    It must end well: nothing may have broken it.
    """
    folder = tmp_path_factory.mktemp("server")
    flags = [flag.format(folder=folder) for flag in getattr(request.module, "FLAGS", ())]
    with Serve(models, folder, *flags) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module")
def rest(request: pytest.FixtureRequest, server: Serve) -> Rest:
    """Of the server, once it has answered something, and after ``warm_up`` of the module."""
    getattr(request.module, "warm_up", lambda server: None)(server)
    for _ in range(3):
        with Connection(server.port) as connection:
            assert is_good(connection.exchange(good()))
        server.get("/metrics", metrics=True)
    with Connection(server.port) as connection:
        assert is_good(connection.exchange(good()))
        # The others are closed by then, in the order in which they came.
        return Rest(server.open_files() - 1, server.resident_bytes())


@pytest.fixture(autouse=True)
def _unharmed(server: Serve, rest: Rest) -> Iterator[None]:
    """After each attack the server is the same process, ready, right, and no larger."""
    yield
    assert server.process.poll() is None, server.stderr
    with Connection(server.port) as next_client:
        assert is_good(next_client.exchange(good()))
    assert server.ready()
    deadline = time.monotonic() + 10
    while server.open_files() > rest.files:
        assert time.monotonic() < deadline, "descriptors are left open"
        time.sleep(0.01)
    assert server.resident_bytes() - rest.resident < GROWTH


@pytest.fixture
def connection(server: Serve) -> Iterator[Connection]:
    """One to the server."""
    with Connection(server.port, timeout=30) as opened:
        yield opened
