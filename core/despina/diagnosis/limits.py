"""What this process may use of the machine, where control groups limit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

UNLIMITED = 1 << 60
"""Bytes; groups of the first kind write no limit as a large number."""


def processors(root: Path = Path("/")) -> float | None:
    """Processors' worth of time that control groups leave; ``None`` without a limit."""

    def of_group(folder: Path) -> float | None:
        if quota := _text(folder / "cpu.max"):
            most, _, period = quota.partition(" ")
            return int(most) / int(period) if most != "max" else None
        most = _text(folder / "cpu.cfs_quota_us")
        period = _text(folder / "cpu.cfs_period_us")
        return int(most) / int(period) if most and period and int(most) > 0 else None

    return _least(root, "cpu", of_group)


def memory(root: Path = Path("/")) -> float | None:
    """Bytes that control groups leave; ``None`` without a limit."""

    def of_group(folder: Path) -> float | None:
        most = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
        return int(most) if most and most != "max" and int(most) < UNLIMITED else None

    return _least(root, "memory", of_group)


def _least(root: Path, controller: str, of_group: Callable[[Path], float | None]) -> float | None:
    limits = (of_group(folder) for folder in _groups(root, controller))
    return min((limit for limit in limits if limit is not None), default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the process's group of a controller, and of those around it."""
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, path = line.split(":", 2)
        if number != "0" and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("" if number == "0" else controller)
        group = mount / path.strip("/")
        # In a container the path may be the host's; what is mounted is then the process's own.
        yield from (each for each in (group, *group.parents) if each.is_relative_to(mount))


def _text(path: Path) -> str:
    """Without its end of line; empty where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
