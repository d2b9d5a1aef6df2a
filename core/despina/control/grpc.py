"""Requests over gRPC that change something: their messages, and which operation each is."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from google.protobuf.message import DecodeError

from despina.control.calls import Call, Operation
from despina.control.descriptors import message_class
from despina.control.logging import Logging
from despina.control.overrides import CONFIG, FILE
from despina.control.repository import Repository
from despina.control.trace import FIELDS, LEVEL, Tracing
from despina.errors import DespinaError, reason
from despina_sdk import Code

NO_NAMED_REPOSITORIES = "'repository_name' specification is not supported"

_CHOICE = "parameter_choice"
_LOG_FIELDS = {
    "log_info": "bool_param",
    "log_warning": "bool_param",
    "log_error": "bool_param",
    "log_verbose_level": "uint32_param",
    "log_format": "string_param",
}
"""Which field of a setting of the log has its value; of others any may."""

_KINDS = {"bool_param": "boolean", "uint32_param": "int32", "string_param": "string"}
"""How the protocol's errors call them."""


def grpc_operations(
    repository: Repository, tracing: Tracing, logging: Logging
) -> dict[str, Operation]:
    """By the names of the RPCs."""

    def load(call: Call) -> Future[None]:
        request = _parsed("RepositoryModelLoadRequest", call.body)
        return repository.load(request.model_name, _load_parameters(request))

    def unload(call: Call) -> Future[None]:
        request = _parsed("RepositoryModelUnloadRequest", call.body)
        return repository.unload(request.model_name, _unload_parameters(request))

    def trace(call: Call) -> bytes:
        request = _parsed("TraceSettingRequest", call.body)
        model, document = request.model_name, _trace_document(request.settings)
        return _trace_answer(tracing.update(model, document) if document else tracing.get(model))

    def log(call: Call) -> bytes:
        document = _log_document(_parsed("LogSettingsRequest", call.body).settings)
        return _log_answer(logging.update(document) if document else logging.get())

    return {
        "RepositoryModelLoad": load,
        "RepositoryModelUnload": unload,
        "TraceSetting": trace,
        "LogSettings": log,
    }


def _parsed(name: str, body: bytes) -> Any:
    """The message of that name."""
    try:
        message = message_class(name).FromString(body)
    except DecodeError as error:
        raise _invalid(f"failed to parse {name}: {reason(error)}") from error
    if getattr(message, "repository_name", ""):
        raise DespinaError(Code.UNIMPLEMENTED, NO_NAMED_REPOSITORIES)
    return message


def _load_parameters(request: Any) -> dict[str, Any]:
    """Those that are not known are for the operation to refuse."""
    found = {}
    for key, parameter in request.parameters.items():
        wanted = "bytes_param" if key.startswith(FILE) else "string_param"
        given = parameter.WhichOneof(_CHOICE)
        if (key == CONFIG or key.startswith(FILE)) and given != wanted:
            raise _invalid(f"invalid value type for load parameter '{key}', expected {wanted}.")
        found[key] = _value(parameter)
    return found


def _unload_parameters(request: Any) -> dict[str, Any]:
    found = {key: _value(parameter) for key, parameter in request.parameters.items()}
    key = "unload_dependents"
    if key in found and not isinstance(found[key], bool):
        raise _invalid(f"invalid value type for '{key}' parameter, expected bool_param.")
    return found


def _trace_document(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As over HTTP: a list for the level, a text for the others; ``None`` clears a setting."""
    document: dict[str, Any] = {}
    for key, setting in settings.items():
        values = list(setting.value)
        if key != LEVEL and key in FIELDS and len(values) > 1:
            raise _invalid(f"expect only 1 value for '{key}'")
        document[key] = None if not values else values if key == LEVEL else values[0]
    return document


def _trace_answer(settings: Mapping[str, Any]) -> bytes:
    answer = message_class("TraceSettingResponse")()
    for key, value in settings.items():
        answer.settings[key].value.extend(value if isinstance(value, list) else [value])
    return _serialized(answer)


def _log_document(settings: Mapping[str, Any]) -> dict[str, Any]:
    for key, wanted in _LOG_FIELDS.items():
        if key in settings and settings[key].WhichOneof(_CHOICE) != wanted:
            raise _invalid(f"expect {_KINDS[wanted]} for '{key}'")
    return {key: _value(setting) for key, setting in settings.items()}


def _log_answer(settings: Mapping[str, Any]) -> bytes:
    answer = message_class("LogSettingsResponse")()
    for key, value in settings.items():
        setattr(answer.settings[key], _LOG_FIELDS.get(key, "string_param"), value)
    return _serialized(answer)


def _value(parameter: Any) -> Any:
    """What a parameter holds; nothing where none of its fields is set."""
    field = parameter.WhichOneof(_CHOICE)
    return getattr(parameter, field) if field else None


def _serialized(answer: Any) -> bytes:
    content: bytes = answer.SerializeToString(deterministic=True)
    return content


def _invalid(text: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, text)
