"""Both servers, over the same models."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from urllib.request import urlopen

from corpus.services import REGION, REGION_BYTES
from harness.serve import Serve
from harness.triton import Triton, triton_environment
from models import Repositories

SETTLE_SECONDS = 30.0


@dataclass(frozen=True)
class Both:
    """The servers; each has loaded all models but the one that cannot be."""

    ours: Serve
    theirs: Triton

    def settle(self) -> None:
        """Waits until no model is on its way: an unload is answered before it is done."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while any(_busy(each.port) for each in (self.ours, self.theirs)):
            assert time.monotonic() < deadline, "a model is still being loaded or unloaded"
            time.sleep(0.05)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Both]:
    """Both, until the end; skips the test where there is no Triton."""
    environment = triton_environment()
    repositories = Repositories(folder / "models")
    (folder / "triton").mkdir()
    flags = ["--model-control-mode=explicit"]
    flags += [f"--load-model={model}" for model in repositories.served]
    theirs = Triton(repositories.theirs, folder / "triton", *flags, environment=environment)
    try:
        flags.append("--allow-client-shm=true")
        with _region(), Serve(repositories.ours, folder / "despina", *flags) as ours:
            theirs.wait_ready()
            yield Both(ours, theirs)
            assert ours.stop() == 0, ours.stderr
    finally:
        if theirs.process.poll() is None:
            theirs.stop()


@contextlib.contextmanager
def _region() -> Iterator[None]:
    """The object of shared memory that the corpus registers."""
    region = SharedMemory(REGION, create=True, size=REGION_BYTES)
    try:
        yield
    finally:
        region.close()
        region.unlink()


def _busy(port: int) -> bool:
    with urlopen(f"http://127.0.0.1:{port}/v2/repository/index", b"") as answer:
        index = json.load(answer)
    return any(each.get("state") in ("LOADING", "UNLOADING") for each in index)
