"""Writes the tables in README.md from the raw rows, or checks that they are what those say."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HEAD = """| identity in | body (FP32 elements) | connections | Despina, CPU µs | Triton, CPU µs \
| CPU ratio (least to greatest of the pairs) | p50 ratio | p99 ratio | Despina, requests/s \
| Triton, requests/s | commit |
|---|---|---|---|---|---|---|---|---|---|---|
"""


GRPC_HEAD = """| identity in | FP32 elements | connections × streams | Despina, CPU µs \
| Triton, CPU µs | nghttpd, CPU µs | CPU ratio (least to greatest of the pairs) \
| p50 ratio | p99 ratio | Despina, requests/s | Triton, requests/s | nghttpd, requests/s | commit |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def is_grpc(row: dict[str, Any]) -> bool:
    """Otherwise it is one of HTTP."""
    return bool(row["row"].startswith("grpc/"))


def line(row: dict[str, Any]) -> str:
    """One row as a line of the table it belongs to: rows of gRPC have streams, and a floor."""
    ours, theirs = row["despina"], row["triton"]
    least, greatest = row["cpu_ratio_pairs"]
    floor = [row["nghttpd"]] if is_grpc(row) else []
    cells = [
        row.get("backend", "Python"),
        row["row"].removeprefix("grpc/"),
        f"{row['connections']} × {row['streams']}" if is_grpc(row) else str(row["connections"]),
        f"{ours['cpu_us']:.1f}",
        f"{theirs['cpu_us']:.1f}",
        *(f"{each['cpu_us']:.1f}" for each in floor),
        f"**{row['cpu_ratio']:.3f}** ({least:.3f} to {greatest:.3f})",
        f"{ours['p50_us'] / theirs['p50_us']:.2f}",
        f"{ours['p99_us'] / theirs['p99_us']:.2f}",
        f"{ours['requests_per_second']:.0f}",
        f"{theirs['requests_per_second']:.0f}",
        *(f"{each['requests_per_second']:.0f}" for each in floor),
        row["commit"],
    ]
    return "| " + " | ".join(cells) + " |\n"


def rows() -> list[dict[str, Any]]:
    """All that were measured, by the names of their files."""
    return [
        json.loads(text)
        for file in sorted((HERE / "rows").glob("*.jsonl"))
        for text in file.read_text().splitlines()
    ]


def render(readme: str, rows: list[dict[str, Any]]) -> str:
    """The text with both tables made anew."""
    for name, head, grpc in (("table", HEAD, False), ("grpc", GRPC_HEAD, True)):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, rest = readme.split(begin)
        after = rest.split(end)[1]
        lines = [line(row) for row in rows if is_grpc(row) == grpc]
        readme = before + begin + head + "".join(lines) + end + after
    return readme


def main() -> int:
    """Exit status 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    file = HERE / "README.md"
    old = file.read_text()
    new = render(old, rows())
    if arguments.check:
        return int(old != new)
    file.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
