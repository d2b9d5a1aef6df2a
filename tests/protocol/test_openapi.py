"""The server's own description of its routes, and requests that are made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from harness.repository import add_model, identity
from harness.serve import Serve
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

SETTINGS = ("log_settings_update", "trace_settings_update", "model_trace_settings_update")
REFUSED = ("named_repository", "cuda_memory_register", *SETTINGS)
"""Operations that the protocol has and this server has not, or not for a file's name: 501."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    repository = tmp_path_factory.mktemp("models")
    add_model(repository, "identity", identity("FP32"))
    add_model(repository, "repeat", 'backend: "repeat"\n')
    flags = ("--model-control-mode=explicit", "--load-model=*", "--allow-client-shm=true")
    with Serve(repository, tmp_path_factory.mktemp("server"), *flags) as running:
        yield running
        assert running.get("/v2/health/live")[0] == 200
        assert running.stop() == 0, running.stderr


def name_models(context: object, path_parameters: dict[str, Any] | None) -> object:
    """Half of the requests are about models that there are."""
    known = ("identity", "repeat")
    if path_parameters and "model" in path_parameters and len(str(path_parameters["model"])) % 2:
        path_parameters["model"] = known[len(path_parameters["model"]) % 4 // 2]
    return path_parameters


@pytest.fixture(scope="module")
def api(described: Serve) -> Any:
    loaded = schemathesis.openapi.from_url(f"http://{described.address}/v2/openapi.json")
    loaded.hook("map_path_parameters")(name_models)
    return loaded


def send_all(operation: Any) -> None:
    """Sends what may be sent, and more, to one operation."""
    name = operation.definition.raw["operationId"]

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def send(case: schemathesis.Case) -> None:
        response = case.call(timeout=30)
        refused = name.startswith(REFUSED) and response.status_code == 501
        assert response.status_code < 500 or refused, (name, response.text)
        checks = [content_type_conformance, response_schema_conformance]
        case.validate_response(response, checks=checks)

    send()


def test_no_request_ends_in_an_error_of_the_server(api: Any) -> None:
    operations = [each.ok() for each in api.get_all_operations()]
    described = sum(map(len, api.raw_schema["paths"].values()))
    assert len(operations) == described - 1, "all but the description itself"
    for operation in operations:
        send_all(operation)


def test_the_description_names_what_there_is(described: Serve) -> None:
    document = described.json("/v2/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]["/v2/models/{model}/infer"]) == {"post"}
    for path, methods in document["paths"].items():
        if "get" in methods and "{" not in path:
            status, body = described.get(path)
            assert status == 200, (path, body)
            assert not body or json.loads(body) is not None
