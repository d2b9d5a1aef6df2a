"""Which files are a plugin's sources, and when a change of them counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from despina.dev.project import read_project
from despina.dev.sources import Kind, SourceWatch, files

PROJECT = """
[project.entry-points."despina.backends"]
scaled = "my_plugin:Scaled"
"""
SOURCE, NATIVE = Path("my_plugin/__init__.py"), Path("src/scaled.cc")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    write(tmp_path, "pyproject.toml", PROJECT)
    for each in ("CMakeLists.txt", SOURCE, NATIVE):
        write(tmp_path, each, "first")
    return tmp_path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(plugin: Path, clock: Clock) -> SourceWatch:
    project = read_project(plugin)
    return SourceWatch(lambda: project, frozenset(), settle_seconds=1, clock=clock)


def write(folder: Path, name: str | Path, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def later(watch: SourceWatch, clock: Clock) -> dict[Path, Kind]:
    """What a look tells once all has been still."""
    assert watch.look() == {}
    clock.now += 1
    return watch.look()


def test_sources_are_those_of_modules_and_of_libraries(plugin: Path) -> None:
    for each in ("my_plugin/labels.txt", "my_plugin/fast.h", "cmake/x.cmake", "README.md"):
        write(plugin, each, "")
    found = files(read_project(plugin))
    assert {str(path.relative_to(plugin)): kind for path, (kind, _) in found.items()} == {
        "pyproject.toml": Kind.PYTHON,
        "my_plugin/__init__.py": Kind.PYTHON,
        "my_plugin/labels.txt": Kind.PYTHON,
        "my_plugin/fast.h": Kind.NATIVE,
        "src/scaled.cc": Kind.NATIVE,
        "cmake/x.cmake": Kind.NATIVE,
        "CMakeLists.txt": Kind.NATIVE,
    }


@pytest.mark.parametrize(
    "left",
    [
        "my_plugin/__pycache__/x.pyc",
        "my_plugin/.x.py.swp",
        "my_plugin/x.py~",
        "my_plugin/#x.py#",
        "my_plugin/libdespina_scaled.so",
        "build/dev/generated.cc",
        ".git/x.cc",
        "environment/x.cc",
        "models/scaled/1/x.cc",
        "tests/test_scaled.py",
    ],
)
def test_what_editors_builds_and_environments_leave_is_none(plugin: Path, left: str) -> None:
    ignored = frozenset({plugin / "models"})
    before = files(read_project(plugin), ignored)
    write(plugin, "environment/pyvenv.cfg", "")
    write(plugin, left, "")
    assert files(read_project(plugin), ignored) == before


def test_without_a_project_of_cmake_nothing_is_native(plugin: Path) -> None:
    (plugin / "CMakeLists.txt").unlink()
    kinds = {kind for kind, _ in files(read_project(plugin)).values()}
    assert kinds == {Kind.PYTHON}


def test_what_is_there_at_first_has_not_changed(watch: SourceWatch, clock: Clock) -> None:
    assert later(watch, clock) == {}


def test_a_change_is_told_once_and_when_all_is_still(
    plugin: Path, watch: SourceWatch, clock: Clock
) -> None:
    write(plugin, SOURCE, "second")
    assert watch.look() == {}
    assert watch.moving
    clock.now += 0.9
    write(plugin, NATIVE, "the second")
    assert watch.look() == {}
    clock.now += 0.9
    assert watch.look() == {}
    clock.now += 0.1
    assert watch.look() == {SOURCE: Kind.PYTHON, NATIVE: Kind.NATIVE}
    assert not watch.moving
    assert later(watch, clock) == {}


def test_files_that_come_and_go_are_changes(plugin: Path, watch: SourceWatch, clock: Clock) -> None:
    (plugin / NATIVE).unlink()
    write(plugin, "my_plugin/more.py", "")
    found = later(watch, clock)
    assert found == {NATIVE: Kind.NATIVE, Path("my_plugin/more.py"): Kind.PYTHON}


def test_a_file_that_is_replaced_by_another_has_changed(
    plugin: Path, watch: SourceWatch, clock: Clock
) -> None:
    status = (plugin / SOURCE).stat()
    write(plugin, "my_plugin/.new", "FIRST")  # as long as what it replaces, and as old
    os.utime(plugin / "my_plugin" / ".new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (plugin / "my_plugin" / ".new").rename(plugin / SOURCE)
    assert later(watch, clock) == {SOURCE: Kind.PYTHON}


def test_a_file_that_is_out_of_the_way_for_a_moment_has_not_changed(
    plugin: Path, watch: SourceWatch, clock: Clock
) -> None:
    (plugin / SOURCE).rename(plugin / "aside")
    assert watch.look() == {}
    clock.now += 0.5
    (plugin / "aside").rename(plugin / SOURCE)
    assert watch.look() == {}
    clock.now += 1
    assert watch.look() == {}


def test_a_change_is_seen_before_it_is_told(plugin: Path, watch: SourceWatch, clock: Clock) -> None:
    assert not watch.is_moving(Kind.NATIVE)
    write(plugin, NATIVE, "the second")
    assert watch.is_moving(Kind.NATIVE)
    assert not watch.is_moving(Kind.PYTHON)
    later(watch, clock)
    assert not watch.is_moving(Kind.NATIVE)
