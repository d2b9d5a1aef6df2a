"""Reading and changing which requests are traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from despina import Code, DespinaError
from despina.control.trace import Sampling, Tracing
from despina.settings.trace import TraceConfig

START = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "traces.json",
    "trace_mode": "triton",
}


class Engine:
    """What was put into force, and what was used up of it since."""

    def __init__(self) -> None:
        self.sampling, self.models = Sampling((), 0, 0, 0), dict[str, Sampling]()
        self.used: dict[str, int] = {}

    def apply(self, sampling: Sampling, models: Mapping[str, Sampling]) -> None:
        self.sampling, self.models, self.used = sampling, dict(models), {}

    def remaining(self, model: str) -> int:
        sampling = self.models.get(model, self.sampling)
        return sampling.count - self.used.get(model, 0)


def make(config: TraceConfig | None = None) -> tuple[Tracing, Engine]:
    engine = Engine()
    tracing = Tracing(
        config or TraceConfig(file="traces.json"),
        apply=engine.apply,
        remaining=engine.remaining,
        known=lambda model: model in ("a", "b"),
    )
    return tracing, engine


def test_the_settings_have_the_protocols_names_and_forms():
    tracing, engine = make()
    assert tracing.get() == tracing.get("a") == START
    assert engine.sampling == Sampling((), 1000, -1, 0)


@pytest.mark.parametrize(
    ("change", "level", "sampling"),
    [
        ({"trace_level": ["TIMESTAMPS"]}, ["TIMESTAMPS"], Sampling(("TIMESTAMPS",), 1000, -1, 0)),
        (
            {"trace_level": ["TENSORS", "TIMESTAMPS"]},
            ["TIMESTAMPS", "TENSORS"],
            Sampling(("TIMESTAMPS", "TENSORS"), 1000, -1, 0),
        ),
        ({"trace_level": ["MAX"]}, ["TIMESTAMPS"], Sampling(("TIMESTAMPS",), 1000, -1, 0)),
        ({"trace_level": ["OFF"]}, ["OFF"], Sampling((), 1000, -1, 0)),
        ({"trace_level": []}, ["OFF"], Sampling((), 1000, -1, 0)),
        ({"trace_rate": "5", "trace_count": "7"}, ["OFF"], Sampling((), 5, 7, 0)),
        ({"log_frequency": "9"}, ["OFF"], Sampling((), 1000, -1, 9)),
        ({"unknown": [1]}, ["OFF"], Sampling((), 1000, -1, 0)),
    ],
)
def test_what_is_named_changes(change: dict[str, Any], level: list[str], sampling: Sampling):
    tracing, engine = make()
    shown = tracing.update("", change)
    assert shown == tracing.get()
    assert shown["trace_level"] == level
    assert shown["trace_rate"] == str(sampling.rate)
    assert engine.sampling == sampling
    assert engine.models == {}


def test_a_models_settings_count_more_until_they_are_cleared():
    tracing, engine = make()
    assert tracing.update("a", {"trace_rate": "7"})["trace_rate"] == "7"
    tracing.update("", {"trace_rate": "5", "log_frequency": "2"})
    assert (tracing.get("a")["trace_rate"], tracing.get("a")["log_frequency"]) == ("7", "2")
    assert tracing.get("b")["trace_rate"] == "5"
    assert engine.models == {"a": Sampling((), 7, -1, 2)}
    assert tracing.update("a", {"trace_rate": None})["trace_rate"] == "5"
    assert engine.models == {}
    assert tracing.update("", {"trace_rate": None})["trace_rate"] == "1000"


def test_what_was_counted_stays_counted_where_nothing_changes():
    tracing, engine = make()
    tracing.update("", {"trace_count": "10"})
    tracing.update("a", {"trace_count": "20"})
    engine.used = {"": 3, "a": 4}
    assert (tracing.get()["trace_count"], tracing.get("a")["trace_count"]) == ("7", "16")
    tracing.update("b", {"trace_rate": "1"})
    assert (engine.sampling.count, engine.models["a"].count) == (7, 16)
    assert tracing.update("a", {"trace_count": "20"})["trace_count"] == "20"


WRONG: list[tuple[dict[str, Any], Code, str]] = [
    (
        {"trace_file": "/tmp/x"},
        Code.UNIMPLEMENTED,
        "trace file location can not be updated through network protocol",
    ),
    ({"trace_rate": "x"}, Code.INVALID_ARGUMENT, "Unable to parse 'trace_rate', got: x"),
    ({"trace_rate": "1_0"}, Code.INVALID_ARGUMENT, "Unable to parse 'trace_rate', got: 1_0"),
    ({"trace_rate": "\u0663"}, Code.INVALID_ARGUMENT, "Unable to parse 'trace_rate', got: \u0663"),
    (
        {"trace_rate": "-1"},
        Code.INVALID_ARGUMENT,
        "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: -1",
    ),
    (
        {"trace_rate": "9" * 20},
        Code.INVALID_ARGUMENT,
        "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: " + "9" * 20,
    ),
    (
        {"trace_rate": "0"},
        Code.INVALID_ARGUMENT,
        "Attempting to set invalid trace setting :sample rate must be non-zero",
    ),
    (
        {"trace_rate": 5},
        Code.INVALID_ARGUMENT,
        "attempt to access JSON non-string as string",
    ),
    (
        {"trace_count": "-2"},
        Code.INVALID_ARGUMENT,
        "Unable to parse 'trace_count'. Expecting value >= -1, got:-2",
    ),
    ({"log_frequency": "x"}, Code.INVALID_ARGUMENT, "Unable to parse 'log_frequency', got: x"),
    (
        {"trace_level": "TIMESTAMPS"},
        Code.INVALID_ARGUMENT,
        "attempt to access JSON non-array as array",
    ),
    (
        {"trace_level": [1]},
        Code.INVALID_ARGUMENT,
        "attempt to access JSON non-string as string",
    ),
    (
        {"trace_level": ["OFF", "TENSORS"]},
        Code.INVALID_ARGUMENT,
        "Expect only one trace level 'OFF' is specified",
    ),
    (
        {"trace_level": ["NOPE"]},
        Code.INVALID_ARGUMENT,
        "'NOPE' is none of OFF, TIMESTAMPS, TENSORS",
    ),
]


@pytest.mark.parametrize(("document", "code", "text"), WRONG)
@pytest.mark.parametrize("model", ["", "a"])
def test_what_cannot_be_changes_nothing_of_the_document(
    model: str, document: dict[str, Any], code: Code, text: str
):
    tracing, engine = make()
    with pytest.raises(DespinaError) as raised:
        tracing.update(model, {"trace_count": "3", **document})
    assert (raised.value.code, raised.value.message) == (code, text)
    assert tracing.get(model) == START
    assert engine.models == {}


def test_nothing_is_traced_without_a_file():
    tracing, _ = make(TraceConfig())
    with pytest.raises(DespinaError, match=r"invalid trace setting :trace file name is not given"):
        tracing.update("", {"trace_level": ["TIMESTAMPS"]})
    with pytest.raises(DespinaError, match="trace file name is not given"):
        tracing.update("a", {"trace_level": ["TIMESTAMPS"]})


def test_there_must_be_such_a_model():
    tracing, _ = make()
    for call in (lambda: tracing.get("zzz"), lambda: tracing.update("zzz", {"trace_rate": "1"})):
        with pytest.raises(DespinaError, match="^Request for unknown model : zzz$") as raised:
            call()
        assert raised.value.code is Code.INVALID_ARGUMENT


def test_a_collectors_settings_are_shown():
    config = TraceConfig(
        level=("TIMESTAMPS",), mode="opentelemetry", url="http://x/", resource=(("a", "b"),)
    )
    tracing, _ = make(config)
    assert tracing.get() == {
        "trace_level": ["TIMESTAMPS"],
        "trace_rate": "1000",
        "trace_count": "-1",
        "trace_mode": "opentelemetry",
        "url": "http://x/",
        "resource": "a=b",
    }
    assert tracing.update("", {"trace_rate": "0"})["trace_rate"] == "0"
    with pytest.raises(DespinaError, match="tensors cannot be traced with OpenTelemetry"):
        tracing.update("", {"trace_level": ["TENSORS"]})
