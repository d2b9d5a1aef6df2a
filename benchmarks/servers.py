"""The two servers under comparison, each started on an identity model of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MODEL = "identity_fp32"
STARTUP_SECONDS = 60

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

    @property
    def url(self) -> str:
        """Where the model takes requests."""
        return f"http://127.0.0.1:{self.port}/v2/models/{MODEL}/infer"

    @property
    def live_url(self) -> str:
        """What is answered without a model and without a body."""
        return f"http://127.0.0.1:{self.port}/v2/health/live"

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


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        url = f"http://127.0.0.1:{port}/v2/health/ready"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} is not ready after {STARTUP_SECONDS} s")


@contextlib.contextmanager
def run(name: str, command: list[str], port: int, environment: dict[str, str]) -> Iterator[Running]:
    """Starts a server, waits until it is ready, and ends it with the block."""
    with subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_ready(port, process)
            yield Running(name, process.pid, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextlib.contextmanager
def despina(port: int, backend: str = "identity_python", *flags: str) -> Iterator[Running]:
    """This checkout's server, with its defaults but for the flags."""
    with tempfile.TemporaryDirectory() as folder:
        _write_repository(Path(folder), backend, None)
        command = [sys.executable, "-m", "despina", "serve"]
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
