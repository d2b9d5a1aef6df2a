"""What README.md, and that of the SDK, have their readers type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.pages import listings, section
from harness.repository import add_model, identity
from harness.serve import Serve, environment

from despina_sdk import ModelSpec, Placement
from despina_sdk.testing import run_batch


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """As the example in Python wants it."""
    folder = tmp_path / "model_repository"
    add_model(folder, "my_model", identity(dims=[16]))
    return folder


@pytest.fixture
def text(checkout: Path) -> str:
    return section((checkout / "README.md").read_text(), "Serve your models")


def test_the_commands_succeed(text: str, models: Path, tmp_path: Path) -> None:
    lines = [line.partition("#")[0].split() for line in listings(text)[0].text.splitlines()]
    names = {"DIR": str(models), "MODEL": "my_model", "NAME": "identity"}
    commands = [[names.get(word, word) for word in line] for line in lines]
    assert all(command[0] == ".venv/bin/despina" for command in commands)
    serve, *others = (command[1:] for command in commands)
    assert serve == ["serve", "--model-repository", str(models)]
    assert len(others) > 3
    with Serve(models, tmp_path / "out") as server:
        for command in others:
            done = subprocess.run(
                [sys.executable, "-m", "despina", *command],
                env={**environment(), "DESPINA_URL": f"http://{server.address}"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert server.stop() == 0


def test_the_example_in_python_runs(text: str, models: Path) -> None:
    (example,) = (each.text for each in listings(text) if each.language == "python")
    command = [sys.executable, "-c", example + "\nassert outputs['OUTPUT0'].shape == (1, 16)"]
    done = subprocess.run(
        command, cwd=models.parent, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_backend_in_cpp_is_that_of_the_pages_which_are_built(checkout: Path) -> None:
    ours = listings((checkout / "README.md").read_text())
    (source,) = (each.text for each in ours if each.language == "cpp")
    (build,) = (each.text for each in ours if each.language == "cmake")
    built = {
        each.text
        for page in ("first-backend-cpp.md", "debugging.md")
        for each in listings((checkout / "docs" / page).read_text())
    }
    assert {source, build} <= built


def test_the_backend_in_python_gives_what_it_says(checkout: Path) -> None:
    (example,) = (
        each.text
        for each in listings((checkout / "README.md").read_text())
        if "@batch_function" in each.text
    )
    names: dict[str, Any] = {}
    exec(example, names)
    instance = names["row_sum"]({}).load(ModelSpec("m", "1", Path("m/1"))).instance(Placement("i"))
    (answer,) = run_batch(instance, {"x": np.ones((2, 4), np.float32)})
    assert answer["y"].tolist() == [[4], [4]]


def test_the_tests_in_python_of_the_sdk_s_page_pass(checkout: Path, tmp_path: Path) -> None:
    found = [each.text for each in listings((checkout / "sdk" / "README.md").read_text())]
    (backend,) = (each for each in found if "@batch_function" in each)
    tests = [each for each in found if "from row_sum import" in each]
    assert len(tests) == 2
    (tmp_path / "row_sum.py").write_text(backend)
    for number, test in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
