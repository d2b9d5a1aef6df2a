"""Imports a plugin's modules from its sources, again and again.

The modules of an earlier import stay with what was made of them; those that import something of
the plugin only when they run get the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any


class SourceModules:
    """The modules of one plugin; they come before those that are installed. One thread imports."""

    def __init__(self) -> None:
        """Knows none yet."""
        self._finder = _Finder()

    def load(self, points: Mapping[str, EntryPoint], modules: Mapping[str, Path]) -> dict[str, Any]:
        """Imports all that the entry points need, from the files as they are now.

        Args:
            points: by the name of the backend.
            modules: the file or folder of each top-level module of the plugin.

        Returns:
            What each entry point names.

        Raises:
            BaseException: whatever an import raises; then the modules of before are back.
        """
        self._finder.folders = {name: path.parent for name, path in modules.items()}
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)
        with _put_aside(modules):
            return {name: point.load() for name, point in points.items()}

    def close(self) -> None:
        """Finds no module any more."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)


@contextmanager
def _put_aside(names: Iterable[str]) -> Iterator[None]:
    """Takes modules from those that were imported; puts them back if the block fails."""
    names = frozenset(names)
    before = _take_out(names)
    try:
        yield
    except BaseException:
        _take_out(names)
        sys.modules.update(before)
        raise


def _take_out(names: frozenset[str]) -> dict[str, ModuleType]:
    mine = [each for each in list(sys.modules) if each.partition(".")[0] in names]
    return {each: sys.modules.pop(each) for each in mine}


class _Loader(SourceFileLoader):
    """Compiles what is in the file: code cached in the same second could be taken for it."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """None: so neither is cached code read, nor is any written."""
        raise OSError(f"code of '{path}' is not cached")


class _Finder(MetaPathFinder):
    """Looks into the files anew each time. Any thread."""

    def __init__(self) -> None:
        self.folders: Mapping[str, Path] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As importlib asks: ``path`` is that of the package around it."""
        top = fullname.partition(".")[0]
        if top not in self.folders:
            return None
        for folder in [str(self.folders[top])] if path is None else path:
            loaders = (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Loader, SOURCE_SUFFIXES)
            spec = FileFinder(folder, *loaders).find_spec(fullname)
            if spec is not None and spec.loader is not None:
                return spec
        if path is None:  # not the one that is installed
            text = f"No module named {top!r} in '{self.folders[top]}'"
            raise ModuleNotFoundError(text, name=top)
        return None
