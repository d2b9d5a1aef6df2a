"""What distributions need of others, and what is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import InvalidRequirement, Requirement

WHEELS = "python -m pip install --no-index --find-links WHEELS"
"""How to install what is on no index; WHEELS is the folder of its wheels."""


@dataclass(frozen=True)
class Need:
    """Something that a distribution needs.

    Attributes:
        requirement: as its metadata says it, without the condition.
        here: the version that is installed; empty if none is.
    """

    name: str
    requirement: str
    here: str
    fits: bool

    @property
    def remedy(self) -> str:
        """The command that installs what fits."""
        return f"{pip_install(self.name)} '{self.requirement}'"


def pip_install(name: str) -> str:
    """The beginning of the command that installs a distribution: ours are on no index."""
    return WHEELS if name.startswith("despina") else "python -m pip install"


def needs_of(distribution: str) -> list[Need]:
    """What a distribution needs without its extras; empty if it is not installed."""
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return []
    return [need for line in lines if (need := _need(line)) is not None]


def unmet(needs: Sequence[Need]) -> list[Need]:
    """Those that are missing, or are there in another version."""
    return [need for need in needs if not need.fits]


def described(need: Need) -> str:
    """Which version is needed, and which is here."""
    here = f"{need.name} {need.here} is installed" if need.here else "it is not installed"
    return f"needs {need.requirement}: {here} in {sys.prefix}"


def installed_version(name: str) -> str:
    """Empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _need(line: str) -> Need | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None  # pip refuses it too, when it is installed
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    here = installed_version(requirement.name)
    fits = bool(here) and requirement.specifier.contains(here, prereleases=True)
    return Need(requirement.name, f"{requirement.name}{requirement.specifier}", here, fits)
