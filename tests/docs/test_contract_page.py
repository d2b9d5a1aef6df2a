"""docs/contract.md: the server answers with the statuses and texts that the page says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.pages import rows, section
from harness.repository import add_model, fixture
from harness.serve import Serve

from despina_sdk import Code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("contract")
    add_model(folder / "models", "behaviour", fixture("behaviour"))
    with Serve(folder / "models", folder) as running:
        yield running
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module")
def statuses(checkout: Path) -> dict[str, int]:
    """By code, as the page has them."""
    text = section((checkout / "docs" / "contract.md").read_text(), "Errors")
    return {code: int(row[1]) for row in rows(text) if len(row) == 2 for code in row[0].split(", ")}


def ask(server: Serve, behaviour: str) -> tuple[int, str]:
    """Status and error of a request that makes the backend misbehave."""
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
    body = {"inputs": [tensor], "parameters": {"behaviour": behaviour}}
    status, answer = server.post("/v2/models/behaviour/infer", body)
    return status, json.loads(answer).get("error", "")


def test_the_page_has_a_status_for_every_code(statuses: dict[str, int]) -> None:
    assert set(statuses) == {code.name for code in Code} - {"OK"}


def test_a_code_becomes_the_status_of_the_page_and_the_text_stays(
    server: Serve, statuses: dict[str, int]
) -> None:
    for code, status in statuses.items():
        assert ask(server, f"raise_code:{code}") == (status, f"{code} on purpose")


def test_another_exception_is_told_by_type_and_text_and_its_traceback_logged(
    server: Serve,
) -> None:
    status, error = ask(server, "raise:it is late")
    assert status == 500
    assert "RuntimeError" in error
    assert "it is late" in error
    assert "Traceback" not in error
    assert "Traceback" in server.stderr


def test_a_request_that_is_not_answered_has_failed(server: Serve) -> None:
    assert ask(server, "unanswered")[0] == 500
