"""``despina/testing/fake_host.hpp``: a C++ test on it passes, and the sanitizers find nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from despina_sdk.cmake import include_folder

HERE = Path(__file__).parent
SOURCES = [str(HERE / name) for name in ("fake_host_test.cc", "counting_backend.cc")]


def test_a_test_of_the_author_s_own_runs_in_the_host(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler is installed")
    program = tmp_path / "fake_host_test"
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-g", f"-I{include_folder()}"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-pthread"]
    subprocess.run([*command, "-o", str(program), *SOURCES, "-ldl"], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
