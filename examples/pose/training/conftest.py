"""Lets the tests import the scripts of this folder, which import each other the same way."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
