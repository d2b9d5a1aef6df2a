"""What the tests of the control plane share: repositories, and plugins that seem installed."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

WriteModel = Callable[..., Path]
InstallPlugin = Callable[..., Path]
WriteScale = Callable[..., Path]

SCALE = """
from despina_sdk import Backend, BackendError, Code, Instance, Model, Signature, TensorSpec

class ScaleInstance(Instance):
    def __init__(self, factor, count):
        self.factor, self.count = factor, count
    def execute(self, batch):
        batch.scatter({"Y": batch.gather("X") * self.factor})
        self.count.add()

class ScaleModel(Model):
    signature = Signature((TensorSpec("X", "FP32", (4,)),), (TensorSpec("Y", "FP32", (4,)),), 8)
    def __init__(self, factor, count):
        self.factor, self.count = factor, count
    def instance(self, placement):
        return ScaleInstance(self.factor, self.count)

class Scale(Backend):
    name = "scale"
    def load(self, spec):
        weights = spec.path / "factor"
        if not weights.exists():
            raise BackendError(Code.NOT_FOUND, f"there is no factor in version {spec.version}")
        count = spec.metrics.counter("scaled_total", "Batches that were scaled")
        return ScaleModel(float(weights.read_text()), count)
"""
"""A backend that multiplies by what the file ``factor`` of the version folder says."""

ENSEMBLE = """
max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "OUT" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling { step [
  { model_name: "double" input_map { key: "X" value: "IN" } output_map { key: "Y" value: "mid" } },
  { model_name: "triple" input_map { key: "X" value: "mid" } output_map { key: "Y" value: "OUT" } }
] }
"""
"""Of ``double`` and ``triple``, two models of that backend."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def write_model(repository: Path) -> WriteModel:
    """Writes a model: ``write_model(name, config, versions=("1",))``."""

    def write(name: str, config: str | None, versions: tuple[str, ...] = ("1",)) -> Path:
        folder = repository / name
        for version in versions:
            (folder / version).mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        if config is not None:
            (folder / "config.pbtxt").write_text(textwrap.dedent(config))
        return folder

    return write


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstallPlugin:
    """Makes a distribution importable, and visible to ``importlib.metadata``, for one test.

    ``install_plugin(distribution, source, backends={"name": "Class"}, plugins={...})``; the module
    is named like the distribution.
    """

    def install(
        distribution: str,
        source: str,
        *,
        version: str = "1.0",
        backends: dict[str, str] | None = None,
        plugins: dict[str, str] | None = None,
    ) -> Path:
        site = tmp_path / f"site-{distribution}"
        module = distribution.replace("-", "_")
        site.mkdir()
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        metadata = site / f"{module}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        lines = []
        for group, points in (("despina.backends", backends), ("despina.plugins", plugins)):
            lines.append(f"[{group}]")
            for name, what in (points or {}).items():
                lines.append(f"{name} = {module}:{what}" if what else f"{name} = {module}")
        (metadata / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    return install


@pytest.fixture
def write_scale(install_plugin: InstallPlugin, write_model: WriteModel) -> WriteScale:
    """Writes a model of that backend: ``write_scale(name, factor, config, version)``."""
    install_plugin("plugin-scale", SCALE, backends={"scale": "Scale"})

    def write(name: str, factor: float | None, config: str = 'backend: "scale"', version="1"):
        folder = write_model(name, config, (version,))
        if factor is not None:
            (folder / version / "factor").write_text(str(factor))
        return folder

    return write


@pytest.fixture
def pipeline(write_scale, write_model, repository: Path) -> Path:
    """Two models and an ensemble of them."""
    write_scale("double", 2)
    write_scale("triple", 3)
    write_model("six", ENSEMBLE)
    return repository
