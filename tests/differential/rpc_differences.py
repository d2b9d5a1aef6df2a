"""Where this server answers otherwise over gRPC on purpose; as ``differences`` for HTTP."""

from __future__ import annotations

RPC_DIFFERENCES: dict[str, tuple[str, ...]] = {}
"""Names of calls, by the first column of the row in ``docs/migrate-from-triton.md``."""

RPC_REASONS = {name: row for row, names in RPC_DIFFERENCES.items() for name in names}
"""The row of each call that is answered otherwise."""
