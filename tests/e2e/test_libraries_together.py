"""The engine beside other libraries that bring OpenSSL, in one process."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.serve import environment
from harness.together import serve_beside


def test_every_order_of_imports_serves_tls(tmp_path: Path) -> None:
    serve_beside(Path(sys.executable), tmp_path, environment())
