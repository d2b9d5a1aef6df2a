"""What the architecture tests look at, and the exceptions that they grant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

# (rule, path) → why the rule is broken there, and what will end that. A rule's name is its test's.
EXCEPTIONS: dict[tuple[str, str], str] = {}

GENERATED = ("_pb2.py", "_pb2.pyi", "_engine.pyi")
SKIPPED_FOLDERS = {"build", "dist", "out", "__pycache__"}
HIDDEN_FOLDERS_OF_OURS = {".ci"}


class Project:
    """The files of the checkout, without what was generated, built, or left by tools."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, *suffixes: str, under: str = ".") -> Iterator[Path]:
        """Files whose names end so (all files when no suffix is given), in a stable order."""
        for folder, subfolders, names in os.walk(self.root / under):
            subfolders[:] = sorted(filter(self._is_ours, subfolders))
            for name in sorted(names):
                if name.endswith(suffixes or "") and not name.endswith(GENERATED):
                    yield Path(folder, name)

    @staticmethod
    def _is_ours(folder: str) -> bool:
        hidden = folder.startswith(".") and folder not in HIDDEN_FOLDERS_OF_OURS
        return not hidden and folder not in SKIPPED_FOLDERS

    def name(self, path: Path) -> str:
        """Path from the root, as messages and exceptions spell it."""
        return path.relative_to(self.root).as_posix()

    def excepted(self, rule: str, path: Path) -> bool:
        """Whether this file may break the rule."""
        return (rule, self.name(path)) in EXCEPTIONS

    @staticmethod
    def cycle(graph: dict[str, set[str]]) -> str:
        """One cycle of the graph (node → what it needs) in words; empty when there is none."""
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return " needs ".join(reversed(error.args[1]))
        return ""


@pytest.fixture(scope="session")
def project(checkout: Path) -> Project:
    """The checkout under test."""
    return Project(checkout)
