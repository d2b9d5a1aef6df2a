"""Modules that run in a process of their own, so that what crashes there does no harm here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO


def run_module(
    module: str,
    arguments: Sequence[str],
    output: IO[bytes],
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> int | None:
    """Runs a module in another process, which imports as this one does.

    Args:
        module, arguments: as after ``python -m``.
        output: a file, for what it writes. A pipe would be held open by what it leaves behind.
        seconds: after which it is killed.
        environment: variables to set besides those of this process.

    Returns:
        Its exit status, less than 0 for the number of a signal; ``None`` if it was killed.
    """
    # -P: not from the folder that it happens to be in.
    command = [sys.executable, "-P", "-m", module, *arguments]
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def ending(status: int) -> str:
    """How a process has ended, as one would say it: the name of a signal, or its status."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # one without a name
        return f"signal {-status}"
