"""Compares the server CPU time per request with the real Triton's, both under the same load.

The two are measured in alternation (A B B A ...), since the speed of a small machine moves by tens
of per cent between minutes; what counts is the ratio. Needs wrk, and for the other server a
virtual environment with the package nvidia-pytriton.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payloads import PAYLOADS, Payload
from servers import Running, despina, triton

HERE = Path(__file__).resolve().parent


@dataclass
class Load:
    """A run of wrk."""

    process: subprocess.Popen[str]

    def running(self) -> bool:
        """Until its time is over."""
        return self.process.poll() is None

    def figures(self) -> dict[str, Any]:
        """Waits for its end. Raises RuntimeError if it printed no figures."""
        output, errors = self.process.communicate()
        for line in output.splitlines():
            if line.startswith("BENCH "):
                figures: dict[str, Any] = json.loads(line.removeprefix("BENCH "))
                return figures
        raise RuntimeError(f"{self.process.args!r} printed no figures:\n{output}{errors}")


@contextlib.contextmanager
def start_load(url: str, payload: Payload, connections: int, seconds: float) -> Iterator[Load]:
    """Starts a wrk that posts the payload; it is gone at the end of the block."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(payload.body)
        body.flush()
        environment = os.environ | {
            "BENCH_BODY": body.name,
            "BENCH_JSON_SIZE": str(payload.json_size or ""),
        }
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s"]
        command += ["-s", str(HERE / "wrk_post.lua"), url]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=environment, stdout=pipe, stderr=pipe, text=True
        ) as process:
            try:
                yield Load(process)
            finally:
                process.kill()


def measure(server: Running, payload: Payload, connections: int, seconds: float) -> dict[str, Any]:
    """One run of wrk against one server."""
    before = server.cpu_seconds()
    url = server.url if payload.body else server.live_url
    with start_load(url, payload, connections, seconds) as load:
        figures = load.figures()
    cpu = server.cpu_seconds() - before
    if figures["errors"]:
        raise RuntimeError(f"{server.name}: {figures['errors']} errors")
    if not figures["requests"]:
        raise RuntimeError(f"{server.name}: no answer within {seconds:g} s; try more --seconds")
    figures["requests_per_second"] = figures["requests"] / figures["seconds"]
    figures["cpu_us"] = cpu * 1e6 / figures["requests"]
    return figures


def answer(server: Running, payload: Payload) -> bytes:
    """The output tensor of one answer in the binary form, the whole body in the JSON form."""
    if not payload.body:
        with urllib.request.urlopen(server.live_url, timeout=20) as response:
            return bytes(response.read())
    request = urllib.request.Request(server.url, data=payload.body)
    if payload.json_size is not None:
        request.add_header("Inference-Header-Content-Length", str(payload.json_size))
    with urllib.request.urlopen(request, timeout=20) as response:
        body: bytes = response.read()
        size = int(response.headers.get("Inference-Header-Content-Length", 0))
    if size:
        return body[size:]
    data = json.loads(body)["outputs"][0]["data"]
    return json.dumps([round(value, 6) for value in data]).encode()


def compare(
    name: str, ours: Running, theirs: Running, connections: int, seconds: float, rounds: int
) -> dict[str, Any]:
    """All rounds of one row."""
    payload = PAYLOADS[name]
    if answer(ours, payload) != answer(theirs, payload):
        raise RuntimeError(f"{name}: the two servers answer differently")
    runs: dict[str, list[dict[str, Any]]] = {ours.name: [], theirs.name: []}
    for server in (ours, theirs):
        measure(server, payload, connections, seconds)
    for index in range(rounds):
        order = (ours, theirs) if index % 2 == 0 else (theirs, ours)
        for server in order:
            runs[server.name].append(measure(server, payload, connections, seconds))
    row: dict[str, Any] = {"row": name, "connections": connections, "rounds": rounds}
    for server_name, each in runs.items():
        keys = ("requests_per_second", "cpu_us", "p50_us", "p99_us")
        row[server_name] = {
            key: round(statistics.median(run[key] for run in each), 2) for key in keys
        }
    pairs = zip(runs[ours.name], runs[theirs.name], strict=True)
    ratios = [a["cpu_us"] / b["cpu_us"] for a, b in pairs]
    row["cpu_ratio"] = round(row[ours.name]["cpu_us"] / row[theirs.name]["cpu_us"], 4)
    row["cpu_ratio_pairs"] = [round(min(ratios), 4), round(max(ratios), 4)]
    return row


def commit() -> str:
    """The commit that is measured, with a mark if the tree differs from it."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.check_output(command, text=True).strip()


def main() -> None:
    """Runs the comparison and appends its rows to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triton-environment", type=Path, required=True, metavar="DIR")
    rows = "comma-separated: " + ", ".join(PAYLOADS)
    parser.add_argument("--rows", default="binary/16", help=rows)
    parser.add_argument(
        "--native",
        type=Path,
        metavar="libtriton_NAME.so",
        help="an identity in C++ for Triton: both servers run one in C++ instead of Python",
    )
    parser.add_argument("--connections", default="8,64", help="comma-separated")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one run")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")
    arguments = parser.parse_args()
    command = shlex.join(["python", "benchmarks/compare.py", *sys.argv[1:]])
    command = command.replace(str(arguments.triton_environment), "DIR")
    if arguments.native:
        command = command.replace(str(arguments.native), arguments.native.name)
    backend = "identity" if arguments.native else "identity_python"
    opponent = triton(18810, arguments.triton_environment, arguments.native)
    with despina(18800, backend) as ours, opponent as theirs:
        for name in arguments.rows.split(","):
            for connections in map(int, arguments.connections.split(",")):
                row = compare(name, ours, theirs, connections, arguments.seconds, arguments.rounds)
                row |= {
                    "backend": "C++" if arguments.native else "Python",
                    "commit": commit(),
                    "command": command,
                    "when": datetime.now(UTC).isoformat(timespec="seconds"),
                    "cores": os.cpu_count(),
                }
                print(json.dumps(row), flush=True)
                if arguments.out:
                    with arguments.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
