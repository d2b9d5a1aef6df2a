"""Traces as spans for a collector of OpenTelemetry (OTLP over HTTP).

Only this module imports the SDK, which the extra ``despina[opentelemetry]`` brings along.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.trace.status import Status, StatusCode

from despina.engine import Trace
from despina.settings.trace import TraceConfig

_COMPUTE = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END")
_MODEL = ("REQUEST_START", "QUEUE_START", "REQUEST_END")


class OpenTelemetryWriter:
    """A writer. The SDK collects spans and sends them in batches, on a thread of its own."""

    def __init__(self, config: TraceConfig, service_name: str, version: str) -> None:
        """Begins.

        Args:
            config: the collector's address, the server's attributes, sizes of batches.
            service_name: of the server, unless the attributes have one.
            version: of the server.

        Raises:
            ValueError: the sizes of batches do not go together.
        """
        attributes = {"service.name": service_name, "service.version": version}
        self._resource = Resource.create({**attributes, **dict(config.resource)})
        self._scope = InstrumentationScope("despina", version)
        sizes: dict[str, Any] = dict(config.bsp)
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=config.url), **sizes)
        self._new_id = RandomIdGenerator().generate_span_id

    def write(self, traces: Sequence[Trace]) -> None:
        """Makes spans of traces, and hands them to the SDK."""
        # The engine's clock is not the calendar's.
        offset = time.time_ns() - time.monotonic_ns()
        for trace in traces:
            for span in self._spans(trace, offset):
                self._processor.on_end(span)

    def close(self) -> None:
        """Sends what was not sent yet, and ends."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _spans(self, trace: Trace, offset: int) -> Iterator[ReadableSpan]:
        """Those of a request and its steps."""
        stamps = [(name, offset + when) for name, when in trace.timestamps]
        if not stamps:
            return
        maker = _Maker(trace, self._resource, self._scope)
        if not trace.parent_id:
            events = [each for each in stamps if each[0] not in (*_MODEL, *_COMPUTE)]
            yield maker.span(
                "InferRequest",
                trace.front_span,
                trace.parent_span,
                (min(when for _, when in stamps), max(when for _, when in stamps)),
                events,
                kind=SpanKind.SERVER,
                remote=True,
            )
        at = dict(stamps)
        if "REQUEST_END" not in at:
            return
        parent = trace.parent_span if trace.parent_id else trace.front_span
        yield maker.span(
            trace.model,
            trace.model_span,
            parent,
            (at["REQUEST_START"], at["REQUEST_END"]),
            [each for each in stamps if each[0] in _MODEL],
            attributes={
                "triton.model_name": trace.model,
                "triton.model_version": trace.version,
                "triton.trace_id": trace.id,
                "triton.trace_parent_id": trace.parent_id,
                "triton.request_id": trace.request_id,
            },
        )
        yield from self._execution(trace, maker, stamps)
        for step in trace.steps:
            yield from self._spans(step, offset)

    def _execution(
        self, trace: Trace, maker: _Maker, stamps: list[tuple[str, int]]
    ) -> Iterator[ReadableSpan]:
        """The queue, the execution with the batch that it was of, and the backend's own part."""
        at = dict(stamps)
        if trace.steps:
            return  # an ensemble waits for nothing and runs nothing itself
        executed = "COMPUTE_START" in at
        end = at["COMPUTE_START"] if executed else at["REQUEST_END"]
        model = trace.model_span
        yield maker.span("queue", self._new_id(), model, (at["QUEUE_START"], end), [])
        if not executed:
            return
        yield maker.span(
            "compute",
            trace.compute_span,
            model,
            (at["COMPUTE_START"], at["COMPUTE_END"]),
            [each for each in stamps if each[0] in _COMPUTE],
            attributes={
                "despina.batch_rows": trace.batch_rows,
                "despina.batch_requests": trace.batch_requests,
                "despina.instance": trace.instance,
            },
        )
        backend = at["COMPUTE_INPUT_END"], at["COMPUTE_OUTPUT_START"]
        yield maker.span("backend", self._new_id(), trace.compute_span, backend, [])


class _Maker:
    """Makes the spans of one request."""

    def __init__(self, trace: Trace, resource: Resource, scope: InstrumentationScope) -> None:
        self._trace, self._resource, self._scope = trace, resource, scope
        self._state = TraceState.from_header([trace.trace_state]) if trace.trace_state else None

    def span(
        self,
        name: str,
        span: int,
        parent: int,
        times: tuple[int, int],
        events: list[tuple[str, int]],
        *,
        attributes: dict[str, Any] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        remote: bool = False,
    ) -> ReadableSpan:
        """One of them; ``parent`` may be 0."""
        error = self._trace.error
        return ReadableSpan(
            name=name,
            context=self._context(span, False),
            parent=self._context(parent, remote) if parent else None,
            resource=self._resource,
            attributes=attributes or {},
            events=[Event(each, timestamp=when) for each, when in events],
            kind=kind,
            instrumentation_scope=self._scope,
            status=Status(StatusCode.ERROR, error)
            if error and name != "queue"
            else None or Status(StatusCode.UNSET),
            start_time=times[0],
            end_time=times[1],
        )

    def _context(self, span: int, remote: bool) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(self._trace.trace_id, span, remote, flags, self._state)
