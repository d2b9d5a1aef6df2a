"""Which backends there are, from metadata and file names alone. Imports nothing of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

BACKENDS = "despina.backends"
"""The group of entry points that offer backends."""


def backend_names() -> frozenset[str]:
    """Backends that installed distributions offer."""
    return frozenset(point.name for point in entry_points(group=BACKENDS))


def libraries(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Libraries of a backend in folders; the first that there is counts."""
    for folder in folders:
        for file in (f"libdespina_{name}.so", f"lib{name}.so"):
            if (folder / file).is_file():
                yield folder / file
