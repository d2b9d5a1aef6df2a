"""Polling: what has changed and is complete. The clock is the test's."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from despina.errors import DespinaError
from despina.lifecycle.poller import Poller
from despina.repository import fingerprint
from despina.repository.layout import Listing
from despina.repository.watch import Changes, Watch
from despina_sdk import Code

SETTLE = 2.0


class Eyes:
    """A watch of a repository, and its clock."""

    def __init__(self, *repositories: Path) -> None:
        self.now = 100.0
        listing = Listing(repositories)
        self.watch = Watch(listing, settle_seconds=SETTLE, clock=lambda: self.now)

    def look(self, after: float = 0) -> Changes:
        self.now += after
        return self.watch.look()

    def changed(self, after: float = 0) -> list[str]:
        changes = self.look(after)
        assert not changes.gone
        return list(changes.changed)


@pytest.fixture
def eyes(repository: Path) -> Eyes:
    return Eyes(repository)


@pytest.fixture
def settled(eyes: Eyes, write_model) -> Eyes:
    """Two models, which have been told."""
    write_model("a", 'backend: "b"')
    write_model("b", 'backend: "b"')
    assert eyes.look().pending
    assert eyes.changed(SETTLE) == ["a", "b"]
    return eyes


def test_what_is_there_at_first_counts_once_it_is_still(eyes: Eyes, write_model):
    write_model("a", None)
    assert eyes.look() == Changes(pending=True)
    assert eyes.look(SETTLE / 2) == Changes(pending=True)
    changes = eyes.look(SETTLE / 2)
    assert changes.changed.keys() == {"a"}
    assert not changes.pending
    assert eyes.look(SETTLE) == Changes()


def test_a_folder_that_is_being_copied_is_left_alone(settled: Eyes, write_model):
    folder = write_model("c", None)
    for size in range(5):
        (folder / "1" / "weights").write_text("x" * size)
        assert settled.look(SETTLE - 0.1) == Changes(pending=True)
    assert settled.changed(SETTLE) == ["c"]


def test_so_is_one_that_a_tool_writes_to_under_another_name(settled: Eyes, write_model):
    folder = write_model("c", None)
    for size in range(3):
        (folder / "1" / ".weights.partial").write_text("x" * size)
        assert settled.look(SETTLE) == Changes(pending=True)
    assert settled.changed(SETTLE) == ["c"]


def test_what_is_still_does_not_wait_for_what_is_not(settled: Eyes, write_model):
    write_model("c", None)
    moving = write_model("d", None)
    settled.look()
    (moving / "1" / "weights").touch()
    changes = settled.look(SETTLE)
    assert changes.changed.keys() == {"c"}
    assert changes.pending


def test_only_what_changed_is_told(settled: Eyes, repository: Path):
    (repository / "a" / "1" / "weights").touch()
    assert settled.look() == Changes(pending=True)
    assert settled.changed(SETTLE) == ["a"]


def test_files_of_editors_are_no_change(settled: Eyes, repository: Path):
    for name in (".config.pbtxt.swp", "config.pbtxt~"):
        (repository / "a" / name).touch()
        assert settled.look() == Changes()
        assert settled.look(SETTLE) == Changes()


def test_a_change_that_is_taken_back_in_time_is_none(settled: Eyes, repository: Path):
    (repository / "a" / "2").mkdir()
    assert settled.look() == Changes(pending=True)
    (repository / "a" / "2").rmdir()
    assert settled.look(SETTLE) == Changes()


def test_a_model_that_is_gone_is_told_once_and_forgotten(settled: Eyes, repository: Path):
    shutil.rmtree(repository / "a")
    assert settled.look() == Changes(pending=True)
    assert settled.look(SETTLE) == Changes(gone=["a"])
    assert settled.look(SETTLE) == Changes()
    assert settled.watch._seen.keys() == {"b"}


def test_one_that_is_replaced_is_never_gone(settled: Eyes, repository: Path, write_model):
    (repository / "a").rename(repository / ".a")
    assert settled.look() == Changes(pending=True)
    (write_model("a", "max_batch_size: 1") / "1" / "weights").touch()
    assert settled.look(SETTLE) == Changes(pending=True)
    assert settled.changed(SETTLE) == ["a"]


def test_one_that_comes_and_goes_before_it_is_told_leaves_nothing(settled: Eyes, write_model):
    folder = write_model("c", None)
    settled.look()
    shutil.rmtree(folder)
    assert settled.look(SETTLE) == Changes()
    assert settled.watch._seen.keys() == {"a", "b"}


def test_a_repository_that_cannot_be_read_for_a_while_is_taken_for_unchanged(
    settled: Eyes, repository: Path, caplog: pytest.LogCaptureFixture
):
    repository.rename(repository.with_name("away"))
    for _ in range(3):
        assert settled.look(SETTLE).gone == []
    repository.with_name("away").rename(repository)
    settled.look()
    assert settled.look(SETTLE).gone == []
    told = [r.message for r in caplog.records if "are taken for unchanged" in r.message]
    assert told == [
        f"model repository '{repository}': No such file or directory: its models are taken for"
        " unchanged"
    ]


def test_one_whose_file_system_is_gone_is_taken_for_unchanged(
    repository: Path, tmp_path: Path, write_model
):
    """Where a file system was mounted there is an empty folder when it is not."""
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    write_model("a", None)
    link, empty = tmp_path / "link", elsewhere / f"despina-test-{os.getpid()}"
    link.symlink_to(repository)
    eyes = Eyes(link)
    eyes.look()
    assert eyes.changed(SETTLE) == ["a"]
    empty.mkdir()
    try:
        link.unlink()
        link.symlink_to(empty)
        for _ in range(3):
            assert eyes.look(SETTLE).gone == []
    finally:
        empty.rmdir()


def test_an_empty_repository_is_empty(settled: Eyes, repository: Path):
    shutil.rmtree(repository)
    repository.mkdir()
    settled.look()
    assert settled.look(SETTLE).gone == ["a", "b"]


def test_one_that_could_never_be_read_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert Eyes(tmp_path / "none").look() == Changes()
    assert "none': No such file" in caplog.text


def test_a_model_of_two_repositories_changes_with_either(tmp_path: Path):
    for name in ("one/a/1", "two/a/1"):
        (tmp_path / name).mkdir(parents=True)
    eyes = Eyes(tmp_path / "one", tmp_path / "two")
    eyes.look()
    assert eyes.changed(SETTLE) == ["a"]
    shutil.rmtree(tmp_path / "two" / "a")
    eyes.look()
    assert eyes.changed(SETTLE) == ["a"]


def test_a_model_that_cannot_be_looked_at_is_told_of_once(
    settled: Eyes, write_model, monkeypatch: pytest.MonkeyPatch
):
    """Who is told finds out why."""
    monkeypatch.setattr(fingerprint, "MAX_ENTRIES", 2)
    write_model("c", None, ("1", "2", "3"))
    settled.look()
    assert settled.changed(SETTLE) == ["c"]
    assert settled.look(SETTLE) == Changes()


class FakeManager:
    def __init__(self) -> None:
        self.asked: list[Changes] = []
        self.futures: list[Future[Any]] = []

    def sync(self, changes: Changes) -> Future[Any]:
        self.asked.append(changes)
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def manager() -> FakeManager:
    return FakeManager()


def poller_of(eyes: Eyes, manager: FakeManager) -> Poller:
    return Poller(eyes.watch, manager.sync, poll_seconds=15, settle_seconds=SETTLE)


def test_a_poller_begins_with_what_is_still_at_the_second_look(
    eyes: Eyes, manager: FakeManager, write_model
):
    write_model("a", None)
    poller = poller_of(eyes, manager)
    assert poller.look() == SETTLE
    assert manager.asked == []
    moving = write_model("b", None)
    eyes.now += SETTLE
    assert poller.look() == SETTLE
    assert [changes.changed.keys() for changes in manager.asked] == [{"a"}]
    assert not poller.first.done()
    manager.futures[0].set_result(["rows"])
    assert poller.first.result() == ["rows"]
    eyes.now += SETTLE
    assert poller.look() == 15
    assert [changes.changed.keys() for changes in manager.asked] == [{"a"}, {"b"}]
    shutil.rmtree(moving)
    assert poller.look() == SETTLE


def test_a_poller_waits_for_what_moves_also_if_it_looks_more_often_otherwise(
    eyes: Eyes, manager: FakeManager, write_model
):
    """It began with nothing."""
    write_model("a", None)
    poller = Poller(eyes.watch, manager.sync, poll_seconds=0.1, settle_seconds=SETTLE)
    eyes.now += poller.look()
    assert poller.look() == 0.1
    assert [changes.changed.keys() for changes in manager.asked] == [{"a"}]


def test_a_poller_begins_at_once_where_there_is_nothing(eyes: Eyes, manager: FakeManager):
    poller = poller_of(eyes, manager)
    assert poller.look() == 15
    assert manager.asked == [Changes()]
    manager.futures[0].set_exception(DespinaError(Code.UNAVAILABLE, "too late"))
    with pytest.raises(DespinaError, match="too late"):
        poller.first.result()
    assert poller.look() == 15
    assert len(manager.asked) == 1


def test_a_look_that_fails_does_not_end_the_looking(
    eyes: Eyes, manager: FakeManager, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    poller = poller_of(eyes, manager)
    looks = []

    def look() -> float:
        looks.append(1)
        if len(looks) == 3:
            poller.stop()
        raise (OSError("odd"), DespinaError(Code.UNAVAILABLE, "ending"))[len(looks) % 2]

    poller.look = look  # type: ignore[method-assign]
    poller._poll = 0
    poller._run()
    assert len(looks) == 3
    assert "the model repository is not followed: ending" in caplog.text
    assert "OSError: odd" in caplog.text
