"""Text that ties the project to one machine."""

from __future__ import annotations

import re
from typing import Any

FORBIDDEN = {
    "path of one machine": re.compile(r"(?<![\w.~}$/-])/(?:root|home|work|Users|farm)/[\w.]"),
    "host of a package registry": re.compile(r"(?:py[p]i|python[h]osted|npm[j]s)\.[a-z]{2,3}\b"),
}
LARGEST_TEXT = 2_000_000


def test_no_file_names_a_machine_or_a_registry(project: Any) -> None:
    found = []
    for path in project.files():
        if path.is_symlink() or path.stat().st_size > LARGEST_TEXT:
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue  # not text
        for number, line in enumerate(lines, start=1):
            for what, pattern in FORBIDDEN.items():
                if pattern.search(line) and not project.excepted("text", path):
                    found.append(f"{project.name(path)}:{number}: {what}: {line.strip()[:80]}")
    assert found == []
