"""Builds the libraries of ``broken_backends.cc``, one for each fault."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from despina_sdk.cmake import include_folder

SOURCE = Path(__file__).parent / "broken_backends.cc"
COMPILE = ["g++", "-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", "-fPIC"]
COMPILE += ["-fvisibility=hidden", f"-I{include_folder()}"]
LINKED = {
    "ExportsASecondSymbol": ("despina_backend_entry; broken_second_symbol", []),
    "HasNoEntry": ("nothing", []),
    "HasUniqueSymbols": ("despina_backend_entry; _ZZ*BrokenUniqueSymbol*", ["-fgnu-unique"]),
}
"""Faults of the build: the symbols that are shown, and options of the compiler."""


def compile_and_link(output: Path, symbols: str, options: Iterable[str]) -> None:
    """Makes a library that shows these symbols."""
    script = output.with_suffix(".map")
    script.write_text(f"{{ global: {symbols}; local: *; }};")
    command = [*COMPILE, *options, "-shared", f"-Wl,--version-script={script}"]
    subprocess.run([*command, "-o", str(output), str(SOURCE)], check=True)


def build(folder: Path, faults: Iterable[str]) -> None:
    """Puts ``libdespina_FAULT.so`` into a folder for each of the faults."""
    good = folder / "good.so"
    compile_and_link(good, "despina_backend_entry", ["-fno-gnu-unique"])
    for fault in faults:
        path = folder / f"libdespina_{fault}.so"
        if fault in LINKED:
            symbols, options = LINKED[fault]
            compile_and_link(path, symbols, ["-fno-gnu-unique", *options])
        else:
            shutil.copyfile(good, path)
