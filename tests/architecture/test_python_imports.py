"""Who may import whom in Python."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

PACKAGE_PARENTS = ["core", "sdk", "plugins/*"]


@dataclass(frozen=True)
class Import:
    """One imported name, absolute: of ``from a import b`` it is ``a.b``, whatever ``b`` is."""

    importer: str
    name: str
    path: Path
    line: int
    in_function: bool
    for_types_only: bool

    @property
    def root(self) -> str:
        """The imported top-level package."""
        return self.name.partition(".")[0]


class ImportReader(ast.NodeVisitor):
    """Collects the imports of one module."""

    def __init__(self, module: str, path: Path) -> None:
        self.module, self.path = module, path
        self.imports: list[Import] = []
        self.function_depth = self.type_checking_depth = 0

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        parts = self.module.split(".")
        is_package = self.path.name == "__init__.py"
        parent = parts[: len(parts) - node.level + is_package] if node.level else []
        base = ".".join([*parent, *([node.module] if node.module else [])])
        for alias in node.names:
            self._add(f"{base}.{alias.name}", node.lineno)

    def visit_If(self, node: ast.If) -> None:
        guarded = ast.unparse(node.test).endswith("TYPE_CHECKING")
        self.type_checking_depth += guarded
        for child in node.body:
            self.visit(child)
        self.type_checking_depth -= guarded
        for child in node.orelse:
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.function_depth += 1
        self.generic_visit(node)
        self.function_depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name is ast's

    def _add(self, name: str, line: int) -> None:
        in_function, for_types = self.function_depth > 0, self.type_checking_depth > 0
        self.imports.append(Import(self.module, name, self.path, line, in_function, for_types))


def read_imports(module: str, path: Path) -> list[Import]:
    """Everything that the module imports, at its top level and inside of functions."""
    reader = ImportReader(module, path)
    reader.visit(ast.parse(path.read_text(), str(path)))
    return reader.imports


def packages(root: Path) -> Iterator[tuple[Path, Path]]:
    """(folder of the distribution, folder of its import package)."""
    for pattern in PACKAGE_PARENTS:
        for parent in sorted(root.glob(pattern)):
            for marker in sorted(parent.glob("despina*/__init__.py")):
                yield (root if parent.name == "core" else parent), marker.parent


def module_name(package: Path, path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="module")
def imports(project: Any) -> list[Import]:
    """All imports of all packages (their tests are not part of them)."""
    found = []
    for _, package in packages(project.root):
        for path in project.files(".py", under=project.name(package)):
            if "template" in path.parts:  # of plugins to come, which import the server in tests
                continue
            found += read_imports(module_name(package, path), path)
    assert found
    return found


def report(project: Any, broken: list[Import]) -> list[str]:
    """What a person needs to find each of them."""
    rule = "python imports"
    return [
        f"{project.name(i.path)}:{i.line}: {i.importer} imports {i.name}"
        for i in broken
        if not project.excepted(rule, i.path)
    ]


def is_in(name: str, *parents: str) -> bool:
    """Whether the dotted name is one of the parents or below one."""
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def test_plugins_import_the_sdk_and_never_the_server(project: Any) -> None:
    found = []
    for path in project.files(".py", under="plugins"):
        found += read_imports(path.stem, path)
    assert report(project, [i for i in found if i.root == "despina"]) == []


def test_the_sdk_imports_the_standard_library_and_numpy(
    project: Any, imports: list[Import]
) -> None:
    def allowed(i: Import) -> bool:
        if i.root in {*sys.stdlib_module_names, "numpy", "despina_sdk"}:
            return True
        if i.root == "pluggy":
            return i.importer == "despina_sdk.hooks"
        return is_in(i.importer, "despina_sdk.testing") and (
            i.root == "pytest" or (i.root == "despina" and (i.in_function or i.for_types_only))
        )

    of_sdk = [i for i in imports if is_in(i.importer, "despina_sdk")]
    assert report(project, [i for i in of_sdk if not allowed(i)]) == []


def test_only_the_engine_package_imports_the_extension(project: Any, imports: list[Import]) -> None:
    users = [i for i in imports if is_in(i.name, "despina._engine")]
    assert report(project, [i for i in users if not is_in(i.importer, "despina.engine")]) == []


def test_life_cycle_policy_and_states_import_nothing_of_ours(
    project: Any, imports: list[Import]
) -> None:
    pure = [i for i in imports if i.importer.startswith("despina.lifecycle.")]
    pure = [i for i in pure if i.importer.rpartition(".")[2] in {"policy", "state"}]
    assert report(project, [i for i in pure if i.root.startswith("despina")]) == []


def test_each_distribution_declares_what_it_imports(project: Any, imports: list[Import]) -> None:
    providers = packages_distributions()  # without editable ones: ours, whose names agree
    undeclared = []
    for folder, package in packages(project.root):
        metadata = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        extras = metadata.get("optional-dependencies", {}).values()
        requirements = [*metadata["dependencies"], *(r for extra in extras for r in extra)]
        declared = {metadata["name"], *(distribution_name(r) for r in requirements)}
        undeclared += [
            i
            for i in imports
            if i.path.is_relative_to(package)
            and i.root not in sys.stdlib_module_names
            and declared.isdisjoint(map(distribution_name, providers.get(i.root, [i.root])))
        ]
    assert report(project, undeclared) == []


def distribution_name(requirement: str) -> str:
    """``Foo_Bar[extra]>=1; marker`` → ``foo-bar``."""
    end = next((k for k, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end].lower().replace("_", "-").replace(".", "-")


def test_modules_import_each_other_without_cycles(project: Any, imports: list[Import]) -> None:
    modules = {i.importer for i in imports}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for i in imports:
        parent = i.name.rpartition(".")[0]
        target = i.name if i.name in modules else parent
        if target in modules and target != i.importer and not i.for_types_only:
            graph[i.importer].add(target)
    assert project.cycle(graph) == ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", "a.b"),
        ("from a import b", "a.b"),
        ("from . import b", "despina.x.b"),
        ("from ..y import b", "despina.y.b"),
        ("def f():\n    import a", "a"),
        ("try:\n    import a\nexcept ImportError:\n    pass", "a"),
    ],
)
def test_imports_are_read_in_each_of_their_forms(
    tmp_path: Path, source: str, expected: str
) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert [i.name for i in read_imports("despina.x.module", path)] == [expected]
