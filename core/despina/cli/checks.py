"""Checks of a diagnosis, as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from despina.diagnosis.check import Check
from despina.text import escaped


def check_lines(checks: Iterable[Check]) -> list[str]:
    """A line for each, with its details and its remedy below it."""
    checks = list(checks)
    width = max((len(check.subject) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{check.verdict:<9}{check.subject:<{width}}  {check.text}")
        lines += [f"{'':9}  {detail}" for detail in check.details]
        if check.remedy:
            lines.append(f"{'':9}=> {check.remedy}")
    return [escaped(line) for line in lines]


def check_objects(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(check) for check in checks]
