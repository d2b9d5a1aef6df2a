"""What a plugin's folder says that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from despina.dev.project import read_project
from despina.errors import DespinaError

GOOD = """
[project]
name = "my-plugin"
version = "0.3"
[project.entry-points."despina.backends"]
scaled = "my_plugin.backend:Scaled"
"""


def write(folder: Path, text: str, *files: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    for each in files:
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).touch()
    return folder


def test_name_version_and_backends_are_read(tmp_path: Path) -> None:
    project = read_project(write(tmp_path, GOOD))
    assert (project.name, project.version) == ("my-plugin", "0.3")
    assert {name: point.value for name, point in project.points.items()} == {
        "scaled": "my_plugin.backend:Scaled"
    }
    assert not project.is_built
    write(tmp_path, GOOD, "CMakeLists.txt")
    assert project.is_built


def test_packages_and_modules_are_found_in_the_folder_and_in_src(tmp_path: Path) -> None:
    files = "my_plugin/__init__.py", "src/other/__init__.py", "src/single.py", "src/native.cc"
    project = read_project(write(tmp_path, GOOD, *files))
    assert project.modules() == {
        "my_plugin": tmp_path / "my_plugin",
        "other": tmp_path / "src" / "other",
        "single": tmp_path / "src" / "single.py",
    }


def test_what_lies_beside_a_plugin_is_none_of_its_modules(tmp_path: Path) -> None:
    files = "tests/__init__.py", "setup.py", "conftest.py", "types.py", "my_plugin/__init__.py"
    assert set(read_project(write(tmp_path, GOOD, *files)).modules()) == {"my_plugin"}


def test_a_package_that_is_gone_for_a_moment_is_still_one(tmp_path: Path) -> None:
    assert set(read_project(write(tmp_path, GOOD)).modules()) == {"my_plugin"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[project\n", "(at line 1, column 9)"),
        ("[project]\nname = 'x'", "it offers no backend"),
        ("project = 3", "'project' is no table"),
        (GOOD.replace('"my_plugin.backend:Scaled"', "7"), "entry point 'scaled' is 7"),
        (GOOD.replace("my_plugin.backend:Scaled", "a b"), "entry point 'scaled' is 'a b'"),
    ],
)
def test_a_mistake_is_told_with_the_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DespinaError) as caught:
        read_project(write(tmp_path, text))
    assert f"'{tmp_path / 'pyproject.toml'}': " in caught.value.message
    assert reason in caught.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff")
    with pytest.raises(DespinaError, match="'utf-8' codec"):
        read_project(tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DespinaError, match="pyproject.toml': No such file or directory"):
        read_project(tmp_path)
