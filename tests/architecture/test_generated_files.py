"""Files that are generated and committed are what their generators give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from despina.config.reference import render


def test_the_type_stub_of_the_engine_is_up_to_date(checkout: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "_engine.pyi"
    generator = checkout / "scripts" / "generate_stubs.py"
    subprocess.run([sys.executable, str(generator), str(fresh)], check=True)
    committed = checkout / "core" / "despina" / "_engine.pyi"
    assert committed.read_text() == fresh.read_text(), "run `make stubs` and commit the result"


def test_the_page_of_configuration_fields_is_up_to_date(checkout: Path) -> None:
    committed = checkout / "docs" / "reference" / "configuration.md"
    hint = "run `python -m despina.config.reference` and commit the result"
    assert committed.read_text() == render(), hint
