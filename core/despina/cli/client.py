"""Questions and requests to a running server."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from despina.errors import DespinaError
from despina.text import escaped
from despina_sdk import Code

DEFAULT_URL = "http://127.0.0.1:8000"

SHOWN_CHARACTERS = 200
"""Of an answer that makes no sense."""


class Client:
    """Speaks the protocol to one server."""

    def __init__(self, url: str, timeout: float, headers: Sequence[str] = ()) -> None:
        """Connects to nothing yet.

        Args:
            url: of the server, without a path of the protocol.
            timeout: seconds to wait for it to go on.
            headers: ``NAME=VALUE``, which each request has.

        Raises:
            DespinaError: INVALID_ARGUMENT: it is no URL of a server, or a header has another form.
        """
        _check_url(url)
        self._url, self._timeout = url.rstrip("/"), timeout
        self._headers = [header(each) for each in headers]

    def get(self, path: str) -> Any:
        """The JSON that a route answers."""
        return self._ask(path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """As ``get``; the answer may be empty."""
        return self._ask(path, b"" if body is None else json.dumps(body).encode())

    def _ask(self, path: str, data: bytes | None) -> Any:
        """Asks once.

        Raises:
            DespinaError: UNAVAILABLE: the server cannot be reached, or does not speak the protocol.
                UNKNOWN: it answers with an error, and with which.
        """
        request = urllib.request.Request(f"{self._url}{path}", data)
        for name, value in self._headers:  # they are secrets: not for where it is redirected to
            request.add_unredirected_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise DespinaError(Code.UNKNOWN, _told(error)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "reason", error)
            what = f"{getattr(why, 'strerror', None) or why or type(why).__name__}"
            text = f"{self._url} cannot be reached: {what} (is the server running? see --url)"
            raise DespinaError(Code.UNAVAILABLE, text) from error
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise self._not_spoken(text) from error

    def _not_spoken(self, answer: bytes) -> DespinaError:
        shown = escaped(answer[:SHOWN_CHARACTERS].decode(errors="replace"))
        text = f"{self._url} does not speak the protocol of inference servers: {shown}"
        return DespinaError(Code.UNAVAILABLE, text)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of the host, or the port
        is_server = False
    if not is_server:
        text = f"--url={url}: not of the form {DEFAULT_URL}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)


def model_path(name: str, version: str = "") -> str:
    """The path of a model's routes.

    Raises:
        DespinaError: INVALID_ARGUMENT: the name cannot be in a path, which servers do not decode.
    """
    if not name.isascii() or not name.isprintable() or not name or set(name) & set(" /?#"):
        raise DespinaError(Code.INVALID_ARGUMENT, f"{name!r} cannot be the name of a model")
    return f"/v2/models/{name}/versions/{version}" if version else f"/v2/models/{name}"


def header(text: str) -> tuple[str, str]:
    """A value of ``--header``.

    Raises:
        DespinaError: INVALID_ARGUMENT: it is not of the form ``NAME=VALUE``.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise DespinaError(Code.INVALID_ARGUMENT, "--header: not of the form NAME=VALUE")
    return name, value


def _told(error: urllib.error.HTTPError) -> str:
    """The text of an error that a server answers with."""
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"{error.code} {error.reason}"
