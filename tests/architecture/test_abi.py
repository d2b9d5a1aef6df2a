"""The C interface: its hash, its layout, and that it is what C and C++ compilers take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from despina_sdk.cmake import include_folder

# Sizes and places that backends have compiled in. They are those of every 64-bit machine.
LAYOUT = """
#include <despina/abi.h>
#ifdef __cplusplus
#define CHECK(what) static_assert(what, "")
#else
#define CHECK(what) _Static_assert(what, "")
#endif
CHECK(sizeof(despina_str) == 16);
CHECK(sizeof(despina_pair) == 32);
CHECK(sizeof(despina_error) == 512 && offsetof(despina_error, message) == 4);
CHECK(sizeof(despina_datatype) == 4 && sizeof(despina_device) == 8);
CHECK(sizeof(despina_tensor) == 40 && offsetof(despina_tensor, byte_size) == 32);
CHECK(sizeof(despina_tensor_owned) == 56 && offsetof(despina_tensor_owned, release) == 48);
CHECK(sizeof(despina_tensor_spec) == 40);
CHECK(sizeof(despina_parameter) == 40 && offsetof(despina_parameter, value) == 24);
CHECK(offsetof(despina_host_api, abi_hash) == 8 && offsetof(despina_host_api, log) == 16);
CHECK(offsetof(despina_backend_api, abi_hash) == 8 && offsetof(despina_backend_api, name) == 16);
CHECK(offsetof(despina_model_spec, max_batch_size) == 4);
CHECK(offsetof(despina_signature, max_batch_size) == 4);
CHECK(sizeof(despina_placement) == 32);
"""


def test_the_hash_is_that_of_the_header(project: Any) -> None:
    script = project.root / "scripts" / "abi_hash.py"
    header = include_folder() / "despina" / "abi.h"
    command = [sys.executable, str(script), "--check", str(header)]
    status = subprocess.run(command, check=False).returncode
    assert status == 0, "run scripts/abi_hash.py sdk/despina_sdk/include/despina/abi.h"


@pytest.mark.parametrize("language", ["c11", "c++17", "c++20"])
def test_its_layout_is_the_same_in_every_language(language: str, tmp_path: Path) -> None:
    source = tmp_path / "layout"
    source.write_text(LAYOUT)
    compiler, kind = ("gcc", "c") if language == "c11" else ("g++", "c++")
    command = [compiler, f"-std={language}", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command += [f"-I{include_folder()}", "-fsyntax-only", "-x", kind, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("header", ["abi.h", "error.hpp", "tensor.hpp", "backend.hpp"])
def test_each_header_compiles_alone_as_the_authors_language(header: str, tmp_path: Path) -> None:
    source = tmp_path / "alone.cc"
    source.write_text(f"#include <despina/{header}>\n")
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command += [f"-I{include_folder()}", "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
