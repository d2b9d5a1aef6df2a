"""``--http-header-forward-pattern``: headers of a request are parameters that a backend sees."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Answer, Connection, json_infer, request
from harness.serve import Serve

PATTERN = "^x-|user|priority|triton"
X = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}


@pytest.fixture(scope="module")
def forwarding(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("forwarding")
    with Serve(zoo, folder, f"--http-header-forward-pattern={PATTERN}") as running:
        yield running
        assert running.stop() == 0, running.stderr


def ask(server: Serve, headers: Mapping[str, object], **parameters: Any) -> Answer:
    document = {"inputs": [X], "parameters": parameters}
    with Connection(server.port) as connection:
        return connection.exchange(json_infer("describe", document, headers))


def seen(answer: Answer) -> Any:
    """The parameters that the backend saw."""
    (text,) = (each["data"][0] for each in answer.json["outputs"] if each["name"] == "ABOUT")
    return json.loads(text)["parameters"]


def test_headers_that_match_are_parameters(forwarding: Serve) -> None:
    headers = {"X-One": "1", "x-two": "a b", "api-USER": "žofie", "other": "no", "a-x-b": "no"}
    answer = ask(forwarding, headers, mine="json")
    assert seen(answer) == {"mine": "json", "X-One": "1", "x-two": "a b", "api-USER": "žofie"}


def test_a_header_that_comes_twice_is_a_list(forwarding: Serve) -> None:
    data = json_infer("describe", {"inputs": [X]}, {"X-One": "1\r\nx-one: 2"})
    with Connection(forwarding.port) as connection:
        assert seen(connection.exchange(data)) == {"X-One": "1, 2"}


def test_without_headers_that_match_there_is_nothing(forwarding: Serve) -> None:
    assert seen(ask(forwarding, {})) == {}


def test_without_the_flag_nothing_is_forwarded(server: Serve) -> None:
    assert seen(ask(server, {"x-one": "1", "priority": "2", "triton_x": "3"})) == {}


@pytest.mark.parametrize("name", ["priority", "Priority", "triton_x", "TRITON_enable"])
def test_reserved_names_are_refused(forwarding: Serve, name: str) -> None:
    answer = ask(forwarding, {name: "1"})
    assert answer.status == 400
    text = f"header '{name}' cannot be forwarded: parameters of this name are reserved"
    assert answer.error == text


def test_a_parameter_and_a_header_of_one_name_are_refused(forwarding: Serve) -> None:
    answer = ask(forwarding, {"X-User": "of the gateway"}, **{"x-user": "of the client"})
    assert (answer.status, answer.error) == (400, "parameter 'x-user' is a header too")


def test_a_header_that_is_no_text_is_refused(forwarding: Serve) -> None:
    data = json_infer("describe", {"inputs": [X]}, {"x-one": "@"}).replace(b"@", b"\xe9")
    with Connection(forwarding.port) as connection:
        answer = connection.exchange(data)
    assert answer.status == 400
    assert answer.error == "header 'x-one' cannot be forwarded: it is not UTF-8"


def test_other_requests_may_have_any_headers(forwarding: Serve) -> None:
    with Connection(forwarding.port) as connection:
        data = request("/v2/health/ready", headers={"triton_x": "1", "priority": "1"}, method="GET")
        assert connection.exchange(data).status == 200


def test_a_pattern_that_is_none_ends_the_start(zoo: Path, tmp_path: Path) -> None:
    with Serve(zoo, tmp_path, "--http-header-forward-pattern=a(b", wait=False) as server:
        assert server.wait() == 1
        assert server.stderr.splitlines()[-1] == (
            "error: --http-header-forward-pattern=a(b: 'a(b' is no regular expression:"
            " missing ): a(b"
        )
