"""The JSON form of a configuration. The library's reader is the oracle, but for enums' case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import assume, given
from hypothesis import strategies as st

from despina.config.load import MAX_CONFIG_BYTES, config_from_dict, config_from_json, load_json
from despina.config.model_config_pb2 import DataType, ModelConfig
from despina.config.problem import MAX_PROBLEMS
from despina.config.to_json import config_to_dict
from despina.errors import ConfigError

CONFIG: dict[str, Any] = {
    "name": "m",
    "maxBatchSize": "8",
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["-1", 3, 4.0], "optional": True}],
    "version_policy": {"specific": {"versions": [1]}},
    "dynamic_batching": {"priority_queue_policy": {"1": {"timeout_action": 1}}},
    "parameters": {"k": {"stringValue": "v"}},
    "metric_tags": {"a": "b"},
    "modelMetrics": {"metricControl": [{"histogramOptions": {"buckets": [1, "2.5", "Infinity"]}}]},
    "runtime": None,
}


def refused(fields: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        config_from_dict(fields, "m")
    return [str(each) for each in raised.value.problems]


def test_an_object_is_read_as_the_library_reads_it():
    assert config_from_dict(CONFIG, "m") == json_format.ParseDict(CONFIG, ModelConfig())
    assert config_from_json(json.dumps(CONFIG), "m") == config_from_dict(CONFIG, "m")


def test_what_the_configuration_route_answers_is_read_again():
    config = config_from_dict(CONFIG, "m")
    assert config_from_json(json.dumps(config_to_dict(config)).replace("Infinity", "3"), "m").name


def test_enums_are_read_in_any_case():
    config = config_from_dict({"input": [{"data_type": "type_Fp32"}]}, "m")
    assert config.input[0].data_type == DataType.TYPE_FP32


ENUMS = ("data_type", "timeout_action")
# Without truth values: the library takes them for numbers that need not be whole.
VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.data())
def test_an_object_that_was_tampered_with_is_read_or_refused_as_the_library_does(data):
    """One value, somewhere, becomes another."""
    changed = json.loads(json.dumps(CONFIG))
    inside: Any = changed
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = data.draw(st.sampled_from(keys))
        if not (isinstance(inside[key], dict | list) and inside[key] and data.draw(st.booleans())):
            break
        inside = inside[key]
    value = inside[key] = data.draw(VALUES)
    try:
        expected: ModelConfig | None = json_format.ParseDict(changed, ModelConfig())
    except (json_format.ParseError, ValueError, OverflowError):
        expected = None
    # On purpose: the library takes numbers that no enum has, and what is empty for objects.
    written = json.dumps(value)
    assume(key not in ENUMS and "[]" not in written and '""' not in written)
    try:
        found: ModelConfig | None = config_from_dict(changed, "m")
    except ConfigError:
        found = None
    assert found == expected


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"inptu": []}, "m: inptu: ModelConfig has no field 'inptu'; did you mean 'input'?"),
        ({"max_batch_size": "x"}, "m: max_batch_size: takes a whole number, not the text 'x'"),
        ({"max_batch_size": 1.5}, "m: max_batch_size: takes a whole number, not 1.5"),
        ({"max_batch_size": True}, "m: max_batch_size: takes a whole number, not true"),
        ({"max_batch_size": 1 << 31}, "m: max_batch_size: 2147483648 is not between"),
        ({"name": 1}, "m: name: takes text in quotes, not 1"),
        ({"name": "\ud800"}, "m: name: the text has half of a surrogate pair"),
        ({"input": {}}, "m: input: takes a list, not an object"),
        ({"input": [None]}, "m: input[0]: takes an object, not null"),
        ({"input": [{"dims": [1, [2]]}]}, "m: input[0].dims[1]: takes a whole number, not a list"),
        ({"input": [{"optional": "true"}]}, "m: input[0].optional: takes true or false, not the"),
        (
            {"input": [{"data_type": "FP32"}]},
            "m: input[0].data_type: DataType has no value 'FP32'; did you mean 'TYPE_FP32'?",
        ),
        ({"input": [{"data_type": 99}]}, "m: input[0].data_type: DataType has no value of number"),
        ({"parameters": []}, "m: parameters: takes an object, not a list"),
        ({"parameters": {"k": "v"}}, "m: parameters['k']: takes an object, not the text 'v'"),
        ({"metric_tags": {"k": 1}}, "m: metric_tags['k']: takes text in quotes, not 1"),
        (
            {"dynamic_batching": {"priority_queue_policy": {"x": {}}}},
            "m: dynamic_batching.priority_queue_policy['x']: takes a whole number, not the text",
        ),
        ({"dynamic_batching": {}, "sequence_batching": {}}, "m: sequence_batching: excludes"),
        ({"maxBatchSize": 1, "max_batch_size": 1}, "m: max_batch_size: is given more than once"),
        ({"model_warmup": [{"inputs": {"x": {"zero_data": 0}}}]}, "m: model_warmup[0].inputs['x']"),
    ],
)
def test_a_problem_has_the_path_of_its_field(fields: dict[str, Any], problem: str):
    (found,) = refused(fields)
    assert found.startswith(problem)


def test_all_problems_are_told():
    assert len(refused({"a": 1, "max_batch_size": "x", "input": [{"b": 1}, {"dims": 3}]})) == 4


def test_an_object_full_of_errors_is_not_read_to_its_end():
    found = refused({f"field{index}": 1 for index in range(10_000)})
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "m: and more"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "m:1:2: Expecting property name enclosed in double quotes"),
        ('{\n "name": x }', "m:2:10: Expecting value"),
        ("[]", "m: it is no JSON object"),
        ('{"name": "a", "name": "b"}', "m: an object has 'name' more than once"),
        ('{"max_batch_size": NaN}', "m: NaN is no JSON"),
        ("[" * 100_000, "m: nested too deeply"),
        ('{"max_batch_size": ' + "9" * 5000 + "}", "m: "),
        (" " * (MAX_CONFIG_BYTES + 1), "m: larger than 1048576 bytes"),
    ],
)
def test_a_text_that_is_no_configuration_is_refused(text: str, problem: str):
    with pytest.raises(ConfigError) as raised:
        config_from_json(text, "m")
    assert raised.value.message.startswith(problem)


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    assert load_json(path) == config_from_dict(CONFIG, "m")
    with pytest.raises(ConfigError, match="none.json: No such file"):
        load_json(tmp_path / "none.json")
