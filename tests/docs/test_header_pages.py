"""The site's pages of the headers leave out nothing that authors may use, and no comment."""

from __future__ import annotations

import re

import pytest
from header_pages import INCLUDE, abi_page, cpp_page

COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)


def words(text: str) -> str:
    """The text without what marks, frames and breaks it."""
    return " ".join(re.sub(r"[*#]|&lt;|<|//", " ", text.replace("`", "")).split())


@pytest.fixture(scope="module")
def header() -> str:
    return (INCLUDE / "abi.h").read_text()


@pytest.fixture(scope="module")
def abi() -> str:
    return abi_page()


def test_every_structure_and_type_of_the_c_interface_has_a_heading(header: str, abi: str) -> None:
    code = COMMENT.sub("", header)
    structures = re.findall(r"^\} (\w+);", code, re.MULTILINE)
    types = re.findall(r"^typedef [^{;(]*?(\w+);", code, re.MULTILINE)
    macros = re.findall(r"^#define (?!DESPINA_ABI_H$)(\w+)", code, re.MULTILINE)
    assert len(structures) > 10
    assert len(types) > 5
    assert len(macros) > 4
    for name in [*structures, *types, *macros, "despina_backend_entry_function"]:
        assert re.search(rf"^### `{name}`$", abi, re.MULTILINE), name


def test_every_function_of_the_tables_has_a_heading_and_its_signature(
    header: str, abi: str
) -> None:
    code = COMMENT.sub("", header)
    for table in ("despina_host_api", "despina_backend_api"):
        (body,) = re.findall(rf"struct \{{([^{{}}]*)\}} {table};", code)
        functions = re.findall(r"^[^;]*\(\*(\w+)\)[^;]*;", body, re.MULTILINE)
        assert len(functions) > 10
        for name in functions:
            assert f"\n#### `{name}` {{#{table}.{name}}}\n" in abi, name
            (signature,) = re.findall(rf"[^;}}]*\(\*{name}\)[^;]*;", body)
            assert words(signature) in words(abi), name


def test_every_constant_and_member_of_the_c_interface_is_shown(header: str, abi: str) -> None:
    code = COMMENT.sub("", header)
    for name in re.findall(r"\b\w+(?= = )|\b\w+(?=(?:\[\d+\])?;)", code):
        assert re.search(rf"\b{name}\b", abi), name


def test_every_comment_of_the_c_interface_is_shown(header: str, abi: str) -> None:
    comments = [words(text) for text in COMMENT.findall(header)]
    assert len(comments) > 60
    shown = words(abi)
    sections = [found[1] for text in comments if (found := re.match(r"-- (.*?) -+$", text))]
    assert [text for text in sections if f"\n## {text.capitalize()}\n" not in abi] == []
    others = [text for text in comments if not text.startswith("-- ")]
    assert [text for text in others if text not in shown] == []


@pytest.mark.parametrize("name", ["backend.hpp", "tensor.hpp", "error.hpp", "metric.hpp"])
def test_every_class_and_function_of_cpp_is_shown(name: str) -> None:
    header, page = (INCLUDE / name).read_text(), cpp_page()
    public = re.sub(r"namespace detail \{.*?\n\}  // namespace detail", "", header, flags=re.DOTALL)
    classes = re.findall(r"^(?:class|struct) (\w+)", public, re.MULTILINE)
    functions = re.findall(r"^(?:inline|constexpr) [^(=]*?(\w+)\(", public, re.MULTILINE)
    assert classes + functions
    for each in classes:
        assert f"\n### `{each}`\n" in page, each
    for each in functions:
        assert re.search(rf"\b{each}\(", page), each
    for body in re.findall(r"^(?:class|struct) .*?^\};", public, re.MULTILINE | re.DOTALL):
        for method in re.findall(r"^  [^/( ][^(=]*?(\w+)\([^;]*?const(?: noexcept)? \{", body):
            assert re.search(rf"\b{method}\(", page), method


def test_nothing_private_and_no_body_is_shown() -> None:
    page = cpp_page()
    assert "private:" not in page
    assert "return host()" not in page
    assert "namespace detail" not in page


def test_every_function_of_the_tables_is_described(abi: str) -> None:
    functions = re.split(r"^#### ", abi, flags=re.MULTILINE)[1:]
    assert len(functions) > 30
    for each in functions:
        heading, *blocks = each.strip().split("\n\n")
        assert any(not block.startswith(("```", "#")) for block in blocks), heading
