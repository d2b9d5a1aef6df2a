"""What a load is put on: a model of a running server, or of this process."""

from __future__ import annotations

import http.client
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from despina.bench.errors import error_text
from despina.bench.model import Description, describe
from despina.bench.wire import Headers, generate_body, http_request, infer_body
from despina.engine import Load, LoadPlan, load_http
from despina.errors import DespinaError
from despina_sdk import Array, Code

if TYPE_CHECKING:
    from despina.cli.client import Client
    from despina.server import Server

SHOWN_BYTES = 1024
"""Of an answer that is an error."""


class Target(ABC):
    """A model. Errors name it."""

    where: str
    """For people."""

    @abstractmethod
    def describe(self) -> Description:
        """What the model takes.

        Raises:
            DespinaError: it cannot be reached, is not known, or not ready.
        """

    @abstractmethod
    def prepare(self, model: Description, inputs: Mapping[str, Array]) -> None:
        """Makes the request of all loads, and sends it once.

        Raises:
            DespinaError: it cannot be made, or is answered with an error.
        """

    @abstractmethod
    def start(self, plan: LoadPlan) -> Load:
        """Begins a load."""

    @abstractmethod
    def statistics(self) -> Mapping[str, Any] | None:
        """What the server has counted of the model; ``None`` where it does not tell."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Ends what it has started."""


@dataclass(frozen=True)
class HttpForm:
    """How requests are put.

    Attributes:
        binary: tensors follow the JSON as they are.
        generate: flat JSON for ``generate_stream``.
        headers: of each request.
    """

    binary: bool = True
    generate: bool = False
    headers: Headers = ()


class HttpTarget(Target):
    """A model of a server."""

    def __init__(self, client: Client, url: str, path: str, form: HttpForm, timeout: float) -> None:
        """Asks nothing yet.

        Args:
            client: of the server.
            url: of the server, with ``http``.
            path: of the model, perhaps with its version.
            form: of the requests.
            timeout: seconds for the first answer.
        """
        self.where = f"{url}{path}"
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._netloc, self._prefix = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._client, self._path, self._form, self._timeout = client, path, form, timeout
        self._request, self._events = b"", False

    def describe(self) -> Description:
        """Asks for metadata and configuration, and whether it is ready."""
        metadata = self._asked(self._path)
        try:
            config = self._client.get(f"{self._path}/config")
        except DespinaError:  # other servers have no such route
            config = {}
        self._asked(f"{self._path}/ready")
        return describe(metadata, config)

    def _asked(self, path: str) -> Any:
        try:
            return self._client.get(path)
        except DespinaError as error:
            if error.code == Code.UNAVAILABLE:
                raise
            what = " is not ready" if path.endswith("/ready") else ""
            text = f"{self.where}{what}: {error.message}"
            raise DespinaError(error.code, text) from error

    def prepare(self, model: Description, inputs: Mapping[str, Array]) -> None:
        """Sends it over a connection of its own, byte by byte as the load will."""
        self._events = self._form.generate or model.decoupled
        headers = list(self._form.headers)
        if self._form.generate:
            body, route = generate_body(model, inputs), "generate_stream"
            headers.append(("Content-Type", "application/json"))
        else:
            body, json_size = infer_body(
                model,
                inputs,
                binary=self._form.binary,
                binary_answer=self._form.binary and not self._events,
            )
            route = "infer"
            kind = "application/json" if json_size is None else "application/octet-stream"
            headers.append(("Content-Type", kind))
            if json_size is not None:
                headers.append(("Inference-Header-Content-Length", str(json_size)))
            if self._events:
                headers.append(("Accept", "text/event-stream"))
        path = f"{self._prefix}{self._path}/{route}"
        self._request = http_request(self._netloc, path, body, headers)
        self._try()

    def _try(self) -> None:
        try:
            status, text = self._exchange()
        except (OSError, http.client.HTTPException) as error:
            what = getattr(error, "strerror", None) or str(error) or type(error).__name__
            why = f"{self.where}: the first request was not answered: {what}"
            raise DespinaError(Code.UNAVAILABLE, why) from error
        told = error_text(text.decode(errors="replace"))
        if status != 200 or told:
            shown = told or text.decode(errors="replace") or "no text"
            why = f"{self.where}: the first request was answered with {status}: {shown}"
            raise DespinaError(Code.UNKNOWN, why)

    def _exchange(self) -> tuple[int, bytes]:
        """Status and beginning of the answer."""
        with socket.create_connection((self._host, self._port), self._timeout) as connection:
            # The load goes to this one of the addresses that a name may have.
            self._address = connection.getpeername()[0]
            sent: OSError | None = None
            try:
                connection.sendall(self._request)
            except (BrokenPipeError, ConnectionResetError) as error:
                sent = error  # an answer may have come all the same
            answer = http.client.HTTPResponse(connection, method="POST")
            try:
                answer.begin()
                kept = answer.read(SHOWN_BYTES)
                while piece := answer.read(1 << 16):
                    kept += piece if self._events else b""
                    kept = kept[-(1 << 20) :]
            except (OSError, http.client.HTTPException) as error:
                raise sent or error from error
            return answer.status, kept

    def start(self, plan: LoadPlan) -> Load:
        """Begins a load over as many connections as the plan has lanes."""
        return load_http(self._address, self._port, self._request, plan, events=self._events)

    def statistics(self) -> Mapping[str, Any] | None:
        """Of the latest version that the server tells of."""
        try:
            (*_, last) = self._client.get(f"{self._path}/stats")["model_stats"]
        except (DespinaError, ValueError, KeyError, TypeError):
            return None
        return last if isinstance(last, dict) else None


class ProcessTarget(Target):
    """A model of a server in this process, without HTTP."""

    def __init__(self, server: Server, model: str, version: int | None, timeout: float) -> None:
        """Takes over the server.

        Args:
            server: that has loaded the model.
            model: its name.
            version: the latest by default.
            timeout: seconds for the first answer.
        """
        self.where = f"model '{model}' in process"
        self._server, self._model, self._version = server, model, version
        self._timeout = timeout
        self._inputs: Mapping[str, Array] = {}

    def describe(self) -> Description:
        """Asks the engine."""
        described = self._server.description(self._model, self._version)
        return describe(described, described["config"])

    def prepare(self, model: Description, inputs: Mapping[str, Array]) -> None:
        """Infers once."""
        self._inputs = inputs
        parts = self._server.stream(
            self._model, inputs, version=self._version, timeout=self._timeout
        )
        try:
            for _ in parts:
                pass
        except DespinaError as error:
            text = f"{self.where}: the first request failed: {error.message}"
            raise DespinaError(error.code, text) from error

    def start(self, plan: LoadPlan) -> Load:
        """Begins a load on the engine."""
        return self._server.put_load(self._model, self._inputs, plan, version=self._version)

    def statistics(self) -> Mapping[str, Any] | None:
        """Of the engine."""
        try:
            (*_, last) = self._server.statistics(self._model, self._version)["model_stats"]
        except DespinaError:
            return None
        return last if isinstance(last, dict) else None

    def close(self) -> None:
        """Ends the server."""
        self._server.close()
