"""Requests over HTTP that change something: their JSON, and which operation each is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from despina.control.calls import Call, Operation
from despina.control.json_text import json_object, member
from despina.control.logging import Logging
from despina.control.repository import Repository
from despina.control.trace import Tracing
from despina.errors import DespinaError
from despina_sdk import Code


def http_operations(
    repository: Repository, tracing: Tracing, logging: Logging
) -> dict[str, Operation]:
    """By their names in the routes."""

    def trace_settings(call: Call) -> bytes:
        return _json(tracing.get(_model(call)))

    def update_trace_settings(call: Call) -> bytes:
        return _json(tracing.update(_model(call), json_object(call.body)))

    return {
        "log_settings": lambda call: _json(logging.get()),
        "log_settings_update": lambda call: _json(logging.update(json_object(call.body))),
        "trace_settings": trace_settings,
        "trace_settings_update": update_trace_settings,
        "model_trace_settings": trace_settings,
        "model_trace_settings_update": update_trace_settings,
        "model_load": lambda call: repository.load(_model(call), _parameters(call)),
        "model_unload": lambda call: repository.unload(_model(call), _parameters(call)),
    }


def _model(call: Call) -> str:
    """The name of the model in a request's path.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is not UTF-8.
    """
    try:
        return call.model
    except UnicodeDecodeError as error:
        text = "the name of the model in the path is not UTF-8"
        raise DespinaError(Code.INVALID_ARGUMENT, text) from error


def _parameters(call: Call) -> Mapping[str, Any]:
    found: Mapping[str, Any] = member(json_object(call.body), "parameters", dict, {})
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
