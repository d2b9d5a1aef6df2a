"""Where in a version folder the ONNX file lies."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from despina_onnxruntime.errors import refusal
from despina_sdk import Code, ModelSpec

DEFAULT = "model.onnx"


def find(spec: ModelSpec) -> Path:
    """Returns the file that holds the model: as configured, otherwise ``model.onnx``.

    A folder of that name holds the model, and whatever weights lie beside it, as ``model.onnx``.

    Raises:
        BackendError: the name leads out of the version folder (INVALID_ARGUMENT), or there is no
            such file (NOT_FOUND).
    """
    name = spec.config.get("default_model_filename") or DEFAULT
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise refusal(spec, f"default_model_filename '{name}' leads out of the version folder")
    path = spec.path / relative
    if path.is_dir():
        path = path / DEFAULT
    if not path.is_file():
        raise refusal(spec, f"there is no file '{label(spec, path)}'", Code.NOT_FOUND)
    return path


def label(spec: ModelSpec, path: Path) -> str:
    """The file's name for messages: relative to the model's folder."""
    return path.relative_to(spec.path.parent).as_posix()
