from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from despina_sdk import (
    Array,
    Backend,
    BackendError,
    Code,
    Instance,
    ModelSpec,
    Placement,
    Signature,
    TensorSpec,
    batch_function,
)
from despina_sdk.testing import run_batch

X = TensorSpec("X", "FP32", (4,))
BIAS = TensorSpec("bias", "FP32", (1,), optional=True)
Y = TensorSpec("Y", "FP32", (1,))
SPEC = ModelSpec("sums", "1", Path("sums/1"), parameters={"factor": "3"})


@batch_function(inputs=[X], outputs=[Y])
def row_sum(X: Array) -> dict[str, Array]:  # noqa: N803 - the tensor's name
    """Sums rows."""
    return {"Y": X.sum(axis=1, keepdims=True)}


def instance_of(backend: type[Backend], ordinal: int = 0) -> Instance:
    return backend({}).load(SPEC).instance(Placement(f"sums_{ordinal}", ordinal))


def rows(*values: float) -> Array:
    return np.array([[value] * 4 for value in values], np.float32)


def test_a_function_becomes_a_backend_of_its_name() -> None:
    assert issubclass(row_sum, Backend)
    assert row_sum.name == row_sum.__name__ == "row_sum"
    assert row_sum.__module__ == __name__
    assert row_sum.__doc__ == "Sums rows."


def test_the_name_may_be_given() -> None:
    @batch_function(inputs=[X], outputs=[Y], name="sums")
    def anything(X: Array) -> dict[str, Array]:  # noqa: N803
        return {"Y": X[:, :1]}

    assert anything.name == "sums"


def test_its_signature_has_a_batch_size_where_the_configuration_has_none() -> None:
    assert row_sum({}).load(SPEC).signature == Signature((X,), (Y,), 8)

    @batch_function(inputs=[X], outputs=[Y], max_batch_size=32)
    def large(X: Array) -> dict[str, Array]:  # noqa: N803
        return {"Y": X[:, :1]}

    assert large({}).load(SPEC).signature.max_batch_size == 32


def test_its_signature_has_the_batch_size_of_the_configuration() -> None:
    assert row_sum({}).load(replace(SPEC, max_batch_size=64)).signature.max_batch_size == 64


def test_it_is_called_once_with_all_rows_of_a_batch_and_each_request_gets_its_own() -> None:
    calls: list[tuple[int, ...]] = []

    @batch_function(inputs=[X], outputs=[Y])
    def counted(X: Array) -> dict[str, Array]:  # noqa: N803
        calls.append(X.shape)
        return {"Y": X.sum(axis=1, keepdims=True)}

    one, two = run_batch(instance_of(counted), {"X": rows(1)}, {"X": rows(2, 3)})
    assert calls == [(3, 4)]
    assert one["Y"].tolist() == [[4]]
    assert two["Y"].tolist() == [[8], [12]]


def test_an_optional_input_left_out_is_none() -> None:
    @batch_function(inputs=[X, BIAS], outputs=[Y])
    def biased(X: Array, bias: Array | None) -> dict[str, Array]:  # noqa: N803
        return {"Y": X[:, :1] + (bias if bias is not None else 100)}

    instance = instance_of(biased)
    with_bias = {"X": rows(1), "bias": np.array([[5]], np.float32)}
    assert run_batch(instance, with_bias)[0]["Y"] == 6
    assert run_batch(instance, {"X": rows(1)})[0]["Y"] == 101


def test_setup_runs_once_per_instance_and_its_result_comes_first() -> None:
    made: list[str] = []

    def setup(spec: ModelSpec, placement: Placement) -> float:
        made.append(placement.name)
        return float(spec.parameters["factor"]) + placement.ordinal

    @batch_function(inputs=[X], outputs=[Y], setup=setup)
    def scaled(factor: float, X: Array) -> dict[str, Array]:  # noqa: N803
        return {"Y": X[:, :1] * np.float32(factor)}

    model = scaled({}).load(SPEC)
    assert made == []
    first, second = (model.instance(Placement(f"sums_{i}", i)) for i in range(2))
    for _ in range(2):
        assert run_batch(first, {"X": rows(1)})[0]["Y"] == 3
        assert run_batch(second, {"X": rows(1)})[0]["Y"] == 4
    assert made == ["sums_0", "sums_1"]


def test_a_setup_that_returns_none_still_comes_first() -> None:
    @batch_function(inputs=[X], outputs=[Y], setup=lambda spec, placement: None)
    def stateless(state: Any, X: Array) -> dict[str, Array]:  # noqa: N803
        assert state is None
        return {"Y": X[:, :1]}

    assert run_batch(instance_of(stateless), {"X": rows(7)})[0]["Y"] == 7


def test_what_the_function_raises_leaves_execute() -> None:
    @batch_function(inputs=[X], outputs=[Y])
    def broken(X: Array) -> dict[str, Array]:  # noqa: N803
        raise BackendError(Code.UNAVAILABLE, "not today")

    with pytest.raises(BackendError, match="not today") as caught:
        run_batch(instance_of(broken), {"X": rows(1)})
    assert caught.value.code is Code.UNAVAILABLE


def test_an_output_of_too_few_rows_is_refused() -> None:
    @batch_function(inputs=[X], outputs=[Y])
    def short(X: Array) -> dict[str, Array]:  # noqa: N803
        return {"Y": X[:1, :1]}

    with pytest.raises(BackendError, match="output 'Y' .* but the batch has 2 rows"):
        run_batch(instance_of(short), {"X": rows(1, 2)})
