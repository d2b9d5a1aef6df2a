"""Classes 5, 22 and 23: what settings, traces and metrics make of what clients say."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Answer, Connection, good, is_good, request
from harness.serve import Serve

FLAGS = (
    "--model-control-mode=explicit",
    "--load-model=*",
    "--trace-config=triton,file={folder}/traces",
)
LOGGING, TRACING = "/v2/logging", "/v2/trace/setting"
OF_MODEL = "/v2/models/identity_fp32/trace/setting"
ROUTES = (LOGGING, TRACING, OF_MODEL)


@pytest.fixture(autouse=True)
def _as_before(server: Serve) -> Iterator[None]:
    before = [server.json(route) for route in ROUTES]
    yield
    assert [server.json(route) for route in ROUTES] == before


def change(server: Serve, route: str, document: object) -> tuple[int, Any]:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    with Connection(server.port) as connection:
        answer = connection.exchange(request(route, text))
    return answer.status, json.loads(answer.body)


def trace(server: Serve, request: bytes, count: int = 1, **settings: str) -> Answer:
    """Sends something several times while all is traced, and puts the settings back.

    Returns:
        The last answer.
    """
    before = server.json(TRACING)
    settings_on = {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", **settings}
    assert change(server, TRACING, settings_on)[0] == 200
    with Connection(server.port) as connection:
        for _ in range(count):
            answer = connection.exchange(request)
    left = server.json(TRACING)["trace_count"]
    assert left == "-1" or int(left) == max(0, int(settings["trace_count"]) - count)
    back = {name: before[name] for name in ("trace_level", "trace_rate", "trace_count")}
    assert change(server, TRACING, back)[0] == 200
    return answer


def warm_up(server: Serve) -> None:
    """Has the file of the traces opened, which stays open."""
    assert is_good(trace(server, good()))
    file, deadline = Path(server.json(TRACING)["trace_file"]), time.monotonic() + 10
    while not file.exists():
        assert time.monotonic() < deadline, "nothing was traced"
        time.sleep(0.01)


FILES: list[tuple[str, dict[str, Any]]] = [
    (LOGGING, {"log_file": "{}"}),
    (LOGGING, {"log_verbose_level": 1, "log_file": "{}"}),
    (LOGGING, {"log_file": ""}),
    (TRACING, {"trace_file": "{}"}),
    (OF_MODEL, {"trace_level": ["TIMESTAMPS"], "trace_file": "{}"}),
    (OF_MODEL, {"trace_file": None}),
]


@pytest.mark.parametrize(("route", "document"), FILES)
def test_no_file_is_chosen_by_a_client(
    server: Serve, tmp_path: Path, route: str, document: dict[str, Any]
) -> None:
    target = tmp_path / "target"
    given = {k: str(target) if v == "{}" else v for k, v in document.items()}
    status, answer = change(server, route, given)
    assert status == 501
    assert "location can not be updated through network protocol" in answer["error"]
    assert not target.exists()


WRONG: list[tuple[str, Any]] = [
    (LOGGING, {"log_format": "../../etc/passwd"}),
    (LOGGING, {"log_format": "%s%n%s\x1b[31m"}),
    (LOGGING, {"log_format": "x" * 1_000_000}),
    (LOGGING, b'{"log_verbose_level": 1e400}'),
    (LOGGING, b'{"log_verbose_level": 1, "log_verbose_level": 2}'),
    (LOGGING, b"[" * 100_000),
    (LOGGING, b"\xff"),
    (TRACING, b"[" * 100_000),
    (TRACING, {"trace_rate": "0", "trace_level": ["TIMESTAMPS"]}),
    (TRACING, {"trace_rate": "1_0"}),
    (TRACING, {"trace_rate": "\u0663"}),
    (TRACING, {"trace_rate": " 7"}),
    (TRACING, {"trace_rate": "+7"}),
    (TRACING, {"trace_count": "9" * 5000}),
    (TRACING, {"trace_count": "1e3"}),
    (OF_MODEL, {"trace_level": ["TIMESTAMPS\r\nX: y"]}),
    (OF_MODEL, {"log_frequency": "-1"}),
]


@pytest.mark.parametrize(("route", "document"), WRONG, ids=str)
def test_settings_that_cannot_be(server: Serve, route: str, document: Any) -> None:
    status, answer = change(server, route, document)
    assert status == 400
    assert answer["error"]


@pytest.mark.parametrize("route", [TRACING, OF_MODEL])
def test_nobody_is_called_because_a_client_says_so(server: Serve, route: str) -> None:
    """Where traces go is said at the start alone; other names are passed over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
        for document in (
            {"url": url},
            {"trace_mode": "opentelemetry", "url": url},
            {"opentelemetry": {"url": url}},
            {"trace_config": f"opentelemetry,url={url}"},
        ):
            assert change(server, route, document) == (200, server.json(route))
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.accept()


TRACED = ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "vendor=1")
CONTEXTS = {
    "a line break": (TRACED[0] + "\x0bX-Evil: 1", TRACED[1]),
    "quotes": ('00-"}],{"x":"', TRACED[1]),
    "nothing": ("", ""),
    "zeros": ("00-" + "0" * 32 + "-" + "0" * 16 + "-01", ""),
    "no hexadecimal": ("00-" + "z" * 32 + "-" + "z" * 16 + "-01", ""),
    "a long one": (TRACED[0] + "-" + "x" * 30_000, "y" * 30_000),
}


@pytest.mark.parametrize("what", CONTEXTS)
def test_a_context_of_a_trace_forges_nothing(server: Serve, what: str) -> None:
    parent, state = CONTEXTS[what]
    fields = f"traceparent: {parent}\r\ntracestate: {state}\r\nHost:".encode()
    answer = trace(server, good().replace(b"Host:", fields))
    assert is_good(answer) or answer.status in (400, 431)
    assert "x-evil" not in answer.headers


def test_a_count_bounds_what_traces_write(server: Serve) -> None:
    assert is_good(trace(server, good(), 10, trace_count="3"))


LABEL = re.compile(r'^[a-z_]+\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)*\} \S+$')


def page(server: Serve) -> list[str]:
    text = server.get("/metrics", metrics=True)[1].decode()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def load(server: Serve, name: str, config: dict[str, Any]) -> int:
    given = {"config": json.dumps(config), "file:1/factor": "Mg=="}
    return server.post(f"/v2/repository/models/{name}/load", {"parameters": given})[0]


def test_no_name_or_tag_forges_a_metric(server: Serve) -> None:
    tags = {"key": 'value"} 1\nforged{x="\\'}
    config = {"backend": "fixture_scale", "metric_tags": tags}
    assert load(server, "x%22%7d%201%5c", config) == 200
    lines = page(server)
    assert any("value" in line for line in lines)
    assert not [line for line in lines if line.startswith("forged")]
    assert [line for line in lines if not LABEL.match(line) and "{" in line] == []
    for key in ('a"b', "a-b", "a\nb", ""):
        wrong = {**config, "metric_tags": {key: "value"}}
        assert load(server, "new", wrong) == 400
    for name in ("x%22%7d%201%5c", "new"):
        assert server.post(f"/v2/repository/models/{name}/unload")[0] == 200


def test_what_clients_invent_makes_no_series(server: Serve) -> None:
    """Models that there are not, ids and parameters: nothing of them is counted by name."""
    with Connection(server.port) as connection:
        assert is_good(connection.exchange(good()))
        before = len(page(server))
        for number in range(300):
            connection.exchange(good(f"nobody{number}"))
            body = json.dumps({"id": f"id{number}", "inputs": []}).encode()
            connection.exchange(request("/v2/models/identity_fp32/infer", body))
            connection.exchange(request(f"/v2/nowhere/{number}"))
    assert len(page(server)) - before < 10
    assert "nobody" not in "".join(page(server))
