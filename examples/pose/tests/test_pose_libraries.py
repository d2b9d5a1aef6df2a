"""The variant that keeps the backends' libraries in the versions' folders."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import despina
from despina.plugins import installed

MODELS = ["image_preprocess", "pose_postprocess"]


@pytest.fixture(scope="module")
def repository(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libraries")
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": tools, "PYTHON": sys.executable, "BUILD": str(folder / "build")}
    done = subprocess.run(
        [example / "libraries.sh", folder / "models"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"--model-repository {folder / 'models'}" in done.stdout
    return folder / "models"


@pytest.fixture
def without_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which despina-vision is not installed."""

    def entry_points(**selection: str) -> list[metadata.EntryPoint]:
        found = metadata.entry_points(**selection)
        return [point for point in found if point.name not in MODELS]

    monkeypatch.setattr(installed, "entry_points", entry_points)


def keypoints(repository: Path, picture: Path) -> np.ndarray:
    with despina.Server(repository) as server:
        images = np.array([[picture.read_bytes()]], object)
        return server.infer("hrnet_pose_estimate", {"IMAGE": images})["KEYPOINTS"]


def test_it_answers_as_the_installed_plugin_does(
    example: Path, repository: Path, request: pytest.FixtureRequest
) -> None:
    picture = example / "images" / "person_1.jpg"
    expected = keypoints(example / "model_repository", picture)
    request.getfixturevalue("without_plugin")
    with pytest.raises(despina.DespinaError, match="image_preprocess"):
        keypoints(example / "model_repository", picture)
    np.testing.assert_array_equal(keypoints(repository, picture), expected)


def test_the_plugin_of_the_checkout_is_left_alone(example: Path, repository: Path) -> None:
    package = example.parents[1] / "plugins" / "vision" / "despina_vision"
    for library in package.glob("*.so"):
        assert repository.parent not in library.resolve().parents
