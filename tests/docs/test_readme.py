"""What README.md has its reader type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness.pages import listings, section
from harness.repository import add_model, identity
from harness.serve import Serve, environment


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
