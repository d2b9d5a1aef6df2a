"""Both servers, over the same models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.serve import Serve
from harness.triton import Triton, triton_environment
from models import Repositories

EXPLICIT = ("--model-control-mode=explicit", "--load-model=*", "--exit-on-error=false")


@dataclass(frozen=True)
class Both:
    """The servers; each has loaded all models that can be."""

    ours: Serve
    theirs: Triton


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Both]:
    """Both, until the end; skips the test where there is no Triton."""
    environment = triton_environment()
    repositories = Repositories(folder / "models")
    (folder / "triton").mkdir()
    theirs = Triton(repositories.theirs, folder / "triton", *EXPLICIT, environment=environment)
    try:
        flags = (*EXPLICIT, "--allow-client-shm=true")
        with Serve(repositories.ours, folder / "despina", *flags) as ours:
            for model in repositories.served:
                theirs.wait_loaded(model)
            yield Both(ours, theirs)
            assert ours.stop() == 0, ours.stderr
    finally:
        if theirs.process.poll() is None:
            theirs.stop()
