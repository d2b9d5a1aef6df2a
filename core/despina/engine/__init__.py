"""The compiled engine, as the rest of the server sees it."""

from despina.engine.engine import (
    AccessRules,
    Cors,
    Engine,
    HeaderForwarding,
    HttpOptions,
    FrontEnd,
    Labels,
    LoadedModel,
    MetricsOptions,
    TlsContext,
    Trace,
    TraceSettings,
    enable_log,
    log,
    open_log_file,
    reopen_log_file,
    set_log_format,
)
from despina.engine.load import Load, LoadFigures, LoadPlan, Times, load_http
from despina.engine.native import translated

__all__ = [
    "AccessRules",
    "Cors",
    "Engine",
    "HeaderForwarding",
    "HttpOptions",
    "FrontEnd",
    "Labels",
    "Load",
    "LoadFigures",
    "LoadPlan",
    "LoadedModel",
    "MetricsOptions",
    "Times",
    "TlsContext",
    "Trace",
    "TraceSettings",
    "enable_log",
    "load_http",
    "log",
    "open_log_file",
    "reopen_log_file",
    "set_log_format",
    "translated",
]
