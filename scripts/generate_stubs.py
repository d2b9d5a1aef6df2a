"""Writes the type stub of the compiled engine, from the extension itself.

``make stubs`` writes core/despina/_engine.pyi; a test compares that with what this gives.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = "despina._engine"


def generate() -> str:
    """The stub of the extension that is installed in this environment."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", MODULE, "--output-dir", folder]
        subprocess.run([*command, "--exit-code"], check=True, stdout=subprocess.DEVNULL)
        return Path(folder, *MODULE.split(".")).with_suffix(".pyi").read_text()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(generate())
