"""
The compiled engine. Only despina.engine imports it.
"""
from __future__ import annotations
import collections.abc
import typing
__all__: list[str] = ['ABI', 'AccessRules', 'Batch', 'ControlCall', 'Cors', 'Counter', 'DetachedRequest', 'Engine', 'EngineError', 'FrontEnd', 'Gauge', 'GrpcKeepalive', 'GrpcOptions', 'HeaderForwarding', 'Histogram', 'HttpOptions', 'InstanceDefinition', 'LoadPlan', 'LoadRun', 'LoadedModel', 'ModelDefinition', 'ModelMetrics', 'NativeBackend', 'NativeModel', 'Request', 'ResponseStream', 'StepDefinition', 'TensorDefinition', 'TlsContext', 'Trace', 'TraceSettings', 'abi_of_library', 'enable_log', 'load_grpc', 'load_http', 'log', 'open_log_file', 'reopen_log_file', 'set_log_format']
class Batch:
    @staticmethod
    def gather(*args, **kwargs):
        """
        One array of all requests' rows of an input.
        """
    @staticmethod
    def scatter(*args, **kwargs):
        """
        Splits one array per output and answers all.
        """
    @staticmethod
    def send(*args, **kwargs):
        """
        Splits one array per output into parts of answers.
        """
class Request:
    @staticmethod
    def complete(*args, **kwargs):
        """
        Answers with one array per output.
        """
    @staticmethod
    def detach(*args, **kwargs):
        """
        Takes it out of the batch.
        """
    @staticmethod
    def fail(*args, **kwargs):
        """
        Answers with an error.
        """
    @staticmethod
    def send(*args, **kwargs):
        """
        Sends one part of the answer.
        """
class DetachedRequest:
    @staticmethod
    def complete(*args, **kwargs):
        """
        Answers with one array per output.
        """
    @staticmethod
    def fail(*args, **kwargs):
        """
        Answers with an error.
        """
    @staticmethod
    def send(*args, **kwargs):
        """
        Sends one part of the answer.
        """
class EngineError(Exception):
    pass
class TensorDefinition:
    """
    One input or output of a model.
    """
    def __init__(self, *, name: str, datatype: str, dims: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], reshape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] | None = None, optional: bool = False, labels: collections.abc.Sequence[str] = []) -> None:
        ...
class InstanceDefinition:
    """
    One lane of execution.
    """
    def __init__(self, *, name: str, ordinal: typing.SupportsInt | typing.SupportsIndex, device: str = 'cpu') -> None:
        ...
class StepDefinition:
    """
    One step of an ensemble.
    """
    def __init__(self, *, model: str, version: typing.SupportsInt | typing.SupportsIndex = -1, inputs: collections.abc.Sequence[tuple[str, str]], outputs: collections.abc.Sequence[tuple[str, str]]) -> None:
        ...
class ModelDefinition:
    """
    What the engine knows of a model.
    """
    def __init__(self, *, name: str, version: typing.SupportsInt | typing.SupportsIndex, platform: str, max_batch_size: typing.SupportsInt | typing.SupportsIndex, inputs: collections.abc.Sequence[TensorDefinition], outputs: collections.abc.Sequence[TensorDefinition], dynamic_batching: bool = False, preferred_batch_sizes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], max_queue_delay_microseconds: typing.SupportsInt | typing.SupportsIndex = 0, preserve_ordering: bool = False, max_queue_size: typing.SupportsInt | typing.SupportsIndex = 0, instances: collections.abc.Sequence[InstanceDefinition] = [], steps: collections.abc.Sequence[StepDefinition] = [], max_inflight_requests: typing.SupportsInt | typing.SupportsIndex = 0, config_json: str = '{}', config_proto: bytes = b'', decoupled: bool = False, latency_summaries: bool = False, first_response_bounds: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] = [], metric_tags: collections.abc.Sequence[tuple[str, str]] = []) -> None:
        ...
class Counter:
    """
    A number that only grows.
    """
    def add(self, value: typing.SupportsFloat | typing.SupportsIndex = 1.0) -> None:
        """
        Adds what is not negative.
        """
class Gauge:
    """
    A number that goes up and down.
    """
    def add(self, value: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Adds a number.
        """
    def set(self, value: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Replaces it.
        """
class Histogram:
    """
    Values counted by size.
    """
    def observe(self, value: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        Counts one value.
        """
class ModelMetrics:
    """
    Makes the metrics of one model.
    """
    def __init__(self, labels: collections.abc.Sequence[tuple[str, str]]) -> None:
        ...
    def close(self) -> None:
        """
        Takes all of them from the page.
        """
    def counter(self, name: str, help: str, labels: collections.abc.Mapping[str, str] | None = None) -> Counter:
        """
        A number that only grows.
        """
    def gauge(self, name: str, help: str, labels: collections.abc.Mapping[str, str] | None = None) -> Gauge:
        """
        A number that goes up and down.
        """
    def histogram(self, name: str, help: str, bounds: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], labels: collections.abc.Mapping[str, str] | None = None) -> Histogram:
        """
        Values counted by size.
        """
class NativeModel:
    """
    A version of a native backend's model.
    """
    def check_ready(self) -> None:
        """
        Raises why it cannot serve now.
        """
    def close(self) -> None:
        """
        Unloads it, once its instances have ended.
        """
    @property
    def decoupled(self) -> bool | None:
        """
        Whether answers may come in parts; None: as configured.
        """
    @property
    def inputs(self) -> list[tuple[str, str, list[int], bool]]:
        """
        Name, datatype, dims without the batch axis, and whether it is optional.
        """
    @property
    def max_batch_size(self) -> int:
        """
        Rows of a batch at most; 0: no batch axis; -1: as configured.
        """
    @property
    def outputs(self) -> list[tuple[str, str, list[int], bool]]:
        """
        As the inputs.
        """
class NativeBackend:
    """
    A backend in a shared library.
    """
    def __init__(self, *, path: str, name: str, options: collections.abc.Sequence[tuple[str, str]]) -> None:
        ...
    def close(self) -> None:
        """
        Ends it, once its models are closed.
        """
    def load(self, *, name: str, version: str, path: str, config: str, max_batch_size: typing.SupportsInt | typing.SupportsIndex, parameters: collections.abc.Sequence[tuple[str, str]], inputs: collections.abc.Sequence[TensorDefinition], outputs: collections.abc.Sequence[TensorDefinition], metrics: ModelMetrics) -> NativeModel:
        """
        Loads a version of a model; its metrics have the labels of `metrics`.
        """
    @property
    def warnings(self) -> list[str]:
        """
        What may surprise about the library.
        """
class TlsContext:
    """
    What a front end's TLS needs, from files.
    """
    def __init__(self) -> None:
        ...
    def require_client_certificates(self, file: str) -> None:
        """
        Certificates of the authorities that clients need one of.
        """
    def use_certificate(self, file: str) -> None:
        """
        The server's certificate and those that lead to its authority.
        """
    def use_key(self, file: str) -> None:
        """
        The certificate's key.
        """
class Cors:
    """
    Whose pages may use the server from elsewhere.
    """
    def __init__(self) -> None:
        ...
    def allow(self, origin: str) -> None:
        """
        Pages of this origin, or of all: *.
        """
class AccessRules:
    """
    What needs a secret, and which.
    """
    def __init__(self) -> None:
        ...
    def restrict(self, api: str, header: str, value: str) -> None:
        """
        Requests of the API need the header with this value.
        """
class HeaderForwarding:
    """
    Fields of requests' heads that are parameters.
    """
    def __init__(self, pattern: str) -> None:
        ...
class HttpOptions:
    """
    How HTTP is served; times in seconds.
    """
    def __init__(self, *, address: str, port: typing.SupportsInt | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, server_name: str, server_version: str, tls: TlsContext, cors: Cors, access: AccessRules, forwarding: HeaderForwarding, max_body_bytes: typing.SupportsInt | typing.SupportsIndex, max_header_bytes: typing.SupportsInt | typing.SupportsIndex, max_connections: typing.SupportsInt | typing.SupportsIndex, max_bytes_in_flight: typing.SupportsInt | typing.SupportsIndex, header_timeout: typing.SupportsFloat | typing.SupportsIndex, body_timeout: typing.SupportsFloat | typing.SupportsIndex, idle_timeout: typing.SupportsFloat | typing.SupportsIndex, allow_shared_memory: bool, log_access: bool) -> None:
        ...
class GrpcKeepalive:
    """
    Which pings are sent and taken; times in seconds.
    """
    def __init__(self, *, time: typing.SupportsFloat | typing.SupportsIndex, timeout: typing.SupportsFloat | typing.SupportsIndex, permit_without_calls: bool, max_pings_without_data: typing.SupportsInt | typing.SupportsIndex, min_ping_interval: typing.SupportsFloat | typing.SupportsIndex, max_ping_strikes: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
class GrpcOptions:
    """
    How gRPC is served; times in seconds.
    """
    def __init__(self, *, address: str, port: typing.SupportsInt | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, server_name: str, server_version: str, tls: TlsContext, access: AccessRules, forwarding: HeaderForwarding, max_message_bytes: typing.SupportsInt | typing.SupportsIndex, max_control_bytes: typing.SupportsInt | typing.SupportsIndex, max_bytes_in_flight: typing.SupportsInt | typing.SupportsIndex, max_connections: typing.SupportsInt | typing.SupportsIndex, max_concurrent_streams: typing.SupportsInt | typing.SupportsIndex, message_timeout: typing.SupportsFloat | typing.SupportsIndex, keepalive: GrpcKeepalive, max_connection_age: typing.SupportsFloat | typing.SupportsIndex, max_connection_age_grace: typing.SupportsFloat | typing.SupportsIndex, descriptors: collections.abc.Sequence[str], compression_level: typing.SupportsInt | typing.SupportsIndex, allow_shared_memory: bool, log_access: bool) -> None:
        ...
class FrontEnd:
    """
    A front end.
    """
    def close(self, timeout: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> bool:
        """
        Waits so many seconds for answers in flight, then closes everything. Whether all were answered.
        """
    def stop_accepting(self) -> None:
        """
        Closes the listener and the idle connections.
        """
    @property
    def port(self) -> int:
        """
        The port it listens on.
        """
class TraceSettings:
    """
    Which requests of a model are traced.
    """
    def __init__(self, *, timestamps: bool, tensors: bool, rate: typing.SupportsInt | typing.SupportsIndex, count: typing.SupportsInt | typing.SupportsIndex, follow_context: bool) -> None:
        ...
class Trace:
    """
    What became of a request, and when.
    """
    @property
    def batch_requests(self) -> int:
        """
        In that batch.
        """
    @property
    def batch_rows(self) -> int:
        """
        Of the batch that it ran in.
        """
    @property
    def compute_span(self) -> int:
        """
        Of the execution.
        """
    @property
    def error(self) -> str:
        """
        Why it failed, or nothing.
        """
    @property
    def front_span(self) -> int:
        """
        Of the front end.
        """
    @property
    def id(self) -> int:
        """
        Its number.
        """
    @property
    def instance(self) -> str:
        """
        That ran it.
        """
    @property
    def model(self) -> str:
        """
        Empty: no model has taken the request.
        """
    @property
    def model_span(self) -> int:
        """
        Within the model.
        """
    @property
    def parent_id(self) -> int:
        """
        That of the request it is a step of, or 0.
        """
    @property
    def parent_span(self) -> int:
        """
        The client's, or that of the request it is a step of; 0: there is none.
        """
    @property
    def request_id(self) -> str:
        """
        The client's name for it.
        """
    @property
    def steps(self) -> list:
        """
        Of an ensemble.
        """
    @property
    def tensors(self) -> list:
        """
        Activity, name, datatype, shape and bytes of each.
        """
    @property
    def timestamps(self) -> list:
        """
        Activities, and nanoseconds of the clock.
        """
    @property
    def trace_id(self) -> int:
        """
        Of all that a client asked for.
        """
    @property
    def trace_state(self) -> str:
        """
        What came with the client's context.
        """
    @property
    def version(self) -> int:
        """
        Of the model.
        """
class LoadPlan:
    """
    When requests are sent; times in seconds.
    """
    def __init__(self, *, lanes: typing.SupportsInt | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, rate: typing.SupportsFloat | typing.SupportsIndex | None, warm_up: typing.SupportsFloat | typing.SupportsIndex, duration: typing.SupportsFloat | typing.SupportsIndex | None, requests: typing.SupportsInt | typing.SupportsIndex | None, timeout: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
class LoadRun:
    """
    A load that runs.
    """
    def finish(self, shares: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> dict:
        """
        Stops it, if it has not ended. What was counted, with these quantiles.
        """
    def kept(self) -> bytes:
        """
        Messages of answers, once it has finished.
        """
    def progress(self) -> tuple[int, int]:
        """
        Requests that have ended, and of these failed, so far.
        """
    def wait(self, seconds: typing.SupportsFloat | typing.SupportsIndex) -> bool:
        """
        Waits so long for its end; whether that has come.
        """
class ResponseStream:
    """
    The parts of one request's answer.
    """
    def close(self) -> None:
        """
        Cancels the request unless it has ended.
        """
    def fileno(self) -> int:
        """
        Readable when poll() may have something.
        """
    def next(self) -> dict | None:
        """
        Waits for the next part; None after the last one.
        """
    def poll(self) -> typing.Any:
        """
        The next part; None after the last one, Ellipsis while there is none.
        """
class ControlCall:
    """
    A request that changes something. Any thread.
    """
    def answer(self, content: bytes = b'') -> bool:
        """
        Answers without an error; whether that came first.
        """
    def fail(self, code: typing.SupportsInt | typing.SupportsIndex, message: str) -> bool:
        """
        Answers with an error; whether that came first.
        """
    @property
    def body(self) -> bytes:
        """
        Of the request.
        """
    @property
    def model(self) -> str:
        """
        That the path names, or nothing.
        """
    @property
    def operation(self) -> str:
        """
        Of the route, or the RPC.
        """
class LoadedModel:
    """
    A version of a model that the engine runs.
    """
    def set_load_time(self, seconds: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        What the metrics tell of its load.
        """
    def set_ready(self, ready: bool) -> None:
        """
        What the readiness route answers while it takes requests.
        """
class Engine:
    """
    The models of a server.
    """
    def __init__(self, *, pool_max_cached_bytes: typing.SupportsInt | typing.SupportsIndex = 268435456) -> None:
        ...
    def close(self) -> None:
        """
        Stops the front ends, then unloads all models.
        """
    def close_control(self) -> None:
        """
        Refuses such requests from now on, and those that wait.
        """
    def collect(self) -> None:
        """
        Lets go of results that nobody needs any more.
        """
    def description(self, name: str, version: typing.SupportsInt | typing.SupportsIndex | None) -> tuple[str, str]:
        """
        A model's metadata and configuration, as JSON texts.
        """
    def infer(self, model: str, inputs: dict, *, version: typing.SupportsInt | typing.SupportsIndex | None = None, outputs: collections.abc.Sequence[str] | None = None, request_id: str = '', parameters: dict | None = None, timeout: typing.SupportsFloat | typing.SupportsIndex | None = None) -> dict:
        """
        Runs one request and returns its outputs.
        """
    def inflight(self) -> int:
        """
        Requests inside any model.
        """
    def load(self, definition: ModelDefinition, model: typing.Any, capabilities: typing.SupportsInt | typing.SupportsIndex = 0, members: collections.abc.Sequence[LoadedModel] = []) -> LoadedModel:
        """
        Starts a model's instances, or an ensemble (then without a model, and with the loaded model of each step).
        """
    def memory(self) -> dict[str, int]:
        """
        Figures of the buffer pool.
        """
    def next_control_call(self) -> ControlCall:
        """
        Waits for the next request that changes something; None once that is closed.
        """
    def publish(self, *, index: collections.abc.Sequence[tuple[str, typing.SupportsInt | typing.SupportsIndex | None, str, str]], serving: collections.abc.Sequence[LoadedModel], reload_failures: collections.abc.Sequence[tuple[collections.abc.Sequence[tuple[str, str]], typing.SupportsInt | typing.SupportsIndex]] = [], ambiguous: collections.abc.Mapping[str, typing.SupportsInt | typing.SupportsIndex] = {}, namespaces: bool = False, ready: bool, live: bool = True, exiting: bool = False) -> None:
        """
        The state of the server, all at once.
        """
    def put_load(self, model: str, inputs: dict, *, version: typing.SupportsInt | typing.SupportsIndex | None = None, plan: LoadPlan) -> LoadRun:
        """
        Submits a request again and again.
        """
    def serve_grpc(self, options: GrpcOptions) -> FrontEnd:
        """
        Starts the gRPC front end.
        """
    def serve_http(self, options: HttpOptions) -> FrontEnd:
        """
        Starts the HTTP front end.
        """
    def serve_metrics(self, *, address: str, port: typing.SupportsInt | typing.SupportsIndex, counter_latencies: bool, quantiles: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], host_load: bool, interval: typing.SupportsFloat | typing.SupportsIndex) -> FrontEnd:
        """
        Starts the metrics endpoint.
        """
    def statistics(self, name: str | None = None, version: typing.SupportsInt | typing.SupportsIndex | None = None) -> str:
        """
        The statistics extension's JSON text.
        """
    def stream(self, model: str, inputs: dict, *, version: typing.SupportsInt | typing.SupportsIndex | None = None, outputs: collections.abc.Sequence[str] | None = None, request_id: str = '', parameters: dict | None = None, timeout: typing.SupportsFloat | typing.SupportsIndex | None = None, in_parts: bool = True) -> ResponseStream:
        """
        Runs one request; its answer may come in parts.
        """
    def take_traces(self) -> list:
        """
        Those that are finished and were not taken.
        """
    def trace(self, settings: TraceSettings, models: collections.abc.Mapping[str, TraceSettings] = {}) -> None:
        """
        What is traced from now on, and of these models.
        """
    def trace_remaining(self, model: str = '') -> int:
        """
        What is left of the count; -1: it has no end.
        """
    def traces_dropped(self) -> int:
        """
        How many found no room, in all.
        """
    def unload(self, model: LoadedModel, timeout: typing.SupportsFloat | typing.SupportsIndex | None = None) -> bool:
        """
        Waits until its requests are answered, then ends its instances. False at the timeout.
        """
    def wait_idle(self, timeout: typing.SupportsFloat | typing.SupportsIndex) -> bool:
        """
        Waits so many seconds until no request is inside any model.
        """
def abi_of_library(path: str) -> str:
    """
    Version of the C interface that a library was compiled with; loads it.
    """
def enable_log(level: typing.SupportsInt | typing.SupportsIndex, enabled: bool) -> None:
    """
    Whether lines of this level are written.
    """
def load_grpc(*, host: str, port: typing.SupportsInt | typing.SupportsIndex, authority: str, path: str, metadata: collections.abc.Sequence[tuple[str, str]], request: bytes, stream: bool, streams_per_connection: typing.SupportsInt | typing.SupportsIndex, keep: bool, plan: LoadPlan) -> LoadRun:
    """
    Calls a server again and again, with one message behind its prefix.
    """
def load_http(*, host: str, port: typing.SupportsInt | typing.SupportsIndex, request: bytes, events: bool, plan: LoadPlan) -> LoadRun:
    """
    Sends a request, head and body, to a server again and again.
    """
def log(level: typing.SupportsInt | typing.SupportsIndex, text: str, file: str, line: typing.SupportsInt | typing.SupportsIndex, fields: collections.abc.Sequence[tuple[str, str]] = []) -> None:
    """
    Writes a line; levels are 0 error, 1 warning, 2 information, 3 verbose.
    """
def open_log_file(path: str) -> None:
    """
    Where lines are appended; without a path, standard error.
    """
def reopen_log_file() -> None:
    """
    Opens the file again under its name.
    """
def set_log_format(format: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    0: the default, 1: with ISO 8601 times, 2: JSON lines.
    """
ABI: str = '0.1 (7eb5cd62)'
