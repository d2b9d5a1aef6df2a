"""Digests of what is in a model's folder: names, sizes and times; no file is opened.

Files that editors and interpreters leave beside others are no content: hidden ones, backups,
``__pycache__``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from despina.errors import DespinaError
from despina.repository.layout import CONFIG_FILE, CONFIG_FOLDER
from despina.repository.versions import version_number
from despina_sdk import Code

MAX_ENTRIES = 100_000
"""Files and folders of one model, far above any real one: a link may lead to the whole system."""

_Identity = tuple[int, int]


class _Entry(NamedTuple):
    """A file or folder below that of a model."""

    parts: tuple[str, ...]
    line: bytes

    @property
    def is_content(self) -> bool:
        """Whether a model may be loaded from it."""
        return not any(map(_is_left_behind, self.parts))


@dataclass(frozen=True)
class Fingerprint:
    """What was seen of a folder at one moment.

    Attributes:
        content: changes with whatever a model may be loaded from.
        activity: changes with everything, also with what a tool writes under another name first.
    """

    content: str
    activity: str


def fingerprint(*folders: Path) -> Fingerprint:
    """Looks at folders that belong together.

    Raises:
        DespinaError: UNAVAILABLE: one cannot be read. INVALID_ARGUMENT: one has too many entries.
    """
    entries = [entry for folder in folders for entry in _walk(folder)]
    return Fingerprint(
        _digest(entry.line for entry in entries if entry.is_content),
        _digest(entry.line for entry in entries),
    )


def seen(*folders: Path) -> Fingerprint:
    """As ``fingerprint``; what cannot be looked at has its reason for a content."""
    try:
        return fingerprint(*folders)
    except DespinaError as error:
        return Fingerprint(error.message, error.message)


def revisions(folder: Path, versions: tuple[int, ...], config: bytes) -> dict[int, str]:
    """A text for each version that is another whenever its content is.

    Folders of other versions do not count, nor does the file of the configuration: only what is in
    it.

    Args:
        folder: of the model.
        versions: their numbers.
        config: what the configuration says.

    Raises:
        DespinaError: as for ``fingerprint``.
    """
    shared: list[bytes] = [config]
    own: dict[int, list[bytes]] = {version: [] for version in versions}

    def is_of_others(name: str) -> bool:
        number = version_number(name)
        return name in (CONFIG_FILE, CONFIG_FOLDER) or (number is not None and number not in own)

    for entry in _walk(folder, is_of_others):
        if entry.is_content:
            number = version_number(entry.parts[0])
            (shared if number is None else own[number]).append(entry.line)
    return {version: _digest([*shared, *lines]) for version, lines in own.items()}


def _digest(lines: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(len(line).to_bytes(8, "little") + line)
    return digest.hexdigest()


def _is_left_behind(name: str) -> bool:
    edited = name.endswith("~") or (name.startswith("#") and name.endswith("#"))
    return edited or name.startswith(".") or name == "__pycache__"


def _walk(folder: Path, leave_out: Callable[[str], bool] = lambda name: False) -> Iterator[_Entry]:
    """Everything below a folder, in order, through links unless they lead back upwards.

    Args:
        folder: of a model.
        leave_out: which names in the folder itself do not count.
    """
    pending: list[tuple[tuple[str, ...], frozenset[_Identity]]] = [((), frozenset())]
    entries = 0
    while pending:
        parts, above = pending.pop()
        names, identity = _list(folder, parts)
        if identity in above:
            continue
        for name in names:
            if not parts and leave_out(name):
                continue
            entries += 1
            if entries > MAX_ENTRIES:
                text = f"folder '{folder}' has more than {MAX_ENTRIES} entries"
                raise DespinaError(Code.INVALID_ARGUMENT, text)
            below = (*parts, name)
            line, is_folder = _look(os.path.join(folder, *below))
            yield _Entry(below, b"\0".join([os.fsencode("/".join(below)), line]))
            if is_folder:
                pending.append((below, above | {identity}))


def _list(folder: Path, parts: tuple[str, ...]) -> tuple[list[str], _Identity]:
    """The names in a folder, and what tells it from all others."""
    path = os.path.join(folder, *parts)
    try:
        status = os.stat(path)
        return sorted(os.listdir(path)), (status.st_dev, status.st_ino)
    except OSError as error:
        if parts:  # gone while we looked
            return [], (0, 0)
        text = f"folder '{folder}': {error.strerror}"
        raise DespinaError(Code.UNAVAILABLE, text) from error


def _look(path: str) -> tuple[bytes, bool]:
    """What counts of a file or folder, and whether it is a folder."""
    try:
        status = os.stat(path)
    except OSError:  # gone while we looked, or a link that leads nowhere
        return b"?", False
    if stat.S_ISDIR(status.st_mode):
        return b"/", True
    return f"{status.st_size} {status.st_mtime_ns}".encode(), False
