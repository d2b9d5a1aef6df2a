"""Files and functions that have grown too long to be read in one go."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE_LINES = 500
FUNCTION_LINES = 60

# Text that must not be taken for code: each is replaced by blanks, line breaks stay.
CPP_NOISE = re.compile(
    r"""
      //[^\n]*
    | /\*.*?\*/
    | R"(?P<delimiter>[^\s()\\]{0,16})\(.*?\)(?P=delimiter)"
    | "(?:\\.|[^"\\\n])*"
    | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'
    | ^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
CPP_SCOPE = re.compile(
    r"^(?:template\s*<.*>\s*)?(?:(?:inline|export)\s+)*"
    r"(?:namespace|class|struct|union|enum|extern)\b(?![^{]*\)\s*$)",
    re.DOTALL,
)
CPP_MEMBER_INITIALIZERS = re.compile(r"\)[^:?]*:(?!:)")

Function = tuple[str, int, int]  # what it is called, its first line, its number of lines


def python_functions(source: str) -> Iterator[Function]:
    """Functions with their decorators and docstrings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            assert node.end_lineno is not None
            yield node.name, first, node.end_lineno - first + 1


def opens_function(head: str) -> bool:
    """Whether a brace after this text, outside of functions, begins the body of a function."""
    if CPP_SCOPE.match(head) or "(" not in head or head.endswith("="):
        return False
    in_initializers = CPP_MEMBER_INITIALIZERS.search(head) is not None
    return not in_initializers or head[-1] in ")}"


def cpp_functions(source: str) -> Iterator[Function]:
    """Functions outside of functions: a lambda counts with the function that holds it."""
    code = CPP_NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)
    scopes: list[bool] = []  # of each open brace: are namespaces, classes and functions around it?
    head_start = position = 0
    while position < len(code):
        character = code[position]
        if character in ";}" or (character == "{" and code[head_start:position].strip() == ""):
            head_start = position + 1
        if character == "}":
            scopes.pop()
        elif character == "{":
            head = code[head_start:position].strip()
            if opens_function(head):
                end = matching_brace(code, position)
                start = code.index(head[0], head_start)
                first = code.count("\n", 0, start) + 1
                yield head, first, code.count("\n", start, end) + 1
                position = end
                head_start = end + 1
            elif CPP_SCOPE.match(head):
                scopes.append(True)
                head_start = position + 1
            else:  # an initializer: part of the head that goes on behind it
                position = matching_brace(code, position)
        position += 1
    assert scopes == []


def matching_brace(code: str, opening: int) -> int:
    """Position of the brace that closes the one at ``opening``."""
    depth = 0
    for brace in re.finditer(r"[{}]", code[opening:]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return opening + brace.start()
    raise ValueError(f"no brace closes that of line {code.count(chr(10), 0, opening) + 1}")


def test_files_are_short(project: Any) -> None:
    long = []
    for path in project.files(".py", ".cc", ".h", ".hpp", ".cmake", ".sh", ".proto"):
        lines = len(path.read_text().splitlines())
        if lines > FILE_LINES and not project.excepted("file length", path):
            long.append(f"{project.name(path)}: {lines} lines, at most {FILE_LINES}")
    assert long == []


@pytest.mark.parametrize(
    ("suffixes", "functions"),
    [((".py",), python_functions), ((".cc", ".h", ".hpp"), cpp_functions)],
    ids=["python", "cpp"],
)
def test_functions_are_short(project: Any, suffixes: tuple[str, ...], functions: Any) -> None:
    long = []
    seen = 0
    for path in project.files(*suffixes):
        for name, line, length in functions(path.read_text()):
            seen += 1
            if length > FUNCTION_LINES and not project.excepted("function length", path):
                place = f"{project.name(path)}:{line}"
                long.append(f"{place}: {name}: {length} lines, at most {FUNCTION_LINES}")
    assert seen > 0
    assert long == []


CPP_SAMPLE = """\
#define OPEN {
namespace a::b {
// a brace in a comment: {
enum class Kind : int { kOne, kTwo };
const std::array<int, 2> kTable = {1, 2};
const char* kText = "{" R"x({)x";

template <typename T>
struct Queue : public Base<T(int)> {
  Queue(int size, Options options)
      : size_{size},
        options_(std::move(options)),
        limits_{1, 2} {
    Fill();
  }
  bool Empty() const { return size_ == '{'; }
  int count = 0;
  std::vector<int> values_{1'000, 2};
};

TEST(Queue, Grows) {
  auto grow = [](int n) {
    if (n) {
      return;
    }
  };
}

auto Find(
    int key) -> Result<int> {
  return Result<int>{key};
}
}  // namespace a::b
"""


def test_functions_of_cpp_are_found_with_their_lengths() -> None:
    found = [(head.split("(")[0], line, length) for head, line, length in cpp_functions(CPP_SAMPLE)]
    assert found == [
        ("Queue", 10, 6),
        ("bool Empty", 16, 1),
        ("TEST", 21, 7),
        ("auto Find", 29, 4),
    ]


def test_functions_of_python_count_their_decorators(tmp_path: Path) -> None:
    source = "@a\n@b\ndef f():\n    def g():\n        pass\n"
    assert sorted(python_functions(source)) == [("f", 1, 5), ("g", 4, 2)]
