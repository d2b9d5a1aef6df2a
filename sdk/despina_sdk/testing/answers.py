"""What a backend answers with, taken and refused as the engine does, in its words."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from despina_sdk.backend import ParameterValue, Signature
from despina_sdk.errors import BackendError, Code
from despina_sdk.tensors import NUMPY_DTYPES, Array, ArrayLike, TensorSpec

HOST_DEVICES = (1, 3, 11)
"""DLPack's numbers for memory of the host: ordinary, and page-locked for CUDA and ROCm."""
DEVICE_NAMES = {2: "cuda", 8: "metal", 10: "rocm"}


class Reason(Enum):
    """Why a backend was refused something: what a test asks, which the texts are too long for."""

    NAME = "a tensor that the model does not have"
    ROWS = "the wrong number of rows"
    DATATYPE = "the wrong datatype"
    PARAMETER = "a parameter that there cannot be"
    ANSWERED = "a second answer"
    SENT_LATE = "a part after the end of the answer"
    DETACHED = "a request that has left its batch"
    ENDED = "a batch after its execution"
    UNDECLARED = "an undeclared capability"
    NOT_DECOUPLED = "parts of an answer that has only one"
    COMPLETED = "a request after its answer"
    OUT_OF_BOUNDS = "a write beside an output"
    WRITTEN = "a write to an input"


class RefusedError(BackendError):
    """What the engine raises in a backend that asks for what it may not have."""

    def __init__(self, reason: Reason, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.reason = reason


def outputs_of(
    model: str, outputs: Mapping[str, ArrayLike], rows: int | None, signature: Signature | None
) -> dict[str, Array]:
    """The arrays that outputs lend or are made into.

    Shapes are not checked: a configuration may reshape an output behind the signature.

    Args:
        model: its name.
        outputs: of one request or of a whole batch.
        rows: how many each of them must have; ``None``: the model has no batch axis.
        signature: ``None``: only rows are checked.

    Raises:
        RefusedError: they do not fit the model.
    """
    specs = {spec.name: spec for spec in signature.outputs} if signature else {}
    taken = {}
    for name, value in outputs.items():
        if signature is not None and name not in specs:
            text = f"model '{model}' has no output '{name}'"
            raise RefusedError(Reason.NAME, Code.INTERNAL, text)
        try:
            taken[name] = _taken(value, specs.get(name))
        except Exception as error:
            text = error.message if isinstance(error, BackendError) else _text_of(error)
            text = f"output '{name}' of model '{model}': {text}"
            raise RefusedError(Reason.DATATYPE, Code.INTERNAL, text) from error
    for name, (array, datatype) in taken.items():
        where = f"output '{name}' of model '{model}'"
        if name in specs and datatype != specs[name].datatype:
            text = f"{where} is {datatype}, the configuration says {specs[name].datatype}"
            raise RefusedError(Reason.DATATYPE, Code.INTERNAL, text)
        if rows is not None and (array.ndim == 0 or len(array) != rows):
            shape = ",".join(map(str, array.shape))
            text = f"{where} has shape [{shape}], but the batch has {rows} rows"
            raise RefusedError(Reason.ROWS, Code.INTERNAL, text)
    return {name: array for name, (array, _) in taken.items()}


def parameters_of(
    model: str, parameters: Mapping[str, ParameterValue] | None
) -> dict[str, ParameterValue]:
    """The custom parameters of an answer.

    Raises:
        RefusedError: there is one that cannot be.
    """
    for name, value in parameters.items() if parameters is not None else ():
        if problem := _problem(name, value):
            text = f"an answer of model '{model}': {problem}"
            raise RefusedError(Reason.PARAMETER, Code.INTERNAL, text)
    return dict(parameters or {})


def _problem(name: Any, value: Any) -> str | None:
    if not (isinstance(name, str) and _fits_utf8(name)):
        return "the name of a parameter is not a text that UTF-8 can carry"
    if isinstance(value, bool | float):
        return None
    if isinstance(value, int):
        fits = -(2**63) <= value < 2**63
        return None if fits else f"parameter '{name}' is out of range for 'int'."
    if isinstance(value, str):
        fits = _fits_utf8(value)
        return None if fits else f"parameter '{name}' is not a text that UTF-8 can carry"
    kinds = "either 'int', 'bool', 'float' or 'string'"
    return f"parameter '{name}' has invalid type. It should be {kinds}."


def _fits_utf8(text: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _taken(value: ArrayLike, spec: TensorSpec | None) -> tuple[Array, str | None]:
    """The array and its datatype, which is not known without a specification."""
    if hasattr(type(value), "__dlpack__") and not isinstance(value, np.ndarray):
        return _borrowed(value, spec)
    elements = spec is not None and spec.datatype == "BYTES" and not isinstance(value, np.ndarray)
    array: Array = np.asanyarray(value, object if elements else None)
    return array, _datatype_of(array, spec)


def _borrowed(value: Any, spec: TensorSpec | None) -> tuple[Array, str | None]:
    device = value.__dlpack_device__()
    try:
        kind, number = map(int, device)
    except (TypeError, ValueError):
        text = "__dlpack_device__() does not give two numbers"
        raise BackendError(Code.INVALID_ARGUMENT, text) from None
    if kind not in HOST_DEVICES:
        name = DEVICE_NAMES.get(kind)
        place = f"{name}:{number}" if name else f"the device {number} of DLPack's type {kind}"
        text = f"the tensor lies on {place}, but only memory of the host is taken: copy it there"
        raise BackendError(Code.INVALID_ARGUMENT, f"{text} first")
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # numpy has none
        return np.from_dlpack(value.view(sys.modules["torch"].uint16)), "BF16"
    array = np.from_dlpack(value)
    # uint16 stands in for bfloat16 in arrays of numpy only.
    return array, "UINT16" if array.dtype == np.uint16 else _datatype_of(array, spec)


def _datatype_of(array: Array, spec: TensorSpec | None) -> str | None:
    if array.dtype.kind in "OSU":
        for element in array.ravel().tolist() if array.dtype.kind == "O" else ():
            _check_element(element)
        return "BYTES"
    dtype = array.dtype.newbyteorder("=")
    if spec is not None and dtype == spec.dtype:
        return spec.datatype
    for name, each in NUMPY_DTYPES.items():
        if dtype == each:
            return name
    raise BackendError(Code.INVALID_ARGUMENT, f"no datatype carries arrays of {array.dtype}")


def _check_element(element: Any) -> None:
    if isinstance(element, str):
        element.encode()
    elif not isinstance(element, bytes):
        raise TypeError(f"expected bytes, {type(element).__name__} found")


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
