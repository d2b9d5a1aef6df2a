"""What a configuration says of the model's metrics."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from despina.config.model_config_pb2 import ModelConfig
from despina.config.observe import (
    DEFAULT_BOUNDS,
    FIRST_RESPONSE_FAMILY,
    first_response_bounds,
    metric_problems,
    metric_tags,
)


def config(text: str) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())


def tag(key: str, value: str = "1") -> str:
    return f'metric_tags {{ key: "{key}" value: "{value}" }}'


def control(buckets: str, family: str = FIRST_RESPONSE_FAMILY) -> str:
    return (
        f'model_metrics {{ metric_control {{ metric_identifier {{ family: "{family}" }} '
        f"histogram_options {{ buckets: [ {buckets} ] }} }} }}"
    )


TWICE = control("1")[:-1] + control("2").removeprefix("model_metrics {")
DECOUPLED = "model_transaction_policy { decoupled: true } "


def test_tags_are_labels_with_an_underscore():
    assert metric_tags(config(tag("team", "vision") + tag("1a", "x"))) == (
        ("_1a", "x"),
        ("_team", "vision"),
    )


def test_only_decoupled_models_have_first_responses():
    assert first_response_bounds(config("")) == ()
    assert first_response_bounds(config(DECOUPLED)) == DEFAULT_BOUNDS
    assert first_response_bounds(config(DECOUPLED + control("-1, 0, 2.5"))) == (-1, 0, 2.5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (tag("a-b"), "metric_tags['a-b']: the key is no name of a label"),
        (tag(""), "metric_tags['']: the key is no name of a label"),
        (tag("_a"), "metric_tags['_a']: the key is no name of a label"),
        (tag("a", "x\\000"), "metric_tags['a']: the value has a NUL character"),
        (" ".join(tag(f"k{n}") for n in range(61)), "metric_tags: there are 61, at most 60"),
        (
            control("1", "nv_other"),
            "model_metrics.metric_control[0].metric_identifier.family: 'nv_other' cannot be",
        ),
        (TWICE, "metric_control[1].metric_identifier.family: "),
        (control(""), "histogram_options.buckets: there are none"),
        (control("1, nan"), "histogram_options.buckets: they are not all finite numbers"),
        (control("2, 2"), "histogram_options.buckets: they do not ascend"),
        (control(", ".join(map(str, range(1001)))), "buckets: there are 1001, at most 1000"),
    ],
)
def test_what_the_page_cannot_have_is_a_problem(text: str, problem: str):
    (found,) = metric_problems(config(text))
    assert problem in f"{found.field}: {found.text}"


def test_what_it_can_have_is_none():
    assert list(metric_problems(config(tag("team", 'a\\"b\\n') + control("0.5, 1, 1e6")))) == []
