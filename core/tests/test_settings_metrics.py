"""What ``--metrics-config`` takes."""

from __future__ import annotations

import pytest

from despina import Code, DespinaError
from despina.settings import resolve
from despina.settings.check import check_settings
from despina.settings.metrics import MetricsConfig, metrics_config


def test_without_the_flag_only_sums_are_shown():
    assert metrics_config(()) == MetricsConfig(
        counter_latencies=True,
        histogram_latencies=False,
        summary_latencies=False,
        summary_quantiles=(0.5, 0.9, 0.95, 0.99, 0.999),
    )


def test_each_key_is_read_and_the_last_of_two_counts():
    given = (
        "counter_latencies=false",
        "histogram_latencies=true",
        "summary_latencies=0",
        "summary_latencies=TRUE",
        "summary_quantiles=0.5:0.05,0.9",
    )
    assert metrics_config(given) == MetricsConfig(
        counter_latencies=False,
        histogram_latencies=True,
        summary_latencies=True,
        summary_quantiles=(0.5, 0.9),
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("summary_latency=true", "there is no key 'summary_latency'; did you mean"),
        ("counter_latencies", "'counter_latencies' is not KEY=VALUE"),
        ("=true", "'=true' is not KEY=VALUE"),
        ("counter_latencies=maybe", "counter_latencies: 'maybe' is neither true nor false"),
        ("summary_quantiles=half", "summary_quantiles: 'half' is not QUANTILE:ERROR"),
        ("summary_quantiles=", "summary_quantiles: '' is not QUANTILE:ERROR"),
        ("summary_quantiles=0.5:x", "summary_quantiles: '0.5:x' is not QUANTILE:ERROR"),
        ("summary_quantiles=1.5", "summary_quantiles: '1.5' is not between 0 and 1"),
        ("summary_quantiles=nan", "summary_quantiles: 'nan' is not between 0 and 1"),
        ("summary_quantiles=0.5:2", "summary_quantiles: '0.5:2' is not between 0 and 1"),
        ("summary_quantiles=0.5,0.5", "summary_quantiles: '0.5,0.5' has one of them twice"),
        (
            "summary_quantiles=" + ",".join(f"0.{n}" for n in range(10, 31)),
            "summary_quantiles: more than 20",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(given: str, text: str):
    with pytest.raises(DespinaError) as raised:
        check_settings(resolve({"metrics_config": (given,)}, {})[0])
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert raised.value.message.startswith(f"--metrics-config: {text}")
