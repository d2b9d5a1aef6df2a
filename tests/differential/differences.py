"""Where this server answers otherwise on purpose."""

from __future__ import annotations

DIFFERENCES: dict[str, tuple[str, ...]] = {}
"""Names of exchanges, by the row of ``docs/migrate-from-triton.md`` that says why."""

REASONS = {name: row for row, names in DIFFERENCES.items() for name in names}
"""The row of each exchange that is answered otherwise."""
