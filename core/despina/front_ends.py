"""What the settings say of the front ends, as the engine wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from despina.control.descriptors import descriptor_files
from despina.engine import (
    AccessRules,
    Cors,
    GrpcKeepalive,
    GrpcOptions,
    HeaderForwarding,
    HttpOptions,
    MetricsOptions,
    TlsContext,
    translated,
)
from despina.errors import DespinaError
from despina.settings import Settings
from despina.settings.metrics import metrics_config
from despina.settings.model import flag_name, shown
from despina_sdk import Code

RESTRICTION_PREFIX = "triton-grpc-protocol-"
"""What the metadata begins with that restricted parts of gRPC need."""

_COMPRESSION = {"none": 0, "low": 1, "medium": 6, "high": 9}
"""Levels of zlib."""


def http_options(settings: Settings, server_version: str) -> HttpOptions:
    """What the settings say of HTTP.

    Raises:
        DespinaError: INVALID_ARGUMENT: a file or a value cannot be used; names its flag.
    """
    return HttpOptions(
        address=settings.http_address,
        port=settings.http_port,
        threads=settings.http_thread_count,
        server_name=settings.id,
        server_version=server_version,
        max_body_bytes=settings.http_max_input_size,
        max_header_bytes=settings.http_max_header_size,
        max_connections=settings.http_max_connections,
        max_bytes_in_flight=settings.http_max_bytes_in_flight,
        header_timeout=settings.http_header_timeout_secs,
        body_timeout=settings.http_body_timeout_secs,
        idle_timeout=settings.http_idle_timeout_secs,
        tls=_tls(settings, "https"),
        cors=_cors(settings),
        access=_access(settings, "http_restricted_api"),
        forwarding=_forwarding(settings, "http_header_forward_pattern"),
        allow_shared_memory=settings.allow_client_shm,
        log_access=settings.log_access,
    )


def grpc_options(settings: Settings, server_version: str) -> GrpcOptions:
    """What the settings say of gRPC.

    Raises:
        DespinaError: INVALID_ARGUMENT: a file or a value cannot be used; names its flag.
    """
    return GrpcOptions(
        address=settings.grpc_address,
        port=settings.grpc_port,
        threads=settings.grpc_thread_count,
        server_name=settings.id,
        server_version=server_version,
        max_message_bytes=settings.grpc_max_message_size,
        max_control_bytes=settings.http_max_input_size,
        max_bytes_in_flight=settings.grpc_max_bytes_in_flight,
        max_connections=settings.grpc_max_connections,
        max_concurrent_streams=settings.grpc_max_concurrent_streams,
        compression_level=_COMPRESSION[settings.grpc_infer_response_compression_level],
        message_timeout=settings.grpc_message_timeout_secs,
        keepalive=GrpcKeepalive(
            time=settings.grpc_keepalive_time / 1000,
            timeout=settings.grpc_keepalive_timeout / 1000,
            permit_without_calls=settings.grpc_keepalive_permit_without_calls,
            max_pings_without_data=settings.grpc_http2_max_pings_without_data,
            min_ping_interval=settings.grpc_http2_min_recv_ping_interval_without_data / 1000,
            max_ping_strikes=settings.grpc_http2_max_ping_strikes,
        ),
        max_connection_age=settings.grpc_max_connection_age / 1000,
        max_connection_age_grace=settings.grpc_max_connection_age_grace / 1000,
        descriptors=tuple(file.serialized for file in descriptor_files()),
        tls=_tls(settings, "grpc"),
        access=_access(settings, "grpc_restricted_protocol", RESTRICTION_PREFIX),
        forwarding=_forwarding(settings, "grpc_header_forward_pattern"),
        allow_shared_memory=settings.allow_client_shm,
        log_access=settings.log_access,
    )


def metrics_options(settings: Settings) -> MetricsOptions:
    """What the settings say of the metrics port."""
    config = metrics_config(settings.metrics_config)
    return MetricsOptions(
        address=settings.metrics_address or settings.http_address,
        port=settings.metrics_port,
        counter_latencies=config.counter_latencies,
        quantiles=config.summary_quantiles,
        host_load=settings.allow_cpu_metrics,
        interval=settings.metrics_interval_ms / 1000,
    )


def _tls(settings: Settings, prefix: str) -> TlsContext | None:
    """Of HTTPS or of gRPC, whose settings have the same names behind the prefix."""
    mutual = getattr(settings, f"{prefix}_use_ssl_mutual")
    if not (mutual or getattr(settings, f"{prefix}_use_ssl")):
        return None
    context = TlsContext()
    uses = {"server_cert": context.use_certificate, "server_key": context.use_key}
    if mutual:
        uses["root_cert"] = context.require_client_certificates
    for suffix, use in uses.items():
        name = f"{prefix}_{suffix}"
        file = getattr(settings, name)
        with _named(name, file):
            use(file)
    return context


def _cors(settings: Settings) -> Cors | None:
    if not settings.http_cors_allow_origin:
        return None
    cors = Cors()
    for origin in settings.http_cors_allow_origin:
        with _named("http_cors_allow_origin", origin):
            cors.allow(origin)
    return cors


def _access(settings: Settings, name: str, header_prefix: str = "") -> AccessRules | None:
    groups: tuple[str, ...] = getattr(settings, name)
    if not groups:
        return None
    rules = AccessRules()
    for group in groups:
        apis, _, rest = group.partition(":")
        header, _, value = rest.partition("=")
        with _named(name, shown(name, group)):
            if not (apis and header and value):
                form = Settings.__dataclass_fields__[name].metadata["metavar"]
                raise DespinaError(Code.INVALID_ARGUMENT, f"is not of the form {form}")
            for api in apis.split(","):
                rules.restrict(api, header_prefix + header, value)
    return rules


def _forwarding(settings: Settings, name: str) -> HeaderForwarding | None:
    pattern: str = getattr(settings, name)
    if not pattern:
        return None
    with _named(name, pattern):
        return HeaderForwarding(pattern)


@contextmanager
def _named(setting: str, value: str) -> Iterator[None]:
    """Names flag and value in the engine's error."""
    try:
        with translated():
            yield
    except DespinaError as error:
        text = f"--{flag_name(setting)}={value}: {error.message}"
        raise DespinaError(error.code, text) from error
