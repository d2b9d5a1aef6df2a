"""Every public method of tritonclient.http and its asyncio module, as harness.http_table says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.http as blocking
import tritonclient.http.aio as asynchronous
from harness.http_client import MODULES, Client, outcome, public_methods
from harness.http_table import METHODS, ONLY_BLOCKING, VALUES, Row
from harness.repository import add_model, fixture, identity
from harness.serve import Serve

# A request waits for a second one, longer than a test lasts.
PATIENT = "dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 250000000 }"


@pytest.fixture(scope="module")
def serving(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("serving")
    more = folder / "more"
    add_model(more, "double", fixture("scale"), {"1/factor": b"2"})
    add_model(more, "patient", identity().replace("dynamic_batching { }", PATIENT))
    flags = ["--model-control-mode=explicit", "--load-model=*", "--allow-client-shm=true"]
    flags.append(f"--trace-config=triton,file={folder / 'traces.json'}")
    flags.append("--http-header-forward-pattern=^(authorization|x-any)$")
    with Serve([zoo, more], folder, *flags) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module", params=MODULES)
def client(serving: Serve, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = Client(MODULES[request.param], serving.address)
    yield made
    made.end()


CALLS = [
    pytest.param(module, row, id="-".join(filter(None, [module, row.method, row.what])))
    for module in MODULES
    for row in METHODS + VALUES
    if row.method not in ONLY_BLOCKING or MODULES[module] is blocking
]


@pytest.mark.parametrize(("client", "row"), CALLS, indirect=["client"])
def test_a_call_does_what_the_table_says(client: Client, row: Row) -> None:
    client.called.clear()
    assert outcome(lambda: row.call(client)) == row.expected
    assert row.method in client.called or row in VALUES


def test_the_table_names_every_method_of_the_clients() -> None:
    named = {row.method for row in METHODS}
    assert public_methods(blocking.InferenceServerClient) == named
    assert public_methods(asynchronous.InferenceServerClient) == named - ONLY_BLOCKING


def test_the_table_names_every_method_of_what_they_take_and_give() -> None:
    kinds = (
        blocking.InferInput,
        blocking.InferRequestedOutput,
        blocking.InferResult,
        blocking.InferAsyncRequest,
    )
    methods = {f"{kind.__name__}.{name}" for kind in kinds for name in public_methods(kind)}
    assert methods == {row.method for row in VALUES}
    assert all(getattr(asynchronous, kind.__name__) is kind for kind in kinds)


def test_headers_and_a_query_change_nothing(client: Client) -> None:
    """Of every method that takes them and needs nothing else."""
    kind = client.module.InferenceServerClient
    for name in sorted(public_methods(kind)):
        _, *accepted = inspect.signature(getattr(kind, name)).parameters.values()
        optional = all(each.default is not inspect.Parameter.empty for each in accepted)
        if optional and {"headers", "query_params"} <= {each.name for each in accepted}:
            method = getattr(client, name)
            both = method(headers={"x-any": "1"}, query_params={"any": ["1", 2]})
            assert both == method(), name
