"""The servers under comparison, each started on an identity model of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from payloads import INFER, MODEL

STARTUP_SECONDS = 60
STOP_SECONDS = 60

CONFIG = """backend: "{backend}"
max_batch_size: 0
input [ {{ name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] }} ]
output [ {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
"""

TRITON_MODEL = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "INPUT0")
            output = pb_utils.Tensor("OUTPUT0", tensor.as_numpy())
            responses.append(pb_utils.InferenceResponse([output]))
        return responses
"""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    name: str
    pid: int
    port: int
    grpc_port: int
    has_models: bool = True
    """Otherwise it only answers gRPC, and always the same."""

    @property
    def url(self) -> str:
        """Where the model takes requests."""
        return f"http://127.0.0.1:{self.port}/v2/models/{MODEL}/infer"

    @property
    def live_url(self) -> str:
        """What is answered without a model and without a body."""
        return f"http://127.0.0.1:{self.port}/v2/health/live"

    @property
    def grpc_url(self) -> str:
        """Where the model takes requests over gRPC."""
        return f"http://127.0.0.1:{self.grpc_port}{INFER}"

    def counted(self) -> tuple[int, int]:
        """Requests to the model that succeeded and that failed, by its own statistics."""
        url = f"http://127.0.0.1:{self.port}/v2/models/{MODEL}/stats"
        with urllib.request.urlopen(url, timeout=20) as response:
            statistics = json.load(response)["model_stats"][0]["inference_stats"]
        return int(statistics["success"]["count"]), int(statistics["fail"]["count"])

    def cpu_seconds(self) -> float:
        """User and system time of the process and all its descendants, so far."""
        return sum(_process_times(pid) for pid in _tree(self.pid)) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def _process_times(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def _write_repository(root: Path, backend: str, model_py: str | None) -> None:
    version = root / MODEL / "1"
    version.mkdir(parents=True)
    (root / MODEL / "config.pbtxt").write_text(CONFIG.format(backend=backend))
    if model_py:
        (version / "model.py").write_text(model_py)


def _is_ready(port: int) -> None:
    """Raises OSError until the server says that it is."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=1):
        pass


def _listens(port: int) -> None:
    """Raises OSError until there is a listener."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


def _wait_ready(port: int, process: subprocess.Popen[bytes], probe: Callable[[int], None]) -> None:
    end = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            probe(port)
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} is not ready after {STARTUP_SECONDS} s")


@contextlib.contextmanager
def run(
    name: str,
    command: list[str],
    port: int,
    environment: dict[str, str],
    probe: Callable[[int], None] = _is_ready,
) -> Iterator[Running]:
    """Starts a server, waits until it is ready, and ends it with the block.

    Args:
        name: that rows give it.
        command: starts it in the foreground.
        port: of HTTP; gRPC has the next.
        environment: variables besides this process's own.
        probe: raises OSError while the server is not ready.
    """
    with subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_ready(port, process, probe)
            yield Running(name, process.pid, port, port + 1)
        finally:
            if (status := process.poll()) is not None:
                print(f"{name} has ended by itself, with status {status}", file=sys.stderr)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Triton, now and then. It would be waited for without an end.
                print(f"{name} does not end, and is killed", file=sys.stderr)
                process.kill()


@contextlib.contextmanager
def despina(
    port: int, backend: str = "identity_python", *flags: str, within: Sequence[str] = ()
) -> Iterator[Running]:
    """This checkout's server, with its defaults but for the flags; gRPC takes the next port.

    Args:
        port: of HTTP.
        backend: of the model.
        flags: besides those of the ports and of the repository.
        within: the beginning of a command that runs it.
    """
    with tempfile.TemporaryDirectory() as folder:
        _write_repository(Path(folder), backend, None)
        command = [*within, sys.executable, "-m", "despina", "serve"]
        command += ["--model-repository", folder, "--http-port", str(port)]
        command += ["--grpc-port", str(port + 1), "--metrics-port", "0"]
        command += flags
        with run("despina", command, port, {}) as running:
            yield running


@contextlib.contextmanager
def triton(port: int, environment: Path, native: Path | None = None) -> Iterator[Running]:
    """The real Triton that the package nvidia-pytriton brings along.

    Args:
        port: of HTTP; gRPC and metrics take the next two.
        environment: a virtual environment with that package.
        native: ``libtriton_NAME.so`` of an identity in C++; without, the model is in Python.
    """
    site = next(environment.glob("lib/python3.*/site-packages"))
    home = site / "pytriton" / "tritonserver"
    version = re.search(r"python(3\.\d+)", str(site))
    assert version is not None
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if native:
            name = native.stem.removeprefix("libtriton_")
            _write_repository(work / "models", name, None)
            (work / "backends" / name).mkdir(parents=True)
            (work / "backends" / name / native.name).symlink_to(native.resolve())
        else:
            _write_repository(work / "models", "python", TRITON_MODEL)
        backend = work / "backends" / "python"
        backend.mkdir(parents=True)
        # The stub has to lie beside the backend, and to be that of the interpreter.
        stub = home / "python_backend_stubs" / version[1] / "triton_python_backend_stub"
        shipped = home / "backends" / "python"
        for file in [*shipped.iterdir(), stub]:
            (backend / file.name).symlink_to(file)
        libraries = subprocess.check_output(
            [
                environment / "bin" / "python",
                "-c",
                "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))",
            ],
            text=True,
        ).strip()
        command = [str(home / "bin" / "tritonserver"), f"--model-repository={work / 'models'}"]
        command += [f"--backend-directory={work / 'backends'}", "--allow-gpu-metrics=false"]
        for offset, service in enumerate(["http", "grpc", "metrics"]):
            command += [f"--{service}-address=127.0.0.1", f"--{service}-port={port + offset}"]
        variables = {
            "LD_LIBRARY_PATH": f"{site / 'nvidia_pytriton.libs'}:{libraries}",
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        }
        with run("triton", command, port, variables) as running:
            yield running


@contextlib.contextmanager
def nghttpd(port: int, answer: bytes) -> Iterator[Running]:
    """The floor of gRPC: reads a request, and answers with a file and a trailer.

    Args:
        port: of HTTP/2.
        answer: what Despina answers, so that as many bytes go back.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder + INFER)
        file.parent.mkdir()
        file.write_bytes(answer)
        command = ["nghttpd", "--no-tls", "--address=127.0.0.1", f"--htdocs={folder}"]
        # As many streams and as wide windows as others give a client.
        command += ["--max-concurrent-streams=1000", "--window-bits=30"]
        command += ["--connection-window-bits=30", "--trailer=grpc-status: 0", str(port)]
        with run("nghttpd", command, port, {}, _listens) as running:
            yield replace(running, grpc_port=port, has_models=False)
