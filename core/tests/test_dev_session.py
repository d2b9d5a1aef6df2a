"""A plugin that is served from its sources, in process."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from despina import DespinaError, Server

PROJECT = """
[project]
name = "plugin-of-session"
version = "0.3"
[project.entry-points."despina.backends"]
scaled = "plugin_of_session.backend:Scaled"
offset = "plugin_of_session.backend:Offset"
"""
BACKEND = """
from despina_sdk import TensorSpec, batch_function
from plugin_of_session.factor import FACTOR

X, Y = [TensorSpec("X", "FP32", (1,))], [TensorSpec("Y", "FP32", (1,))]

@batch_function(name="scaled", inputs=X, outputs=Y)
def Scaled(X):
    return {"Y": X * FACTOR}

@batch_function(name="offset", inputs=X, outputs=Y)
def Offset(X):
    return {"Y": X + FACTOR}
"""
ONE = np.ones((1, 1), np.float32)


class Author:
    """Saves files of a plugin, looks at what is served, and reads what the terminal says."""

    def __init__(self, folder: Path, log: pytest.LogCaptureFixture) -> None:
        self.folder, self._log = folder, log
        self.server: Server | None = None

    def save(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def save_factor(self, factor: object) -> None:
        self.save("plugin_of_session/factor.py", f"FACTOR = {factor}\n")

    def serve(self, **settings: object) -> None:
        self.server = Server(dev=str(self.folder), **settings)

    def answer(self, model: str = "model") -> float:
        assert self.server
        return float(self.server.infer(model, {"X": ONE})["Y"][0, 0])

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self._log.records]

    def wait_for_line(self, start: str) -> str:
        """The last line that begins so, once there is one."""
        wait_for(lambda: any(line.startswith(start) for line in self.lines))
        return next(line for line in reversed(self.lines) if line.startswith(start))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def author(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Author]:
    caplog.set_level(logging.INFO)
    made = Author(tmp_path / "plugin", caplog)
    made.save("pyproject.toml", PROJECT)
    made.save("plugin_of_session/__init__.py", "")
    made.save("plugin_of_session/backend.py", BACKEND)
    made.save_factor(1)
    made.save("model_repository/model/config.pbtxt", 'backend: "scaled"')
    made.save("model_repository/other/config.pbtxt", 'backend: "identity_python" ' + TENSORS)
    yield made
    if made.server:
        made.server.close()
    for each in [each for each in sys.modules if each.startswith("plugin_of_session")]:
        del sys.modules[each]


TENSORS = (
    'max_batch_size: 8 input { name: "X" data_type: TYPE_FP32 dims: 1 }'
    ' output { name: "Y" data_type: TYPE_FP32 dims: 1 }'
)


def test_a_plugin_that_is_not_installed_is_served(author: Author) -> None:
    author.serve()
    assert author.answer() == 1
    assert author.answer("other") == 1


def test_what_is_saved_is_served(author: Author) -> None:
    author.serve()
    for factor in (2, 3):
        author.save_factor(factor)
        wait_for(lambda factor=factor: author.answer() == factor)
    line = author.wait_for_line("reloaded in ")
    assert line.endswith(": 'model' version 1")  # and not the other, which is not the plugin's
    assert "changed: plugin_of_session/factor.py" in author.lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("(", "import failed: plugin_of_session/factor.py:1: SyntaxError: '(' was never closed"),
        ("\n1 / 0", "import failed: plugin_of_session/factor.py:2: ZeroDivisionError: division by"),
        (
            "FACTORS = 1",
            "import failed: plugin_of_session/backend.py:3: ImportError: cannot import name",
        ),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_what_served_goes_on(
    author: Author, text: str, line: str
) -> None:
    author.serve()
    author.save("plugin_of_session/factor.py", text)
    author.wait_for_line(line)
    author.wait_for_line("what served before goes on")
    assert author.answer() == 1
    assert author.server
    assert author.server.ready
    author.save_factor(2)
    wait_for(lambda: author.answer() == 2)


def test_a_load_that_fails_is_shown_and_what_served_goes_on(author: Author) -> None:
    author.serve()
    author.save("plugin_of_session/backend.py", BACKEND.replace('name="scaled"', 'name="other"'))
    line = author.wait_for_line("model 'model' version 1 serves on as it was: ")
    assert "its class calls itself 'other'" in line
    assert author.answer() == 1
    author.save("plugin_of_session/backend.py", BACKEND.replace("*", "+"))
    wait_for(lambda: author.answer() == 2)


def test_a_plugin_may_begin_with_a_mistake(author: Author) -> None:
    author.save_factor("")
    author.serve()
    assert author.server
    (row,) = [row for row in author.server.models() if row.name == "model"]
    assert row.reason == (
        "backend 'scaled': plugin_of_session/factor.py:1: SyntaxError: invalid syntax"
    )
    assert author.answer("other") == 1
    author.save_factor(4)
    wait_for(lambda: row not in author.server.models())
    wait_for(lambda: author.server.ready)
    assert author.answer() == 4


def test_changes_of_models_are_followed(author: Author) -> None:
    author.serve()
    assert author.server
    author.save("model_repository/model/config.pbtxt", 'backend: "offset"')
    wait_for(lambda: author.answer() == 2)
    author.save("model_repository/new/config.pbtxt", 'backend: "scaled"')
    wait_for(
        lambda: any(row.name == "new" and row.state == "READY" for row in author.server.models())
    )
    assert "changed: model 'new'" in author.lines
    author.save("model_repository/model/config.pbtxt", "nonsense: 1")
    line = author.wait_for_line("model 'model' version 1 serves on as it was: ")
    assert "config.pbtxt:1:1: " in line
    assert author.answer() == 2


def test_a_backend_that_is_new_is_served_at_once(author: Author) -> None:
    author.serve()
    backend = BACKEND.replace('"offset"', '"minus"').replace("Offset", "Minus").replace("+", "-")
    author.save("plugin_of_session/backend.py", BACKEND + backend)
    author.save("pyproject.toml", PROJECT + 'minus = "plugin_of_session.backend:Minus"')
    author.save("model_repository/model/config.pbtxt", 'backend: "minus"')
    wait_for(lambda: author.answer() == 0)


def test_of_a_backend_that_was_taken_out_of_the_project_nothing_was_said(author: Author) -> None:
    author.serve()
    author.save("pyproject.toml", PROJECT.replace("scaled =", "minus ="))
    line = author.wait_for_line("model 'model' version 1 serves on as it was: ")
    assert line.endswith("pyproject.toml' does not offer it any more")
    assert author.answer() == 1
    author.save_factor(3)
    author.save("pyproject.toml", PROJECT)
    wait_for(lambda: author.answer() == 3)


def test_a_mistake_in_the_project_is_shown(author: Author) -> None:
    author.serve()
    author.save("pyproject.toml", "[project\n")
    assert "(at line 1" in author.wait_for_line("--dev: ")
    assert author.answer() == 1


def test_a_file_that_an_editor_replaces_is_followed(author: Author) -> None:
    author.serve()
    file = author.folder / "plugin_of_session" / "factor.py"
    file.unlink()
    author.wait_for_line("import failed: plugin_of_session/backend.py:3: ModuleNotFoundError")
    author.save("plugin_of_session/.factor.py.new", "FACTOR = 5")
    file.with_name(".factor.py.new").rename(file)
    wait_for(lambda: author.answer() == 5)


def test_an_installed_plugin_of_that_name_is_shadowed(author: Author) -> None:
    author.save("pyproject.toml", PROJECT.replace("offset =", "identity_python ="))
    author.save("plugin_of_session/backend.py", BACKEND.replace('"offset"', '"identity_python"'))
    author.save_factor(5)
    author.serve()
    assert author.answer("other") == 6
    line = author.wait_for_line("backend 'identity_python' is that of the sources in ")
    assert "not the installed one (despina-identity " in line


def test_models_may_be_elsewhere(author: Author, tmp_path: Path) -> None:
    (author.folder / "model_repository").rename(tmp_path / "models")
    with pytest.raises(DespinaError, match="model_repository' does not exist"):
        author.serve()
    author.serve(model_repository=str(tmp_path / "models"))
    author.save_factor(2)
    wait_for(lambda: author.answer() == 2)


def test_a_folder_that_is_none_of_a_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DespinaError, match=r"--dev: there is no pyproject.toml in"):
        Server(tmp_path, dev=str(tmp_path))
