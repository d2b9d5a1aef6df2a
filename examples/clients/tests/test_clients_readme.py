"""The commands of the README work and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"^```(sh|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
SERVE = "despina serve --model-repository "


def test_every_command_prints_what_the_readme_shows(
    clients: Path, tmp_path: Path, start_server: Callable[..., Any]
) -> None:
    blocks = BLOCK.findall((clients / "README.md").read_text())
    compared = 0
    addresses = None
    for language, code, printed in blocks:
        if code.startswith(SERVE):
            repository, *flags = code.removeprefix(SERVE).split()
            addresses = start_server(tmp_path / repository, *flags)
            continue
        if addresses is not None:
            code = code.replace("localhost:8000", addresses.http)
            code = code.replace("localhost:8001", addresses.grpc)
            code = code.replace("localhost:8002", addresses.metrics)
        program = {"sh": ["bash", "-euo", "pipefail"], "python": [sys.executable]}[language]
        run = subprocess.run(
            [*program, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, f"{code}\n{run.stderr}"
        if printed:
            assert run.stdout.strip("\n") == printed.strip("\n"), code
            compared += 1
        elif addresses is not None:
            assert run.stdout, code
    assert addresses is not None
    assert compared >= 6
