"""What drives load: wrk over HTTP, h2load over gRPC."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payloads import Payload

HERE = Path(__file__).resolve().parent


@dataclass
class Load:
    """A run of a program that sends requests."""

    process: subprocess.Popen[str]
    read: Callable[[str], dict[str, Any]]
    """Makes the figures of what the program printed; raises ValueError if there are none."""

    def running(self) -> bool:
        """Until its time is over."""
        return self.process.poll() is None

    def figures(self) -> dict[str, Any]:
        """Waits for its end: ``requests``, ``seconds``, ``p50_us``, ``p99_us``, ``errors``.

        h2load adds ``data_bytes``, those of all bodies of answers. Raises RuntimeError if the
        program printed no figures.
        """
        output, errors = self.process.communicate()
        try:
            return self.read(output)
        except ValueError as error:
            text = f"{self.process.args!r} printed no figures: {error}\n{output}{errors}"
            raise RuntimeError(text) from None


@contextlib.contextmanager
def start_load(
    url: str,
    payload: Payload,
    connections: int,
    seconds: float,
    streams: int = 1,
    percentiles: bool = True,
) -> Iterator[Load]:
    """Starts a program that posts the payload again and again; it is gone at the end of the block.

    Args:
        url: of the model over HTTP, of the RPC over gRPC.
        payload: says which of the two it is.
        connections: each with one request under way, over gRPC with ``streams``.
        seconds: how long, to the millisecond.
        streams: of each connection.
        percentiles: of h2load; for long runs without, since they need a file with every request.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(payload.body)
        log.touch()
        environment = dict(os.environ)
        if payload.grpc:
            command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}"]
            command += [f"-D{round(seconds * 1000)}ms", f"--data={body}"]
            command += [f"--log-file={log}"] if percentiles else []
            command += ["-H", "content-type: application/grpc", "-H", "te: trailers", url]
        else:
            environment |= {
                "BENCH_BODY": str(body),
                "BENCH_JSON_SIZE": str(payload.json_size or ""),
            }
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s"]
            command += ["-s", str(HERE / "wrk_post.lua"), url]

        def read(output: str) -> dict[str, Any]:
            return h2load_figures(output, log.read_text()) if payload.grpc else wrk_figures(output)

        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=environment, stdout=pipe, stderr=pipe, text=True
        ) as process:
            try:
                yield Load(process, read)
            finally:
                process.kill()


def wrk_figures(output: str) -> dict[str, Any]:
    """What `wrk_post.lua` printed."""
    for line in output.splitlines():
        if line.startswith("BENCH "):
            figures: dict[str, Any] = json.loads(line.removeprefix("BENCH "))
            return figures
    raise ValueError("no line begins with BENCH")


def h2load_figures(output: str, log: str) -> dict[str, Any]:
    """What h2load printed, with percentiles from its log: version 1.52 prints none.

    Args:
        output: its report.
        log: a line for each request: begin, status, microseconds. Without any there are no
            percentiles.
    """
    rate = re.search(r"^finished in .*?, ([\d.]+) req/s", output, re.MULTILINE)
    counts = re.search(
        r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        output,
        re.MULTILINE,
    )
    data = re.search(r"^traffic: .*\((\d+)\) data$", output, re.MULTILINE)
    if not rate or not counts or not data:
        raise ValueError("no report of h2load")
    requests = int(counts[1])
    # Failed counts those that errored or ran out of time too.
    figures: dict[str, Any] = {
        "requests": requests,
        "errors": int(counts[2]),
        "data_bytes": int(data[1]),
    }
    times = sorted(
        int(microseconds)
        for _, status, microseconds in (line.split("\t") for line in log.splitlines())
        if status == "200"
    )
    if not requests:
        return figures
    figures["seconds"] = requests / float(rate[1])
    if not times:
        return figures
    return figures | {
        "p50_us": times[len(times) // 2],
        "p99_us": times[len(times) * 99 // 100],
    }


def check_counts(name: str, answered: int, counted: tuple[int, int], under_way: int) -> None:
    """Raises RuntimeError if a server failed requests that the load took for answered.

    Args:
        name: of the server.
        answered: requests, by the load.
        counted: how many succeeded and how many failed, by the server.
        under_way: how many h2load leaves when its time is up. They may count as either.
    """
    succeeded, failed = counted
    if failed > under_way or succeeded < answered - under_way:
        raise RuntimeError(
            f"{name}: {answered} answers, of which {succeeded} succeeded and {failed} failed"
        )


def unanswered(figures: dict[str, Any], size: int) -> int:
    """How many of the calls that h2load takes for answered failed, and so had no bytes of data."""
    if not size:
        return 0
    answered: int = figures["data_bytes"] // size
    return max(0, int(figures["requests"]) - answered)
