"""What ``--trace-config`` says, and the flags before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from despina.errors import DespinaError
from despina.settings.model import Settings
from despina.text import did_you_mean
from despina_sdk import Code

FLAG = "--trace-config"
MAX_RATE = (1 << 32) - 1
LEVELS = ("OFF", "TIMESTAMPS", "TENSORS")
OLD_LEVELS = {"MIN": "TIMESTAMPS", "MAX": "TIMESTAMPS"}
DEFAULT_URL = "http://localhost:4318/v1/traces"

Mode = Literal["triton", "opentelemetry"]


@dataclass(frozen=True)
class TraceConfig:
    """Which requests are traced at the start, and where traces go.

    Attributes:
        level: of ``LEVELS``, without ``OFF``; none: nothing is traced.
        rate: every so many requests of a model; 0: those whose client asks for it.
        count: so many more; -1: without end.
        mode: a file in Triton's form, or a collector of OpenTelemetry.
        file: for the first; none: nothing can be traced.
        log_frequency: traces of one file; 0: all are in one.
        url: of the collector.
        resource: attributes of the server, for the collector.
        bsp: sizes and delays of the batches that are sent, by the names of the SDK's arguments.
    """

    level: tuple[str, ...] = ()
    rate: int = 1000
    count: int = -1
    mode: Mode = "triton"
    file: str = ""
    log_frequency: int = 0
    url: str = DEFAULT_URL
    resource: tuple[tuple[str, str], ...] = ()
    bsp: tuple[tuple[str, int], ...] = ()


def trace_config(settings: Settings) -> TraceConfig:
    """Reads the flags; of two for one key the last counts, but levels and attributes add up.

    Raises:
        DespinaError: INVALID_ARGUMENT: an unknown key, or a value that cannot be.
    """
    given = list(settings.trace_config)
    if old := old_flags(settings):
        if given:
            raise _invalid(f"cannot go with {', '.join(old)}, which it replaces")
        given = list(old.values())
    config = TraceConfig()
    for text in given:
        config = _with(config, text)
    if config.mode == "triton" and config.level and not config.file:
        raise _invalid(f"level={config.level[0]} needs a file: triton,file=PATH")
    if config.mode == "triton" and config.rate == 0:
        raise _invalid("rate=0 is for mode=opentelemetry")
    if config.mode == "opentelemetry" and "TENSORS" in config.level:
        raise _invalid("level=TENSORS cannot go with mode=opentelemetry")
    return config


def old_flags(settings: Settings) -> dict[str, str]:
    """The deprecated flags that are given, each with what it is for ``--trace-config``."""
    found = {}
    for name, key in (
        ("trace_file", "triton,file"),
        ("trace_level", "level"),
        ("trace_rate", "rate"),
        ("trace_count", "count"),
        ("trace_log_frequency", "triton,log-frequency"),
    ):
        if value := getattr(settings, name):
            found[f"--{name.replace('_', '-')}"] = f"{key}={value}"
    return found


def levels(given: Iterable[str]) -> tuple[str, ...]:
    """Levels by name, without what is said twice; ``OFF`` stands alone and is none.

    Raises:
        DespinaError: INVALID_ARGUMENT: an unknown one, or ``OFF`` with others.
    """
    names = [OLD_LEVELS.get(name, name) for name in given]
    for name in names:
        if name not in LEVELS:
            text = f"'{name}' is none of {', '.join(LEVELS)}"
            raise DespinaError(Code.INVALID_ARGUMENT, text)
    if "OFF" in names and len(set(names)) > 1:
        text = "Expect only one trace level 'OFF' is specified"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    return tuple(name for name in LEVELS[1:] if name in names)


def _with(config: TraceConfig, text: str) -> TraceConfig:
    """The configuration with one value of the flag."""
    key, equals, value = text.partition("=")
    mode, comma, name = key.rpartition(",")
    if not (key and equals):
        raise _invalid(f"'{text}' is not [MODE,]KEY=VALUE")
    keys = {"": _common, "triton": _of_triton, "opentelemetry": _of_opentelemetry}
    if mode not in keys or (comma and not mode):
        raise _invalid(f"there is no mode '{mode}'{did_you_mean(mode, keys)}")
    changed = keys[mode](config, name, value)
    if changed is None:
        raise _invalid(f"there is no key '{key}'{did_you_mean(key, _KEYS)}")
    return replace(config, **changed)


_KEYS = (
    *("level", "rate", "count", "mode", "triton,file", "triton,log-frequency"),
    *("opentelemetry,url", "opentelemetry,resource", "opentelemetry,bsp_max_queue_size"),
    *("opentelemetry,bsp_schedule_delay", "opentelemetry,bsp_max_export_batch_size"),
)
_BSP = {
    "bsp_max_queue_size": "max_queue_size",
    "bsp_schedule_delay": "schedule_delay_millis",
    "bsp_max_export_batch_size": "max_export_batch_size",
}


def _common(config: TraceConfig, key: str, value: str) -> dict[str, Any] | None:
    match key:
        case "level":
            try:
                added = levels([value])
            except DespinaError as error:
                raise _invalid(f"level: {error.message}") from None
            return {"level": levels([*config.level, *added]) if added else ()}
        case "rate":
            return {"rate": _number(key, value, 0, MAX_RATE)}
        case "count":
            return {"count": _number(key, value, -1, (1 << 63) - 1)}
        case "mode":
            if value not in ("triton", "opentelemetry"):
                raise _invalid(f"mode: '{value}' is none of triton, opentelemetry")
            return {"mode": value}
    return None


def _of_triton(config: TraceConfig, key: str, value: str) -> dict[str, Any] | None:
    match key:
        case "file":
            return {"file": value}
        case "log-frequency":
            return {"log_frequency": _number(key, value, 0, MAX_RATE)}
    return None


def _of_opentelemetry(config: TraceConfig, key: str, value: str) -> dict[str, Any] | None:
    if key == "url":
        if not value.startswith(("http://", "https://")):
            raise _invalid(f"url: '{value}' does not begin with http:// or https://")
        return {"url": value}
    if key == "resource":
        name, equals, attribute = value.partition("=")
        if not (name and equals):
            raise _invalid(f"resource: '{value}' is not KEY=VALUE")
        return {"resource": (*config.resource, (name, attribute))}
    if key in _BSP:
        return {"bsp": (*config.bsp, (_BSP[key], _number(key, value, 1, (1 << 31) - 1)))}
    return None


def _number(key: str, text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise _invalid(f"{key}: '{text}' is not a whole number") from None
    if not least <= number <= most:
        raise _invalid(f"{key}: {text} is not between {least} and {most}")
    return number


def _invalid(what: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, f"{FLAG}: {what}")
