"""Who may include whom in the engine, and which libraries each layer may see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Layer → the layers that it may include. The targets of CMake say the same in other words: an
# include that they do not allow does not compile. This table also covers tests and benchmarks.
LAYERS: dict[str, set[str]] = {
    "base": set(),
    "memory": {"base"},
    "engine": {"base", "memory"},
    "host": {"base", "memory", "engine"},
    "protocol": {"base", "memory", "engine"},
    "net": {"base", "memory"},
    "frontend": {"base", "memory", "engine", "protocol", "net"},
    "http": {"base", "memory", "engine", "protocol", "net", "frontend"},
    "grpc": {"base", "memory", "engine", "protocol", "net", "frontend"},
    "load": {"base", "memory", "engine", "net", "frontend", "http", "grpc"},
    "bindings": {
        *("base", "memory", "engine", "host", "protocol", "net", "frontend", "http", "grpc"),
        "load",
    },
}

# Headers of libraries → the layers that may include them.
LIBRARIES: dict[str, set[str]] = {
    r"Python\.h|pybind11/.*|numpy/.*": {"bindings"},
    r"boost/beast.*": {"http", "load"},
    r"simdjson\.h": {"base", "protocol"},
    r"protozero/.*": {"protocol"},
    r"sys/(socket|epoll)\.h|netinet/.*": {"net"},
    r"openssl/.*": {"net"},
    r"zlib\.h|re2/.*": {"frontend", "http"},
    r"nghttp2/.*": {"grpc", "load"},
    r"sys/eventfd\.h": {"net", "bindings"},
    r"dlfcn\.h|elf\.h|despina/.*": {"host"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


@dataclass(frozen=True)
class Include:
    """One include line of the engine."""

    layer: str
    path: Path
    line: int
    own: str | None
    library: str | None

    @property
    def in_test(self) -> bool:
        """Whether tests and benchmarks are made of the file, and nothing else."""
        return re.search(r"_(test|bench)\.cc$|/testing[/.]", self.path.as_posix()) is not None


@pytest.fixture(scope="module")
def includes(project: Any) -> list[Include]:
    """All include lines under cpp/."""
    found = []
    for path in project.files(".cc", ".h", under="cpp"):
        layer = layer_of(project, path)
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if match := INCLUDE.match(line):
                found.append(Include(layer, path, number, *match.groups()))
    assert found
    return found


def layer_of(project: Any, path: Path) -> str:
    """The folder under cpp/ that the file is in."""
    return path.relative_to(project.root / "cpp").parts[0]


def report(project: Any, broken: list[Include]) -> list[str]:
    """What a person needs to find each of them."""
    return [
        f"{project.name(i.path)}:{i.line}: includes {i.own or i.library}"
        for i in broken
        if not project.excepted("include", i.path)
    ]


def test_every_folder_of_the_engine_is_a_known_layer(project: Any) -> None:
    folders = {layer_of(project, path) for path in project.files(".cc", ".h", under="cpp")}
    assert folders - set(LAYERS) == set()


def test_headers_of_ours_are_included_by_layer_and_name(
    project: Any, includes: list[Include]
) -> None:
    def well_formed(own: str) -> bool:
        return "/" in own and ".." not in own and (project.root / "cpp" / own).is_file()

    assert report(project, [i for i in includes if i.own and not well_formed(i.own)]) == []


def test_only_tests_include_what_is_for_tests(project: Any, includes: list[Include]) -> None:
    helpers = [i for i in includes if i.own and re.search("/testing[/.]", i.own)]
    assert report(project, [i for i in helpers if not i.in_test]) == []


def test_layers_include_only_layers_below_them(project: Any, includes: list[Include]) -> None:
    allowed = {layer: {layer, *below} for layer, below in LAYERS.items()}
    upward = [i for i in includes if i.own and i.own.split("/")[0] not in allowed[i.layer]]
    assert report(project, upward) == []


def test_front_ends_see_of_the_engine_only_how_to_submit(
    project: Any, includes: list[Include]
) -> None:
    seen = [i for i in includes if i.layer in ("frontend", "http", "grpc") and not i.in_test]
    engine = [i for i in seen if i.own and i.own.startswith("engine/")]
    assert report(project, [i for i in engine if i.own != "engine/submit.h"]) == []


def test_the_order_of_layers_has_no_cycle(project: Any) -> None:
    assert project.cycle(LAYERS) == ""


def test_headers_include_each_other_without_cycles(project: Any, includes: list[Include]) -> None:
    graph: dict[str, set[str]] = {}
    for i in includes:
        if i.own and i.path.suffix == ".h":
            header = i.path.relative_to(project.root / "cpp").as_posix()
            graph.setdefault(header, set()).add(i.own)
    assert project.cycle(graph) == ""


def test_units_depend_on_each_other_without_cycles(project: Any, includes: list[Include]) -> None:
    """A unit is x.h with x.cc: two that need each other are one unit in two files."""
    graph: dict[str, set[str]] = {}
    for i in includes:
        unit = i.path.relative_to(project.root / "cpp").with_suffix("").as_posix()
        if i.own and i.own.removesuffix(".h") != unit:
            graph.setdefault(unit, set()).add(i.own.removesuffix(".h"))
    assert project.cycle(graph) == ""


def test_libraries_are_included_only_where_they_belong(
    project: Any, includes: list[Include]
) -> None:
    def misplaced(include: Include) -> bool:
        header = include.library or include.own or ""
        return any(
            re.fullmatch(pattern, header) and include.layer not in layers
            for pattern, layers in LIBRARIES.items()
        )

    assert report(project, [i for i in includes if not i.in_test and misplaced(i)]) == []
