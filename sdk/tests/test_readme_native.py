"""The README's tests of a backend in C++ run as they are written there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from despina_sdk.cmake import folder as cmake_folder

README = Path(__file__).parents[1] / "README.md"
BACKEND = """
#include <despina/backend.hpp>

struct Model {
  explicit Model(const despina::ModelSpec&) {}
  despina::Signature signature() const {
    return {{{"X", despina::FP32, {-1}}}, {{"Y", despina::FP32, {-1}}}};
  }
};

struct Instance {
  Instance(Model&, const despina::Placement&) {}
  void execute(despina::Batch& batch) {
    const auto x = batch.gather<float>(0);
    const auto y = batch.allocate<float>(0, x.shape());
    for (size_t i = 0; i < x.size(); ++i) y[i] = 2 * x[i];
  }
};

DESPINA_BACKEND(twice, Model, Instance)
"""
CMAKE = """
cmake_minimum_required(VERSION 3.25)
project(my_plugin LANGUAGES CXX)
find_package(DespinaSDK REQUIRED CONFIG)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_SOURCE_DIR}/lib")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY_DEBUG "${CMAKE_SOURCE_DIR}/lib")
despina_add_backend(twice SOURCES src/twice.cc PACKAGE my_plugin)
"""


def the_tests_of_the_readme() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [each for each in blocks if "NativeBackendConformance" in each]
    return str(block)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backend and the README's tests of it; the library is built."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("CMake or a C++ compiler is not installed")
    path = tmp_path_factory.mktemp("twice")
    for folder in ("src", "tests", "my_plugin"):
        (path / folder).mkdir()
    (path / "src" / "twice.cc").write_text(BACKEND)
    (path / "CMakeLists.txt").write_text(CMAKE)
    (path / "my_plugin" / "__init__.py").touch()
    (path / "tests" / "test_twice.py").write_text(the_tests_of_the_readme())
    build = ["cmake", "-S", ".", "-B", "build", f"-DDespinaSDK_DIR={cmake_folder()}"]
    for command in (build, ["cmake", "--build", "build"]):
        subprocess.run(command, cwd=path, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def report(project: Path) -> str:
    """What pytest says of the README's tests."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-c", os.devnull, "--rootdir=.", "tests"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_tests_of_the_readme_pass_and_run_under_the_sanitizers(report: str) -> None:
    assert "source" not in report  # of tests that are skipped for the want of it


def test_the_build_for_the_sanitizers_leaves_the_author_s_library_where_it_is(
    project: Path, report: str
) -> None:
    link = os.readlink(project / "my_plugin" / "libdespina_twice.so")
    built = project / "lib" / "libdespina_twice.so"
    assert Path(link).resolve() == built.resolve()
    assert b"__asan_init" not in built.read_bytes()
    (sanitized,) = (project / ".pytest_cache").rglob("libdespina_twice.so")
    assert b"__asan_init" in sanitized.read_bytes()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"name",
        b"name x\n",
        b"name 5\nab\n",
        b"name 99999999999999999999\n",
        b"tensor 12\n0 2 32 1 1\0abcd\n",
        b"request 1\n1\ntensor 4\n0 2\0\n",
        b"request 1\n1\ntensor 10\n0 200 128\0\n",
        b"request 1\n1\ntensor 14\n0 200 128\0\xff\xff\xff\xff\n",
        b"input 3\nabc\n",
        b"input 7\nX\x002 32 \n",
    ],
)
def test_the_runner_refuses_a_damaged_file(
    project: Path, report: str, damaged: bytes, tmp_path: Path
) -> None:
    runner = next((project / ".pytest_cache").rglob("despina_runner"))
    (tmp_path / "case").write_bytes(damaged)
    done = subprocess.run([runner, tmp_path / "case"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: ")
    assert "Sanitizer" not in done.stderr
