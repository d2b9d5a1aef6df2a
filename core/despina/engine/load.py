"""Loads: the same request again and again, timed by the compiled engine on threads of its own."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from despina import _engine
from despina.engine.native import translated


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """When requests are sent; times in seconds.

    Attributes:
        lanes: requests under way at a time, at most; over HTTP each is a connection, over gRPC a
            stream.
        threads: that send them.
        rate: requests a second, at fixed times, from which their latency counts; ``None``: each
            lane sends the next when it has the answer to the last.
        warm_up: what is sent before is not counted.
        duration: what is sent in this time after it is; ``None``: up to ``requests``.
        requests: counted ones at most.
        timeout: for each response.
    """

    lanes: int
    threads: int = 1
    rate: float | None = None
    warm_up: float = 0.0
    duration: float | None = None
    requests: int | None = None
    timeout: float = 60.0


@dataclass(frozen=True)
class Times:
    """Many durations, in seconds; all are 0 where ``count`` is.

    Attributes:
        quantiles: of the shares that were asked for, each within 1 %.
    """

    count: int
    mean: float
    least: float
    greatest: float
    quantiles: list[float]


@dataclass(frozen=True)
class LoadFigures:
    """What was counted: requests that were sent after the warm-up.

    Attributes:
        latency: of those that succeeded, from when they were due to the end of the answer.
        first_response, between_responses: of answers in parts.
        not_sent: with a rate, those that were due and could not be sent until the end.
        responses: parts of the answers that succeeded.
        statuses: answers by their code, of HTTP or of gRPC.
        failures: how often what went wrong.
        finished_in_time: successes within ``seconds``, whenever they were due.
        seconds: how long was measured.
        processor_seconds: that the sending threads took, the warm-up included.
        running_seconds: for how long these ran, added up.
        ended: requests that ended in that time.
        fatal: why the load ended before its time; empty: it did not.
    """

    latency: Times
    first_response: Times
    between_responses: Times
    succeeded: int
    failed: int
    not_sent: int
    responses: int
    statuses: Mapping[int, int]
    failures: Mapping[str, int]
    finished_in_time: int
    seconds: float
    processor_seconds: float
    running_seconds: float
    ended: int
    fatal: str


class Load:
    """One that runs. Any thread, but for ``finish``: one, once."""

    def __init__(self, run: _engine.LoadRun) -> None:
        """Takes the engine's object."""
        self._run = run

    def wait(self, seconds: float) -> bool:
        """Waits for its end, at most so long; whether that has come."""
        return self._run.wait(seconds)

    def progress(self) -> tuple[int, int]:
        """Requests that have ended, and of these failed, with those of the warm-up."""
        return self._run.progress()

    def finish(self, shares: Sequence[float]) -> LoadFigures:
        """Stops it, if it has not ended, and gives up what is under way.

        Args:
            shares: of the quantiles, from 0 to 1.
        """
        figures = self._run.finish(shares)
        for name in ("latency", "first_response", "between_responses"):
            figures[name] = Times(**figures[name])
        return LoadFigures(**figures)

    def kept(self) -> bytes:
        """Messages of answers, one behind the other; after ``finish``."""
        return self._run.kept()


def load_http(host: str, port: int, request: bytes, plan: LoadPlan, *, events: bool) -> Load:
    """Begins to send a request to a server.

    Args:
        host: a name or an address.
        port: of plain HTTP/1.1.
        request: head and body, as they are sent.
        plan: when.
        events: answers come in parts, as events; one that tells an error is a failure.

    Raises:
        DespinaError: UNAVAILABLE: nobody has the name, or the system gives no threads. That the
            server cannot be reached is ``fatal`` in the figures.
    """
    with translated():
        return Load(
            _engine.load_http(
                host=host, port=port, request=request, events=events, plan=engine_plan(plan)
            )
        )


@dataclass(frozen=True, kw_only=True)
class GrpcCall:
    """What is called, and with what.

    Attributes:
        authority: of the server, ``HOST:PORT``.
        path: ``/package.Service/Method``.
        message: serialized.
        metadata: names in lower case.
        stream: answers come in parts; only of ``ModelStreamInfer``, where an error may be one.
    """

    authority: str
    path: str
    message: bytes
    metadata: Sequence[tuple[str, str]] = ()
    stream: bool = False


def load_grpc(
    host: str,
    port: int,
    call: GrpcCall,
    plan: LoadPlan,
    *,
    streams_per_connection: int = 1,
    keep: bool = False,
) -> Load:
    """Begins to call a server.

    Args:
        host: a name or an address.
        port: of gRPC without TLS.
        call: the same each time.
        plan: when.
        streams_per_connection: how many lanes share a connection.
        keep: messages of answers are there at the end, see ``Load.kept``.

    Raises:
        DespinaError: UNAVAILABLE: nobody has the name, or the system gives no threads. That the
            server cannot be reached is ``fatal`` in the figures.
    """
    with translated():
        return Load(
            _engine.load_grpc(
                host=host,
                port=port,
                authority=call.authority,
                path=call.path,
                metadata=list(call.metadata),
                request=struct.pack(">BI", 0, len(call.message)) + call.message,
                stream=call.stream,
                streams_per_connection=streams_per_connection,
                keep=keep,
                plan=engine_plan(plan),
            )
        )


def engine_plan(plan: LoadPlan) -> _engine.LoadPlan:
    """The plan as the engine wants it."""
    return _engine.LoadPlan(**asdict(plan))
