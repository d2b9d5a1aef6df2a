"""What the system's loader says of a library: which of its libraries and symbols are missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

SECONDS = 30.0
_WANTS = re.compile(r"file=(\S+) \[\d+\];\s+needed by (\S+)")
_NOT_FOUND = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
# Python's own are found in a process of Python; lines with a process id say the same once more.
_OTHER = re.compile(r"^(?!\s*\d+:)(.*version `.*|undefined symbol: (?!_?Py).*)$", re.MULTILINE)


def missing(library: Path) -> tuple[str, ...]:
    """Libraries that are not found, with the file that wants each, and undefined symbols.

    Runs ``ldd``, which resolves everything and runs nothing of the library. Empty where the system
    has no ``ldd``, or it finds nothing missing.
    """
    ldd = shutil.which("ldd")
    if ldd is None:
        return ()
    environment = {**os.environ, "LD_DEBUG": "files", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [ldd, "-r", str(library)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    said = done.stdout + done.stderr
    wants = dict(_WANTS.findall(said))
    lines = [
        f"{name} => not found; needed by {wants.get(name, library)}"
        for name in _NOT_FOUND.findall(said)
    ]
    return (
        *dict.fromkeys(lines),
        *dict.fromkeys(" ".join(each.split()) for each in _OTHER.findall(said)),
    )
