"""No command of a page lets pip look for a distribution of ours on an index."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "sdk/*.md", "plugins/*/*.md", "examples/**/*.md")
    for page in sorted(ROOT.glob(pattern))
]
COMMAND = re.compile(r"\bpip (?:install|wheel) ([^`\n]*)")


def asks_for_ours(arguments: str) -> bool:
    """Whether pip would look for `despina-sdk`, where it may be a stranger's."""
    words = shlex.split(arguments, comments=True)
    if "--no-index" in words or {"--no-deps", "--no-build-isolation"} <= {*words}:
        return False
    names = [word for word in words if not word.startswith("-")]
    needs_ours = any(name.startswith((".", "despina")) or "/" in name for name in names)
    brings_the_sdk = any(re.search(r"/(?:despina_sdk-)?\*\.whl$", name) for name in names)
    return needs_ours and not brings_the_sdk


@pytest.mark.parametrize("name", PAGES)
def test_pip_is_not_sent_to_an_index_for_what_is_ours(name: str) -> None:
    text = (ROOT / name).read_text()
    assert [found for found in COMMAND.findall(text) if asks_for_ours(found)] == []


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        ('-e ".[test]"', True),
        ("-e sdk -e plugins/vision", True),
        ("despina-sdk", True),
        ("dist/despina-*.whl", True),
        ("dist/despina-*.whl dist/despina_sdk-*.whl wheels/my-*.whl", False),
        ("/dist/*.whl", False),
        ("--no-deps --no-build-isolation --editable ./twice", False),
        ("--no-deps --editable ./twice", True),
        ("debugpy", False),
    ],
)
def test_a_command_that_asks_is_told(arguments: str, asks: bool) -> None:
    assert asks_for_ours(arguments) is asks
