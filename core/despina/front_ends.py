"""What the settings say of the front ends, as the engine wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from despina.engine import (
    AccessRules,
    Cors,
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
        tls=_tls(settings),
        cors=_cors(settings),
        access=_access(settings),
        forwarding=_forwarding(settings),
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


def _tls(settings: Settings) -> TlsContext | None:
    if not (settings.https_use_ssl or settings.https_use_ssl_mutual):
        return None
    context = TlsContext()
    with _named("https_server_cert", settings.https_server_cert):
        context.use_certificate(settings.https_server_cert)
    with _named("https_server_key", settings.https_server_key):
        context.use_key(settings.https_server_key)
    if settings.https_use_ssl_mutual:
        with _named("https_root_cert", settings.https_root_cert):
            context.require_client_certificates(settings.https_root_cert)
    return context


def _cors(settings: Settings) -> Cors | None:
    if not settings.http_cors_allow_origin:
        return None
    cors = Cors()
    for origin in settings.http_cors_allow_origin:
        with _named("http_cors_allow_origin", origin):
            cors.allow(origin)
    return cors


def _access(settings: Settings) -> AccessRules | None:
    if not settings.http_restricted_api:
        return None
    rules = AccessRules()
    for group in settings.http_restricted_api:
        apis, _, rest = group.partition(":")
        header, _, value = rest.partition("=")
        with _named("http_restricted_api", shown("http_restricted_api", group)):
            if not (apis and header and value):
                text = "is not of the form API[,API...]:HEADER=VALUE"
                raise DespinaError(Code.INVALID_ARGUMENT, text)
            for api in apis.split(","):
                rules.restrict(api, header, value)
    return rules


def _forwarding(settings: Settings) -> HeaderForwarding | None:
    pattern = settings.http_header_forward_pattern
    if not pattern:
        return None
    with _named("http_header_forward_pattern", pattern):
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
