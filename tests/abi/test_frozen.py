"""Headers of the C interface that were given out, and backends that were compiled with them.

While the major number is 0 a server takes the backends of its own header only, so what is here is
a sample: the machinery that will hold 1.0.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from append_only import Interface, differences, read  # noqa: E402

from despina import DespinaError, Server  # noqa: E402
from despina_sdk.cmake import include_folder  # noqa: E402

HERE = Path(__file__).resolve().parent
FROZEN = sorted((HERE / "frozen").glob("abi_*.h"))
CURRENT = include_folder() / "despina" / "abi.h"


def hash_of(header: Path) -> str:
    (value,) = re.findall(r"DESPINA_ABI_HASH UINT64_C\((0x\w+)\)", header.read_text())
    return str(value)


def major_of(header: Path) -> int:
    return int(re.findall(r"DESPINA_ABI_MAJOR (\d+)", header.read_text())[0])


@pytest.mark.parametrize("header", FROZEN, ids=lambda path: path.stem)
def test_what_was_given_out_is_only_added_to(header: Path):
    if major_of(header) == 0 and hash_of(header) != hash_of(CURRENT):
        pytest.skip("a version 0 may change")
    assert differences(read(header.read_text()), read(CURRENT.read_text())) == []


TEXT = CURRENT.read_text()
BROKEN = {
    "a member in between": (
        "  const void *(*query)(despina_str name);\n\n  /* Of a batch",
        "  const void *(*query)(despina_str name);\n  int more;\n\n  /* Of a batch",
        "despina_host_api: ",
    ),
    "a member less": ("  despina_str version;\n  uint64_t capa", "  uint64_t capa", "backend_api"),
    "another type": ("  uint64_t byte_size;", "  uint32_t byte_size;", "despina_tensor: "),
    "more of what cannot grow": ("  size_t size;\n}", "  size_t size;\n  int x;\n}", "despina_str"),
    "another number": ("DESPINA_INTERNAL = 13", "DESPINA_INTERNAL = 14", "DESPINA_INTERNAL was 13"),
    "a name less": ("DESPINA_UNAVAILABLE = 14", "DESPINA_AWAY = 14", "DESPINA_UNAVAILABLE was 14"),
    "a structure less": ("} despina_placement;", "} despina_place;", "despina_placement has gone"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_backends_have_compiled_in_is_not_changed_unseen(name: str):
    before, after, expected = BROKEN[name]
    assert TEXT.count(before) == 1
    found = differences(read(TEXT), read(TEXT.replace(before, after)))
    assert len(found) == 1
    assert expected in found[0]


def test_what_is_added_at_the_end_of_a_table_is_no_difference():
    before = "  const void *(*query)(despina_str name);\n} despina_backend_api;"
    after = before.replace("\n}", "\n  void (*later)(void);\n}")
    assert TEXT.count(before) == 1
    new = read(TEXT.replace(before, after).replace("14\n}", "14,\n  DESPINA_LATER = 15\n}"))
    assert differences(read(TEXT), new) == []


def test_a_header_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="no end"):
        read("typedef struct { int a;")
    with pytest.raises(ValueError, match="no name"):
        read("typedef struct { int a; };")
    assert read("int a;") == Interface()


@pytest.mark.parametrize("header", FROZEN, ids=lambda path: path.stem)
def test_a_backend_of_a_frozen_header_is_loaded_or_told_what_to_upgrade(
    header: Path, tmp_path: Path
):
    model = tmp_path / "models" / "m"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text('backend: "plain" max_batch_size: 4')
    library = model / "libdespina_plain.so"
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    command += [f'-DABI_HEADER="{header}"', "-fvisibility=hidden", "-o", str(library)]
    subprocess.run([*command, str(HERE / "plain.c")], check=True)
    if major_of(header) == 0 and hash_of(header) != hash_of(CURRENT):
        with pytest.raises(DespinaError, match="compile it again with the 'despina-sdk'"):
            Server(tmp_path / "models")
        return
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    with Server(tmp_path / "models") as server:
        np.testing.assert_array_equal(server.infer("m", {"INPUT": array})["OUTPUT"], array)
