"""Despina: an inference server whose backends are plugins.

``Server`` runs models in this process; ``despina serve`` is the same with front ends. What a
backend is made of comes from ``despina_sdk``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from despina.errors import ConfigError, DespinaError, Diagnostic
from despina_sdk import Backend, BackendError, Code, TensorSpec, batch_function

if TYPE_CHECKING:
    from despina.lifecycle.state import ModelStatus
    from despina.server import Server

try:
    __version__ = version("despina")
except PackageNotFoundError:  # a checkout that is only on the path
    __version__ = "0"

__all__ = [
    "Backend",
    "BackendError",
    "Code",
    "ConfigError",
    "DespinaError",
    "Diagnostic",
    "ModelStatus",
    "Server",
    "TensorSpec",
    "__version__",
    "batch_function",
]

# The engine is loaded when it is needed: what only reads configurations or metadata is not kept
# waiting for it.
_LAZY = {"Server": "despina.server", "ModelStatus": "despina.lifecycle.manager"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
