"""Goes the way of a new author, and takes the time: from an empty environment to an answer.

Does all that the pages on the first backend say, each at a desk of its own. What is ours comes from
the wheels in dist/ (`make wheel`), everything else from the index that pip is configured for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "fixtures"))

from harness.pages import Listing, listings  # noqa: E402
from harness.walk import Walk  # noqa: E402

PAGES = ["docs/first-backend-python.md", "docs/first-backend-cpp.md"]


def shown(listing: Listing) -> str:
    """What the reader does, in a line."""
    if listing.title:
        return f"writes {listing.title}"
    return "; ".join(listing.text.strip().splitlines())


def follow(page: Path, dist: Path) -> float:
    """Does what the page says, and prints how long each step takes; seconds in all."""
    print(f"== {page.relative_to(CHECKOUT)}", flush=True)
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="first_backend_") as folder,
        Walk(Path(folder).resolve(), bare=True) as walk,
    ):
        (walk.desk.folder / "wheels").symlink_to(dist)
        for listing in listings(page.read_text()):
            before = time.monotonic()
            # What the tests of the page cannot do, it does here.
            walk.step(replace(listing, marks={}))
            if listing.language != "text":
                print(f"{time.monotonic() - before:7.1f} s  {shown(listing)}", flush=True)
        walk.end_server()
    seconds = time.monotonic() - started
    print(f"{seconds:7.1f} s  in all", flush=True)
    return seconds


def main() -> None:
    """Goes both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=Path, default=CHECKOUT / "dist", help="folder of our wheels")
    options = parser.parse_args()
    dist = options.dist.resolve()
    if not any(dist.glob("despina_sdk-*.whl")):
        sys.exit(f"first_backend: there are no wheels in {dist}: `make wheel` builds them")
    for page in PAGES:
        try:
            follow(CHECKOUT / page, dist)
        except AssertionError as failure:
            sys.exit(f"first_backend: {failure}")


if __name__ == "__main__":
    main()
