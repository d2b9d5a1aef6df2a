"""The compiled engine, as the rest of the server sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from despina import _engine
from despina.config.definition import Definition, Tensor
from despina.engine.load import Load, LoadPlan, engine_plan
from despina.engine.native import NativeModel, translated
from despina_sdk import Array, ArrayLike, Capability, Model
from despina_sdk.backend import ParameterValue

Labels = Sequence[tuple[str, str]]
"""Of a series on the metrics page: names and values."""

LoadedModel = _engine.LoadedModel
"""A version that the engine runs."""

log = _engine.log
"""``log(level, text, file, line, fields)``; levels as in ``enable_log``, fields are pairs."""

TlsContext = _engine.TlsContext
"""Certificate, key and authorities of a front end. Errors say what is wrong with a file."""

Cors = _engine.Cors
"""Whose pages may use the server from elsewhere."""

AccessRules = _engine.AccessRules
"""Which parts of the API need a header with a secret."""

HeaderForwarding = _engine.HeaderForwarding
"""``HeaderForwarding(pattern)``: fields of requests' heads that are parameters."""

enable_log = _engine.enable_log
"""``enable_log(level, enabled)``: 0 errors, 1 warnings, 2 information, 3 verbose."""

Trace = _engine.Trace
TraceSettings = _engine.TraceSettings

set_log_format = _engine.set_log_format
"""``set_log_format(format)``: 0 the default, 1 with ISO 8601 times, 2 JSON lines."""


def open_log_file(path: str) -> None:
    """Appends lines to a file from now on, or with an empty path writes to standard error.

    Raises:
        DespinaError: INVALID_ARGUMENT: it cannot be opened, and nothing has changed.
    """
    with translated():
        _engine.open_log_file(path)


def reopen_log_file() -> None:
    """Opens the file again under its name, which may have been given to a new one meanwhile.

    Raises:
        DespinaError: INVALID_ARGUMENT: it cannot be opened, and nothing has changed.
    """
    with translated():
        _engine.reopen_log_file()


@dataclass(frozen=True)
class HttpOptions:
    """How the HTTP front end listens, and what it takes from clients.

    Attributes:
        port: 0 lets the system choose.
        max_body_bytes, max_header_bytes: of one request.
        max_bytes_in_flight: bodies of all requests, and answers until they are sent, together.
        header_timeout, body_timeout, idle_timeout: seconds.
        allow_shared_memory: whether clients may lend shared memory of the system.
        tls: ``None``: HTTP without TLS.
        cors: ``None``: nobody's.
        access: ``None``: nothing is restricted.
        forwarding: ``None``: of no headers.
        log_access: whether each request is a line of the log.
    """

    address: str
    port: int
    threads: int
    server_name: str
    server_version: str
    max_body_bytes: int
    max_header_bytes: int
    max_connections: int
    max_bytes_in_flight: int
    header_timeout: float
    body_timeout: float
    idle_timeout: float
    allow_shared_memory: bool = False
    tls: TlsContext | None = None
    cors: Cors | None = None
    access: AccessRules | None = None
    forwarding: HeaderForwarding | None = None
    log_access: bool = False


@dataclass(frozen=True)
class GrpcKeepalive:
    """Which pings are sent to clients of gRPC, and which are taken. Times are seconds.

    Attributes:
        time: without a sign of life, before a client is asked for one.
        timeout: in which it must answer.
        permit_without_calls: whether both sides may ask while there is no call.
        max_pings_without_data: how often a client is asked in a row; 0: no limit.
        min_ping_interval: between two pings of a client to which nothing is sent; sooner is a
            strike.
        max_ping_strikes: after which a connection is closed; 0: no limit.
    """

    time: float
    timeout: float
    permit_without_calls: bool
    max_pings_without_data: int
    min_ping_interval: float
    max_ping_strikes: int


@dataclass(frozen=True)
class GrpcOptions:
    """How the gRPC front end listens, and what it takes from clients. Times are seconds.

    Attributes:
        port: 0 lets the system choose.
        max_message_bytes: of one message, also decompressed.
        max_control_bytes: the same, of those that are no inference.
        max_bytes_in_flight: messages of all calls, and answers until they are sent, together.
        max_concurrent_streams: calls of one connection at a time.
        message_timeout: for 64 KiB of a message to arrive; for any of an answer to be taken, five
            times as long.
        compression_level: of zlib, for responses of inference; 0: they are not compressed.
        max_connection_age: after which a connection takes no more calls; 0: no end.
        max_connection_age_grace: that its calls may take then; 0: no end.
        descriptors: a ``google.protobuf.FileDescriptorProto`` each, for server reflection.
        allow_shared_memory, tls, access, forwarding, log_access: as in ``HttpOptions``.
    """

    address: str
    port: int
    threads: int
    server_name: str
    server_version: str
    max_message_bytes: int
    max_control_bytes: int
    max_bytes_in_flight: int
    max_connections: int
    max_concurrent_streams: int
    message_timeout: float
    compression_level: int
    keepalive: GrpcKeepalive
    max_connection_age: float
    max_connection_age_grace: float
    descriptors: tuple[bytes, ...]
    allow_shared_memory: bool = False
    tls: TlsContext | None = None
    access: AccessRules | None = None
    forwarding: HeaderForwarding | None = None
    log_access: bool = False


@dataclass(frozen=True)
class MetricsOptions:
    """How the metrics port listens, and what is on its page.

    Attributes:
        port: 0 lets the system choose.
        counter_latencies: the sums of the parts of requests' times.
        quantiles: of the summaries of models that have them, from 0 to 1.
        host_load: the machine's processors and memory, read once in ``interval`` seconds at most.
    """

    address: str
    port: int
    counter_latencies: bool
    quantiles: tuple[float, ...]
    host_load: bool
    interval: float


class FrontEnd:
    """A front end that listens."""

    def __init__(self, server: _engine.FrontEnd) -> None:
        """Takes the engine's object."""
        self._server = server

    @property
    def port(self) -> int:
        """Where it listens; the chosen one when 0 was asked for."""
        return self._server.port

    def stop_accepting(self) -> None:
        """Takes no new connections, and closes idle ones."""
        with translated():
            self._server.stop_accepting()

    def close(self, timeout: float = 0.0) -> bool:
        """Ends all connections.

        Args:
            timeout: seconds to wait for answers in flight.

        Returns:
            Whether all of them were sent.
        """
        with translated():
            return self._server.close(timeout)


class Engine:
    """Runs models, and answers requests and questions about them. Any thread."""

    def __init__(self, *, pool_max_cached_bytes: int) -> None:
        """Starts without models.

        Args:
            pool_max_cached_bytes: free memory that the buffer pool keeps for the next request.
        """
        with translated():
            self._engine = _engine.Engine(pool_max_cached_bytes=pool_max_cached_bytes)

    def load(
        self,
        definition: Definition,
        model: Model | None,
        capabilities: Capability = Capability.NONE,
        members: Sequence[LoadedModel] = (),
    ) -> LoadedModel:
        """Starts the instances of a version; it takes requests once it is published.

        Args:
            definition: of the version.
            model: makes the instances; ``None`` for an ensemble.
            capabilities: of its backend.
            members: of an ensemble: the model of each step. They stay loaded until it is unloaded.

        Raises:
            DespinaError: an instance cannot be made. Nothing stays behind.
        """
        with translated():
            runs = model.handle if isinstance(model, NativeModel) else model
            return self._engine.load(
                _definition(definition), runs, capabilities.value, list(members)
            )

    def publish(
        self,
        *,
        index: Sequence[tuple[str, int | None, str, str]],
        serving: Sequence[LoadedModel],
        reload_failures: Sequence[tuple[Labels, int]],
        ambiguous: Mapping[str, int],
        namespaces: bool,
        ready: bool,
        live: bool = True,
        exiting: bool = False,
    ) -> None:
        """Sets what is answered from now on.

        Args:
            index: name, version, state and reason of what is known, also if it is not served;
                no version for a model that could not be read, no state for one that nobody has
                asked to load.
            serving: what ``load`` gave, of the versions that take requests.
            reload_failures: labels of models, and how often a change of each could not be loaded
                while it served.
            ambiguous: names that several models have, and how many. Only ensembles reach these.
            namespaces: whether models of several repositories may have one name.
            ready, live, exiting: of the server.
        """
        with translated():
            self._engine.publish(
                index=index,
                serving=serving,
                reload_failures=reload_failures,
                ambiguous=ambiguous,
                namespaces=namespaces,
                ready=ready,
                live=live,
                exiting=exiting,
            )

    def metrics(self, labels: Labels) -> _engine.ModelMetrics:
        """Makes a version's own metrics, until it is closed."""
        return _engine.ModelMetrics(labels)

    def unload(self, model: LoadedModel, timeout: float | None = None) -> bool:
        """Waits for the requests of a version that is not published any more, and stops it.

        Returns:
            Whether it ended within ``timeout`` seconds. If not, it stays.
        """
        with translated():
            return self._engine.unload(model, timeout)

    def infer(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        *,
        version: int | None = None,
        outputs: Sequence[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Runs one request; see ``despina.Server.infer``."""
        with translated():
            return self._engine.infer(
                model,
                dict(inputs),
                version=version,
                outputs=outputs,
                request_id=request_id,
                parameters=dict(parameters) if parameters else None,
                timeout=timeout,
            )

    def stream(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        *,
        version: int | None = None,
        outputs: Sequence[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
        in_parts: bool = True,
    ) -> _engine.ResponseStream:
        """Submits one request, for ``despina.engine.streams``; see ``despina.Server.stream``."""
        with translated():
            return self._engine.stream(
                model,
                dict(inputs),
                version=version,
                outputs=outputs,
                request_id=request_id,
                parameters=dict(parameters) if parameters else None,
                timeout=timeout,
                in_parts=in_parts,
            )

    def put_load(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike],
        plan: LoadPlan,
        *,
        version: int | None = None,
    ) -> Load:
        """Begins to submit a request again and again; see ``despina.Server.put_load``."""
        with translated():
            run = self._engine.put_load(
                model, dict(inputs), version=version, plan=engine_plan(plan)
            )
        return Load(run)

    def description(self, name: str, version: int | None = None) -> dict[str, Any]:
        """What the model's metadata route answers, and its configuration as ``config``."""
        with translated():
            metadata, config = self._engine.description(name, version)
        description: dict[str, Any] = json.loads(metadata)
        return description | {"config": json.loads(config)}

    def statistics(self, name: str | None = None, version: int | None = None) -> dict[str, Any]:
        """The answer of ``/v2/models/stats``."""
        with translated():
            statistics: dict[str, Any] = json.loads(self._engine.statistics(name, version))
        return statistics

    def trace(self, settings: TraceSettings, models: Mapping[str, TraceSettings]) -> None:
        """Sets which requests are traced from now on, and which of these models."""
        with translated():
            self._engine.trace(settings, dict(models))

    def trace_remaining(self, model: str = "") -> int:
        """What is left of a model's count, or of that of all; -1: it has no end."""
        with translated():
            return self._engine.trace_remaining(model)

    def take_traces(self) -> list[Trace]:
        """The traces that are finished and were not taken."""
        with translated():
            traces: list[Trace] = self._engine.take_traces()
        return traces

    def traces_dropped(self) -> int:
        """How many traces found no room, in all."""
        with translated():
            return self._engine.traces_dropped()

    def memory(self) -> dict[str, int]:
        """Figures of the buffer pool in bytes and calls, and copies of tensors in this process."""
        with translated():
            return self._engine.memory()

    def inflight(self) -> int:
        """Requests inside any model."""
        with translated():
            return self._engine.inflight()

    def wait_idle(self, timeout: float) -> bool:
        """Waits until no request is inside any model; whether that came within ``timeout`` s."""
        with translated():
            return self._engine.wait_idle(timeout)

    def collect(self) -> None:
        """Releases results that front ends are done with."""
        with translated():
            self._engine.collect()

    def next_control_call(self) -> _engine.ControlCall | None:
        """Waits for the next request that changes something; ``None`` once that has ended."""
        return self._engine.next_control_call()

    def close_control(self) -> None:
        """Refuses such requests from now on, and those that wait."""
        self._engine.close_control()

    def serve_http(self, options: HttpOptions) -> FrontEnd:
        """Starts the HTTP front end.

        Raises:
            DespinaError: it cannot listen there.
        """
        with translated():
            return FrontEnd(self._engine.serve_http(_engine.HttpOptions(**vars(options))))

    def serve_grpc(self, options: GrpcOptions) -> FrontEnd:
        """Starts the gRPC front end.

        Raises:
            DespinaError: it cannot listen there.
        """
        keepalive = _engine.GrpcKeepalive(**vars(options.keepalive))
        with translated():
            fields = {**vars(options), "keepalive": keepalive}
            return FrontEnd(self._engine.serve_grpc(_engine.GrpcOptions(**fields)))

    def serve_metrics(self, options: MetricsOptions) -> FrontEnd:
        """Starts the port of ``/metrics``.

        Raises:
            DespinaError: it cannot listen there.
        """
        with translated():
            return FrontEnd(self._engine.serve_metrics(**asdict(options)))

    def close(self) -> None:
        """Stops front ends, then models. A second call does nothing."""
        with translated():
            self._engine.close()


def _definition(definition: Definition) -> _engine.ModelDefinition:
    instances = [_engine.InstanceDefinition(**asdict(each)) for each in definition.instances]
    steps = [_engine.StepDefinition(**asdict(each)) for each in definition.steps]
    fields = {
        **vars(definition),
        "inputs": [_tensor(tensor) for tensor in definition.inputs],
        "outputs": [_tensor(tensor) for tensor in definition.outputs],
        "instances": instances,
        "steps": steps,
    }
    return _engine.ModelDefinition(**fields)


def _tensor(tensor: Tensor) -> _engine.TensorDefinition:
    return _engine.TensorDefinition(**asdict(tensor))
