"""Compares the server CPU time per request with the real Triton's, both under the same load.

The two are measured in alternation (A B B A ...), since the speed of a small machine moves by tens
of per cent between minutes; what counts is the ratio. Rows of gRPC are driven by h2load, and have
nghttpd beside the two: what HTTP/2 costs where there is nothing else to do. Needs wrk, h2load and
nghttpd, and for the other server a virtual environment with the package nvidia-pytriton.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import statistics
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from loads import check_counts, start_load
from payloads import INFER, PAYLOADS, PREFIX, Payload
from servers import Running, despina, nghttpd, triton
from tritonclient.grpc import service_pb2

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Clients:
    """Who sends requests at the same time."""

    connections: int
    streams: int = 1
    """Requests under way on each connection."""

    @classmethod
    def parse(cls, text: str) -> Clients:
        """``8``, or ``1x64`` for 64 streams on one connection."""
        return cls(*map(int, text.split("x")))


def target(server: Running, payload: Payload) -> str:
    """Where a server takes the payload."""
    if payload.grpc:
        return server.grpc_url
    return server.url if payload.body else server.live_url


def measure(
    server: Running, payload: Payload, connections: int, seconds: float, streams: int = 1
) -> dict[str, Any]:
    """One run of wrk or h2load against one server. Raises RuntimeError if requests failed."""
    # h2load does not see a failure, which is in the trailers.
    counts = payload.grpc and server.has_models
    succeeded, failed = server.counted() if counts else (0, 0)
    before = server.cpu_seconds()
    with start_load(target(server, payload), payload, connections, seconds, streams) as load:
        figures = load.figures()
    cpu = server.cpu_seconds() - before
    if figures["errors"]:
        raise RuntimeError(f"{server.name}: {figures['errors']} errors")
    if not figures["requests"]:
        raise RuntimeError(f"{server.name}: no answer within {seconds:g} s; try more --seconds")
    served = figures["requests"]
    if counts:
        after = server.counted()
        counted = after[0] - succeeded, after[1] - failed
        check_counts(server.name, figures["requests"], counted, connections * streams)
        # Those that h2load left have cost as much.
        served = max(served, counted[0])
    figures["requests_per_second"] = figures["requests"] / figures["seconds"]
    figures["cpu_us"] = cpu * 1e6 / served
    return figures


def grpc_answer(server: Running, payload: Payload) -> bytes:
    """One answer as a message without its prefix. Raises grpc.RpcError."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        answer: bytes = channel.unary_unary(INFER)(payload.body[PREFIX:], timeout=20)
        return answer


def answer(server: Running, payload: Payload) -> bytes:
    """The output tensor of one answer, but the whole body in the JSON form."""
    if payload.grpc:
        message = service_pb2.ModelInferResponse.FromString(grpc_answer(server, payload))
        return bytes(message.raw_output_contents[0])
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
    name: str, servers: list[Running], clients: Clients, seconds: float, rounds: int
) -> dict[str, Any]:
    """All rounds of one row: of Despina, Triton, and over gRPC the floor."""
    payload = PAYLOADS[name]
    ours, theirs = servers[:2]
    if answer(ours, payload) != answer(theirs, payload):
        raise RuntimeError(f"{name}: the two servers answer differently")

    def one(server: Running) -> dict[str, Any]:
        return measure(server, payload, clients.connections, seconds, clients.streams)

    runs: dict[str, list[dict[str, Any]]] = {server.name: [] for server in servers}
    for server in servers:
        one(server)
    for index in range(rounds):
        for server in servers if index % 2 == 0 else servers[::-1]:
            runs[server.name].append(one(server))
    row: dict[str, Any] = {"row": name, "connections": clients.connections, "rounds": rounds}
    if payload.grpc:
        row["streams"] = clients.streams
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


@contextlib.contextmanager
def started(payload: Payload, environment: Path, native: Path | None) -> Iterator[list[Running]]:
    """The servers of one row, fresh: Triton does not always survive one row after the other."""
    with contextlib.ExitStack() as stack:
        backend = "identity" if native else "identity_python"
        ours = stack.enter_context(despina(18800, backend))
        servers = [ours, stack.enter_context(triton(18810, environment, native))]
        if payload.grpc:
            message = grpc_answer(ours, payload)
            frame = struct.pack(">BI", 0, len(message)) + message
            servers.append(stack.enter_context(nghttpd(18820, frame)))
        yield servers


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
    parser.add_argument(
        "--connections",
        default="8,64",
        help="comma-separated; over gRPC 1x64 is one connection with 64 streams (%(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of one run")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")
    arguments = parser.parse_args()
    command = shlex.join(["python", "benchmarks/compare.py", *sys.argv[1:]])
    command = command.replace(str(arguments.triton_environment), "DIR")
    if arguments.native:
        command = command.replace(str(arguments.native), arguments.native.name)
    for name in arguments.rows.split(","):
        for clients in map(Clients.parse, arguments.connections.split(",")):
            with started(PAYLOADS[name], arguments.triton_environment, arguments.native) as servers:
                row = compare(name, servers, clients, arguments.seconds, arguments.rounds)
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
