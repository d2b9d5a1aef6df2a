"""Pages of the site that are made of the SDK's headers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from os.path import commonprefix
from pathlib import Path

from declarations import Declaration, read

INCLUDE = Path(__file__).resolve().parents[2] / "sdk" / "despina_sdk" / "include" / "despina"

# Names in comments that are no words of English, unless they are marked already.
NAMES = re.compile(r"`[^`]*`|(?:\w+->|\w+::)*\w+\(\)|(?:\w+->|\w+::)*\w*_\w+|\bNULL\b")
SECTION = re.compile(r"-- (.+?) -+$")
TITLES = (
    r"#define (\w+)",
    r"typedef [^;{]*?\(\*(\w+)\)",
    r"typedef .*?(\w+);$",
    r"(?:template <[^>]*>\s*)?(?:class|struct) (\w+)",
    r"using (\w+)",
    r"[^({]*\(\*(\w+)\)",
    r"[^(=]*?(operator\S+|~?\w+)\(",
    r"[^={]*?(\w+)(?: = |\{|;)",
)


def abi_page() -> str:
    """`abi.h`: each declaration has a heading, and so has each function of a table."""
    head, *declarations = read((INCLUDE / "abi.h").read_text())
    parts = ["# The C interface: abi.h", prose(head.comment)]
    for group in _groups(declarations, lambda each: each.text.startswith("enum")):
        first = group[0]
        section = SECTION.match(first.comment)
        if section and first.is_remark:
            parts.append(f"## {section[1].capitalize()}")
        elif _is_table(first):
            parts += _table(first)
        else:
            parts += _entry(group, "c")
    return "\n\n".join(parts) + "\n"


def cpp_page() -> str:
    """The headers of C++, one after the other."""
    parts = ["# C++: backend.hpp"]
    for name in ("backend.hpp", "tensor.hpp", "error.hpp", "metric.hpp"):
        head, *declarations = read((INCLUDE / name).read_text())
        parts += [] if name == "backend.hpp" else [f"## {name}"]
        parts.append(prose(head.comment))
        for group in _groups(declarations, lambda each: not each.comment and not each.members):
            parts += _entry(group, "cpp")
    return "\n\n".join(parts) + "\n"


def prose(comment: str) -> str:
    """A comment as Markdown: paragraphs, numbered lists, code that is set in."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", comment.strip("\n")):
        numbered = re.sub(r"^ *(\d+\. )", r"\n\n\1", block, flags=re.MULTILINE)
        if numbered == block and block.startswith("  "):
            blocks.append(f"```cpp\n{textwrap.dedent(block)}\n```")
        else:
            items = numbered.split("\n\n")
            blocks += [_marked(" ".join(item.split())) for item in items if item.strip()]
    return "\n\n".join(blocks)


def title(declaration: Declaration) -> str:
    """What a declaration is called."""
    text = declaration.text
    if text.startswith("enum"):
        prefix: str = commonprefix(re.findall(r"\w+(?= =)", text))
        return prefix + "*"
    found = (re.match(pattern, text, re.DOTALL) for pattern in TITLES)
    return next(each[1] for each in found if each)


def _marked(text: str) -> str:
    marked = NAMES.sub(lambda found: f"`{found[0].strip('`')}`", text)
    return marked.replace("<", "&lt;")


def _groups(
    declarations: list[Declaration], joins: Callable[[Declaration], bool]
) -> Iterator[list[Declaration]]:
    """What follows the one before without an empty line, and belongs to it."""
    group: list[Declaration] = []
    for each in declarations:
        if group and not (each.joined and joins(each)):
            yield group
            group = []
        group.append(each)
    yield group


def _is_table(declaration: Declaration) -> bool:
    """Whether it is a structure of functions."""
    return sum("(*" in each.text for each in declaration.members) > 1


def _table(table: Declaration) -> list[str]:
    """A table of functions, each under a heading of its own."""
    name = title(table)
    functions = [each for each in table.members if "(*" in each.text]
    data = [each for each in table.members if each not in functions and not each.is_remark]
    lines = [f"  {each.text}" + (f" /* {each.comment} */" if each.comment else "") for each in data]
    shown = ["typedef struct {", *lines, "  /* and the functions below */", f"}} {name};"]
    parts = [f"### `{name}`", *_comment(table), _code(shown, "c")]
    for each in table.members:
        if each in functions:
            code = [re.sub(r"\n\s+", " ", each.text)]
            parts += [f"#### `{title(each)}` {{#{name}.{title(each)}}}", _code(code, "c")]
        parts += _comment(each) if each.is_remark or each in functions else []
    return parts


def _entry(group: list[Declaration], language: str) -> list[str]:
    """Heading, comment and code of what belongs together."""
    first = group[0]
    if first.is_remark:
        return _comment(first)
    lines = [line for each in group for line in _lines(each)]
    return [f"### `{title(first)}`", *_comment(first), _code(lines, language)]


def _comment(declaration: Declaration) -> list[str]:
    return [prose(declaration.comment)] if declaration.comment else []


def _code(lines: list[str], language: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _lines(declaration: Declaration) -> list[str]:
    """A declaration in one piece: a class of C++ without bodies and without what is not public."""
    text = declaration.text
    if not declaration.members or text.startswith("typedef"):
        return [text]
    lines = [text[: text.index("{") + 1]]
    for each in declaration.members:
        lines += [] if each.joined or len(lines) == 1 else [""]
        lines += [f"  // {line}".rstrip() for line in each.comment.splitlines()]
        lines += [f"  {each.text}"] if each.text else []
    return [*lines, "};"]
