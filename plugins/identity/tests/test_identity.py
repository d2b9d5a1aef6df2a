import time
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from despina_identity import IdentityBackend
from despina_sdk import NUMPY_DTYPES, BackendError, Code, Instance, ModelSpec, Placement, TensorSpec
from despina_sdk.tensors import Array
from despina_sdk.testing import FakeBatch, FakeRequest, run_batch


def spec_of(inputs: list[TensorSpec], outputs: list[TensorSpec], **parameters: str) -> ModelSpec:
    return ModelSpec(
        "mirror", "1", Path("mirror/1"), 8, tuple(inputs), tuple(outputs), parameters=parameters
    )


def instance_of(spec: ModelSpec) -> Instance:
    return IdentityBackend({}).load(spec).instance(Placement("mirror_0"))


def run_without_batch_axis(instance: Instance, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    request = FakeRequest(inputs, batching=False)
    instance.execute(FakeBatch([request]))
    assert request.outputs is not None
    return request.outputs


X, Y = TensorSpec("INPUT0", "FP32", (-1,)), TensorSpec("OUTPUT0", "FP32", (-1,))


def test_the_server_finds_it_under_its_backend_name() -> None:
    (found,) = entry_points(group="despina.backends", name="identity_python")
    assert found.load() is IdentityBackend
    assert found.dist is not None
    assert found.dist.name == "despina-identity"


@pytest.mark.parametrize("datatype", NUMPY_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_any_datatype_and_shape_comes_back_as_it_was(datatype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    sent = (
        np.vectorize(lambda i: b"%d\0" % i, otypes="O")(values) if datatype == "BYTES" else values
    )
    sent = np.asarray(sent).reshape(shape).astype(NUMPY_DTYPES[datatype])
    dims = (-1,) * len(shape)
    spec = spec_of([TensorSpec("X", datatype, dims)], [TensorSpec("Y", datatype, dims)])
    got = run_without_batch_axis(instance_of(spec), {"X": sent})["Y"]
    assert got.dtype == sent.dtype
    assert got.shape == shape
    assert np.array_equal(got, sent)


def test_every_request_of_a_batch_gets_its_own_rows() -> None:
    one, two = np.array([[1, 2]], np.float32), np.array([[3, 4], [5, 6]], np.float32)
    answers = run_batch(instance_of(spec_of([X], [Y])), {"INPUT0": one}, {"INPUT0": two})
    assert [answer["OUTPUT0"].tolist() for answer in answers] == [one.tolist(), two.tolist()]


def test_a_batch_of_one_request_is_answered_without_a_copy() -> None:
    sent = np.ones((2, 1000), np.float32)
    (answer,) = run_batch(instance_of(spec_of([X], [Y])), {"INPUT0": sent})
    assert np.shares_memory(answer["OUTPUT0"], sent)


def test_tensors_named_alike_pair_by_suffix_in_any_order() -> None:
    inputs = [TensorSpec("INPUT_a", "FP32", (1,)), TensorSpec("INPUT_b", "INT8", (1,))]
    outputs = [TensorSpec("OUTPUT_b", "INT8", (1,)), TensorSpec("OUTPUT_a", "FP32", (1,))]
    sent: dict[str, Array] = {
        "INPUT_a": np.array([[1]], np.float32),
        "INPUT_b": np.array([[2]], np.int8),
    }
    (answer,) = run_batch(instance_of(spec_of(inputs, outputs)), sent)
    assert answer == {"OUTPUT_a": sent["INPUT_a"], "OUTPUT_b": sent["INPUT_b"]}


def test_tensors_of_other_names_pair_by_position() -> None:
    inputs = [TensorSpec("b", "FP32", (1,)), TensorSpec("a", "FP32", (1,))]
    outputs = [TensorSpec("a", "FP32", (1,)), TensorSpec("c", "FP32", (1,))]
    sent = {"a": np.array([[1]], np.float32), "b": np.array([[2]], np.float32)}
    (answer,) = run_batch(instance_of(spec_of(inputs, outputs)), sent)
    assert answer == {"a": 2, "c": 1}


def test_an_optional_input_left_out_leaves_out_its_output() -> None:
    inputs = [X, TensorSpec("INPUT1", "FP32", (-1,), optional=True)]
    spec = spec_of(inputs, [Y, TensorSpec("OUTPUT1", "FP32", (-1,))])
    (answer,) = run_batch(instance_of(spec), {"INPUT0": np.zeros((1, 2), np.float32)})
    assert set(answer) == {"OUTPUT0"}


def test_the_signature_is_what_the_configuration_says() -> None:
    signature = IdentityBackend({}).load(spec_of([X], [Y])).signature
    assert (signature.inputs, signature.outputs, signature.max_batch_size) == ((X,), (Y,), None)


@pytest.mark.parametrize(
    ("inputs", "outputs", "text"),
    [
        (
            [X],
            [TensorSpec("OUTPUT0", "INT32", (1,))],
            "input 'INPUT0' (FP32) and output 'OUTPUT0' (INT32)",
        ),
        ([X, TensorSpec("INPUT1", "INT8", (1,))], [Y], "input 'INPUT1' (INT8) and no output"),
        ([X], [Y, TensorSpec("OUTPUT1", "INT8", (1,))], "no input and output 'OUTPUT1' (INT8)"),
    ],
)
def test_tensors_that_do_not_pair_fail_the_load(
    inputs: list[TensorSpec], outputs: list[TensorSpec], text: str
) -> None:
    with pytest.raises(BackendError) as caught:
        IdentityBackend({}).load(spec_of(inputs, outputs))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert f"model 'mirror': {text}" in caught.value.message


def test_execute_delay_ms_delays_each_execution() -> None:
    instance = instance_of(spec_of([X], [Y], execute_delay_ms="60"))
    before = time.monotonic()
    run_batch(instance, {"INPUT0": np.zeros((1, 1), np.float32)})
    assert time.monotonic() - before >= 0.06


@pytest.mark.parametrize("value", ["-1", "1.5", "soon", ""])
def test_a_bad_delay_fails_the_load(value: str) -> None:
    with pytest.raises(BackendError, match=f"'execute_delay_ms' is '{value}'") as caught:
        IdentityBackend({}).load(spec_of([X], [Y], execute_delay_ms=value))
    assert caught.value.code is Code.INVALID_ARGUMENT
