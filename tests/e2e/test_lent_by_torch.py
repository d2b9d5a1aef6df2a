"""Tensors of PyTorch, in and out of a backend: no copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness.answering import LARGE, SIZE, give, run, seen

from despina import DespinaError
from despina_sdk import Batch

HOW = pytest.mark.parametrize("how", ["gather", "inputs"])


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT32", "BOOL", "FP16", "BF16", "UINT8"])
def test_a_tensor_of_torch_is_answered_with_and_not_copied(torch: Any, datatype: str) -> None:
    kinds = {
        "FP32": torch.float32,
        "FP64": torch.float64,
        "INT32": torch.int32,
        "BOOL": torch.bool,
        "FP16": torch.float16,
        "BF16": torch.bfloat16,
        "UINT8": torch.uint8,
    }
    tensor = (torch.arange(SIZE) % 2).to(kinds[datatype]).reshape(1, -1)
    answer, copies = give(tensor, datatype)
    bits = tensor.view(torch.uint16) if datatype == "BF16" else tensor
    np.testing.assert_array_equal(answer, bits.numpy())
    assert copies == 0


def test_a_transposed_tensor_of_torch_is_copied_once(torch: Any) -> None:
    tensor = torch.arange(2 * SIZE, dtype=torch.float32).reshape(-1, 2)[:, :1].T
    answer, copies = give(tensor)
    np.testing.assert_array_equal(answer, tensor.numpy())
    assert copies == 1


def test_a_tensor_of_torch_that_requires_its_gradient_is_refused(torch: Any) -> None:
    text = r"output 'Y' of model 'm': BufferError: .*require gradient, use tensor.detach\(\)"
    with pytest.raises(DespinaError, match=text):
        give(torch.zeros((1, SIZE), requires_grad=True))


def test_a_tensor_of_torch_is_kept_as_long_as_the_answer(torch: Any) -> None:
    answer, _ = give(torch.ones((1, SIZE)))
    torch.full((1, SIZE), 7.0)  # would lie there, had the memory been let go of
    assert np.all(answer == 1)


@HOW
def test_inputs_are_tensors_of_torch_without_a_copy(torch: Any, how: str) -> None:
    def look(given: np.ndarray) -> bool:
        return bool(torch.from_dlpack(given).data_ptr() == given.ctypes.data)

    assert seen(look, how)


@HOW
def test_bfloat16_inputs_are_tensors_of_torch_without_a_copy(torch: Any, how: str) -> None:
    ones = np.full((1, SIZE), 0x3F80, np.uint16)

    def look(given: np.ndarray) -> bool:
        tensor = torch.from_dlpack(given).view(torch.bfloat16)
        return bool(tensor.data_ptr() == given.ctypes.data and (tensor == 1).all())

    assert seen(look, how, ones)


def test_what_torch_made_of_an_input_goes_back_without_a_copy(torch: Any) -> None:
    def execute(batch: Batch) -> None:
        batch.scatter({"Y": torch.from_dlpack(batch.gather("X"))})

    answer, copies = run(execute)
    np.testing.assert_array_equal(answer, LARGE)
    assert copies == 0
