"""The parts of one answer, for programs that wait and for those that run an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from despina import _engine
from despina.engine.native import translated
from despina.errors import DespinaError
from despina_sdk import Array, Code


def parts(stream: _engine.ResponseStream) -> Iterator[dict[str, Array]]:
    """Waits for each part; closing it cancels the request."""
    try:
        while True:
            with translated():
                part = stream.next()
            if part is None:
                return
            yield part
    finally:
        stream.close()


async def parts_async(
    stream: _engine.ResponseStream, timeout: float | None
) -> AsyncGenerator[dict[str, Array], None]:
    """The same on the running event loop, without a thread.

    Args:
        stream: of a request that was submitted.
        timeout: seconds for each part.
    """
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    with translated():
        descriptor = stream.fileno()
    loop.add_reader(descriptor, arrived.set)
    try:
        while True:
            arrived.clear()
            with translated():
                part = stream.poll()
            if part is None:
                return
            if part is not ...:
                yield part
                continue
            try:
                await asyncio.wait_for(arrived.wait(), timeout)
            except TimeoutError:
                text = "no answer within the timeout"
                raise DespinaError(Code.DEADLINE_EXCEEDED, text) from None
    finally:
        loop.remove_reader(descriptor)
        stream.close()
