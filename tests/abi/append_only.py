"""Whether one text of the C interface only adds to another: what backends compiled in stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
STRUCT = re.compile(r"typedef\s+struct\s*\w*\s*\{")
ENUMERATOR = re.compile(r"\b(DESPINA_\w+)\s*=\s*([^,}]+)")


@dataclass
class Interface:
    """What a header says: members of structures in their order, and values of names."""

    structures: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


def read(header: str) -> Interface:
    """Takes a header apart; spaces and comments do not count.

    Raises:
        ValueError: a structure has no end or no name.
    """
    text = COMMENT.sub(" ", header)
    interface = Interface()
    for match in STRUCT.finditer(text):
        body, rest = _braces(text[match.end() :])
        name = re.match(r"\s*(\w+)\s*;", rest)
        if name is None:
            raise ValueError(f"a structure has no name: {body[:40]!r}")
        interface.structures[name[1]] = [" ".join(member.split()) for member in _members(body)]
    interface.values = {name: value.strip() for name, value in ENUMERATOR.findall(text)}
    return interface


def differences(old: Interface, new: Interface) -> list[str]:
    """Where ``new`` does more than add to ``old``; a sentence each."""
    found = []
    for name, members in old.structures.items():
        now = new.structures.get(name)
        if now is None:
            found.append(f"{name} has gone")
            continue
        may_grow = members[0].endswith(" struct_size")
        if now[: len(members)] != members or (len(now) > len(members) and not may_grow):
            at = next(
                (i for i, pair in enumerate(zip(members, now, strict=False)) if pair[0] != pair[1]),
                min(len(members), len(now)),
            )
            was = members[at] if at < len(members) else "nothing"
            became = now[at] if at < len(now) else "nothing"
            found.append(f"{name}: '{was}' has become '{became}'")
    for name, value in old.values.items():
        if new.values.get(name) != value:
            found.append(f"{name} was {value}, and is {new.values.get(name, 'gone')}")
    return found


def _braces(text: str) -> tuple[str, str]:
    """What stands before the brace that closes, and what comes behind it."""
    depth = 1
    for at, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return text[:at], text[at + 1 :]
    raise ValueError("a structure has no end")


def _members(body: str) -> Iterator[str]:
    """The members of a structure; a union within it is one."""
    depth, begin = 0, 0
    for at, character in enumerate(body):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == ";" and depth == 0:
            yield body[begin:at]
            begin = at + 1
