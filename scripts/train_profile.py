"""Puts loads on the engine that counts what it does (`make profile`).

It takes the place of the checkout's engine meanwhile. Each of the processes writes its counts at
its end: the server, the clients of its loads, and this one, which serves models itself. What none
of them reaches, the compiler takes for rare, and makes small instead of fast.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import despina

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "fixtures"))

from harness.repository import REPEAT, add_model, ensemble, identity, step, tensor  # noqa: E402
from harness.serve import Serve  # noqa: E402

LARGE = ["--shape", "INPUT0:150528"]
SMALL = ["--shape", "INPUT0:16"]
ONE_CONNECTION = ["--concurrency", "64", "--streams-per-connection", "64"]
AT_ONCE = ["--shape", "IN:4", "--input", "DELAY=delay.npy", "--input", "WAIT=wait.npy"]
LOADS = [
    ("grpc", "native", 60000, [*SMALL, *ONE_CONNECTION]),
    ("grpc", "native", 30000, [*SMALL, "--concurrency", "8"]),
    ("grpc", "native", 1000, [*LARGE, "--concurrency", "4"]),
    ("grpc", "python", 6000, [*SMALL, *ONE_CONNECTION]),
    ("grpc", "batching", 10000, [*SMALL, "--batch", "2", *ONE_CONNECTION]),
    ("grpc", "text", 3000, [*ONE_CONNECTION]),
    ("grpc", "ensemble", 3000, [*SMALL, *ONE_CONNECTION]),
    ("grpc", "repeat", 1000, [*AT_ONCE, "--concurrency", "8"]),
    ("http", "native", 30000, [*SMALL, "--concurrency", "16"]),
    ("http", "native", 10000, [*SMALL, "--concurrency", "16", "--json-tensors"]),
    ("http", "native", 1000, [*LARGE, "--concurrency", "4"]),
    ("http", "native", 100, [*LARGE, "--concurrency", "4", "--json-tensors"]),
    ("http", "python", 6000, [*SMALL, "--concurrency", "16"]),
    ("http", "batching", 10000, [*SMALL, "--batch", "2", "--concurrency", "16"]),
    ("http", "text", 3000, ["--concurrency", "16", "--json-tensors"]),
    ("http", "ensemble", 3000, [*SMALL, "--concurrency", "16"]),
    ("http", "repeat", 1000, [*AT_ONCE, "--concurrency", "8"]),
]
"""Protocol, model, requests and flags of each run of ``despina bench``."""

CALLS = 2000
"""Of each model in a server of this process."""

PARTS = {
    "IN": np.arange(4, dtype=np.int32),
    "DELAY": np.zeros(4, np.uint32),
    "WAIT": np.zeros(1, np.uint32),
}
"""What the model `repeat` answers in four parts, without a pause."""


@contextmanager
def in_place(engine: Path) -> Iterator[None]:
    """Has the checkout use this engine; afterwards the one that it had, or none."""
    link = CHECKOUT / "core" / "despina" / engine.name
    before = link.readlink() if link.is_symlink() else None
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(engine.resolve())
        yield
    finally:
        link.unlink(missing_ok=True)
        if before:
            link.symlink_to(before)


def write_repository(folder: Path) -> None:
    """Identities in both languages, of floats and texts, and what is made of them."""
    delay = "dynamic_batching { max_queue_delay_microseconds: 100 }"
    batching = identity(backend="identity").replace("dynamic_batching { }", delay)
    add_model(folder, "native", identity(backend="identity", max_batch_size=0))
    add_model(folder, "python", identity(max_batch_size=0))
    add_model(folder, "text", identity("BYTES", (4,), backend="identity", max_batch_size=0))
    add_model(folder, "batching", batching)
    steps = [
        step("native", {"INPUT0": "INPUT0"}, {"OUTPUT0": "BETWEEN"}),
        step("python", {"INPUT0": "BETWEEN"}, {"OUTPUT0": "OUTPUT0"}),
    ]
    ends = [tensor("INPUT0", "FP32", (-1,))], [tensor("OUTPUT0", "FP32", (-1,))]
    add_model(folder, "ensemble", ensemble(*ends, steps, max_batch_size=0))
    add_model(folder, "repeat", REPEAT.replace("repeat_python", "repeat"))


def bench(folder: Path, url: str, model: str, requests: int, flags: list[str]) -> None:
    """Puts a load on a server; a request that fails ends the training."""
    command = [sys.executable, "-m", "despina", "bench", model, "--url", url]
    command += ["--requests", str(requests), "--warm-up", "0", *flags]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        sys.exit(f"train_profile: {' '.join(command)}\n{done.stdout}{done.stderr}")
    print(
        f"{time.monotonic() - began:6.1f} s  {requests} requests to {model} over {url[:4]}",
        flush=True,
    )


def serve_here(repository: Path) -> None:
    """Asks the models without a protocol, as a program does that has the server inside."""
    values = {"INPUT0": np.ones(16, np.float32)}
    with despina.Server(repository) as server:
        for _ in range(CALLS):
            server.infer("native", values)
            server.infer("python", values)
        for _ in range(CALLS // 10):
            for _ in server.stream("repeat", PARTS):
                pass


def run_loads() -> None:
    """All of them, one after the other."""
    with tempfile.TemporaryDirectory(prefix="train_profile_") as temporary:
        folder = Path(temporary)
        repository = folder / "models"
        write_repository(repository)
        for name in ("DELAY", "WAIT"):
            np.save(folder / f"{name.lower()}.npy", PARTS[name])
        with Serve(repository, folder / "log") as server:
            urls = {
                "http": f"http://127.0.0.1:{server.port}",
                "grpc": f"grpc://127.0.0.1:{server.grpc_port}",
            }
            for protocol, model, requests, flags in LOADS:
                bench(folder, urls[protocol], model, requests, flags)
            if status := server.stop():
                sys.exit(f"train_profile: the server ended with {status}\n{server.stderr}")
        serve_here(repository)


def main() -> None:
    """Exit status 1 if a request fails, or nothing was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", type=Path, help="the extension that counts")
    parser.add_argument("counts", type=Path, help="the folder into which it does")
    options = parser.parse_args()
    with in_place(options.engine):
        run_loads()
    if not any(options.counts.glob("*.gcda")):
        sys.exit(
            f"train_profile: {options.engine} has counted nothing: is the compiler GCC? "
            "`make PROFILE= build` does without"
        )


if __name__ == "__main__":
    main()
