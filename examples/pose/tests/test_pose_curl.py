"""What the demo says when curl gets no keypoints."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pose_client import CurlError, CurlRequest


@pytest.fixture
def refusing_address() -> Iterator[str]:
    """A web server that answers every POST with status 501."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def request(tmp_path: Path, address: str, program: str = "curl") -> CurlRequest:
    response = tmp_path / "response"
    command = [program, "-sS", "--fail-with-body", "--output", str(response), "-d", "{}", address]
    return CurlRequest("{}", command, response)


def test_an_error_of_the_server_is_shown(tmp_path: Path, refusing_address: str) -> None:
    with pytest.raises(CurlError, match=r"status 22: .*501(.|\n)*Unsupported method"):
        request(tmp_path, refusing_address).send()


def test_a_server_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CurlError, match="status 7: .*connect"):
        request(tmp_path, "127.0.0.1:1").send()


def test_a_missing_curl_is_said(tmp_path: Path) -> None:
    with pytest.raises(CurlError, match="curl is not installed"):
        request(tmp_path, "127.0.0.1:1", str(tmp_path / "curl")).send()
