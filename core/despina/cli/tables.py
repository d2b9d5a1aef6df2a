"""Tables as the incumbent prints them: ASCII lines, no wrapping of what is not on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from despina.text import escaped

if TYPE_CHECKING:  # commands that only print load no engine
    from despina.lifecycle.state import ModelStatus
    from despina.plugins.offer import Offer

WIDE = 500
"""Columns of an output that is no terminal: every row stays on one line."""


def console() -> Console:
    """Writes to standard output."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of texts; what could drive a terminal is escaped."""
    shown = Table(*header, box=box.ASCII2, header_style="")
    for row in rows:
        shown.add_row(*(Text(escaped(cell), overflow="fold") for cell in row))
    return shown


def offer_table(what: str, offers: Iterable[Offer]) -> Table:
    """Who offers which backend or plugin, and whether it works."""
    return table(
        (what, "Distribution", "Version", "ABI", "File", "State", "Reason"),
        (
            (o.name, o.distribution, o.version or "-", o.abi or "-", o.file, o.state, o.reason)
            for o in offers
        ),
    )


def model_table(rows: Iterable[ModelStatus]) -> Table:
    """The models, and why those that failed did."""
    return table(
        ("Model", "Version", "Status"),
        (
            (
                row.name,
                str(row.version or "-"),
                f"{row.state}: {row.reason}" if row.reason else row.state,
            )
            for row in rows
        ),
    )
