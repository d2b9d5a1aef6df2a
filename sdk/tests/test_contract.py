import subprocess
import sys

import numpy as np
import pytest

from despina_sdk import NUMPY_DTYPES, BackendError, Code, TensorSpec


@pytest.mark.parametrize("datatype", ["FP31", "fp32", "TYPE_FP32", "STRING", ""])
def test_a_datatype_that_the_protocol_lacks_is_refused_by_name(datatype: str) -> None:
    with pytest.raises(ValueError, match=f"tensor 'X': datatype '{datatype}' is none of BOOL, "):
        TensorSpec("X", datatype, (1,))


@pytest.mark.parametrize(
    ("datatype", "size"),
    [
        ("BOOL", 1),
        ("UINT8", 1),
        ("UINT16", 2),
        ("UINT32", 4),
        ("UINT64", 8),
        ("INT8", 1),
        ("INT16", 2),
        ("INT32", 4),
        ("INT64", 8),
        ("FP16", 2),
        ("FP32", 4),
        ("FP64", 8),
        ("BF16", 2),
    ],
)
def test_elements_are_as_wide_as_on_the_wire(datatype: str, size: int) -> None:
    assert TensorSpec("X", datatype, (1,)).dtype.itemsize == size


def test_strings_are_objects() -> None:
    assert TensorSpec("X", "BYTES", (1,)).dtype == np.dtype(object)


def test_the_table_of_datatypes_is_complete_and_cannot_be_changed() -> None:
    assert len(NUMPY_DTYPES) == 14
    with pytest.raises(TypeError):
        NUMPY_DTYPES["FP8"] = np.dtype(np.uint8)  # type: ignore[index]


def test_an_error_carries_its_code_and_text() -> None:
    error = BackendError(Code.NOT_FOUND, "no such thing")
    assert error.code is Code.NOT_FOUND
    assert error.message == str(error) == "no such thing"


def test_codes_have_the_values_of_grpc() -> None:
    values = {"OK": 0, "INVALID_ARGUMENT": 3, "NOT_FOUND": 5, "INTERNAL": 13, "UNAVAILABLE": 14}
    assert {name: Code[name].value for name in values} == values


PRINT_WHAT_AN_IMPORT_BRINGS = """
import sys
before = set(sys.modules)
import {module}
roots = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(roots - set(sys.stdlib_module_names)))
"""


@pytest.mark.parametrize(
    ("module", "brings"),
    [
        ("despina_sdk", {"despina_sdk", "numpy"}),
        ("despina_sdk.testing", {"despina_sdk", "numpy"}),
        ("despina_sdk.hooks", {"despina_sdk", "numpy", "pluggy"}),
    ],
)
def test_an_import_is_light(module: str, brings: set[str]) -> None:
    code = PRINT_WHAT_AN_IMPORT_BRINGS.format(module=module)
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert set(output.split()) == brings
