"""Modules that are imported from a plugin's sources again and again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from despina.dev.modules import SourceModules

NAME = "plugin_of_sources"


class Sources:
    """A package, whose ``VALUE`` is imported by an entry point."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / NAME
        self.folder.mkdir()
        self.write("__init__", "")
        self.modules = SourceModules()

    def write(self, module: str, text: str) -> None:
        (self.folder / f"{module}.py").write_text(text)

    def value(self, object_name: str = "VALUE") -> Any:
        point = EntryPoint("it", f"{NAME}.value:{object_name}", "despina.backends")
        return self.modules.load({"it": point}, {NAME: self.folder})["it"]


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    made = Sources(tmp_path)
    yield made
    made.modules.close()
    for each in [each for each in sys.modules if each.partition(".")[0] == NAME]:
        del sys.modules[each]


def test_each_import_is_of_the_files_as_they_are(sources: Sources) -> None:
    for value in (1, 2):
        sources.write("value", f"VALUE = {value}")
        assert sources.value() == value


def test_all_modules_of_the_plugin_are_imported_again(sources: Sources) -> None:
    sources.write("value", f"from {NAME}.part import VALUE")
    for value in (1, 2):
        sources.write("part", f"VALUE = {value}")
        assert sources.value() == value


def test_for_a_package_that_was_deleted_the_installed_one_was_taken(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.write("value", "VALUE = 1")
    shutil.copytree(sources.folder, tmp_path / "site" / NAME)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert sources.value() == 1
    shutil.rmtree(sources.folder)
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{NAME}' in '{tmp_path}'"):
        sources.value()


def test_a_change_within_a_second_and_of_the_same_size_is_not_missed(sources: Sources) -> None:
    for value in (1, 2):
        sources.write("value", f"VALUE = {value}")
        os.utime(sources.folder / "value.py", (1e9, 1e9))
        assert sources.value() == value
    assert not (sources.folder / "__pycache__").exists()


def test_what_was_made_of_the_modules_before_stays_as_it_was(sources: Sources) -> None:
    sources.write("value", "NUMBER = 1\nclass Value:\n    def get(self):\n        return NUMBER")
    before = sources.value("Value")()
    sources.write("value", "NUMBER = 2\nclass Value:\n    def get(self):\n        return NUMBER")
    assert sources.value("Value")().get() == 2
    assert before.get() == 1


@pytest.mark.parametrize("text", ["1 / 0", "VALUE = (", "raise SystemExit", "OTHER = 1"])
def test_an_import_that_fails_leaves_the_modules_of_before(sources: Sources, text: str) -> None:
    sources.write("value", "VALUE = 1")
    sources.value()
    module = sys.modules[f"{NAME}.value"]
    sources.write("value", text)
    with pytest.raises((Exception, SystemExit)):
        sources.value()
    assert sys.modules[f"{NAME}.value"] is module
    sources.write("value", "VALUE = 3")
    assert sources.value() == 3


def test_a_first_import_that_fails_leaves_nothing(sources: Sources) -> None:
    sources.write("value", "1 / 0")
    with pytest.raises(ZeroDivisionError):
        sources.value()
    assert not [each for each in sys.modules if each.startswith(NAME)]


def test_the_sources_come_before_what_is_installed(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site" / NAME
    site.mkdir(parents=True)
    (site / "__init__.py").touch()
    (site / "value.py").write_text("VALUE = 'installed'")
    monkeypatch.syspath_prepend(str(site.parent))
    __import__(f"{NAME}.value")
    sources.write("value", "VALUE = 'source'")
    assert sources.value() == "source"


def test_packages_without_a_file_of_their_own_are_followed_too(sources: Sources) -> None:
    sources.write("value", f"from {NAME}.parts.part import VALUE")
    (sources.folder / "parts").mkdir()
    for value in (1, 2):
        sources.write("parts/part", f"VALUE = {value}")
        assert sources.value() == value


def test_closed_it_finds_nothing_any_more(sources: Sources) -> None:
    sources.write("value", "VALUE = 1")
    sources.value()
    finders = list(sys.meta_path)
    sources.modules.close()
    sources.modules.close()
    assert len(sys.meta_path) == len(finders) - 1
