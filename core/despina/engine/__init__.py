"""The compiled engine, as the rest of the server sees it."""

from despina.engine.engine import (
    Engine,
    HttpOptions,
    HttpServer,
    MetricsOptions,
    Trace,
    TraceSettings,
    enable_log,
    log,
    open_log_file,
    reopen_log_file,
    set_log_format,
)

__all__ = [
    "Engine",
    "HttpOptions",
    "HttpServer",
    "MetricsOptions",
    "Trace",
    "TraceSettings",
    "enable_log",
    "log",
    "open_log_file",
    "reopen_log_file",
    "set_log_format",
]
