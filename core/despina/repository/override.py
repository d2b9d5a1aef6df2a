"""What a client gives in place of what is in the repository, and the private folders for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from despina.errors import DespinaError
from despina_sdk import Code


@dataclass(frozen=True)
class Override:
    """What a model is loaded from instead.

    Attributes:
        config: its configuration, in the JSON form.
        files: by their path below the model's folder, which is checked; then those of the
            repository do not count. Without any, the model's own folder does.
    """

    config: Mapping[str, Any]
    files: Mapping[PurePosixPath, bytes] = field(default_factory=dict)


class PrivateFolders:
    """Folders that only this process can read. One thread."""

    def __init__(self) -> None:
        """Makes none yet."""
        self._root: Path | None = None
        self._folders: set[Path] = set()

    def make(self, files: Mapping[PurePosixPath, bytes]) -> Path:
        """Writes files into a new folder.

        Raises:
            DespinaError: UNAVAILABLE: they cannot be written. Nothing stays behind.
        """
        try:
            if self._root is None:
                self._root = Path(tempfile.mkdtemp(prefix="despina-"))
            folder = Path(tempfile.mkdtemp(dir=self._root))
        except OSError as error:
            raise _not_written(error) from error
        self._folders.add(folder)
        try:
            for path, content in files.items():
                _write(folder / path, content)
        except OSError as error:
            self.remove(folder)
            raise _not_written(error) from error
        return folder

    def remove(self, folder: Path) -> None:
        """Removes one of them."""
        self._folders.remove(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def keep_only(self, folders: Iterable[Path]) -> None:
        """Removes all others."""
        for folder in self._folders.difference(folders) if self._folders else ():
            self.remove(folder)

    def close(self) -> None:
        """Removes all."""
        self.keep_only(())
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None


def _write(path: Path, content: bytes) -> None:
    os.makedirs(path.parent, mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def _not_written(error: OSError) -> DespinaError:
    return DespinaError(Code.UNAVAILABLE, f"the files cannot be written: {error.strerror}")
