"""Writes the hash of the C interface into its header: ``abi_hash.py [--check] HEADER``.

The hash is of all the header's text but the line that holds it, so that a backend that was
compiled with another text is told apart from one that was compiled with this.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

LINE = re.compile(r"^#define DESPINA_ABI_HASH UINT64_C\(0x[0-9a-f]{16}\)$", re.MULTILINE)


def with_hash(text: str) -> str:
    """The header's text with the hash that it must have.

    Raises:
        ValueError: it does not have exactly one line for the hash.
    """
    rest, lines = LINE.subn("", text)
    if lines != 1:
        raise ValueError(f"the header has {lines} lines for its hash, not one")
    digest = hashlib.sha256(rest.encode()).hexdigest()[:16]
    return LINE.sub(f"#define DESPINA_ABI_HASH UINT64_C(0x{digest})", text)


def main() -> int:
    """Writes or checks; the exit status."""
    header = Path(sys.argv[-1])
    text = header.read_text()
    right = with_hash(text)
    if "--check" in sys.argv[1:-1]:
        return int(text != right)
    header.write_text(right)
    return 0


if __name__ == "__main__":
    sys.exit(main())
