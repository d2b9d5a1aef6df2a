"""Begins to trace as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from despina import __version__
from despina.control.trace import Sampling, Tracing
from despina.engine import Engine, TraceSettings
from despina.errors import DespinaError
from despina.observe.trace_file import TraceFile
from despina.observe.tracing import TraceThread, TraceWriter
from despina.settings import Settings
from despina.settings.trace import FLAG, TraceConfig, trace_config
from despina_sdk import Code


def start_tracing(
    settings: Settings, engine: Engine, known: Callable[[str], bool]
) -> tuple[Tracing, TraceThread | None]:
    """Makes what clients change the settings of traces with, and who writes them.

    Args:
        settings: of the server.
        engine: traces requests.
        known: whether there is a model of that name.

    Returns:
        Both; nobody writes where nothing can ever be traced.

    Raises:
        DespinaError: FAILED_PRECONDITION: a package is missing. INVALID_ARGUMENT: the SDK refuses
            a setting.
    """
    config = trace_config(settings)
    follow = config.mode == "opentelemetry"

    def apply(sampling: Sampling, models: Mapping[str, Sampling]) -> None:
        by_model = {name: _of_engine(each, follow) for name, each in models.items()}
        engine.trace(_of_engine(sampling, follow), by_model)

    tracing = Tracing(config, apply=apply, remaining=engine.trace_remaining, known=known)
    writer = _writer(config, settings, tracing)
    return tracing, TraceThread(engine, writer) if writer else None


def _of_engine(sampling: Sampling, follow: bool) -> TraceSettings:
    return TraceSettings(
        timestamps="TIMESTAMPS" in sampling.level,
        tensors="TENSORS" in sampling.level,
        rate=sampling.rate,
        count=sampling.count,
        follow_context=follow,
    )


def _writer(config: TraceConfig, settings: Settings, tracing: Tracing) -> TraceWriter | None:
    if config.mode == "triton":
        return TraceFile(config.file, lambda: tracing.log_frequency) if config.file else None
    try:
        from despina.observe.opentelemetry import OpenTelemetryWriter
    except ImportError as error:
        text = f"{FLAG}: mode=opentelemetry needs a package that is missing ({error.name}): "
        text += "install despina with its extra 'opentelemetry'"
        raise DespinaError(Code.FAILED_PRECONDITION, text) from error
    try:
        return OpenTelemetryWriter(config, settings.id, __version__)
    except ValueError as error:
        raise DespinaError(Code.INVALID_ARGUMENT, f"{FLAG}: opentelemetry: {error}") from error
