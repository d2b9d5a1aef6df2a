"""docs/from-model-py.md: the real Triton answers with the `model.py` as the backends do here."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.pages import listings
from harness.triton import Triton, triton_environment
from harness.walk import Walk

Ports = tuple[int, int]


@pytest.fixture(scope="module")
def ports(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """Of Despina and of Triton, each with its half of the page."""
    environment = triton_environment()
    folder = tmp_path_factory.mktemp("model_py")
    with Walk(folder) as walk:
        for listing in listings((checkout / "docs" / "from-model-py.md").read_text()):
            walk.step(listing)
            if "despina serve" in listing.text:
                break
        (folder / "backends").mkdir()
        theirs = Triton(walk.desk.folder / "triton", folder / "backends", environment=environment)
        try:
            theirs.wait_ready()
            yield walk.desk.ports[8000], theirs.port
        finally:
            theirs.stop()


def ask(port: int, path: str, body: Any = None) -> tuple[int, str]:
    """Status and body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, 60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def request(*rows: list[float]) -> dict[str, Any]:
    data = [element for row in rows for element in row]
    shape = [len(rows), len(rows[0])]
    return {"inputs": [{"name": "X", "datatype": "FP32", "shape": shape, "data": data}]}


def test_both_say_the_same_of_their_tensors(ports: Ports) -> None:
    ours, theirs = (json.loads(ask(port, "/v2/models/moments")[1]) for port in ports)
    assert (ours["inputs"], ours["outputs"]) == (theirs["inputs"], theirs["outputs"])


@pytest.mark.parametrize("rows", [[[1, 3]], [[1, 2, 4], [0, 0, 0]], [[-1.5, 1e6]]])
def test_both_answer_alike(ports: Ports, rows: list[list[float]]) -> None:
    answers = [ask(port, "/v2/models/moments/infer", request(*rows)) for port in ports]
    assert [status for status, _ in answers] == [200, 200]
    ours, theirs = (json.loads(body)["outputs"] for _, body in answers)
    # The texts have more digits than an FP32 has, not the same ones.
    for output in [*ours, *theirs]:
        output["data"] = np.array(output["data"], np.float32).tolist()
    assert ours == theirs


def test_both_refuse_with_the_text_of_the_page(ports: Ports) -> None:
    answers = [ask(port, "/v2/models/moments/infer", request([1])) for port in ports]
    assert [status for status, _ in answers] == [400, 500]
    assert all("X has too few elements" in body for _, body in answers)


def test_both_send_the_same_parts(ports: Ports) -> None:
    answers = [ask(port, "/v2/models/elements/generate_stream", {"X": [7, 8]}) for port in ports]
    ours, theirs = (
        [json.loads(event)["Y"] for event in re.findall(r"^data: ?(.*)$", body, re.MULTILINE)]
        for _, body in answers
    )
    assert ours == theirs == [7, 8]
