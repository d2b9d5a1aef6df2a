import pytest
from google.protobuf import json_format

from despina.config.load import parse_config
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import detect_backend, normalise
from despina.config.rules.instances import MAX_INSTANCES
from despina.config.to_json import config_to_dict
from despina.config.validate import validate

TENSORS = """
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
"""
ENSEMBLE = (
    TENSORS
    + """
ensemble_scheduling { step {
  model_name: "a" input_map { key: "i" value: "x" } output_map { key: "o" value: "y" } } }
"""
)


def normalised(text: str, name: str = "m") -> ModelConfig:
    config = parse_config(text, "config.pbtxt")
    normalise(config, name)
    return config


def problems(text: str, *, completing: bool = False) -> list[tuple[str, str]]:
    return [tuple(each) for each in validate(normalised(text), "m", completing=completing)]


def test_what_is_left_out_is_filled_in():
    config = normalised('backend: "b" max_batch_size: 8 dynamic_batching {}')
    assert config.name == "m"
    assert config.version_policy.latest.num_versions == 1
    assert list(config.dynamic_batching.preferred_batch_size) == [8]
    (group,) = config.instance_group
    assert (group.name, group.count, group.kind) == ("m", 1, group.KIND_CPU)
    assert config.optimization.input_pinned_memory.enable
    assert config.optimization.output_pinned_memory.enable


def test_what_is_given_stays():
    config = normalised(
        """
        backend: "b" max_batch_size: 8
        dynamic_batching { preferred_batch_size: [ 2 ] }
        version_policy { all {} }
        optimization { input_pinned_memory { enable: false } }
        instance_group [ { count: 3 }, { name: "g" }, { gpus: [ 1 ] } ]
        """
    )
    assert list(config.dynamic_batching.preferred_batch_size) == [2]
    assert config.version_policy.WhichOneof("policy_choice") == "all"
    assert not config.optimization.input_pinned_memory.enable
    assert [group.name for group in config.instance_group] == ["m_0", "g", "m_2"]
    assert [group.count for group in config.instance_group] == [3, 1, 1]
    kinds = [type(group).Kind.Name(group.kind) for group in config.instance_group]
    assert kinds == ["KIND_CPU", "KIND_CPU", "KIND_GPU"]


def test_normalising_twice_changes_nothing():
    config = normalised('backend: "b" max_batch_size: 8 dynamic_batching {}')
    again = ModelConfig()
    again.CopyFrom(config)
    normalise(again, "m")
    assert again == config


@pytest.mark.parametrize(
    ("platform", "backend", "file", "count"),
    [
        ("onnxruntime_onnx", "onnxruntime", "model.onnx", 2),
        ("tensorrt_plan", "tensorrt", "model.plan", 1),
        ("pytorch_libtorch", "pytorch", "model.pt", 1),
    ],
)
def test_a_platform_tells_backend_file_and_count(platform, backend, file, count):
    config = normalised(f'platform: "{platform}"')
    assert (config.backend, config.default_model_filename) == (backend, file)
    assert config.instance_group[0].count == count


def test_an_ensemble_gets_its_platform_and_no_instances():
    config = normalised(ENSEMBLE)
    assert config.platform == "ensemble"
    assert not config.instance_group
    assert not config.HasField("optimization")
    assert config.ensemble_scheduling.step[0].model_version == -1


@pytest.mark.parametrize(
    ("file", "backend"),
    [("model.onnx", "onnxruntime"), ("model.py", "python"), ("other", "")],
)
def test_a_file_tells_the_backend(tmp_path, file, backend):
    (tmp_path / file).touch()
    assert detect_backend("m", tmp_path) == backend


def test_a_name_tells_the_backend(tmp_path):
    assert detect_backend("classify.torch", tmp_path) == "torch"


def test_a_good_configuration_has_no_problems():
    assert problems('backend: "b"' + TENSORS) == []
    assert problems(ENSEMBLE) == []


def test_a_backend_may_fill_in_all_tensors():
    assert problems('backend: "b" input { name: "x" }', completing=True) == []


PROBLEMS = [
    ('name: "other"', "name", "'other' is not the name of the folder, 'm'"),
    ("max_batch_size: -1", "max_batch_size", "-1 is not between 0 and"),
    ("max_batch_size: 2000000", "max_batch_size", "2000000 is not between"),
    ("version_policy { latest {} }", "version_policy.latest.num_versions", "at least 1"),
    ("version_policy { specific {} }", "version_policy.specific.versions", "no version"),
    (
        "version_policy { specific { versions: [ 0 ] } }",
        "version_policy.specific.versions[0]",
        "0 is not a version",
    ),
    ("input { data_type: TYPE_BOOL dims: 1 }", "input[1].name", "is missing"),
    ('input { name: "a" dims: 1 }', "input[1].data_type", "is missing for 'a'"),
    ('input { name: "a" data_type: TYPE_BOOL }', "input[1].dims", "is missing for 'a'"),
    (
        'input { name: "a" data_type: TYPE_BOOL dims: [ 2, -2 ] }',
        "input[1].dims[1]",
        "-2 is neither -1 nor at least 1",
    ),
    (
        'input { name: "a" data_type: TYPE_BOOL dims: [ 4294967296, 4294967296 ] }',
        "input[1].dims",
        "has more than 1099511627776 elements",
    ),
    (
        'input { name: "x" data_type: TYPE_BOOL dims: 1 }',
        "input[1].name",
        "'x' is there more than once",
    ),
    (
        'input { name: "a" data_type: TYPE_FP32 dims: [ 3, 4 ] format: FORMAT_NCHW }',
        "input[1].format",
        "an image has three dims",
    ),
    (
        'output { name: "z" data_type: TYPE_FP32 dims: [ 6 ] reshape { shape: [ 2, 2 ] } }',
        "output[1].reshape.shape",
        "[2, 2] does not hold the elements of dims [6]",
    ),
    (
        'output { name: "z" data_type: TYPE_FP32 dims: [ 2 ] reshape { shape: [ -1 ] } }',
        "output[1].reshape.shape",
        "[-1] does not hold the elements of dims [2]",
    ),
    (
        'output { name: "z" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "../l" }',
        "output[1].label_filename",
        "'../l' leads out of the model's folder",
    ),
    ('default_model_filename: "/etc/passwd"', "default_model_filename", "leads out"),
    ("instance_group { count: -1 }", "instance_group[0].count", "-1 is less than 1"),
    (
        "instance_group { kind: KIND_CPU gpus: [ 0 ] }",
        "instance_group[0].gpus",
        "are of no use to KIND_CPU",
    ),
    ("instance_group { kind: KIND_GPU }", "instance_group[0].gpus", "must be listed"),
    ("instance_group { gpus: [ -1 ] }", "instance_group[0].gpus[0]", "-1 is not the index"),
    ("instance_group { gpus: [ 1, 1 ] }", "instance_group[0].gpus", "more than once: '1'"),
    ("instance_group { count: 1000000 }", "instance_group", f"more than {MAX_INSTANCES}"),
    (
        'instance_group [ { name: "g" }, { name: "g" } ]',
        "instance_group[1].name",
        "'g' is there more than once",
    ),
    (
        "max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 0, 2 ] }",
        "dynamic_batching.preferred_batch_size[0]",
        "0 is not between 1 and max_batch_size, 4",
    ),
    (
        "max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 8 ] }",
        "dynamic_batching.preferred_batch_size[0]",
        "8 is not between 1 and max_batch_size, 4",
    ),
    (
        "max_batch_size: 4 dynamic_batching { max_queue_delay_microseconds: 18446744073709551615 }",
        "dynamic_batching.max_queue_delay_microseconds",
        "is more than an hour",
    ),
    (
        'parameters { key: "isolation" value { string_value: "process" } }',
        "parameters['isolation']",
        "'process' is not supported: worker processes are not there yet",
    ),
]


@pytest.mark.parametrize(("text", "field", "what"), PROBLEMS)
def test_a_problem_names_its_field(text: str, field: str, what: str):
    (found,) = problems('backend: "b"' + TENSORS + text)
    assert found[0] == field
    assert what in found[1]


PROBLEMS_OF_AN_ENSEMBLE = [
    ('backend: "b"', "backend", "an ensemble has none, not 'b'"),
    ('platform: "onnxruntime_onnx" backend: "b"', "platform", "cannot have ensemble"),
    ("instance_group { count: 1 }", "instance_group", "belongs to the models of the steps"),
    ("optimization { }", "optimization", "belongs to the models of the steps"),
    (
        'input { name: "z" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }',
        "input[1].reshape",
        "belongs to the models of the steps",
    ),
    (
        'output { name: "z" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }',
        "output[1].reshape",
        "belongs to the models of the steps",
    ),
    ('input { name: "z" }', "input[1]", "'z' of an ensemble needs data_type and dims"),
    (
        'ensemble_scheduling { step { output_map { key: "a" value: "b" } } }',
        "ensemble_scheduling.step[1].model_name",
        "is missing",
    ),
    (
        'ensemble_scheduling { step { model_name: "b" } }',
        "ensemble_scheduling.step[1].output_map",
        "takes nothing from model 'b'",
    ),
    (
        """ensemble_scheduling { step { model_name: "b" model_version: -2
            output_map { key: "a" value: "b" } } }""",
        "ensemble_scheduling.step[1].model_version",
        "-2 is not a version",
    ),
]


@pytest.mark.parametrize(("text", "field", "what"), PROBLEMS_OF_AN_ENSEMBLE)
def test_a_problem_of_an_ensemble_names_its_field(text: str, field: str, what: str):
    config = parse_config(ENSEMBLE, "c")
    config.MergeFrom(parse_config(text, "c"))
    normalise(config, "m")
    found = dict(validate(config, "m", completing=True))
    assert what in found[field]


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\nb", "\x1b[31m"])
def test_a_name_that_would_be_unsafe_is_refused(name: str):
    config = ModelConfig(name=name or " ", backend="b")
    fields = [each.field for each in validate(config, config.name, completing=True)]
    assert "name" in fields


def test_all_problems_are_found_at_once():
    found = problems('backend: "b" max_batch_size: -1 input { } instance_group { count: -1 }')
    fields = {field for field, _ in found}
    assert fields >= {
        "max_batch_size",
        "input[0].name",
        "input[0].dims",
        "input[0].data_type",
        "instance_group[0].count",
    }


@pytest.mark.parametrize(
    ("dims", "shape"),
    [([1], []), ([3, 4], [12]), ([-1, 4], [-1, 2, 2]), ([2, -1], [2, -1]), ([1, -1], [-1])],
)
def test_a_reshape_that_keeps_the_elements_is_allowed(dims, shape):
    text = f"""backend: "b" input {{ name: "x" data_type: TYPE_FP32 dims: {dims}
        reshape {{ shape: {shape} }} }}"""
    assert problems(text) == []


@pytest.mark.parametrize(("dims", "shape"), [([2, -1], [-1, 2]), ([-1], [-1, -1]), ([-1], [4])])
def test_a_reshape_that_may_not_is_refused(dims, shape):
    text = f"""backend: "b" input {{ name: "x" data_type: TYPE_FP32 dims: {dims}
        reshape {{ shape: {shape} }} }}"""
    assert [field for field, _ in problems(text)] == ["input[0].reshape.shape"]


def _numbers(value):
    """The library's JSON form with its 64-bit integers, which it makes strings, as numbers."""
    if isinstance(value, dict):
        kept = ("name", "string_value", "key", "model_name")
        return {k: v if k in kept else _numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


@pytest.mark.parametrize(
    "text",
    [
        "",
        'backend: "b" max_batch_size: 8' + TENSORS + "dynamic_batching {}",
        ENSEMBLE,
        'parameters { key: "k" value { string_value: "5" } } version_policy { all {} }',
        'output { name: "o" dims: [ -1, 9007199254740993 ] reshape { } }',
    ],
)
def test_the_json_form_is_the_librarys_with_numbers(text: str):
    config = normalised(text)
    oracle = json_format.MessageToDict(
        config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert config_to_dict(config) == _numbers(oracle)


@pytest.mark.parametrize("field", ["preferred_batch_size", "max_queue_delay_microseconds"])
def test_batching_that_would_have_no_effect_is_refused_once_the_model_is_known(field: str):
    text = f'backend: "b"{TENSORS} dynamic_batching {{ {field}: 4 }}'
    config = normalised(text)
    assert list(validate(config, "m", completing=True)) == []
    ((where, what),) = validate(config, "m", completing=False)
    assert where == f"dynamic_batching.{field}"
    assert "has no effect: max_batch_size is 0" in what


def test_dynamic_batching_without_fields_fits_a_model_that_does_not_batch():
    config = normalised(f'backend: "b"{TENSORS} dynamic_batching {{ }}')
    assert list(validate(config, "m", completing=False)) == []
