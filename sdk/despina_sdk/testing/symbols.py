"""The symbols that a library shows to others: enough of ELF for that."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<16s2HI3QI6H")
_SECTION = struct.Struct("<2I4Q2I2Q")
_SYMBOL = struct.Struct("<I2BH2Q")
_DYNAMIC_SYMBOLS = 11
_LOCAL, _UNIQUE = 0, 10
_HIDDEN = (1, 2)


@dataclass(frozen=True)
class Symbols:
    """What a library defines for others.

    Attributes:
        exported: the names.
        unique: those that are one for the whole process, whichever library they come from.
    """

    exported: tuple[str, ...]
    unique: tuple[str, ...]


def symbols_of(path: Path) -> Symbols:
    """Reads them.

    Raises:
        ValueError: it is no library of 64 bits, or damaged.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"'{path}' is no library for 64 bits")
    try:
        return _read(data)
    except (struct.error, IndexError) as error:
        raise ValueError(f"'{path}' is damaged: {error}") from None


def _read(data: bytes) -> Symbols:
    *_, offset, _, _, _, _, size, count, _ = _HEADER.unpack_from(data)
    sections = [_SECTION.unpack_from(data, offset + i * size) for i in range(count)]
    exported, unique = [], []
    for _, kind, _, _, begin, length, texts, *_ in sections:
        if kind != _DYNAMIC_SYMBOLS:
            continue
        names = sections[texts][4]
        for at in range(begin, begin + length, _SYMBOL.size):
            name, info, other, section, _, _ = _SYMBOL.unpack_from(data, at)
            if not section or info >> 4 == _LOCAL or other & 3 in _HIDDEN:
                continue
            text = data[names + name : data.index(b"\0", names + name)].decode()
            exported.append(text)
            if info >> 4 == _UNIQUE:
                unique.append(text)
    return Symbols(tuple(sorted(exported)), tuple(sorted(unique)))
