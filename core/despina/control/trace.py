"""Which requests are traced, as clients read and change it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from despina.errors import DespinaError
from despina.settings.trace import MAX_RATE, TraceConfig, levels
from despina.text import shortened
from despina_sdk import Code

LEVEL = "trace_level"
FIELDS = (LEVEL, "trace_rate", "trace_count", "log_frequency")
"""What may be changed; the level has any number of values, the others one."""

_MAX_COUNT = (1 << 63) - 1


@dataclass(frozen=True)
class Sampling:
    """Which requests of one model are traced, or of all; the attributes as in ``TraceConfig``."""

    level: tuple[str, ...]
    rate: int
    count: int
    log_frequency: int


Apply = Callable[[Sampling, Mapping[str, Sampling]], None]


class Tracing:
    """The operations. One call at a time.

    What a client sets for a model counts more than what is set for all; clearing it brings that
    back, and clearing what is set for all the start's.
    """

    def __init__(
        self,
        config: TraceConfig,
        *,
        apply: Apply,
        remaining: Callable[[str], int],
        known: Callable[[str], bool],
    ) -> None:
        """Puts what the start says into force.

        Args:
            config: of the start.
            apply: puts something into force, for all models and for those that are named.
            remaining: of the count of a model, or with an empty name of all.
            known: whether there is such a model.
        """
        self._config, self._apply = config, apply
        self._remaining, self._known = remaining, known
        self._start = Sampling(config.level, config.rate, config.count, config.log_frequency)
        self._global = self._start
        # What was set for single models, by the names of Sampling.
        self._models: dict[str, dict[str, Any]] = {}
        self._apply(self._global, {})

    @property
    def log_frequency(self) -> int:
        """Traces of one file; 0: all are in one."""
        return self._global.log_frequency

    def get(self, model: str = "") -> dict[str, Any]:
        """What is in force for a model, or for all.

        Raises:
            DespinaError: INVALID_ARGUMENT: there is no such model.
        """
        self._check(model)
        sampling = self._of(model)
        own = model if model in self._models else ""
        shown: dict[str, Any] = {
            "trace_level": list(sampling.level) or ["OFF"],
            "trace_rate": str(sampling.rate),
            "trace_count": str(self._remaining(own)),
        }
        if self._config.mode == "triton":
            shown["log_frequency"] = str(sampling.log_frequency)
            shown["trace_file"] = self._config.file
            return {**shown, "trace_mode": "triton"}
        shown["trace_mode"] = "opentelemetry"
        shown["url"] = self._config.url
        for key, value in self._config.resource:
            shown["resource"] = f"{key}={value}"
        return shown

    def update(self, model: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Changes what the document names, all of it or nothing; for all models with an empty name.

        Returns:
            What is in force after that.

        Raises:
            DespinaError: INVALID_ARGUMENT: a value that cannot be, or an unknown model.
                UNIMPLEMENTED: the file.
        """
        self._check(model)
        if "trace_file" in document:
            text = "trace file location can not be updated through network protocol"
            raise DespinaError(Code.UNIMPLEMENTED, text)
        named = {key: document[key] for key in FIELDS if key in document}
        values = {_attribute(key): _value(key, value) for key, value in named.items()}
        if values.get("level") == ():
            del values["level"]  # an empty list changes nothing
        if values.get("level") == ("OFF",):
            values["level"] = ()
        if model:
            self._change_model(model, values)
        else:
            self._change_global(values)
        return self.get(model)

    def _change_global(self, values: Mapping[str, Any]) -> None:
        cleared = {key: getattr(self._start, key) for key, value in values.items() if value is None}
        before = replace(self._global, count=self._remaining(""))
        changed = replace(before, **{**values, **cleared})
        self._check_sampling(changed)
        self._keep_counts()
        self._global = changed
        self._put_into_force()

    def _change_model(self, model: str, values: Mapping[str, Any]) -> None:
        overrides = {**self._models.get(model, {}), **values}
        overrides = {key: value for key, value in overrides.items() if value is not None}
        self._check_sampling(replace(self._global, **overrides))
        self._keep_counts()
        self._models[model] = overrides
        if not overrides:
            del self._models[model]
        self._put_into_force()

    def _keep_counts(self) -> None:
        """What was counted stays counted where nothing is changed."""
        self._global = replace(self._global, count=self._remaining(""))
        for model, overrides in self._models.items():
            if "count" in overrides:
                overrides["count"] = self._remaining(model)

    def _put_into_force(self) -> None:
        self._apply(self._global, {model: self._of(model) for model in self._models})

    def _of(self, model: str) -> Sampling:
        return replace(self._global, **self._models.get(model, {}))

    def _check(self, model: str) -> None:
        if model and not self._known(model):
            text = f"Request for unknown model : {model}"
            raise DespinaError(Code.INVALID_ARGUMENT, text)

    def _check_sampling(self, sampling: Sampling) -> None:
        why = ""
        if self._config.mode == "opentelemetry":
            if "TENSORS" in sampling.level:
                why = "tensors cannot be traced with OpenTelemetry"
        elif sampling.level and not self._config.file:
            why = "trace file name is not given"
        elif sampling.rate == 0:
            why = "sample rate must be non-zero"
        if why:
            text = f"Attempting to set invalid trace setting :{why}"
            raise DespinaError(Code.INVALID_ARGUMENT, text)


def _attribute(key: str) -> str:
    return key.removeprefix("trace_")


def _value(key: str, given: Any) -> Any:
    """The value of a member; ``None`` clears it."""
    if given is None:
        return None
    if key == LEVEL:
        if not isinstance(given, list):
            raise _invalid("attempt to access JSON non-array as array")
        if not all(isinstance(name, str) for name in given):
            raise _invalid("attempt to access JSON non-string as string")
        return levels(given) or (("OFF",) if given else ())
    if not isinstance(given, str):
        raise _invalid("attempt to access JSON non-string as string")
    # int() would take 1_000 and digits of other scripts too.
    if not re.fullmatch("-?[0-9]{1,20}", given):
        raise _invalid(f"Unable to parse '{key}', got: {shortened(given)}")
    number = int(given)
    if key == "trace_count":
        if number < -1:
            raise _invalid(f"Unable to parse '{key}'. Expecting value >= -1, got:{given}")
        most = _MAX_COUNT
    else:
        most = MAX_RATE
    if number > most or (number < 0 and key != "trace_count"):
        text = f"Unable to parse '{key}', value is out of range [ 0, {most} ], got: {given}"
        raise _invalid(text)
    return number


def _invalid(text: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, text)
