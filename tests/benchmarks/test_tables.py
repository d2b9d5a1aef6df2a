"""Tables are made of raw rows, and those in the repository are what their rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tables import render, rows

README = Path(__file__).resolve().parents[2] / "benchmarks" / "README.md"
FRAME = """before
<!-- table: begin -->
old
<!-- table: end -->
between
<!-- grpc: begin -->
old
<!-- grpc: end -->
after
"""


def figures(factor: float) -> dict[str, float]:
    keys = ("requests_per_second", "cpu_us", "p50_us", "p99_us")
    return dict.fromkeys(keys, 10 * factor)


def row(name: str, **more: Any) -> dict[str, Any]:
    both = {"despina": figures(1), "triton": figures(4)}
    ratios = {"cpu_ratio": 0.25, "cpu_ratio_pairs": [0.2, 0.3]}
    return {"row": name, "connections": 8, "commit": "abc", "backend": "C++"} | both | ratios | more


def test_rows_of_grpc_have_a_table_with_their_streams_and_the_floor() -> None:
    text = render(FRAME, [row("grpc/16", connections=1, streams=64, nghttpd=figures(0.5))])
    cells = "| C++ | 16 | 1 × 64 | 10.0 | 40.0 | 5.0 | **0.250** (0.200 to 0.300) | 0.25 | 0.25 "
    assert cells + "| 10 | 40 | 5 | abc |\n<!-- grpc: end -->" in text
    assert "16" not in text[: text.index("between")]


def test_rows_of_http_stay_in_theirs() -> None:
    text = render(FRAME, [row("binary/16")])
    cells = "| C++ | binary/16 | 8 | 10.0 | 40.0 | **0.250** (0.200 to 0.300) | 0.25 | 0.25 "
    assert cells + "| 10 | 40 | abc |\n<!-- table: end -->" in text
    assert "abc" not in text[text.index("between") :]


def test_every_line_of_a_table_has_as_many_cells() -> None:
    text = render(FRAME, [row("grpc/16", streams=1, nghttpd=figures(0.5)), row("json/16")])
    for table in text.split("between"):
        assert len({line.count("|") for line in table.splitlines() if "|" in line}) == 1


def test_the_readme_has_the_tables_of_the_rows() -> None:
    text = README.read_text()
    assert render(text, rows()) == text, "run benchmarks/tables.py"
