"""Which models have changed and are complete: what polling a repository finds out. No threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from despina.errors import DespinaError
from despina.repository.fingerprint import Fingerprint, seen
from despina.repository.layout import Listing, Place

logger = logging.getLogger(__name__)

NOTHING = Fingerprint("", "")
"""Of a folder that is not there."""


@dataclass(frozen=True)
class Changes:
    """What is to be loaded and unloaded.

    Attributes:
        changed: models that are new or have changed, by id, and what was seen of their content.
        gone: ids of models that are not there any more.
        pending: whether something still changes: worth another look soon.
    """

    changed: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    pending: bool = False

    def __bool__(self) -> bool:
        """Whether there is something to do."""
        return bool(self.changed or self.gone)


@dataclass
class _Seen:
    """A model: what was seen last, since when, and what content has been told."""

    now: Fingerprint
    since: float
    told: str = ""


class Watch:
    """Looks at repositories again and again. A folder counts once it has been still for a time.

    So what is being copied is left alone until it is there, and a folder that is gone for a moment,
    because another takes its place, is not missed. One thread.
    """

    def __init__(
        self, listing: Listing, *, settle_seconds: float, clock: Callable[[], float]
    ) -> None:
        """Looks at nothing yet.

        Args:
            listing: of the repositories.
            settle_seconds: for which a folder has to stay as it is.
            clock: seconds from some moment on.
        """
        self._listing, self._settle, self._clock = listing, settle_seconds, clock
        self._seen: dict[str, _Seen] = {}

    def look(self) -> Changes:
        """Looks once. What it returns has been told, and is not told again."""
        try:
            places = self._listing.look()
        except DespinaError as error:
            logger.warning("%s", error.message)
            return Changes()
        now = self._clock()
        self._note(places, now)
        untold = {m: each for m, each in self._seen.items() if each.now.content != each.told}
        still = [m for m, each in untold.items() if now - each.since >= self._settle]
        for model in still:
            untold[model].told = untold[model].now.content
        told = {model: untold[model].told for model in still}
        self._forget()
        return Changes(
            {model: content for model, content in told.items() if content},
            [model for model, content in told.items() if not content],
            pending=len(still) < len(untold),
        )

    def _note(self, places: Iterable[Place], now: float) -> None:
        """Writes down what there is now, and since when."""
        found = {place.id: seen(*place.folders) for place in places}
        for model in sorted(found.keys() | self._seen.keys()):
            current = found.get(model, NOTHING)
            known = self._seen.setdefault(model, _Seen(current, now))
            if current != known.now:
                known.now, known.since = current, now

    def _forget(self) -> None:
        """Leaves out what is not there, and of which nobody has been told."""
        self._seen = {m: s for m, s in self._seen.items() if s.now != NOTHING or s.told}
