"""Compares what ``despina bench`` says of a server with what wrk says of it.

Both put the same load, byte for byte, on a server of this checkout with an identity in C++, in
alternation (A B B A ...). Needs wrk.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from compare import commit, measure
from payloads import MODEL, Payload
from servers import Running, despina

from despina.bench.model import Description, Input
from despina.bench.wire import infer_body

ELEMENTS = 16
KEYS = ("requests_per_second", "p50_us", "p99_us")


def payload() -> Payload:
    """What ``despina bench`` sends."""
    model = Description(MODEL, (Input("INPUT0", "FP32", (ELEMENTS,)),))
    inputs = {"INPUT0": np.ones(ELEMENTS, np.float32)}
    return Payload(*infer_body(model, inputs, binary=True, binary_answer=True))


def bench(server: Running, connections: int, seconds: float, folder: Path) -> dict[str, Any]:
    """One run of the command."""
    file, tensor = folder / "figures.json", folder / "input.npy"
    np.save(tensor, np.ones(ELEMENTS, np.float32))
    command = [sys.executable, "-m", "despina", "bench", MODEL, "--warm-up=0", f"--json={file}"]
    command += [f"--url=http://127.0.0.1:{server.port}", f"--input=INPUT0={tensor}"]
    command += [f"--concurrency={connections}", f"--duration={seconds}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (load,) = json.loads(file.read_text())["loads"]
    latency = load["latency_ms"]
    return {
        "requests_per_second": load["requests_per_second"],
        "p50_us": latency["p50"] * 1e3,
        "p99_us": latency["p99"] * 1e3,
        "client_cpu_us": load["client"]["cpu_us_per_request"],
    }


def wrk(server: Running, connections: int, seconds: float) -> dict[str, Any]:
    """One run of wrk, with the processor time that it took."""
    before = os.times()
    figures = measure(server, payload(), connections, seconds)
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return figures | {"client_cpu_us": cpu * 1e6 / figures["requests"]}


def compare(server: Running, connections: int, seconds: float, rounds: int) -> dict[str, Any]:
    """All rounds of one row."""
    runs: dict[str, list[dict[str, Any]]] = {"despina bench": [], "wrk": []}
    with tempfile.TemporaryDirectory() as folder:
        wrk(server, connections, seconds)  # warms the server up
        for index in range(rounds):
            names = list(runs) if index % 2 == 0 else list(runs)[::-1]
            for name in names:
                one = (
                    wrk(server, connections, seconds)
                    if name == "wrk"
                    else bench(server, connections, seconds, Path(folder))
                )
                runs[name].append(one)
    row: dict[str, Any] = {"connections": connections, "rounds": rounds, "seconds": seconds}
    for name, each in runs.items():
        row[name] = {
            key: round(statistics.median(run[key] for run in each), 2)
            for key in (*KEYS, "client_cpu_us")
        }
    for key in KEYS:
        ratios = [ours[key] / theirs[key] for ours, theirs in zip(*runs.values(), strict=True)]
        row[f"{key}_ratio"] = round(row["despina bench"][key] / row["wrk"][key], 4)
        row[f"{key}_ratio_quartiles"] = [round(e, 4) for e in statistics.quantiles(ratios, n=4)]
    return row


def main() -> None:
    """Prints one line of JSON for each number of connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="pairs of runs (%(default)s)")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")
    options = parser.parse_args()
    with despina(18200, "identity") as server:
        for connections in options.connections:
            row = compare(server, connections, options.seconds, options.rounds)
            row |= {
                "commit": commit(),
                "command": shlex.join(["python", "benchmarks/beside_wrk.py", *sys.argv[1:]]),
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "cores": os.cpu_count(),
            }
            print(json.dumps(row), flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
