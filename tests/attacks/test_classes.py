"""The table of the classes is whole, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attacks.classes import CLASSES


@pytest.fixture(autouse=True)
def _unharmed() -> None:
    """Nothing is attacked here."""


def test_all_classes_are_covered_or_have_nothing_to_attack() -> None:
    assert list(CLASSES) == list(range(1, 27))
    for number, each in CLASSES.items():
        assert each.tests or each.without, number


@pytest.mark.parametrize("number", CLASSES)
def test_the_tests_of_a_class_are_there(checkout: Path, number: int) -> None:
    for test in CLASSES[number].tests:
        name, _, function = test.partition("::")
        if name.endswith(".cc"):
            suite, _, case = function.partition(".")
            pattern = rf"^TEST(_F|_P)?\({suite}, {case}\)"
        else:
            pattern = rf"^(async )?def {function}\("
        assert re.search(pattern, (checkout / name).read_text(), re.MULTILINE), test


def test_all_modules_of_this_folder_are_in_the_table() -> None:
    named = {test.partition("::")[0] for each in CLASSES.values() for test in each.tests}
    modules = {each.name for each in Path(__file__).parent.glob("test_*.py")}
    assert modules - {Path(name).name for name in named if "attacks" in name} == {"test_classes.py"}
