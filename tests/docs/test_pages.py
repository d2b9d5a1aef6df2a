"""The pages do what they say: every listing and command of theirs is carried out.

`harness/walk.py` says what a listing may be. A page that is added to `docs/` is walked without a
word here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.pages import listings
from harness.walk import Walk

DOCS = Path(__file__).resolve().parents[2] / "docs"
TESTED_ELSEWHERE = {"bench.md", "operate.md", "migrate-from-triton.md"}
MOST_NOT_RUN = 8


def pages() -> list[Path]:
    """Those with listings."""
    found = (path for path in sorted(DOCS.glob("*.md")) if path.name not in TESTED_ELSEWHERE)
    return [path for path in found if listings(path.read_text())]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_the_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    with Walk(tmp_path) as walk:
        walk.page(page)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_fence_belongs_to_a_listing(page: Path) -> None:
    fences = [line for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len(listings(page.read_text()))


def test_few_listings_are_not_run_and_each_says_why() -> None:
    marked = [
        (f"{page.name}:{each.line}", each.marks["not run"])
        for page in pages()
        for each in listings(page.read_text())
        if "not run" in each.marks
    ]
    assert all(reason for _, reason in marked), marked
    assert len(marked) <= MOST_NOT_RUN, marked
