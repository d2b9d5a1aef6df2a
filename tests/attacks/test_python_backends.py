"""Class 24: backends in Python that do wrong because a client makes them.

There are no stub processes, message queues and shared memory between server and backend that could
be killed, corrupted or used up: instances are threads of the server.
"""

from __future__ import annotations

import ast
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Answer, Connection, json_infer
from harness.serve import Serve

FLAGS = ("--model-control-mode=explicit", "--load-model=*")

FAILS = {
    "raise:a reason": (500, "RuntimeError: a reason"),
    "raise_code:NOT_FOUND": (404, "NOT_FOUND on purpose"),
    "fail_code:UNAVAILABLE": (503, "UNAVAILABLE on purpose"),
    "exit": (500, "SystemExit"),
    "unanswered": (500, "answer"),
    "no_array": (500, "'Y'"),
    "wrong_dtype": (500, "FP64"),
    "wrong_rows": (500, "rows"),
    "unknown_output": (500, "no output 'Z'"),
    "write_view": (500, "read-only"),
    "large:-1": (500, "negative"),
    "large:9999999999999": (500, "MemoryError"),
    "nan_parameter": (500, "nan"),
    "nothing that it knows": (500, "KeyError"),
}


def ask(server: Serve, behaviour: str, model: str = "behaviour") -> Answer:
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [2.0]}
    document: dict[str, Any] = {"inputs": [tensor], "parameters": {"behaviour": behaviour}}
    with Connection(server.port) as connection:
        return connection.exchange(json_infer(model, document))


@pytest.mark.parametrize("behaviour", FAILS)
def test_a_backend_that_fails_fails_its_request_alone(server: Serve, behaviour: str) -> None:
    """The same instance answers the next."""
    status, text = FAILS[behaviour]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: ask(server, each), [behaviour, "double"] * 4))
    for failed, right in zip(answers[::2], answers[1::2], strict=True):
        assert failed.status == status, failed.body
        assert text in failed.error
        # Of a batch that one of its requests breaks, what is not answered yet fails as well.
        assert right.status in (200, status)
    assert ask(server, "double").json["outputs"][0]["data"] == [4.0]


@pytest.mark.parametrize("behaviour", ["answer_twice", "keep_view", "keep_batch"])
def test_a_backend_that_goes_on_after_its_answer_changes_nothing(
    server: Serve, behaviour: str
) -> None:
    for _ in range(50):
        assert ask(server, behaviour).json["outputs"][0]["data"] == [4.0]


def test_nothing_that_comes_from_outside_is_run() -> None:
    """No pickles, nothing evaluated: neither in the server nor in what authors use."""
    root = Path(__file__).resolve().parents[2]
    sources = [root / "core" / "despina", root / "sdk" / "despina_sdk"]
    sources += root.glob("plugins/*/despina_*")
    files = [file for source in sources for file in source.rglob("*.py")]
    assert len(files) > 100
    risky = re.compile(r"^(pickle|marshal|shelve|dill|cloudpickle|joblib|eval|exec)$")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            called = node.func if isinstance(node, ast.Call) else None
            names += [called.id] if isinstance(called, ast.Name) else []
            if found := [name for name in names if risky.match(name)]:
                allowed = file.parent.name == "testing"  # of plugins, and never of the server
                assert allowed, f"{file}: {found}"
