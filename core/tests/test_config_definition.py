from pathlib import Path

import pytest

from despina.config.complete import compatible, complete
from despina.config.definition import Instance, define
from despina.config.load import parse_config
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import normalise
from despina.config.problem import Origin
from despina.config.tensors import tensor_specs
from despina.config.validate import validate
from despina.errors import ConfigError
from despina_sdk import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "FP32", (4,)),), (TensorSpec("y", "INT64", (-1, 2)),), 8)
ORIGIN = Origin("config.pbtxt")


def config_of(text: str) -> ModelConfig:
    config = parse_config('backend: "b"' + text, "config.pbtxt")
    normalise(config, "m")
    return config


def completed(text: str, signature: Signature = SIGNATURE) -> ModelConfig:
    config = config_of(text)
    assert complete(config, signature, fill=True) == []
    normalise(config, "m")
    assert validate(config, "m", completing=False) == []
    return config


def test_an_empty_configuration_is_filled_from_the_model():
    config = completed("")
    assert config.max_batch_size == 8
    assert tensor_specs(config.input) == SIGNATURE.inputs
    assert tensor_specs(config.output) == SIGNATURE.outputs
    assert list(config.dynamic_batching.preferred_batch_size) == [8]


def test_a_partial_configuration_is_filled_and_kept():
    config = completed('max_batch_size: 4 input { name: "x" dims: [ -1 ] }')
    assert config.max_batch_size == 4
    assert list(config.input[0].dims) == [-1]
    assert tensor_specs(config.input)[0].datatype == "FP32"
    assert not config.HasField("dynamic_batching")


def test_a_model_without_batch_axis_gets_no_batcher():
    signature = Signature(SIGNATURE.inputs, SIGNATURE.outputs, 0)
    config = completed("", signature)
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")


def test_a_scalar_of_the_model_is_one_element_for_clients():
    config = completed("", Signature((TensorSpec("s", "BOOL", ()),), ()))
    assert list(config.input[0].dims) == [1]
    assert tensor_specs(config.input)[0].shape == ()


def test_an_optional_input_of_the_model_stays_optional():
    config = completed("", Signature((TensorSpec("s", "BYTES", (1,), optional=True),), ()))
    assert config.input[0].optional


def test_a_reshaped_tensor_is_compared_as_the_model_sees_it():
    completed('input { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } }')


@pytest.mark.parametrize(
    ("text", "field", "what"),
    [
        ('input { name: "X" }', "input[0].name", "the model has no 'X'"),
        ("max_batch_size: 9", "max_batch_size", "is 9, and the model takes 8 rows at most"),
        (
            'input { name: "x" data_type: TYPE_FP16 dims: 4 }',
            "input[0].data_type",
            "'x' is FP16 here and FP32 in the model",
        ),
        (
            'input { name: "x" data_type: TYPE_FP32 dims: [ 4, 1 ] }',
            "input[0].dims",
            "'x' is [4, 1] here and [4] in the model",
        ),
        (
            'output { name: "y" data_type: TYPE_INT64 dims: [ 1, 3 ] }',
            "output[0].dims",
            "'y' is [1, 3] here and [-1, 2] in the model",
        ),
    ],
)
def test_a_configuration_that_contradicts_the_model_is_refused(text, field, what):
    found = complete(config_of(text), SIGNATURE, fill=True)
    assert (field, True) in [(each.field, what in each.text) for each in found]


PARTS = Signature((), (), 0, decoupled=True)
NO_PARTS = Signature((), (), 0, decoupled=False)
DECOUPLED = "model_transaction_policy { decoupled: true }"


@pytest.mark.parametrize(
    ("text", "signature", "decoupled"),
    [("", PARTS, True), ("", NO_PARTS, False), (DECOUPLED, PARTS, True), (DECOUPLED, None, True)],
)
def test_a_model_tells_whether_its_answers_come_in_parts(text, signature, decoupled):
    config = completed(text, signature or Signature((), (), 0))
    assert config.model_transaction_policy.decoupled is decoupled


@pytest.mark.parametrize(
    ("text", "signature", "fill", "what"),
    [
        (DECOUPLED, NO_PARTS, True, "is true, and the model answers once"),
        ("model_transaction_policy { }", PARTS, True, "is false, and the model answers in parts"),
        ("", PARTS, False, "is false, and the model answers in parts"),
    ],
)
def test_a_transaction_policy_that_contradicts_the_model_is_refused(text, signature, fill, what):
    found = complete(config_of(text), signature, fill=fill)
    assert [tuple(each) for each in found] == [("model_transaction_policy.decoupled", what)]


def test_a_batch_size_for_a_model_without_batch_axis_is_refused():
    found = complete(config_of("max_batch_size: 2"), Signature((), (), 0), fill=True)
    assert [each.text for each in found] == ["is 2, and the model has no batch axis"]


def test_without_completion_everything_must_be_there():
    config = config_of('input { name: "x" data_type: TYPE_FP32 dims: 4 }')
    found = complete(config, SIGNATURE, fill=False)
    assert [tuple(each) for each in found] == [("output", "'y' of the model is missing")]
    assert config.max_batch_size == 0


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ((), (), True),
        ((4,), (4,), True),
        ((-1, 2), (5, -1), True),
        ((4,), (5,), False),
        ((4,), (4, 1), False),
    ],
)
def test_shapes_are_compatible_where_a_size_may_vary(one, other, fits):
    assert compatible(one, other) is fits
    assert compatible(other, one) is fits


def test_the_definition_has_what_the_configuration_says(tmp_path: Path):
    (tmp_path / "labels.txt").write_text("cat\n\ndog \n")
    config = completed(
        """
        max_batch_size: 8
        input { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } }
        output { name: "y" label_filename: "labels.txt" }
        instance_group [ { count: 2 }, { name: "g" gpus: [ 0, 3 ] } ]
        dynamic_batching {
          preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 500 preserve_ordering: true
          default_queue_policy { max_queue_size: 16 }
        }
        """
    )
    definition = define(config, 3, tmp_path, ORIGIN)
    assert (definition.name, definition.version, definition.platform) == ("m", 3, "b")
    assert definition.inputs[0].dims == (2, 2)
    assert definition.inputs[0].reshape == (4,)
    assert definition.outputs[0].labels == ("cat", "", "dog")
    assert definition.outputs[0].reshape is None
    assert definition.instances == (
        Instance("m_0_0", 0, "cpu"),
        Instance("m_0_1", 1, "cpu"),
        Instance("g_0", 2, "cuda:0"),
        Instance("g_1", 3, "cuda:3"),
    )
    assert definition.dynamic_batching
    assert definition.preferred_batch_sizes == (2, 4)
    assert definition.max_queue_delay_microseconds == 500
    assert definition.preserve_ordering
    assert definition.max_queue_size == 16
    assert '"max_queue_size":16' in definition.config_json
    assert ModelConfig.FromString(definition.config_proto) == config


def test_one_batch_at_a_time_where_there_is_no_batch_axis(tmp_path: Path):
    config = completed("dynamic_batching { }", Signature((), (), 0))
    assert not define(config, 1, tmp_path, ORIGIN).dynamic_batching


@pytest.mark.parametrize("kind", ["missing", "escaping", "binary"])
def test_labels_that_cannot_be_read_are_named(tmp_path: Path, kind: str):
    folder = tmp_path / "m"
    folder.mkdir()
    if kind == "escaping":
        (tmp_path / "secret").write_text("a")
        (folder / "labels.txt").symlink_to(tmp_path / "secret")
    elif kind == "binary":
        (folder / "labels.txt").write_bytes(b"\xff\xfe")
    config = completed('output { name: "y" label_filename: "labels.txt" }')
    expected = {
        "missing": "'labels.txt': No such file",
        "escaping": "'labels.txt' leads out of the folder",
        "binary": "'labels.txt' is not UTF-8",
    }
    with pytest.raises(ConfigError) as raised:
        define(config, 1, folder, ORIGIN)
    assert raised.value.message.startswith("config.pbtxt: output[0].label_filename: ")
    assert expected[kind] in raised.value.message
