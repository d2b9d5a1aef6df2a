"""A server for the clients, and real models and photographs where there are any."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CLIENTS))
READY_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Addresses:
    """Where a server listens, ``host:port`` each."""

    http: str
    metrics: str


@pytest.fixture(scope="session")
def clients() -> Path:
    return CLIENTS


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models and photographs, which are not part of the repository."""
    default = CLIENTS.parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DESPINA_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no models and photographs in {folder} (DESPINA_SHARED_DATA names the folder)")
    return folder


@pytest.fixture(scope="module")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Path], Addresses]]:
    """Starts `despina serve` on a model repository; it is stopped after the module's tests."""
    started = []

    def start(repository: Path) -> Addresses:
        log = tmp_path_factory.mktemp("server") / "log"
        command = [sys.executable, "-m", "despina", "serve", "--model-repository", str(repository)]
        command += ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        with log.open("w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        started.append(server)
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while "\nServer is ready\n" not in log.read_text():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        http, _grpc, metrics = re.findall(r"^Started .* at (\S+)$", log.read_text(), re.MULTILINE)
        return Addresses(http, metrics)

    yield start
    for server in started:
        server.terminate()
        assert server.wait(60) == 0
