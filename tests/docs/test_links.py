"""Links between pages lead to files and headings that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    *(
        page.relative_to(ROOT).as_posix()
        for pattern in ("docs/*.md", "sdk/*.md", "plugins/*/*.md", "examples/**/*.md")
        for page in sorted(ROOT.glob(pattern))
    ),
)


def anchors(page: Path) -> set[str]:
    """What links may name after ``#``."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str, checkout: Path) -> None:
    page = checkout / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
