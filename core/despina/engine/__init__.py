"""The compiled engine, as the rest of the server sees it."""

from despina.engine.engine import (
    Engine,
    HttpOptions,
    HttpServer,
    LoadedModel,
    MetricsOptions,
    enable_log,
    log,
)

__all__ = [
    "Engine",
    "HttpOptions",
    "HttpServer",
    "LoadedModel",
    "MetricsOptions",
    "enable_log",
    "log",
]
