"""Libraries of a plugin, built by CMake as they are saved."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from despina.dev.build import (
    BUILD_FOLDER,
    LOG,
    SHOWN_LINES,
    Build,
    BuildError,
    BuildStopped,
    _program,
    trimmed,
)

PROJECT = "cmake_minimum_required(VERSION 3.25)\nproject(plugin LANGUAGES {languages})\n{text}\n"
COMPILED = "add_library(plugin MODULE plugin.cc)"
WAITING = """
file(WRITE "${CMAKE_BINARY_DIR}/wait.sh" "echo $$ > pid\\nexec sleep 600\\n")
add_custom_target(waiting ALL COMMAND sh wait.sh WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
"""


def write(folder: Path, text: str, languages: str = "NONE") -> Build:
    (folder / "CMakeLists.txt").write_text(PROJECT.format(languages=languages, text=text))
    return Build(folder)


def never() -> bool:
    return False


def test_what_is_saved_is_built_again(tmp_path: Path) -> None:
    build = write(tmp_path, COMPILED, "CXX")
    source = tmp_path / "plugin.cc"
    libraries = []
    for text in ("int one() { return 1; }", "int another() { return 2; }"):
        source.write_text(text)
        build.run(never)
        (library,) = tmp_path.glob("build/dev/libplugin.so")
        libraries.append(library.read_bytes())
    assert libraries[0] != libraries[1]
    source.write_text("int one() {\n  return none;\n}")
    with pytest.raises(BuildError) as caught:
        build.run(never)
    lines = caught.value.lines
    assert lines[0] == "plugin.cc: In function ‘int one()’:"
    assert lines[1].startswith("plugin.cc:2:10: error: ‘none’ was not declared")
    source.write_text("int one() { return 3; }")
    build.run(never)


def test_a_mistake_in_the_project_is_told_and_can_be_mended(tmp_path: Path) -> None:
    build = write(tmp_path, "no_such_command(x)")
    with pytest.raises(BuildError) as caught:
        build.run(never)
    assert caught.value.lines[0] == "CMake Error at CMakeLists.txt:3 (no_such_command):"
    write(tmp_path, "add_custom_target(plugin)")
    build.run(never)
    write(tmp_path, "no_such_command(x)")
    with pytest.raises(BuildError, match="CMake Error at CMakeLists.txt:3"):
        build.run(never)


@pytest.mark.parametrize("left", [(), ("build.log",)])
def test_a_build_folder_that_was_deleted_failed_every_build_after(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    build = write(tmp_path, "add_custom_target(plugin)")
    build.run(never)
    shutil.rmtree(tmp_path / BUILD_FOLDER)
    for name in left:
        (tmp_path / BUILD_FOLDER).mkdir()
        (tmp_path / BUILD_FOLDER / name).touch()
    build.run(never)
    assert (tmp_path / BUILD_FOLDER / "CMakeCache.txt").exists()


def test_a_plugin_that_was_copied_with_its_build_could_not_be_built(tmp_path: Path) -> None:
    first, copy = tmp_path / "first", tmp_path / "copy"
    first.mkdir()
    (first / "plugin.cc").write_text("int one() { return 1; }")
    write(first, COMPILED, "CXX").run(never)
    shutil.copytree(first, copy)
    (copy / "plugin.cc").write_text("int none;")
    Build(copy).run(never)
    libraries = [each / BUILD_FOLDER / "libplugin.so" for each in (first, copy)]
    assert libraries[0].read_bytes() != libraries[1].read_bytes()


@pytest.mark.parametrize("ninja", [True, False])
def test_of_a_file_that_is_missing_nothing_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ninja: bool
) -> None:
    if not ninja:
        without = {"ninja": None, "cmake": _program("cmake")}
        monkeypatch.setattr("despina.dev.build._program", without.get)
    linked = "target_link_libraries(plugin PRIVATE ${CMAKE_SOURCE_DIR}/libmissing.a)"
    build = write(tmp_path, f"{COMPILED}\n{linked}", "CXX")
    (tmp_path / "plugin.cc").touch()
    with pytest.raises(BuildError) as caught:
        build.run(never)
    assert "libmissing.a', needed by" in caught.value.lines[0]


def test_what_was_chosen_for_a_build_stays(tmp_path: Path) -> None:
    write(tmp_path, "add_custom_target(plugin)").run(never)
    cache = tmp_path / BUILD_FOLDER / "CMakeCache.txt"
    cache.write_text(cache.read_text().replace("RelWithDebInfo", "Debug"))
    Build(tmp_path).run(never)
    assert re.search(r"^CMAKE_BUILD_TYPE:\w+=Debug$", cache.read_text(), re.MULTILINE)


def test_the_sdk_is_found(tmp_path: Path) -> None:
    write(tmp_path, "find_package(DespinaSDK REQUIRED CONFIG)", "CXX").run(never)


def test_a_build_that_is_not_wanted_any_more_is_stopped_with_all_it_has_started(
    tmp_path: Path,
) -> None:
    build = write(tmp_path, WAITING)
    file = tmp_path / "build" / "dev" / "pid"

    def begun() -> bool:
        return file.exists() and file.read_text() != ""

    with pytest.raises(BuildStopped):
        build.run(begun)
    command = Path(f"/proc/{file.read_text().strip()}/cmdline")
    # Whoever inherits an ended process may not have taken notice yet.
    assert not command.exists() or command.read_bytes() == b""


def test_without_cmake_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = write(tmp_path, "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="there is no cmake: install it"):
        build.run(never)


def test_of_a_long_output_the_start_is_shown(tmp_path: Path) -> None:
    noise = [f"[1/2] Building CXX object {tmp_path}/x.o", "FAILED: x.o", "g++ -c x.cc"]
    errors = [f"{tmp_path}/src/x.cc:{line}:1: error: wrong" for line in range(1, 101)]
    lines = trimmed("\n".join([*noise, *errors, "ninja: build stopped"]), tmp_path)
    assert lines[0] == "src/x.cc:1:1: error: wrong"
    assert len(lines) == SHOWN_LINES + 1
    assert lines[-1] == f"... and {100 - SHOWN_LINES} more lines in build/dev/{LOG}"


def test_an_output_without_a_known_error_is_shown_from_its_start(tmp_path: Path) -> None:
    assert trimmed("one\n\nninja: x\ntwo\n", tmp_path) == ["one", "two"]
