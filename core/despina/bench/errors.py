"""What servers say of requests that failed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping

EVENT = "data:"
"""What the data of an event begins with."""


def error_text(answer: str) -> str:
    """The text of an error in an answer: of ``{"error": ...}``, perhaps in an event, or nothing."""
    lines = answer.splitlines() if answer.startswith(EVENT) else [answer]
    for line in lines:
        try:
            fields = json.loads(line.removeprefix(EVENT))
        except ValueError:
            continue
        if isinstance(fields, dict) and isinstance(fields.get("error"), str):
            return str(fields["error"])
    return ""


def readable(failures: Mapping[str, int]) -> dict[str, int]:
    """Failures of a load with the texts that are meant for people, the most frequent first."""
    counts: Counter[str] = Counter()
    for text, count in failures.items():
        status, answer = re.fullmatch(r"(\d+: )?(.*)", text, re.DOTALL).groups("")  # type: ignore[union-attr]
        counts[f"{status}{error_text(answer) or answer}"] += count
    return dict(counts.most_common())
