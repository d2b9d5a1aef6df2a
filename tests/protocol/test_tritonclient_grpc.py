"""Every public method of tritonclient.grpc and its asyncio module, as harness.grpc_table says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.grpc as blocking
import tritonclient.grpc.aio as asynchronous
from harness.grpc_client import MODULES, Client
from harness.grpc_table import METHODS, ONLY_ASYNCIO, ONLY_BLOCKING, VALUES, Row
from harness.http_client import outcome, public_methods
from harness.repository import REPEAT, add_model, fixture
from harness.serve import Serve
from tritonclient.grpc._client import CallContext


@pytest.fixture(scope="module")
def serving(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("serving")
    more = folder / "more"
    add_model(more, "double", fixture("scale"), {"1/factor": b"2"})
    add_model(more, "repeat", REPEAT)
    flags = ["--model-control-mode=explicit", "--load-model=*", "--allow-client-shm=true"]
    flags.append(f"--trace-config=triton,file={folder / 'traces.json'}")
    flags.append("--grpc-header-forward-pattern=^(authorization|x-any)$")
    with Serve([zoo, more], folder, *flags) as running:
        yield running
        assert running.ready()
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module", params=MODULES)
def client(serving: Serve, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = Client(MODULES[request.param], f"127.0.0.1:{serving.grpc_port}")
    yield made
    made.end()


OF_THE_OTHER = {blocking: ONLY_ASYNCIO, asynchronous: ONLY_BLOCKING}
CALLS = [
    pytest.param(name, row, id="-".join(filter(None, [name, row.method, row.what])))
    for name, module in MODULES.items()
    for row in METHODS + VALUES
    if row.method not in OF_THE_OTHER[module]
]


@pytest.mark.parametrize(("client", "row"), CALLS, indirect=["client"])
def test_a_call_does_what_the_table_says(client: Client, row: Row) -> None:
    client.called.clear()
    assert outcome(lambda: row.call(client)) == row.expected
    assert row.method in client.called or row in VALUES


def test_the_table_names_every_method_of_the_clients() -> None:
    named = {row.method for row in METHODS}
    assert public_methods(blocking.InferenceServerClient) == named - ONLY_ASYNCIO
    assert public_methods(asynchronous.InferenceServerClient) == named - ONLY_BLOCKING


def test_the_table_names_every_method_of_what_they_take_and_give() -> None:
    kinds = (
        blocking.InferInput,
        blocking.InferRequestedOutput,
        blocking.InferResult,
        CallContext,
    )
    methods = {f"{kind.__name__}.{name}" for kind in kinds for name in public_methods(kind)}
    assert methods == {row.method for row in VALUES}


def test_headers_and_a_time_change_nothing(client: Client) -> None:
    """Of every method that takes them and needs nothing else."""
    kind = client.module.InferenceServerClient
    for name in sorted(public_methods(kind)):
        _, *accepted = inspect.signature(getattr(kind, name)).parameters.values()
        optional = all(each.default is not inspect.Parameter.empty for each in accepted)
        if optional and {"headers", "client_timeout"} <= {each.name for each in accepted}:
            method = getattr(client, name)
            both = method(headers={"x-any": "1"}, client_timeout=250.0)
            assert both == method(), name


def test_a_client_that_keeps_its_connection_alive(serving: Serve) -> None:
    """Its options are those of grpcio's channel; the server answers the pings."""
    options = blocking.KeepAliveOptions(keepalive_time_ms=2**31 - 1, keepalive_timeout_ms=20_000)
    address = f"127.0.0.1:{serving.grpc_port}"
    with blocking.InferenceServerClient(address, keepalive_options=options) as client:
        assert client.is_server_live()
