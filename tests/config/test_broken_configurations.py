"""Mistakes that people make, each with all that ``despina validate`` says of it.

A folder is a repository with the mistake, and ``expected.txt`` the text: file, line, cause, mend.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from despina.cli import main

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "broken_configurations"
CASES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("case", CASES)
def test_a_broken_configuration_is_told_with_place_cause_and_mend(
    case: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(FOLDER / case)
    result = CliRunner().invoke(main, ["validate", "."])
    assert result.output == Path("expected.txt").read_text()
    assert result.exit_code == 1


def test_there_are_at_least_twenty():
    assert len(CASES) >= 20
