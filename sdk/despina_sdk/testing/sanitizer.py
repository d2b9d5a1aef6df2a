"""A backend built with the sanitizers, and run by ``despina/testing/runner.cc``."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from despina_sdk.backend import Signature
from despina_sdk.cmake import folder as cmake_folder
from despina_sdk.tensors import Array, TensorSpec
from despina_sdk.testing import abi
from despina_sdk.testing.isolated import Case
from despina_sdk.testing.probes import Tensors

SANITIZERS = "address,undefined"
RUNNER = "despina_runner"
JOBS = 2
BUILD_SECONDS = 1800.0
SLOWDOWN = 5.0
"""Of code that the sanitizers watch: the answer to a request may take that much longer."""
START_SECONDS = 60.0
"""For a run itself."""
CALLS = 30
"""Of the backend in a run, each with the time limit of the tests."""
REPORT_LINES = 40
FRAMES = 8
"""Of each stack in a report."""
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


class NoToolsError(RuntimeError):
    """What is needed to build a backend is not installed."""


class SanitizedBuild:
    """A folder with the build of a backend, which is kept: the next time only changes are built."""

    def __init__(self, source: Path, cache: Path, target: str, library: str) -> None:
        """Names it.

        Args:
            source: the folder of the author's ``CMakeLists.txt``.
            cache: in which the folders of all builds lie.
            target: of the author's; the backend's name.
            library: the file's name.

        Raises:
            NoToolsError: there is no CMake, no compiler, or nothing that CMake builds with.
        """
        # CMake and Ninja may be installed beside Python, by pip.
        self._path = os.pathsep.join([os.environ.get("PATH", os.defpath), _beside_python()])
        missing = [tool for tool in ("cmake", "c++") if not self._which(tool)]
        if not any(map(self._which, ("ninja", "make"))) and "CMAKE_GENERATOR" not in os.environ:
            missing.append("ninja or make")
        if missing:
            raise NoToolsError(f"not installed: {', '.join(missing)}")
        self._source, self._target, self._library = source.resolve(), target, library
        key = hashlib.sha256(str(self._source).encode()).hexdigest()[:16]
        self._folder = cache / key

    def make(self) -> None:
        """Builds the backend and the runner; one process at a time.

        Raises:
            AssertionError: it cannot be built; with the output.
        """
        configure = ["cmake", "-S", str(self._source), "-B", str(self._folder)]
        configure += ["-DCMAKE_BUILD_TYPE=Debug", f"-DDESPINA_SANITIZE={SANITIZERS}"]
        configure += [f"-DDespinaSDK_DIR={cmake_folder()}"]
        build = ["cmake", "--build", str(self._folder), "-j", str(JOBS)]
        build += ["--target", self._target, RUNNER]
        with _locked(self._folder.with_suffix(".lock")):
            configured = (self._folder / "CMakeCache.txt").exists()
            if self._which("ninja") and "CMAKE_GENERATOR" not in os.environ and not configured:
                configure += ["-G", "Ninja"]
            self._call(configure)
            self._call(build)

    def run(self, case: Case, signature: Signature, samples: Sequence[Tensors]) -> str:
        """Runs it with the samples.

        Args:
            case: what is loaded.
            signature: of the model.
            samples: the inputs of requests.

        Returns:
            What was found; empty if nothing was.
        """
        library, runner = self._built(self._library), self._built(RUNNER)
        # What is loaded before the sanitizers' own library makes them give up.
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | ENVIRONMENT
        timeout = START_SECONDS + CALLS * case.time_limit
        with tempfile.NamedTemporaryFile(prefix="despina-") as file:
            file.write(b"".join(_records(case, library, signature, samples)))
            file.flush()
            try:
                done = subprocess.run(
                    [str(runner), file.name],
                    capture_output=True,
                    timeout=timeout,
                    env=environment,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return f"the runner has not ended after {timeout:g} s"
        written = (done.stdout + done.stderr).decode(errors="replace")
        return shortened(written) if done.returncode else ""

    def _built(self, name: str) -> Path:
        # Where despina_add_backend() puts it: elsewhere there may be others of that name.
        path = self._folder / "despina" / name
        assert path.is_file(), f"the build of '{self._source}' has made no '{name}'"
        return path

    def _which(self, tool: str) -> str | None:
        return shutil.which(tool, path=self._path)

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(
            [self._which(command[0]) or command[0], *command[1:]],
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            env={**os.environ, "PATH": self._path},
            check=False,
        )
        text = (done.stdout + done.stderr)[-4000:]
        assert done.returncode == 0, f"{' '.join(command)}\n{text}"


def _beside_python() -> str:
    return str(Path(sys.executable).parent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits for other processes that hold this file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shortened(report: str) -> str:
    """The lines of a report that help: what was found, and the first frames of each stack."""
    lines = []
    for line in report.splitlines():
        frame = re.match(r"\s+#(\d+) ", line)
        if line.startswith("Shadow bytes"):
            break
        if line.strip() and (frame is None or int(frame[1]) < FRAMES):
            lines.append(line)
    summary = [line for line in report.splitlines() if line.startswith("SUMMARY")]
    begin = next((i for i, line in enumerate(lines) if _FOUND.search(line)), 0)
    return "\n".join([*lines[begin : begin + REPORT_LINES], *summary])


_FOUND = re.compile(r"ERROR: |runtime error: ")


def _records(
    case: Case, library: Path, signature: Signature, samples: Sequence[Tensors]
) -> Iterator[bytes]:
    """The file that the runner takes."""
    spec = case.spec
    rows = spec.max_batch_size if signature.max_batch_size is None else signature.max_batch_size
    policy = spec.config.get("model_transaction_policy", {})
    for key, value in {
        "library": str(library),
        "name": spec.name,
        "version": spec.version,
        "path": str(spec.path.resolve()),
        "config": json.dumps(dict(spec.config)),
        "time_limit": str(int(1000 * SLOWDOWN * case.time_limit)),
        "max_batch_size": str(spec.max_batch_size),
        "decoupled": str(int(bool(policy.get("decoupled", signature.decoupled)))),
    }.items():
        yield _record(key, value.encode())
    for key, pairs in (("option", case.options), ("parameter", spec.parameters)):
        for name, value in pairs.items():
            yield _record(key, f"{name}\0{value}".encode())
    for key, specs in (("input", spec.inputs), ("output", spec.outputs)):
        for each in specs:
            yield _record(key, _spec(each))
    for sample in samples:
        array = next(iter(sample.values()), None)
        yield _record("request", str(len(array) if rows and array is not None else 1).encode())
        for index, each in enumerate(signature.inputs):
            if each.name in sample:
                yield _record("tensor", _tensor(index, each, sample[each.name]))


def _record(key: str, value: bytes) -> bytes:
    return f"{key} {len(value)}\n".encode() + value + b"\n"


def _spec(tensor: TensorSpec) -> bytes:
    code, bits, _ = abi.DATATYPES[tensor.datatype]
    numbers = [code, bits, int(tensor.optional), *tensor.shape]
    return f"{tensor.name}\0{' '.join(map(str, numbers))}".encode()


def _tensor(index: int, spec: TensorSpec, array: Array) -> bytes:
    code, bits, _ = abi.DATATYPES[spec.datatype]
    head = " ".join(map(str, [index, code, bits, *array.shape])).encode() + b"\0"
    if spec.datatype != "BYTES":
        return head + np.ascontiguousarray(array).tobytes()
    texts = [each.encode() if isinstance(each, str) else bytes(each) for each in array.ravel()]
    return head + b"".join(len(text).to_bytes(4, sys.byteorder) + text for text in texts)
