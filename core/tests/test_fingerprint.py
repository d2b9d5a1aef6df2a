"""What counts as a change of a model's folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from despina.errors import DespinaError
from despina.repository import fingerprint as module
from despina.repository.fingerprint import fingerprint, revisions
from despina_sdk import Code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    for version in ("1", "2"):
        (folder / version).mkdir(parents=True)
        (folder / version / "weights").write_text(version)
    (folder / "config.pbtxt").write_text('backend: "b"')
    (folder / "labels.txt").write_text("CAT")
    return folder


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


CONTENT: dict[str, Callable[[Path], object]] = {
    "a file that was written": lambda folder: (folder / "1" / "weights").write_text("other"),
    "a file that is newer": lambda folder: touched(folder / "1" / "weights"),
    "a file that is new": lambda folder: (folder / "1" / "more").touch(),
    "a file that is gone": lambda folder: (folder / "labels.txt").unlink(),
    "a version that is new": lambda folder: (folder / "3").mkdir(),
    "the configuration": lambda folder: (folder / "config.pbtxt").write_text("max_batch_size: 4"),
    "a name that is not UTF-8": lambda folder: (folder / os.fsdecode(b"x\xff")).touch(),
    "a link that leads nowhere": lambda folder: (folder / "link").symlink_to("gone"),
}

LEFT_BEHIND = (".weights.swp", ".hidden", "weights~", "#weights#", ".partial/weights")


@pytest.mark.parametrize("change", CONTENT)
def test_content_changes_with(folder: Path, change: str):
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    CONTENT[change](folder)
    after = fingerprint(folder)
    assert after.content != before.content
    assert after.activity != before.activity


@pytest.mark.parametrize("name", [*LEFT_BEHIND, "__pycache__/m.pyc"])
def test_what_tools_leave_behind_is_activity_and_no_content(folder: Path, name: str):
    before = fingerprint(folder)
    path = folder / "1" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("half of it")
    after = fingerprint(folder)
    assert after.content == before.content
    assert after.activity != before.activity


def test_what_links_lead_to_counts(folder: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (folder / "4").symlink_to(elsewhere)
    before = fingerprint(folder)
    (elsewhere / "deep" / "weights").touch()
    assert fingerprint(folder).content != before.content


def test_links_that_lead_back_are_followed_once(folder: Path):
    (folder / "1" / "up").symlink_to("..")
    (folder / "self").symlink_to("self")
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    (folder / "2" / "more").touch()
    assert fingerprint(folder) != before


def test_a_folder_with_too_much_in_it_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 5)
    with pytest.raises(DespinaError, match="has more than 5 entries") as raised:
        fingerprint(folder)
    assert raised.value.code is Code.INVALID_ARGUMENT


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DespinaError, match=r"none': No such file") as raised:
        fingerprint(tmp_path / "none")
    assert raised.value.code is Code.UNAVAILABLE


def test_a_version_changes_with_its_own_files_and_with_those_of_all(folder: Path):
    before = revisions(folder, (1, 2), b"config")
    (folder / "2" / "weights").write_text("longer")
    after = revisions(folder, (1, 2), b"config")
    assert after[1] == before[1]
    assert after[2] != before[2]
    (folder / "labels.txt").write_text("CAT, DOG")
    for version in (1, 2):
        assert revisions(folder, (1, 2), b"config")[version] != after[version]


def test_another_version_changes_no_version(folder: Path):
    before = revisions(folder, (1, 2), b"config")
    (folder / "3").mkdir()
    (folder / "3" / "weights").touch()
    assert revisions(folder, (1, 2, 3), b"config").items() > before.items()


def test_of_the_configuration_counts_what_it_says(folder: Path):
    before = revisions(folder, (1,), b"config")
    (folder / "config.pbtxt").write_text('# the same\nbackend: "b"')
    assert revisions(folder, (1,), b"config") == before
    assert revisions(folder, (1,), b"another") != before
