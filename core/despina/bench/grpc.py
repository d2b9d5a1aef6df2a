"""A model of a server that is asked over gRPC."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from despina.bench.model import Description, describe
from despina.bench.targets import Target
from despina.bench.wire import Headers, infer_message
from despina.control.descriptors import message_class
from despina.engine import GrpcCall, Load, LoadPlan, load_grpc
from despina.errors import DespinaError
from despina_sdk import Array, Code

DEFAULT_PORT = 8001

SERVICE = "/inference.GRPCInferenceService"

POLL_SECONDS = 0.05
"""Between looks for Ctrl-C while an answer is waited for."""


@dataclass(frozen=True)
class GrpcForm:
    """How requests are put.

    Attributes:
        metadata: of each call.
        streams_per_connection: calls under way on one connection, at most.
    """

    metadata: Headers = ()
    streams_per_connection: int = 1


class GrpcTarget(Target):
    """A model of a server, asked over gRPC without TLS.

    Decoupled models are asked with ``ModelStreamInfer``, each request on a stream of its own, and
    others with ``ModelInfer``.
    """

    def __init__(self, url: str, model: str, version: str, form: GrpcForm, timeout: float) -> None:
        """Asks nothing yet.

        Args:
            url: of the server, ``grpc://HOST:PORT``.
            model: its name.
            version: empty for the latest.
            form: of the requests.
            timeout: seconds for each answer.

        Raises:
            DespinaError: INVALID_ARGUMENT: the URL is of another form.
        """
        self._host, self._port = _server(url)
        self._url, self._authority = url, urlsplit(url).netloc.rpartition("@")[2]
        self._model, self._version = model, version
        self.where = f"{self._url}/{model}" + (f"/versions/{version}" if version else "")
        self._form, self._timeout = form, timeout
        self._address = ""
        self._call: GrpcCall | None = None

    def describe(self) -> Description:
        """Asks for metadata and configuration, and whether it is ready."""
        self._find_address()
        metadata = self._asked("ModelMetadata")
        try:
            config = self._asked("ModelConfig")["config"]
        except DespinaError:  # other servers have no such call
            config = {}
        if not self._asked("ModelReady")["ready"]:
            raise DespinaError(Code.UNAVAILABLE, f"{self.where} is not ready")
        return describe(metadata, config)

    def prepare(self, model: Description, inputs: Mapping[str, Array]) -> None:
        """Calls once, as the load will."""
        method = "ModelStreamInfer" if model.decoupled else "ModelInfer"
        message = infer_message(model, self._version, inputs)
        self._call = self._call_of(method, message, stream=model.decoupled)
        try:
            self._answer(self._call, keep=False)
        except DespinaError as error:
            text = f"{self.where}: the first request failed: {error.message}"
            raise DespinaError(error.code, text) from error

    def start(self, plan: LoadPlan) -> Load:
        """Begins a load over as many streams as the plan has lanes."""
        assert self._call, "prepared"
        return load_grpc(
            self._address,
            self._port,
            self._call,
            plan,
            streams_per_connection=self._form.streams_per_connection,
        )

    def statistics(self) -> Mapping[str, Any] | None:
        """Of the latest version that the server tells of."""
        try:
            (*_, last) = self._asked("ModelStatistics")["model_stats"]
        except (DespinaError, ValueError):
            return None
        return last if isinstance(last, dict) else None

    def _find_address(self) -> None:
        """The load goes to the one of a name's addresses that answers."""
        try:
            with socket.create_connection((self._host, self._port), self._timeout) as connection:
                self._address = connection.getpeername()[0]
        except OSError as error:
            why = error.strerror or str(error)
            text = f"{self._url} cannot be reached: {why} (is the server running? see --url)"
            raise DespinaError(Code.UNAVAILABLE, text) from error

    def _asked(self, method: str) -> dict[str, Any]:
        """The answer to a call that takes the model's name, as its JSON would be."""
        request = message_class(f"{method}Request")(name=self._model, version=self._version)
        try:
            answer = self._answer(self._call_of(method, request.SerializeToString()), keep=True)
            fields: dict[str, Any] = MessageToDict(
                message_class(f"{method}Response").FromString(answer),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        except DecodeError as error:
            text = f"{self._url} does not speak the protocol of inference servers: {method}"
            raise DespinaError(Code.UNAVAILABLE, text) from error
        except DespinaError as error:
            raise DespinaError(error.code, f"{self.where}: {error.message}") from error
        return fields

    def _call_of(self, method: str, message: bytes, *, stream: bool = False) -> GrpcCall:
        return GrpcCall(
            authority=self._authority,
            path=f"{SERVICE}/{method}",
            message=message,
            metadata=self._form.metadata,
            stream=stream,
        )

    def _answer(self, call: GrpcCall, *, keep: bool) -> bytes:
        """The answer to one call: a load of one request.

        Raises:
            DespinaError: with the code of gRPC; UNAVAILABLE: there was no whole answer.
        """
        plan = LoadPlan(lanes=1, requests=1, timeout=self._timeout)
        load = load_grpc(self._address, self._port, call, plan, keep=keep)
        while not load.wait(POLL_SECONDS):
            pass
        figures = load.finish([])
        if not figures.failed and not figures.fatal:
            return load.kept()
        (status,) = figures.statuses or (Code.UNAVAILABLE.value,)
        (text,) = figures.failures or (figures.fatal,)
        codes = {each.value: each for each in Code if each is not Code.OK}
        raise DespinaError(codes.get(status, Code.UNKNOWN), text)


def _server(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # of the host, or the port
        host = port = None
    if not host or port == 0 or url.count("/") > len("//"):
        text = f"--url={url}: not of the form grpc://127.0.0.1:{DEFAULT_PORT}"
        raise DespinaError(Code.INVALID_ARGUMENT, text)
    return host, port or DEFAULT_PORT
