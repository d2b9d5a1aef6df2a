"""Which backends and plugins there are, from metadata and file names alone: imports none."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from despina.plugins.offer import Offer, OfferState

BACKENDS = "despina.backends"
"""The group of entry points that offer backends."""
PLUGINS = "despina.plugins"
"""The group of those that offer hooks."""
LIBRARY = "library"
"""In place of a distribution, for a library that lies in a folder."""


def backend_names() -> frozenset[str]:
    """Backends that installed distributions offer."""
    return frozenset(point.name for point in entry_points(group=BACKENDS))


def entry_points_by_name(group: str) -> dict[str, list[EntryPoint]]:
    """The entry points of a group, each distribution's once."""
    by_name: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        points = by_name.setdefault(point.name, [])
        # The same distribution can be on the path twice, as when it is installed for editing.
        if _provider(point) not in map(_provider, points):
            points.append(point)
    return by_name


def offers_of(points: Iterable[EntryPoint]) -> list[Offer]:
    """The offers of one name: shadowed, with the reason, where there are several."""
    offers = [Offer(point.name, *_provider(point), module_file(point)) for point in points]
    if len(offers) == 1:
        return offers
    several = ", ".join(sorted(offer.provider for offer in offers))
    reason = f"offered by {several}; uninstall all but one"
    return [replace(offer, state=OfferState.SHADOWED, reason=reason) for offer in offers]


def offers_in_directory(directory: Path | None, installed: Iterable[str]) -> list[Offer]:
    """The libraries in the operator's folder, each in a folder of its backend's name.

    Args:
        directory: the operator's; may not exist.
        installed: names of backends that distributions offer, which come first.
    """
    if directory is None or not directory.is_dir():
        return []
    installed, offers = frozenset(installed), []
    for folder in sorted(directory.iterdir()):
        for file in libraries(folder.name, [folder]):
            offer = Offer(folder.name, LIBRARY, "", str(file))
            if folder.name in installed:
                reason = "an installed distribution offers this backend, and comes first"
                offer = replace(offer, state=OfferState.SHADOWED, reason=reason)
            offers.append(offer)
            break
    return offers


def libraries(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Libraries of a backend in folders; the first that there is counts."""
    for folder in folders:
        for file in (f"libdespina_{name}.so", f"lib{name}.so"):
            if (folder / file).is_file():
                yield folder / file


def module_file(point: EntryPoint) -> str:
    """The file or folder of an entry point's module, found without importing it."""
    package = point.module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    locations = spec.submodule_search_locations
    return next(iter(locations)) if locations else spec.origin or ""


def _provider(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "")
