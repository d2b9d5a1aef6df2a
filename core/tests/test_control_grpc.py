"""Requests over gRPC that change something: what their messages ask of the operations."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from despina import Code, DespinaError
from despina.control.descriptors import message_class
from despina.control.grpc import grpc_operations
from despina.control.logging import Logging
from despina.control.trace import Tracing
from despina.observe.logging import LogSettings
from despina.settings.trace import TraceConfig


class Repository:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []

    def load(self, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        return self._begin("load", name, parameters)

    def unload(self, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        return self._begin("unload", name, parameters)

    def _begin(self, what: str, name: str, parameters: Mapping[str, Any]) -> Future[None]:
        self.asked.append((what, name, dict(parameters)))
        return Future()


class Call:
    model = ""

    def __init__(self, operation: str, body: bytes) -> None:
        self.operation, self.body = operation, body


class Service:
    """The operations, called with messages."""

    def __init__(self) -> None:
        self.repository = Repository()
        tracing = Tracing(
            TraceConfig(),
            apply=lambda sampling, models: None,
            remaining=lambda model: -1,
            known=lambda model: model == "m",
        )
        logging = Logging(LogSettings(), lambda settings: None)
        self._operations = grpc_operations(self.repository, tracing, logging)  # type: ignore[arg-type]

    def call(self, operation: str, body: bytes) -> Any:
        return self._operations[operation](Call(operation, body))  # type: ignore[arg-type]

    def ask(self, operation: str, **fields: Any) -> Any:
        """What an operation gives for a request with these fields."""
        request = message_class(f"{operation}Request")(**fields)
        return self.call(operation, request.SerializeToString())

    def refused(self, operation: str, **fields: Any) -> tuple[Code, str]:
        with pytest.raises(DespinaError) as raised:
            self.ask(operation, **fields)
        return raised.value.code, raised.value.message

    def trace(self, **fields: Any) -> dict[str, list[str]]:
        answer = message_class("TraceSettingResponse").FromString(
            self.ask("TraceSetting", **fields)
        )
        return {key: list(setting.value) for key, setting in answer.settings.items()}

    def log(self, **settings: Any) -> dict[str, Any]:
        content = self.ask("LogSettings", settings=settings)
        answer = message_class("LogSettingsResponse").FromString(content)
        return {key: value(setting) for key, setting in answer.settings.items()}


def value(setting: Any) -> Any:
    return getattr(setting, setting.WhichOneof("parameter_choice"))


@pytest.fixture
def service() -> Service:
    return Service()


def test_a_load_brings_a_configuration_and_files(service: Service):
    parameters = {
        "config": {"string_param": '{"backend": "b"}'},
        "file:1/weights": {"bytes_param": b"\0\xff"},
    }
    ended = service.ask("RepositoryModelLoad", model_name="m", parameters=parameters)
    assert isinstance(ended, Future)
    given = {"config": '{"backend": "b"}', "file:1/weights": b"\0\xff"}
    assert service.repository.asked == [("load", "m", given)]


@pytest.mark.parametrize(
    ("key", "parameter", "wanted"),
    [
        ("config", {"int64_param": 1}, "string_param"),
        ("config", {"bytes_param": b"{}"}, "string_param"),
        ("config", {}, "string_param"),
        ("file:1/x", {"string_param": ""}, "bytes_param"),
    ],
)
def test_a_parameter_of_a_load_has_its_type(
    service: Service, key: str, parameter: dict[str, Any], wanted: str
):
    refusal = service.refused("RepositoryModelLoad", model_name="m", parameters={key: parameter})
    text = f"invalid value type for load parameter '{key}', expected {wanted}."
    assert refusal == (Code.INVALID_ARGUMENT, text)
    assert service.repository.asked == []


def test_an_unload_may_take_dependents_along(service: Service):
    service.ask("RepositoryModelUnload", model_name="m")
    parameters = {"unload_dependents": {"bool_param": True}, "other": {"int64_param": 3}}
    service.ask("RepositoryModelUnload", model_name="m", parameters=parameters)
    given = {"unload_dependents": True, "other": 3}
    assert service.repository.asked == [("unload", "m", {}), ("unload", "m", given)]
    for parameter in ({"int64_param": 1}, {}):
        refusal = service.refused(
            "RepositoryModelUnload", parameters={"unload_dependents": parameter}
        )
        text = "invalid value type for 'unload_dependents' parameter, expected bool_param."
        assert refusal == (Code.INVALID_ARGUMENT, text)


@pytest.mark.parametrize("operation", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_repositories_have_no_names(service: Service, operation: str):
    refusal = service.refused(operation, repository_name="r", model_name="m")
    assert refusal == (Code.UNIMPLEMENTED, "'repository_name' specification is not supported")
    assert service.repository.asked == []


OPERATIONS = ["RepositoryModelLoad", "RepositoryModelUnload", "TraceSetting", "LogSettings"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", [b"\x0a\x05m", b"\x0a", b"\xff" * 11])
def test_what_is_no_message_is_refused(service: Service, operation: str, body: bytes):
    with pytest.raises(DespinaError) as raised:
        service.call(operation, body)
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert raised.value.message.startswith(f"failed to parse {operation}Request: ")


def test_a_text_is_utf_8(service: Service):
    with pytest.raises(DespinaError, match="failed to parse RepositoryModelLoadRequest: "):
        service.call("RepositoryModelLoad", b"\x12\x01\xff")


def test_trace_settings_are_told_and_changed(service: Service):
    start = {
        "trace_level": ["OFF"],
        "trace_rate": ["1000"],
        "trace_count": ["-1"],
        "log_frequency": ["0"],
        "trace_file": [""],
        "trace_mode": ["triton"],
    }
    assert service.trace() == service.trace(model_name="m") == start
    changed = start | {"trace_rate": ["7"]}
    assert service.trace(settings={"trace_rate": {"value": ["7"]}}) == changed
    assert service.trace(model_name="m") == changed
    of_model = service.trace(model_name="m", settings={"log_frequency": {"value": ["3"]}})
    assert of_model == changed | {"log_frequency": ["3"]}
    assert service.trace(settings={"trace_rate": {}}) == start
    assert service.trace(settings={"trace_level": {"value": ["OFF"]}, "any": {}}) == start


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"model_name": "x"}, Code.INVALID_ARGUMENT, "Request for unknown model : x"),
        (
            {"settings": {"trace_rate": {"value": ["1", "2"]}}},
            Code.INVALID_ARGUMENT,
            "expect only 1 value for 'trace_rate'",
        ),
        (
            {"settings": {"trace_rate": {"value": ["x"]}}},
            Code.INVALID_ARGUMENT,
            "Unable to parse 'trace_rate', got: x",
        ),
        (
            {"settings": {"trace_level": {"value": ["OFF", "TIMESTAMPS"]}}},
            Code.INVALID_ARGUMENT,
            "Expect only one trace level 'OFF' is specified",
        ),
        (
            {"settings": {"trace_file": {}}},
            Code.UNIMPLEMENTED,
            "trace file location can not be updated through network protocol",
        ),
    ],
)
def test_a_trace_setting_that_cannot_be_is_refused(
    service: Service, fields: dict[str, Any], code: Code, text: str
):
    assert service.refused("TraceSetting", **fields) == (code, text)


def test_log_settings_are_told_and_changed(service: Service):
    start = {
        "log_file": "",
        "log_info": True,
        "log_warning": True,
        "log_error": True,
        "log_verbose_level": 0,
        "log_format": "default",
    }
    assert service.log() == start
    changed = start | {"log_info": False, "log_verbose_level": 2, "log_format": "ISO8601"}
    asked = {
        "log_info": {"bool_param": False},
        "log_verbose_level": {"uint32_param": 2},
        "log_format": {"string_param": "ISO8601"},
        "other": {},
    }
    assert service.log(**asked) == changed
    assert service.log() == changed


@pytest.mark.parametrize(
    ("key", "setting", "code", "text"),
    [
        ("log_info", {"uint32_param": 0}, Code.INVALID_ARGUMENT, "expect boolean for 'log_info'"),
        ("log_error", {}, Code.INVALID_ARGUMENT, "expect boolean for 'log_error'"),
        (
            "log_verbose_level",
            {"bool_param": True},
            Code.INVALID_ARGUMENT,
            "expect int32 for 'log_verbose_level'",
        ),
        (
            "log_verbose_level",
            {"uint32_param": 4294967295},
            Code.INVALID_ARGUMENT,
            "'log_verbose_level' is not between 0 and 2147483647",
        ),
        (
            "log_format",
            {"string_param": "bad"},
            Code.INVALID_ARGUMENT,
            "invalid argument for --log_format, got: bad",
        ),
        (
            "log_format",
            {"uint32_param": 1},
            Code.INVALID_ARGUMENT,
            "expect string for 'log_format'",
        ),
        (
            "log_file",
            {"string_param": "x"},
            Code.UNIMPLEMENTED,
            "log file location can not be updated through network protocol",
        ),
    ],
)
def test_a_log_setting_that_cannot_be_is_refused(
    service: Service, key: str, setting: dict[str, Any], code: Code, text: str
):
    assert service.refused("LogSettings", settings={key: setting}) == (code, text)
