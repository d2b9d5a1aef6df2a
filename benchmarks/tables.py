"""Writes the table in README.md from the raw rows, or checks that it is what they say."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
HEAD = """| identity in | body (FP32 elements) | connections | Despina, CPU µs | Triton, CPU µs \
| CPU ratio (least to greatest of the pairs) | p50 ratio | p99 ratio | Despina, requests/s \
| Triton, requests/s | commit |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def line(row: dict[str, Any]) -> str:
    """One row as a line of the table."""
    ours, theirs = row["despina"], row["triton"]
    least, greatest = row["cpu_ratio_pairs"]
    cells = [
        row.get("backend", "Python"),
        row["row"],
        str(row["connections"]),
        f"{ours['cpu_us']:.1f}",
        f"{theirs['cpu_us']:.1f}",
        f"**{row['cpu_ratio']:.3f}** ({least:.3f} to {greatest:.3f})",
        f"{ours['p50_us'] / theirs['p50_us']:.2f}",
        f"{ours['p99_us'] / theirs['p99_us']:.2f}",
        f"{ours['requests_per_second']:.0f}",
        f"{theirs['requests_per_second']:.0f}",
        row["commit"],
    ]
    return "| " + " | ".join(cells) + " |\n"


def render(readme: str) -> str:
    """The text with the table made anew."""
    rows = [
        json.loads(text)
        for file in sorted((HERE / "rows").glob("*.jsonl"))
        for text in file.read_text().splitlines()
    ]
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + HEAD + "".join(map(line, rows)) + END + after


def main() -> int:
    """Exit status 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    file = HERE / "README.md"
    old = file.read_text()
    new = render(old)
    if arguments.check:
        return int(old != new)
    file.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
