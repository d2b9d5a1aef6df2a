"""The declaration of every setting."""

from __future__ import annotations

import re
from dataclasses import Field, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from despina.settings.declare import setting

Seconds = float


GENERAL, REPOSITORY, HTTP, HTTPS = "General", "Models", "HTTP", "HTTPS"
LIMITS, METRICS = "Limits of HTTP", "Metrics"
GRPC, GRPC_TLS, GRPC_LIMITS = "gRPC", "TLS of gRPC", "Limits of gRPC"
LOG, BACKENDS, MEMORY = "Log", "Backends", "Memory"
TRACES = "Traces"
OF_TRACES = "Deprecated: --trace-config"
PORT = 65535
MAX_INT32 = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that an operator can set; the defaults are those of a server without flags."""

    id: str = setting("despina", "Name of the server, as clients see it.", group=GENERAL)
    exit_timeout_secs: Seconds = setting(
        30.0,
        "How long requests that were accepted may take to finish at the end.",
        group=GENERAL,
        minimum=0,
    )
    exit_on_error: bool = setting(
        True, "Do not start with a model that cannot be loaded.", group=GENERAL
    )
    strict_readiness: bool = setting(True, "Be ready only while all models are.", group=GENERAL)

    model_repository: tuple[Path, ...] = setting(
        (), "Folder of models. May be given several times.", group=REPOSITORY, alias="model-store"
    )
    model_control_mode: Literal["none", "poll", "explicit"] = setting(
        "none",
        "`none`: all models are loaded at the start. `poll`: the repositories are looked at again"
        " and again, and what has changed is loaded. `explicit`: those of --load-model, then what"
        " clients ask for.",
        group=REPOSITORY,
    )
    repository_poll_secs: Seconds = setting(
        15.0,
        "How often to look, with --model-control-mode=poll.",
        group=REPOSITORY,
        minimum=0.01,
    )
    repository_settle_secs: Seconds = setting(
        2.0,
        "How long nothing of a model's folder must have changed before it is loaded, with"
        " --model-control-mode=poll: what is still being copied is left alone.",
        group=REPOSITORY,
        minimum=0,
    )
    load_model: tuple[str, ...] = setting(
        (),
        "Model to load at the start, `*` for all; with --model-control-mode=explicit only."
        " May be given several times.",
        group=REPOSITORY,
        metavar="NAME",
    )
    model_load_thread_count: int = setting(
        4, "How many models are loaded at a time.", group=REPOSITORY, minimum=1, maximum=128
    )
    model_load_retry_count: int = setting(
        0,
        "How often a model that cannot be loaded is tried again.",
        group=REPOSITORY,
        minimum=0,
        maximum=1000,
    )
    model_namespacing: bool = setting(
        False, "Models of several repositories may have one name.", group=REPOSITORY
    )
    model_config_name: str = setting(
        "",
        "Take `configs/NAME.pbtxt` of a model's folder instead of `config.pbtxt`, where it is.",
        group=REPOSITORY,
        metavar="NAME",
    )
    disable_auto_complete_config: bool = setting(
        False, "Backends may not fill in what a configuration leaves out.", group=REPOSITORY
    )

    allow_http: bool = setting(True, "Serve HTTP.", group=HTTP)
    http_address: str = setting(
        "127.0.0.1", "Address to listen on; `0.0.0.0` for all of the machine.", group=HTTP
    )
    http_port: int = setting(
        8000, "Port; 0 takes any free one, and prints it.", group=HTTP, minimum=0, maximum=PORT
    )
    http_thread_count: int = setting(
        1, "Threads that read requests and write answers.", group=HTTP, minimum=1, maximum=256
    )

    allow_client_shm: bool = setting(
        False,
        "Clients may lend the server shared memory of this machine: they can make it read and write"
        " every object that it is allowed to open.",
        group=HTTP,
    )
    http_restricted_api: tuple[str, ...] = setting(
        (),
        "Parts of the API that need a header with a secret, of health, metadata, inference,"
        " shared-memory, model-config, model-repository, statistics, trace, logging. May be given"
        " several times, each part once (in the environment, separated by semicolons).",
        group=HTTP,
        metavar="API[,API...]:HEADER=VALUE",
        separator=";",
        secret=True,
    )
    http_cors_allow_origin: tuple[str, ...] = setting(
        (),
        "Origin whose pages may use the server from elsewhere (CORS), `*` for all. May be given"
        " several times.",
        group=HTTP,
        metavar="SCHEME://HOST[:PORT]",
    )
    http_header_forward_pattern: str = setting(
        "",
        "Headers whose names hold a match of this regular expression (RE2, in any case unless it"
        " begins with `(?-i)`) are parameters of inference requests.",
        group=HTTP,
        metavar="PATTERN",
    )

    https_use_ssl: bool = setting(
        False, "Serve HTTPS in place of HTTP, by TLS 1.2 or 1.3.", group=HTTPS
    )
    https_use_ssl_mutual: bool = setting(
        False, "The same, and clients need a certificate.", group=HTTPS
    )
    https_server_cert: str = setting(
        "",
        "The server's certificate, with those that lead to its authority behind it (PEM).",
        group=HTTPS,
        metavar="FILE",
    )
    https_server_key: str = setting(
        "", "The certificate's key (PEM, without a passphrase).", group=HTTPS, metavar="FILE"
    )
    https_root_cert: str = setting(
        "",
        "Authorities of which clients need a certificate (PEM), with --https-use-ssl-mutual.",
        group=HTTPS,
        metavar="FILE",
    )

    http_max_input_size: int = setting(
        64 << 20, "Bytes of a request's body (413 beyond).", group=LIMITS, minimum=1
    )
    http_max_header_size: int = setting(
        64 << 10, "Bytes of a request's header (431 beyond).", group=LIMITS, minimum=1024
    )
    http_max_connections: int = setting(
        10_000, "Connections at a time (503 beyond).", group=LIMITS, minimum=1
    )
    http_max_bytes_in_flight: int = setting(
        1 << 30,
        "Bytes of all bodies and unsent answers at a time (503 beyond).",
        group=LIMITS,
        minimum=1,
    )
    http_header_timeout_secs: Seconds = setting(
        10.0,
        "Time for a request's header to arrive (408 beyond), and for a TLS handshake.",
        group=LIMITS,
        minimum=0.001,
    )
    http_body_timeout_secs: Seconds = setting(
        60.0,
        "Time for 64 KiB of a body to arrive (408 beyond), or of an answer to be taken.",
        group=LIMITS,
        minimum=0.001,
    )
    http_idle_timeout_secs: Seconds = setting(
        300.0, "Time after which an idle connection is closed.", group=LIMITS, minimum=0.001
    )

    allow_metrics: bool = setting(True, "Serve /metrics.", group=METRICS)
    metrics_address: str = setting(
        "", "Address to listen on; that of HTTP by default.", group=METRICS
    )
    metrics_port: int = setting(
        8002, "Port; 0 takes any free one, and prints it.", group=METRICS, minimum=0, maximum=PORT
    )
    allow_cpu_metrics: bool = setting(
        True, "Put the machine's processors and memory on the page.", group=METRICS
    )
    metrics_interval_ms: int = setting(
        2000,
        "Milliseconds in which the machine's processors and memory are read once at most; all else"
        " is as of when it is asked for.",
        group=METRICS,
        minimum=1,
    )
    metrics_config: tuple[str, ...] = setting(
        (),
        "What is measured: `counter_latencies=true`, `histogram_latencies=false`,"
        " `summary_latencies=false`, and the quantiles of the last,"
        " `summary_quantiles=0.5:0.05,0.9:0.01,...` (the number behind a colon is not used)."
        " May be given several times.",
        group=METRICS,
        metavar="KEY=VALUE",
    )

    allow_grpc: bool = setting(True, "Serve gRPC.", group=GRPC)
    grpc_address: str = setting(
        "127.0.0.1", "Address to listen on; `0.0.0.0` for all of the machine.", group=GRPC
    )
    grpc_port: int = setting(
        8001, "Port; 0 takes any free one, and prints it.", group=GRPC, minimum=0, maximum=PORT
    )
    grpc_thread_count: int = setting(
        1, "Threads that read requests and write answers.", group=GRPC, minimum=1, maximum=256
    )
    grpc_restricted_protocol: tuple[str, ...] = setting(
        (),
        "As --http-restricted-api. The metadata that requests need is `triton-grpc-protocol-KEY`.",
        group=GRPC,
        metavar="API[,API...]:KEY=VALUE",
        separator=";",
        secret=True,
    )
    grpc_header_forward_pattern: str = setting(
        "",
        "Metadata whose names hold a match of this regular expression are parameters of inference"
        " requests, as with --http-header-forward-pattern.",
        group=GRPC,
        metavar="PATTERN",
    )
    grpc_infer_response_compression_level: Literal["none", "low", "medium", "high"] = setting(
        "none", "How much effort goes into making responses of inference smaller.", group=GRPC
    )

    grpc_use_ssl: bool = setting(False, "Serve gRPC by TLS 1.2 or 1.3 only.", group=GRPC_TLS)
    grpc_use_ssl_mutual: bool = setting(
        False, "The same, and clients need a certificate.", group=GRPC_TLS
    )
    grpc_server_cert: str = setting("", "As --https-server-cert.", group=GRPC_TLS, metavar="FILE")
    grpc_server_key: str = setting("", "As --https-server-key.", group=GRPC_TLS, metavar="FILE")
    grpc_root_cert: str = setting(
        "",
        "Authorities of which clients need a certificate (PEM), with --grpc-use-ssl-mutual.",
        group=GRPC_TLS,
        metavar="FILE",
    )

    grpc_max_message_size: int = setting(
        MAX_INT32,
        "Bytes of a message, also once it is decompressed (RESOURCE_EXHAUSTED beyond).",
        group=GRPC_LIMITS,
        minimum=1,
        maximum=MAX_INT32,
    )
    grpc_max_bytes_in_flight: int = setting(
        1 << 30,
        "Bytes of all messages and unsent answers at a time (RESOURCE_EXHAUSTED beyond).",
        group=GRPC_LIMITS,
        minimum=1,
    )
    grpc_max_connections: int = setting(
        10_000, "Connections at a time; others are closed.", group=GRPC_LIMITS, minimum=1
    )
    grpc_max_concurrent_streams: int = setting(
        1024,
        "Calls of a connection at a time; others wait in the client.",
        group=GRPC_LIMITS,
        minimum=1,
        maximum=MAX_INT32,
    )
    grpc_message_timeout_secs: Seconds = setting(
        60.0,
        "Time for 64 KiB of a message to arrive (DEADLINE_EXCEEDED beyond); five times as long for "
        "any of an answer to be taken.",
        group=GRPC_LIMITS,
        minimum=0.001,
    )
    grpc_keepalive_time: int = setting(
        7_200_000,
        "Milliseconds without a sign of life after which a client is asked for one (PING).",
        group=GRPC_LIMITS,
        minimum=1,
        maximum=MAX_INT32,
    )
    grpc_keepalive_timeout: int = setting(
        20_000,
        "Milliseconds in which it must answer that, or its connection is closed.",
        group=GRPC_LIMITS,
        minimum=1,
        maximum=MAX_INT32,
    )
    grpc_keepalive_permit_without_calls: bool = setting(
        False, "Ask, and let clients ask, also while there is no call.", group=GRPC_LIMITS
    )
    grpc_http2_max_pings_without_data: int = setting(
        2,
        "How often a client is asked without anything else being sent to it; 0 for no limit.",
        group=GRPC_LIMITS,
        minimum=0,
        maximum=MAX_INT32,
    )
    grpc_http2_min_recv_ping_interval_without_data: int = setting(
        300_000,
        "Milliseconds between two PINGs of a client without calls; sooner is a strike.",
        group=GRPC_LIMITS,
        minimum=0,
        maximum=MAX_INT32,
    )
    grpc_http2_max_ping_strikes: int = setting(
        2,
        "Strikes after which a connection is closed; 0 for no limit.",
        group=GRPC_LIMITS,
        minimum=0,
        maximum=MAX_INT32,
    )
    grpc_max_connection_age: int = setting(
        0,
        "Milliseconds after which a connection takes no more calls; 0 for no end.",
        group=GRPC_LIMITS,
        minimum=0,
        maximum=MAX_INT32,
    )
    grpc_max_connection_age_grace: int = setting(
        0,
        "Milliseconds that its calls may still take then; 0 for no end.",
        group=GRPC_LIMITS,
        minimum=0,
        maximum=MAX_INT32,
    )

    log_verbose: int = setting(
        0, "1 or more writes verbose lines.", group=LOG, metavar="LEVEL", minimum=0
    )
    log_info: bool = setting(True, "Write lines of information.", group=LOG)
    log_warning: bool = setting(True, "Write warnings.", group=LOG)
    log_error: bool = setting(True, "Write errors.", group=LOG)
    log_format: Literal["default", "ISO8601", "json"] = setting(
        "default", "How a line begins, or `json` for an object per line.", group=LOG
    )
    log_file: str = setting(
        "",
        "File that lines are appended to, instead of to standard error. SIGHUP opens it again.",
        group=LOG,
        metavar="PATH",
    )
    log_access: bool = setting(
        False, "Write a line of information for each request over HTTP and gRPC.", group=LOG
    )

    trace_config: tuple[str, ...] = setting(
        (),
        "Which requests are traced: `level=TIMESTAMPS` (also `TENSORS`), `rate=1000` (every so"
        " many), `count=-1` (so many in all), and where traces go: `mode=triton` with"
        " `triton,file=PATH` and `triton,log-frequency=0` (traces of one file), or"
        " `mode=opentelemetry` with `opentelemetry,url=http://localhost:4318/v1/traces`,"
        " `opentelemetry,resource=KEY=VALUE`, `opentelemetry,bsp_max_queue_size=2048`,"
        " `opentelemetry,bsp_schedule_delay=5000`, `opentelemetry,bsp_max_export_batch_size=512`."
        " May be given several times.",
        group=TRACES,
        metavar="[MODE,]KEY=VALUE",
    )
    trace_file: str = setting("", f"{OF_TRACES}=triton,file.", group=TRACES)
    trace_level: str = setting("", f"{OF_TRACES}=level.", group=TRACES)
    trace_rate: str = setting("", f"{OF_TRACES}=rate.", group=TRACES)
    trace_count: str = setting("", f"{OF_TRACES}=count.", group=TRACES)
    trace_log_frequency: str = setting("", f"{OF_TRACES}=triton,log-frequency.", group=TRACES)

    backend_config: tuple[str, ...] = setting(
        (),
        "A setting for a backend. May be given several times.",
        group=BACKENDS,
        metavar="BACKEND,KEY=VALUE",
    )
    backend_directory: str = setting(
        "",
        "Folder with libraries `NAME/libdespina_NAME.so`, for backends that no distribution offers"
        " and that do not lie with their models.",
        group=BACKENDS,
        metavar="DIR",
    )
    dev: str = setting(
        "",
        "Folder of a plugin that is being written, with its `pyproject.toml`: its backends are"
        " served from there, installed or not. What is saved is built if need be, and loaded beside"
        " what serves; so are files of models. The models are those of `PATH/model_repository`"
        " unless --model-repository names others, and mistakes do not end the server unless"
        " --exit-on-error says so.",
        group=BACKENDS,
        metavar="PATH",
    )

    pinned_memory_pool_byte_size: int = setting(
        256 << 20, "Bytes of free memory that are kept for later requests.", group=MEMORY, minimum=0
    )


def setting_fields() -> tuple[Field[Any], ...]:
    """The declarations, in the order of the page."""
    return fields(Settings)


def flag_name(name: str) -> str:
    """The flag of a setting: ``model_repository`` → ``model-repository``."""
    return name.replace("_", "-")


def environment_name(name: str) -> str:
    """Its name in the environment: ``DESPINA_MODEL_REPOSITORY``."""
    return f"DESPINA_{name.upper()}"


@cache  # Python evaluates all of them anew each time, which took a third of a command's start.
def _type_hints() -> dict[str, Any]:
    return get_type_hints(Settings)


def setting_type(name: str) -> Any:
    """The type of one value: of a setting that may be given several times, of each."""
    hint = _type_hints()[name]
    return get_args(hint)[0] if get_origin(hint) is tuple else hint


def is_repeatable(name: str) -> bool:
    """Whether it may be given several times."""
    return get_origin(_type_hints()[name]) is tuple


def choices(name: str) -> tuple[str, ...]:
    """The words that are allowed, of a setting that has a list of them."""
    kind = setting_type(name)
    return get_args(kind) if get_origin(kind) is Literal else ()


def shown(name: str, value: Any) -> str:
    """A setting's value for those who may not know its secrets."""
    if not Settings.__dataclass_fields__[name].metadata["secret"]:
        return value_text(value)
    values = value if isinstance(value, tuple) else (value,)
    return value_text(tuple(re.sub("=.*", "=***", each, flags=re.DOTALL) for each in values))


def value_text(value: Any) -> str:
    """A value as an operator writes it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
