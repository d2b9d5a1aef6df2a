"""The compiled engine, as the rest of the server sees it."""

from despina.engine.engine import (
    AccessRules,
    Cors,
    Engine,
    HeaderForwarding,
    HttpOptions,
    HttpServer,
    LoadedModel,
    MetricsOptions,
    TlsContext,
    enable_log,
    log,
)
from despina.engine.native import translated

__all__ = [
    "AccessRules",
    "Cors",
    "Engine",
    "HeaderForwarding",
    "HttpOptions",
    "HttpServer",
    "LoadedModel",
    "MetricsOptions",
    "TlsContext",
    "enable_log",
    "log",
    "translated",
]
