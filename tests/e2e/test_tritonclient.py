"""tritonclient.http, unmodified and synchronous, as users have it in their programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from harness.http_client import tensor
from harness.serve import Serve
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

SAMPLES: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "UINT8": [0, 7, 255],
    "UINT16": [0, 7, 2**16 - 1],
    "UINT32": [0, 7, 2**32 - 1],
    "UINT64": [0, 7, 2**64 - 1],
    "INT8": [-128, 0, 127],
    "INT16": [-(2**15), 0, 2**15 - 1],
    "INT32": [-(2**31), 0, 2**31 - 1],
    "INT64": [-(2**63), 0, 2**63 - 1],
    "FP16": [-1.5, 0.0, 65504.0],
    "FP32": [-1.5, 0.1, 3.4e38],
    "FP64": [-1.5, 0.1, 1.7e308],
    "BYTES": [b"", b"text", "žluťoučký".encode()],
}


@pytest.fixture(scope="module")
def client(server: Serve) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.address, concurrency=4) as made:
        yield made


def floats(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 0.5


def refused(call: Callable[[], object]) -> InferenceServerException:
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("output_binary", [True, False], ids=["binary-out", "json-out"])
@pytest.mark.parametrize("input_binary", [True, False], ids=["binary-in", "json-in"])
@pytest.mark.parametrize("model", ["identity", "plain"])
@pytest.mark.parametrize("datatype", sorted(SAMPLES))
def test_every_datatype_comes_back(
    client: triton.InferenceServerClient,
    datatype: str,
    model: str,
    input_binary: bool,
    output_binary: bool,
) -> None:
    if datatype == "FP16" and not (input_binary and output_binary):
        pytest.skip("JSON does not carry FP16")
    array = np.array(SAMPLES[datatype], triton_to_np_dtype(datatype))
    array = array.reshape(1, -1) if model == "identity" else array
    output = triton.InferRequestedOutput("OUTPUT0", binary_data=output_binary)
    answer = client.infer(
        f"{model}_{datatype.lower()}",
        [tensor(array, datatype, binary=input_binary)],
        outputs=[output],
    )
    got = answer.as_numpy("OUTPUT0")
    if datatype == "BYTES":
        # Of JSON the client makes text again.
        got = np.array([e if isinstance(e, bytes) else e.encode() for e in got.ravel()], object)
        got = got.reshape(array.shape)
    assert got.dtype == array.dtype
    assert np.array_equal(got, array)
    described = answer.get_output("OUTPUT0")
    assert described["datatype"] == datatype
    assert described["shape"] == list(array.shape)


def test_bf16_comes_back(client: triton.InferenceServerClient) -> None:
    """Clients of old cut FP32 to BF16 themselves; newer ones want a type of its own."""
    bfloat16 = triton_to_np_dtype("BF16")
    array = np.array([[1.0, -2.5, 0.0078125]], np.float32)
    answer = client.infer("identity_bf16", [tensor(array.astype(bfloat16), "BF16")])
    got = answer.as_numpy("OUTPUT0")
    assert got.dtype == bfloat16
    assert np.array_equal(got.astype(np.float32), array)
    assert answer.get_output("OUTPUT0")["datatype"] == "BF16"


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize(("model", "shape"), [("identity_fp32", (2, 0)), ("plain_fp32", (0,))])
def test_zero_elements_come_back(
    client: triton.InferenceServerClient, model: str, shape: tuple[int, ...], binary: bool
) -> None:
    output = triton.InferRequestedOutput("OUTPUT0", binary_data=binary)
    answer = client.infer(model, [tensor(floats(*shape), binary=binary)], outputs=[output])
    assert answer.get_output("OUTPUT0")["shape"] == list(shape)
    assert answer.as_numpy("OUTPUT0").size == 0


def test_rows_of_a_large_batch_keep_their_order(client: triton.InferenceServerClient) -> None:
    array = floats(8, 50_000)
    answer = client.infer("identity_fp32", [tensor(array)])
    assert np.array_equal(answer.as_numpy("OUTPUT0"), array)


def test_an_optional_input_may_be_left_out(client: triton.InferenceServerClient) -> None:
    x, y = floats(2, 3), floats(2, 3) * 10
    both = client.infer("pair", [tensor(x, name="X"), tensor(y, name="Y")])
    assert np.array_equal(both.as_numpy("SUM"), x + y)
    assert np.array_equal(both.as_numpy("DIFFERENCE"), x - y)
    alone = client.infer("pair", [tensor(x, name="X")])
    assert np.array_equal(alone.as_numpy("SUM"), x)


def test_only_the_outputs_asked_for_come_in_the_order_of_the_model(
    client: triton.InferenceServerClient,
) -> None:
    def ask(*names: str) -> list[str]:
        outputs = [triton.InferRequestedOutput(name) for name in names]
        answer = client.infer("pair", [tensor(floats(1, 2), name="X")], outputs=outputs)
        return [output["name"] for output in answer.get_response()["outputs"]]

    assert ask("DIFFERENCE") == ["DIFFERENCE"]
    assert ask("DIFFERENCE", "SUM") == ["SUM", "DIFFERENCE"]


def test_requests_of_async_infer_all_come_back(client: triton.InferenceServerClient) -> None:
    arrays = [floats(1, 5) + i for i in range(20)]
    pending = [client.async_infer("identity_fp32", [tensor(array)]) for array in arrays]
    for array, each in zip(arrays, pending, strict=True):
        assert np.array_equal(each.get_result().as_numpy("OUTPUT0"), array)


NO_ID = "[request id: <id_unknown>] "

ERRORS: dict[str, tuple[str, list[triton.InferInput], dict[str, Any], str, str]] = {
    "unknown model": (
        "nobody",
        [tensor(floats(1, 1))],
        {},
        "404",
        "Request for unknown model: 'nobody' is not found",
    ),
    "unknown version": (
        "identity_fp32",
        [tensor(floats(1, 1))],
        {"model_version": "7"},
        "404",
        "Request for unknown model: 'identity_fp32' version 7 is not found",
    ),
    "missing input": (
        "pair",
        [],
        {},
        "400",
        NO_ID + "expected number of inputs between 1 and 2 but got 0 inputs for model 'pair'."
        " Got input(s) [], but missing required input(s) ['X']."
        " Please provide all required input(s).",
    ),
    "wrong datatype": (
        "identity_fp32",
        [tensor(np.ones((1, 1), np.int32), "INT32")],
        {},
        "400",
        NO_ID + "inference input 'INPUT0' data-type is 'INT32', but model 'identity_fp32'"
        " expects 'FP32'",
    ),
    "unknown input": (
        "identity_fp32",
        [tensor(floats(1, 1), name="IN9")],
        {},
        "400",
        "unexpected inference input 'IN9' for model 'identity_fp32'",
    ),
    "unknown output": (
        "identity_fp32",
        [tensor(floats(1, 1))],
        {"outputs": [triton.InferRequestedOutput("NOPE")]},
        "400",
        "unexpected inference output 'NOPE' for model 'identity_fp32'",
    ),
    "too many rows": (
        "identity_fp32",
        [tensor(floats(9, 1))],
        {"request_id": "r1"},
        "400",
        "[request id: r1] inference request batch-size must be <= 8 for 'identity_fp32'",
    ),
    "rows that differ": (
        "pair",
        [tensor(floats(1, 1), name="X"), tensor(floats(2, 1), name="Y")],
        {},
        "400",
        NO_ID + "input 'Y' batch size does not match other inputs for 'pair'",
    ),
    "wrong shape": (
        "fixed",
        [tensor(np.ones((1, 3, 3), np.int32), "INT32")],
        {},
        "400",
        NO_ID + "unexpected shape for input 'INPUT0' for model 'fixed'."
        " Expected [-1,2,3], got [1,3,3].",
    ),
    "classification of bytes": (
        "identity_bytes",
        [tensor(np.array([[b"a"]], object), "BYTES")],
        {"outputs": [triton.InferRequestedOutput("OUTPUT0", class_count=1)]},
        "400",
        "BYTES",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_reaches_the_client_with_its_text(
    client: triton.InferenceServerClient, what: str
) -> None:
    model, inputs, arguments, status, text = ERRORS[what]
    error = refused(lambda: client.infer(model, inputs, **arguments))
    assert error.status() == status
    assert text in error.message()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INVALID_ARGUMENT", "400"),
        ("FAILED_PRECONDITION", "400"),
        ("NOT_FOUND", "404"),
        ("INTERNAL", "500"),
        ("UNIMPLEMENTED", "501"),
        ("UNAVAILABLE", "503"),
    ],
)
@pytest.mark.parametrize("how", ["raise_code", "fail_code"])
def test_the_code_of_a_backend_becomes_the_status(
    client: triton.InferenceServerClient, how: str, code: str, status: str
) -> None:
    error = refused(
        lambda: client.infer(
            "behaviour",
            [tensor(floats(1, 1), name="X")],
            parameters={"behaviour": f"{how}:{code}"},
        )
    )
    assert error.status() == status
    assert f"{code} on purpose" in error.message()
