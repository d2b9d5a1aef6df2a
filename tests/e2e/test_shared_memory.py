"""Shared memory of the system, as tritonclient uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as client
import tritonclient.utils.shared_memory as shared
from harness.serve import Serve
from tritonclient.utils import InferenceServerException

ROWS = np.arange(16, dtype=np.float32).reshape(2, 8)


@pytest.fixture(scope="module")
def lending(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("lending")
    with Serve(zoo, folder, "--allow-client-shm=true") as running:
        yield running
        assert running.stop() == 0, running.stderr


@pytest.fixture
def triton(lending: Serve) -> Iterator[client.InferenceServerClient]:
    with client.InferenceServerClient(lending.address) as connected:
        yield connected
        connected.unregister_system_shared_memory()


@pytest.fixture
def region(triton: client.InferenceServerClient) -> Iterator[object]:
    """A region "both": the input, and behind it room for the output."""
    handle = shared.create_shared_memory_region("both", "/despina_e2e", 2 * ROWS.nbytes)
    try:
        triton.register_system_shared_memory("both", "/despina_e2e", 2 * ROWS.nbytes)
        yield handle
    finally:
        shared.destroy_shared_memory_region(handle)


def through(triton: client.InferenceServerClient, model: str = "identity_fp32") -> object:
    """Sends the first half of the region, and asks for the answer in the second."""
    tensor = client.InferInput("INPUT0", ROWS.shape, "FP32")
    tensor.set_shared_memory("both", ROWS.nbytes)
    output = client.InferRequestedOutput("OUTPUT0", binary_data=False)
    output.set_shared_memory("both", ROWS.nbytes, offset=ROWS.nbytes)
    return triton.infer(model, [tensor], outputs=[output])


def test_a_region_that_is_cut_short_under_a_running_server(
    triton: client.InferenceServerClient, region: object, lending: Serve
):
    shared.set_shared_memory_region(region, [ROWS])
    object_file = Path("/dev/shm/despina_e2e")
    with object_file.open("r+b") as file:
        file.truncate(4)
    for _ in range(3):
        with pytest.raises(InferenceServerException, match="smaller than it was"):
            through(triton)
    assert lending.ready()


def test_by_default_nothing_can_be_lent(server: Serve):
    with client.InferenceServerClient(server.address) as triton:
        with pytest.raises(InferenceServerException, match="--allow-client-shm=true"):
            triton.register_system_shared_memory("r", "/despina_e2e", 64)
        with pytest.raises(InferenceServerException, match="Unable to find shared memory region"):
            through(triton)
