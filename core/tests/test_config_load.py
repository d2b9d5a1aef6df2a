from pathlib import Path

import pytest

from despina.config.load import (
    MAX_CONFIG_BYTES,
    config_from_dict,
    config_to_text,
    load_config,
    parse_config,
    read_text,
)
from despina.config.model_config_pb2 import DataType, ModelInstanceGroup
from despina.config.problem import MAX_PROBLEMS, Origin, Problem, refuse
from despina.errors import ConfigError

IDENTITY = """
name: "identity_fp32"
backend: "python"
max_batch_size: 0
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { max_queue_delay_microseconds: 0 }
"""

ENSEMBLE = """
platform: "ensemble"
input [ { name: "IMAGE" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "KEYPOINTS" data_type: TYPE_FP32 dims: [ 17, 3 ] } ]
ensemble_scheduling {
  step [
    { model_name: "preprocess" model_version: -1
      input_map { key: "IMAGE" value: "IMAGE" }
      output_map { key: "PIXELS" value: "pixels" } },
    { model_name: "decode" model_version: 2
      input_map { key: "PIXELS" value: "pixels" }
      output_map { key: "KEYPOINTS" value: "KEYPOINTS" } }
  ]
}
"""


def test_a_configuration_of_a_model_is_read():
    config = parse_config(IDENTITY, "config.pbtxt")
    assert config.name == "identity_fp32"
    assert config.input[0].data_type == DataType.TYPE_FP32
    assert list(config.input[0].dims) == [-1]
    assert config.instance_group[0].kind == ModelInstanceGroup.KIND_CPU
    assert config.HasField("dynamic_batching")


def test_a_configuration_of_an_ensemble_is_read():
    first, second = parse_config(ENSEMBLE, "config.pbtxt").ensemble_scheduling.step
    assert dict(first.output_map) == {"PIXELS": "pixels"}
    assert (first.model_version, second.model_version) == (-1, 2)


def test_comments_and_every_bracket_style_are_read():
    config = parse_config('# a model\ninput: { name: "a" } input < name: "b" >', "config.pbtxt")
    assert [tensor.name for tensor in config.input] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\ninptu [{}]", "c:2:1: ModelConfig has no field 'inptu'; did you mean 'input'?"),
        ("input [{ dim: 1 }]", "c:1:10: ModelInput has no field 'dim'; did you mean 'dims'?"),
        ("zzz: 1", "c:1:1: ModelConfig has no field 'zzz'"),
        (
            "input {\n  data_type: FP32 }",
            "c:2:14: DataType has no value 'FP32'; did you mean 'TYPE_FP32'?",
        ),
        (
            "instance_group [{ kind: KIND_CPUS }]",
            "c:1:25: Kind has no value 'KIND_CPUS'; did you mean 'KIND_CPU'?",
        ),
        ('name: "a"\nname: "b"', "c:2:1: 'name' is given more than once"),
        (
            "max_batch_size: 99999999999",
            "c:1:17: 'max_batch_size': 99999999999 is not between -2147483648",
        ),
        ('max_batch_size: "x"', "c:1:17: "),
        ("input [{", "c:1:8: "),
        (
            "dynamic_batching {} sequence_batching {}",
            "c:1:21: 'sequence_batching' and 'dynamic_batching' exclude each other",
        ),
    ],
)
def test_an_error_says_where_and_what(text: str, error: str):
    with pytest.raises(ConfigError) as raised:
        parse_config(text, "c")
    assert raised.value.message.startswith("c:")
    assert error in raised.value.message
    assert "despina.config" not in raised.value.message


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="none.pbtxt: No such file"):
        load_config(tmp_path / "none.pbtxt")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path):
    file = tmp_path / "config.pbtxt"
    file.write_bytes(b'name: "\xff"')
    with pytest.raises(ConfigError, match="byte 7 is not UTF-8"):
        load_config(file)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path):
    file = tmp_path / "config.pbtxt"
    with file.open("wb") as out:
        out.truncate(MAX_CONFIG_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        load_config(file)


@pytest.mark.parametrize("text", [IDENTITY, ENSEMBLE])
def test_what_is_written_as_text_reads_the_same(text: str):
    config = parse_config(text, "config.pbtxt")
    assert parse_config(config_to_text(config), "again") == config


def test_the_json_form_is_read_and_checked():
    config = config_from_dict({"max_batch_size": 4, "input": [{"name": "a", "dims": [1]}]}, "m")
    assert config.max_batch_size == 4
    with pytest.raises(ConfigError, match="^m: .*max_batch"):
        config_from_dict({"max_batch": 4}, "m")


def test_with_errors_in_the_text_only_what_is_written_is_checked():
    """What seems to be missing may be what could not be read."""
    _, origin = read_text('nmae: "m"\nmax_batch_size: -1', "c")
    problems = [Problem("max_batch_size", "is -1"), Problem("name", "is missing")]
    with pytest.raises(ConfigError) as raised:
        refuse(origin, problems)
    assert [str(each) for each in raised.value.problems] == [
        "c:1:1: ModelConfig has no field 'nmae'; did you mean 'name'?",
        "c:2:1: max_batch_size: is -1",
    ]


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("max_batch_size", "c:1:1"),
        ("input[0]", "c:2:1"),
        ("input[1].dims[1]", "c:3:32"),
        ("input[1].dims[7]", "c:3:21"),
        ("input[1].reshape.shape", "c:3:9"),
        ("input", "c:2:1"),
        ("input[7]", "c:2:1"),
        ("parameters['a.b[0]'].string_value", "c:4:36"),
        ("parameters['z']", "c:4:1"),
        ("dynamic_batching.preserve_ordering", "c:5:1"),
        ("output", "c"),
    ],
)
def test_a_problem_is_told_at_its_field_or_the_nearest_that_is_written(field: str, place: str):
    text = """max_batch_size: 1
input { }
input [ { name: 'x' dims: [ 1, 2 ] } ]
parameters { key: "a.b[0]" value { string_value: "x" } }
dynamic_batching { }
"""
    _, origin = read_text(text, "c")
    assert str(origin.locate(Problem(field, "wrong"))) == f"{place}: {field}: wrong"


def test_more_problems_than_anybody_reads_are_not_listed():
    with pytest.raises(ConfigError) as raised:
        refuse(Origin("c"), (Problem(f"input[{i}]", "wrong") for i in range(10_000)))
    assert len(raised.value.problems) == MAX_PROBLEMS + 1
    assert str(raised.value.problems[-1]) == "c: and more"
