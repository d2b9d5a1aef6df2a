"""Hooks that a plugin may implement, offered through the entry point ``despina.plugins``.

A plugin is a module (or object) whose functions carry ``@hookimpl``; each takes those arguments
of the specification that it wants, by name. Hooks belong to the control plane: none is called on
the way of a request. None changes its arguments for the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from despina_sdk.backend import ModelSpec

PROJECT = "despina"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the hook of its name."""


@hookspec(historic=True)
def despina_configure(settings: Mapping[str, Any]) -> None:
    """The settings of the server are final; no model is loaded yet.

    Called once on the main thread; a plugin registered later is called when it registers.
    """


@hookspec(firstresult=True)
def despina_detect_backend(path: Path) -> str | None:
    """Names the backend for a version folder whose configuration names none. ``None``: not mine."""


@hookspec
def despina_model_options(spec: ModelSpec) -> Mapping[str, str] | None:
    """Parameters to add to this model. Two plugins that set one key differently fail its load."""


@hookspec(firstresult=True)
def despina_may_load(spec: ModelSpec) -> str | None:
    """A reason not to load this model now. ``None``: no objection."""


@hookspec
def despina_model_state(model: str, version: int, old: str, new: str, reason: str) -> None:
    """A model version changed its state (names as in the repository index); called afterwards."""


@hookspec
def despina_shutdown() -> None:
    """The server has drained and its models are unloaded; the last call."""
