"""``--http-cors-allow-origin``: what browsers are told of pages from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.raw_http import Answer, Connection, request
from harness.serve import Serve

PAGE = "https://page.example"
INFER = "/v2/models/identity_fp32/infer"


def ask(server: Serve, method: str, path: str, **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with Connection(server.port) as connection:
        return connection.exchange(request(path, headers=fields, method=method))


def preflight(server: Serve, origin: str) -> Answer:
    return ask(server, "OPTIONS", INFER, Origin=origin, Access_Control_Request_Method="POST")


def test_pages_of_the_origins_that_are_given(zoo: Path, tmp_path: Path) -> None:
    flags = (f"--http-cors-allow-origin={PAGE}", "--http-cors-allow-origin=http://localhost:3000")
    with Serve(zoo, tmp_path, *flags) as server:
        for origin in (PAGE, "http://localhost:3000"):
            answer = preflight(server, origin)
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["access-control-allow-methods"] == "GET, POST"
            assert answer.headers["vary"] == "Origin"
        assert preflight(server, "https://other.example").status == 405
        answer = ask(server, "GET", "/v2", Origin=PAGE)
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"]
        assert exposed == "Inference-Header-Content-Length"
        assert server.stop() == 0


def test_pages_of_all_origins(zoo: Path, tmp_path: Path) -> None:
    with Serve(zoo, tmp_path, "--http-cors-allow-origin=*") as server:
        answer = preflight(server, "null")
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert server.stop() == 0


def test_without_the_flag_browsers_are_told_nothing(server: Serve) -> None:
    assert preflight(server, PAGE).status == 405
    assert "access-control-allow-origin" not in ask(server, "GET", "/v2", Origin=PAGE).headers


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/", "null"])
def test_what_is_no_origin_ends_the_start(zoo: Path, tmp_path: Path, origin: str) -> None:
    flag = f"--http-cors-allow-origin={origin}"
    with Serve(zoo, tmp_path, flag, wait=False) as server:
        assert server.wait() == 1
        assert server.stderr.splitlines()[-1] == (
            f"error: {flag}: '{origin}' is neither * nor SCHEME://HOST[:PORT]"
        )
