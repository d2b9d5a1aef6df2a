"""Errors that name the model, and the text of those that ONNX Runtime raises."""

from __future__ import annotations

import re

from despina_sdk import BackendError, Code, ModelSpec

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


def refusal(spec: ModelSpec, reason: str, code: Code = Code.INVALID_ARGUMENT) -> BackendError:
    """An error of a model that cannot be loaded."""
    return BackendError(code, f"model '{spec.name}': {reason}")


def reason_of(error: BaseException) -> str:
    """What ONNX Runtime has to say, in one line, without its code."""
    return " ".join(_PREFIX.sub("", str(error)).split())
