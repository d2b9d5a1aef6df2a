"""tritonclient.http.aio, unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http.aio as triton
from harness.http_client import tensor
from harness.serve import Serve

Use = Callable[[triton.InferenceServerClient], Awaitable[None]]


@pytest.fixture
def with_client(server: Serve) -> Callable[[Use], None]:
    """Runs an async function with a client, in a loop of its own."""

    async def run(use: Use) -> None:
        async with triton.InferenceServerClient(server.address) as client:
            await use(client)

    return lambda use: asyncio.run(run(use))


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize(
    ("datatype", "array"),
    [
        ("BOOL", np.array([[True, False]])),
        ("UINT8", np.array([[0, 255]], np.uint8)),
        ("UINT64", np.array([[0, 2**64 - 1]], np.uint64)),
        ("INT64", np.array([[-(2**63), 2**63 - 1]], np.int64)),
        ("FP32", np.array([[0.1, -1.5]], np.float32)),
        ("FP64", np.array([[0.1, -1.5]], np.float64)),
        ("BYTES", np.array([[b"a", b""]], object)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_datatypes_come_back(
    with_client: Callable[[Use], None], datatype: str, array: np.ndarray, binary: bool
) -> None:
    async def use(client: triton.InferenceServerClient) -> None:
        answer = await client.infer(
            f"identity_{datatype.lower()}",
            [tensor(array, datatype, binary=binary)],
            outputs=[triton.InferRequestedOutput("OUTPUT0", binary_data=binary)],
        )
        got = answer.as_numpy("OUTPUT0")
        if datatype == "BYTES" and not binary:
            got = np.array([[each.encode() for each in row] for row in got], object)
        assert np.array_equal(got, array)

    with_client(use)


def test_many_requests_at_once_get_their_own_answers(with_client: Callable[[Use], None]) -> None:
    async def use(client: triton.InferenceServerClient) -> None:
        arrays = [np.full((1, 3), i, np.float32) for i in range(200)]
        answers = await asyncio.gather(
            *(client.infer("identity_fp32", [tensor(array)]) for array in arrays)
        )
        for array, answer in zip(arrays, answers, strict=True):
            assert np.array_equal(answer.as_numpy("OUTPUT0"), array)

    with_client(use)


def test_a_request_that_the_client_gives_up_harms_no_other(
    with_client: Callable[[Use], None], tmp_path: Path
) -> None:
    async def use(client: triton.InferenceServerClient) -> None:
        x, held = [tensor(np.ones((1, 1), np.float32), name="X")], tmp_path / "held"
        parameters = {"behaviour": f"hold:{held}"}
        given_up = asyncio.create_task(client.infer("behaviour", x, parameters=parameters))
        async with asyncio.timeout(60):
            while not held.exists():
                assert not given_up.done()
                await asyncio.sleep(0.005)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        held.unlink()
        answer = await client.infer("behaviour", x)
        assert answer.as_numpy("Y") == 2

    with_client(use)
