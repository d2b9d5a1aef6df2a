"""The kit's copy of ``despina/abi.h`` in ctypes is laid out as the compiler lays out the header."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from despina_sdk.cmake import include_folder
from despina_sdk.testing import abi

STRUCTURES = {
    "despina_" + re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): kind
    for name, kind in vars(abi).items()
    if isinstance(kind, type)
    and issubclass(kind, ctypes.Structure)
    and kind.__module__ == abi.__name__
}
HEADER = abi.HEADER.read_text()


def printed(lines: list[str], folder: Path) -> list[str]:
    """What a C program prints that prints these numbers."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    source, program = folder / "print.c", folder / "print"
    calls = "\n".join(f'  printf("%llu\\n", (unsigned long long)({line}));' for line in lines)
    headers = '#include <stdio.h>\n#include "despina/abi.h"\n'
    source.write_text(f"{headers}int main(void) {{\n{calls}\n  return 0;\n}}\n")
    command = [compiler, "-std=c11", f"-I{include_folder()}", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_sizes_and_offsets_are_those_of_the_header(tmp_path: Path) -> None:
    lines, expected = [], []
    for c_name, kind in STRUCTURES.items():
        lines.append(f"sizeof({c_name})")
        expected.append(f"{c_name}: {ctypes.sizeof(kind)}")
        for name, *_ in kind._fields_:
            member = getattr(kind, name)
            lines += [f"offsetof({c_name}, {name})", f"sizeof((({c_name} *)0)->{name})"]
            expected += [f"{c_name}.{name} at {member.offset}", f"{c_name}.{name}: {member.size}"]
    texts = [each.rpartition(" ")[0] for each in expected]
    found = [
        f"{text} {number}" for text, number in zip(texts, printed(lines, tmp_path), strict=True)
    ]
    assert found == expected


def test_numbers_are_those_of_the_header(tmp_path: Path) -> None:
    values = printed([f"(int64_t){name}" for name in abi.NUMBERS], tmp_path)
    assert {
        name: int(value) for name, value in zip(abi.NUMBERS, values, strict=True)
    } == abi.NUMBERS
    declared = set(re.findall(r"\b(DESPINA_[A-Z0-9_]+) = ", HEADER))
    assert declared <= set(abi.NUMBERS)


def test_every_structure_of_the_header_has_all_of_its_members() -> None:
    # Opaque types have no members, and what is within a structure is seen by its size.
    text = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
    found = re.findall(r"typedef struct (?:\w+ )?\{(.*?)\n\} (despina_\w+);", text, re.DOTALL)
    assert {name for _, name in found} == set(STRUCTURES)
    for body, name in found:
        body = re.sub(r"union \{.*?\}", "union", body, flags=re.DOTALL)
        members = re.findall(r"\(\*(\w+)\)\(|(\w+)(?:\[\d+\])?;", re.sub(r"\)\([^;]*;", ")(", body))
        names = [pointer or plain for pointer, plain in members]
        assert names == [each[0] for each in STRUCTURES[name]._fields_], name
