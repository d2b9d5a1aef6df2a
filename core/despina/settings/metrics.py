"""What ``--metrics-config`` says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from despina.errors import DespinaError
from despina.text import did_you_mean
from despina_sdk import Code

FLAG = "--metrics-config"
MAX_QUANTILES = 20
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_SWITCHES = ("counter_latencies", "histogram_latencies", "summary_latencies")


@dataclass(frozen=True)
class MetricsConfig:
    """What is measured and shown.

    Attributes:
        counter_latencies: the sums of the parts of requests' times.
        histogram_latencies: histograms of the times to the first response of decoupled models.
        summary_latencies: quantiles of the parts of requests' times within the last minute.
        summary_quantiles: which ones, from 0 to 1.
    """

    counter_latencies: bool = True
    histogram_latencies: bool = False
    summary_latencies: bool = False
    summary_quantiles: tuple[float, ...] = (0.5, 0.9, 0.95, 0.99, 0.999)


def metrics_config(given: Iterable[str]) -> MetricsConfig:
    """Reads the values of the flag; of two for one key the last counts.

    Raises:
        DespinaError: INVALID_ARGUMENT: an unknown key, or a value that cannot be.
    """
    config = MetricsConfig()
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise _invalid(f"'{text}' is not KEY=VALUE")
        if key in _SWITCHES:
            if value.lower() not in _BOOLEANS:
                raise _invalid(f"{key}: '{value}' is neither true nor false")
            switches: dict[str, Any] = {key: _BOOLEANS[value.lower()]}
            config = replace(config, **switches)
        elif key == "summary_quantiles":
            config = replace(config, summary_quantiles=_quantiles(value))
        else:
            hint = did_you_mean(key, (*_SWITCHES, "summary_quantiles"))
            raise _invalid(f"there is no key '{key}'{hint}")
    return config


def _quantiles(text: str) -> tuple[float, ...]:
    """Reads ``0.5:0.05,0.9``: quantiles, each perhaps with the error that the incumbent allows."""
    quantiles = []
    for pair in text.split(","):
        number, _, error = pair.partition(":")
        try:
            quantile, allowed = float(number), float(error or 0)
        except ValueError:
            raise _invalid(f"summary_quantiles: '{pair}' is not QUANTILE:ERROR") from None
        if not (0 <= quantile <= 1 and 0 <= allowed <= 1):
            raise _invalid(f"summary_quantiles: '{pair}' is not between 0 and 1")
        quantiles.append(quantile)
    if len(quantiles) > MAX_QUANTILES:
        raise _invalid(f"summary_quantiles: more than {MAX_QUANTILES}")
    if len(set(quantiles)) < len(quantiles):
        raise _invalid(f"summary_quantiles: '{text}' has one of them twice")
    return tuple(quantiles)


def _invalid(what: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, f"{FLAG}: {what}")
