"""The inputs of the requests: made up, or given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from despina.bench.model import Description, Input
from despina.errors import DespinaError
from despina.text import did_you_mean
from despina_sdk import NUMPY_DTYPES, Array, Code

MAX_BYTES = 1 << 30
"""Of one input that is made up: more is a mistake in a shape."""

INTEGERS = 10
"""Integers that are made up lie below."""

TEXT = b"despina"
"""Each element of BYTES that is made up."""


def make_inputs(
    model: Description,
    shapes: Mapping[str, tuple[int, ...]],
    given: Mapping[str, str],
    batch: int,
) -> dict[str, Array]:
    """One array per input, of the shape that a request has.

    Floats that are made up lie between 0 and 1, integers between 0 and 9; they are the same each
    time. Optional inputs are left out unless something is said of them.

    Args:
        model: that takes them.
        shapes: by input, with or without the batch axis.
        given: by input: the path of a ``.npy`` file, or ``@`` and that of a file which is the one
            element of an input of BYTES.
        batch: rows of a request.

    Raises:
        DespinaError: INVALID_ARGUMENT: they do not fit the model, or a file cannot be read; names
            the input.
    """
    if batch > max(model.max_batch_size, 1):
        raise _invalid(f"--batch={batch}: {_batch_limit(model)}")
    names = [each.name for each in model.inputs]
    for flag, mentioned in (("--shape", shapes), ("--input", given)):
        for name in mentioned:
            if name not in names:
                hint = did_you_mean(name, names)
                raise _invalid(f"{flag}: model '{model.name}' has no input '{name}'{hint}")
    made = {}
    for index, each in enumerate(model.inputs):
        if each.name in given:
            made[each.name] = _given(model, each, given[each.name], shapes.get(each.name), batch)
        elif each.name in shapes or not each.optional:
            made[each.name] = _made_up(model, each, shapes.get(each.name), batch, index)
    return made


def _batch_limit(model: Description) -> str:
    if model.max_batch_size:
        return f"model '{model.name}' takes up to {model.max_batch_size} rows (max_batch_size)"
    return f"model '{model.name}' has no batch axis (max_batch_size is 0)"


def _made_up(
    model: Description, spec: Input, said: tuple[int, ...] | None, batch: int, seed: int
) -> Array:
    shape = _shape(model, spec, said, batch)
    dtype = NUMPY_DTYPES[spec.datatype]
    size = math.prod(shape) * (len(TEXT) + 4 if spec.datatype == "BYTES" else dtype.itemsize)
    if size > MAX_BYTES:
        raise _invalid(f"input '{spec.name}' of shape {list(shape)} would be {size} bytes")
    random = np.random.default_rng(seed)
    if spec.datatype == "BYTES":
        return np.full(shape, TEXT, np.object_)
    if spec.datatype == "BF16":  # the upper halves of FP32
        return (random.random(shape, np.float32).view(np.uint32) >> 16).astype(dtype)
    if dtype.kind == "f":
        return random.random(shape, np.float32).astype(dtype)
    return random.integers(0, 2 if dtype.kind == "b" else INTEGERS, shape).astype(dtype)


def _shape(
    model: Description, spec: Input, said: tuple[int, ...] | None, batch: int
) -> tuple[int, ...]:
    """Of a request, with every axis known."""
    row = spec.shape[1:] if model.max_batch_size else spec.shape
    rows = (batch,) if model.max_batch_size else ()
    if said is None:
        if -1 in row:
            example = ",".join("N" if dim < 0 else str(dim) for dim in row)
            text = f"input '{spec.name}' has the shape {list(row)}: say which, as with"
            raise _invalid(f"{text} --shape {spec.name}:{example}")
        return rows + row
    if rows and len(said) == len(spec.shape) and said[0] == batch:
        said = said[1:]
    if len(said) != len(row) or any(b not in (-1, a) for a, b in zip(said, row, strict=True)):
        beside = f" in a batch of {batch}" if rows else ""
        text = f"--shape {spec.name}:{','.join(map(str, said))}"
        raise _invalid(f"{text}: the input has the shape {list(row)}{beside}")
    return rows + said


def _given(
    model: Description, spec: Input, source: str, said: tuple[int, ...] | None, batch: int
) -> Array:
    flag = f"--input {spec.name}={source}"
    if source.startswith("@"):
        return _file_element(model, spec, flag, Path(source[1:]), batch)
    try:
        array: Array = np.load(source, mmap_mode=None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None) or "it is no .npy file without Python objects"
        raise _invalid(f"{flag}: {why}") from error
    if not isinstance(array, np.ndarray):
        raise _invalid(f"{flag}: it is no .npy file without Python objects")
    array = _typed(spec, array, flag)
    row = list(spec.shape[1:] if model.max_batch_size else spec.shape)
    if said is not None:
        raise _invalid(f"{flag}: --shape {spec.name} cannot go with it, the file has a shape")
    if model.max_batch_size and array.ndim == len(row):  # one row, for all of the batch
        array = np.broadcast_to(array, (batch, *array.shape))
    wanted = [batch, *row] if model.max_batch_size else row
    if not _fits(array.shape, wanted):
        raise _invalid(f"{flag}: its shape is {list(array.shape)}, the input's is {wanted}")
    return np.ascontiguousarray(array)


def _typed(spec: Input, array: Array, flag: str) -> Array:
    if spec.datatype == "BYTES" and array.dtype.kind in "SU":
        encoded = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
        return encoded.astype(np.object_)
    if array.dtype != NUMPY_DTYPES[spec.datatype] or spec.datatype == "BYTES":
        text = f"{flag}: its elements are {array.dtype}, the input takes {spec.datatype}"
        raise _invalid(text)
    return array


def _file_element(model: Description, spec: Input, flag: str, path: Path, batch: int) -> Array:
    if spec.datatype != "BYTES":
        raise _invalid(f"{flag}: a file as it is can only be BYTES, and this is {spec.datatype}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _invalid(f"{flag}: {error.strerror}") from error
    row = tuple(abs(dim) for dim in (spec.shape[1:] if model.max_batch_size else spec.shape))
    if math.prod(row) != 1:
        raise _invalid(f"{flag}: one file is one element, and the input's shape is {list(row)}")
    array = np.empty((batch, *row) if model.max_batch_size else row, np.object_)
    array[...] = content
    return array


def _fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return len(shape) == len(wanted) and all(
        most in (-1, dim) for dim, most in zip(shape, wanted, strict=True)
    )


def _invalid(text: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, text)
