"""Keeps a server saturated while clients vanish and its models are reloaded, and watches it.

Runs of wrk and h2load saturate it over HTTP and gRPC: small and large tensors to an identity in
C++, small ones to one in Python. Beside them there are streams of gRPC, decoupled answers and calls
that are cancelled, clients of both protocols leave in the middle of a request or before its answer,
and every second both models are loaded again with another configuration. No request that is waited
for may fail, no load either; resident memory and descriptors must stay as they were after the
warm-up. Needs wrk and h2load.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shlex
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from compare import commit
from loads import start_load, unanswered
from payloads import INFER, PAYLOADS, PREFIX, Payload, grpc_payload
from servers import CONFIG, Running, run
from soak_grpc import GrpcClients

PORT, GRPC_PORT, METRICS_PORT = 18820, 18821, 18822
BACKENDS = {"native": "identity", "python": "identity_python"}
LOADS = [
    ("native", PAYLOADS["binary/16"], 16, 1),
    ("native", PAYLOADS["binary/150528"], 2, 1),
    ("python", PAYLOADS["json/16"], 4, 1),
    ("native", grpc_payload("native", 16), 8, 4),
    ("native", grpc_payload("native", 150528), 2, 1),
    ("python", grpc_payload("python", 16), 2, 4),
]
"""Model, payload, connections and streams of each wrk and h2load."""
REPEAT = """backend: "repeat"
model_transaction_policy { decoupled: true }
input [ { name: "IN" data_type: TYPE_INT32 dims: [ -1 ] },
        { name: "DELAY" data_type: TYPE_UINT32 dims: [ -1 ] },
        { name: "WAIT" data_type: TYPE_UINT32 dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] },
         { name: "IDX" data_type: TYPE_UINT32 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


@contextlib.contextmanager
def server() -> Iterator[Running]:
    """This checkout's server with one model of each backend, loaded on demand."""
    configs = {name: CONFIG.format(backend=backend) for name, backend in BACKENDS.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in (configs | {"repeat": REPEAT}).items():
            (Path(folder) / name / "1").mkdir(parents=True)
            (Path(folder) / name / "config.pbtxt").write_text(config)
        command = [sys.executable, "-m", "despina", "serve", "--model-repository", folder]
        command += ["--http-port", str(PORT), "--grpc-port", str(GRPC_PORT)]
        command += ["--metrics-port", str(METRICS_PORT)]
        command += ["--model-control-mode", "explicit", "--load-model", "*"]
        command += ["--log-file", str(Path(folder) / "log")]
        with run("despina", command, PORT, {}) as running:
            yield running


def load_url(model: str, payload: Payload) -> str:
    """Where a model takes the payload."""
    if payload.grpc:
        return f"http://127.0.0.1:{GRPC_PORT}{INFER}"
    return f"http://127.0.0.1:{PORT}/v2/models/{model}/infer"


@dataclass
class Tally:
    """What the threads count, and what went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def repeat(self, what: Callable[[], None], pause: float) -> None:
        """Calls it until the end; a failure of it is kept, and does not end it."""
        while not self.ended.wait(pause):
            try:
                what()
            except Exception as error:  # the soak goes on, and fails at its end
                self.failures.append(f"{type(error).__name__}: {error}")


def reload(tally: Tally) -> None:
    """Loads both models with a configuration that they did not have before."""
    tally.counts["reloads"] += 1
    for name, backend in BACKENDS.items():
        value = str(tally.counts["reloads"])
        config = {
            "backend": backend,
            "max_batch_size": 0,
            "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
            "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
            "instance_group": [{"count": 1 + tally.counts["reloads"] % 2, "kind": "KIND_CPU"}],
            "parameters": {"version_of_soak": {"string_value": value}},
        }
        body = json.dumps({"parameters": {"config": json.dumps(config)}}).encode()
        url = f"http://127.0.0.1:{PORT}/v2/repository/models/{name}/load"
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=30) as answer:
            answer.read()


def request_bytes(model: str, payload: Payload) -> bytes:
    """A whole request over HTTP/1.1."""
    fields = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: soak"]
    fields.append(f"Content-Length: {len(payload.body)}")
    if payload.json_size is not None:
        fields.append(f"Inference-Header-Content-Length: {payload.json_size}")
    return "\r\n".join([*fields, "", ""]).encode() + payload.body


def vanish(tally: Tally, chance: random.Random) -> None:
    """Sends a request, or the beginning of one, and leaves; every other time with a reset."""
    model, payload, _, _ = chance.choice([load for load in LOADS if not load[1].grpc])
    whole = request_bytes(model, payload)
    size = chance.choice([len(whole), chance.randrange(len(whole)), chance.randrange(200)])
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as connection:
        if chance.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.sendall(whole[:size])
    tally.counts["clients that vanished"] += 1


def sample(running: Running, began: float) -> dict[str, Any]:
    """What the server holds now."""
    process = Path(f"/proc/{running.pid}")
    resident = re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())
    assert resident is not None
    return {
        "second": round(time.monotonic() - began),
        "resident_kib": int(resident[1]),
        "descriptors": sum(1 for _ in (process / "fd").iterdir()),
        "threads": sum(1 for _ in (process / "task").iterdir()),
    }


def failures_of_models() -> dict[str, int]:
    """Failed requests by reason, as the server's metrics have them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for reason, value in re.findall(
        r'^nv_inference_request_failure\{.*reason="(\w+)".*\} (\d+)', text, re.MULTILINE
    ):
        found[reason] += int(value)
    return dict(found)


def soak(running: Running, seconds: float, warm_up: float) -> dict[str, Any]:
    """All of it; the row with what was seen."""
    tally = Tally()
    chance = random.Random(1)
    clients = GrpcClients(GRPC_PORT, tally.counts)
    # Seconds from the end of one to the beginning of the next.
    pauses: list[tuple[Callable[[], None], float]] = [
        (lambda: reload(tally), 1.0),
        (lambda: vanish(tally, chance), 0.02),
        (lambda: clients.vanish(chance), 0.02),
        (lambda: clients.give_up(chance), 0.02),
        (clients.stream, 0.05),
        (clients.decoupled, 0.05),
    ]
    threads = [threading.Thread(target=tally.repeat, args=each) for each in pauses]
    sizes = [answer_size(payload) for _, payload, _, _ in LOADS]
    began = time.monotonic()
    samples: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        loads = [
            stack.enter_context(
                start_load(load_url(model, payload), payload, connections, seconds, streams, False)
            )
            for model, payload, connections, streams in LOADS
        ]
        for thread in threads:
            thread.start()
        while all(load.running() for load in loads):
            time.sleep(5)
            samples.append(sample(running, began))
            if len(samples) % 12 == 0:
                print(json.dumps(samples[-1] | tally.counts), file=sys.stderr, flush=True)
        tally.ended.set()
        for thread in threads:
            thread.join()
        figures = [load.figures() for load in loads]
    steady = [each for each in samples if warm_up <= each["second"] < seconds]
    return {
        "requests": sum(each["requests"] for each in figures),
        "errors": sum(each["errors"] for each in figures),
        "calls without an answer": sum(map(unanswered, figures, sizes)),
        **tally.counts,
        "failures": tally.failures[:20],
        "failed requests by reason": failures_of_models(),
        "cpu_seconds": round(running.cpu_seconds()),
        "minutes": by_minute(steady),
        "after": sample(running, began),
    }


def answer_size(payload: Payload) -> int:
    """Bytes of an answer over gRPC with its prefix; 0 over HTTP."""
    if not payload.grpc:
        return 0
    with grpc.insecure_channel(f"127.0.0.1:{GRPC_PORT}") as channel:
        answer: bytes = channel.unary_unary(INFER)(payload.body[PREFIX:], timeout=30)
    return PREFIX + len(answer)


def by_minute(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians of each minute."""
    minutes: dict[int, list[dict[str, Any]]] = {}
    for each in samples:
        minutes.setdefault(each["second"] // 60, []).append(each)
    return [
        {"minute": minute}
        | {
            key: round(statistics.median(each[key] for each in inside))
            for key in ("resident_kib", "descriptors", "threads")
        }
        for minute, inside in minutes.items()
    ]


def faults(row: dict[str, Any]) -> list[str]:
    """What should not have been."""
    found: list[str] = list(row["failures"])
    if row["errors"]:
        found.append(f"{row['errors']} requests failed")
    if row["calls without an answer"]:
        found.append(f"{row['calls without an answer']} calls of gRPC failed")
    others = set(row["failed requests by reason"]) - {"CANCELED"}
    if any(row["failed requests by reason"][reason] for reason in others):
        found.append(f"requests failed in the server: {row['failed requests by reason']}")
    resident = [each["resident_kib"] for each in row["minutes"]]
    middle = statistics.median(resident)
    if max(resident) > 1.02 * middle or min(resident) < 0.98 * middle:
        found.append(f"resident memory from {min(resident)} to {max(resident)} KiB")
    descriptors = [each["descriptors"] for each in row["minutes"]]
    if max(descriptors) - min(descriptors) > 8:
        found.append(f"descriptors from {min(descriptors)} to {max(descriptors)}")
    return found


def main() -> int:
    """Exit status 1 when something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="(%(default)s)")
    parser.add_argument("--warm-up", type=float, default=3, help="minutes (%(default)s)")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")
    options = parser.parse_args()
    of_server = commit()  # others may come while it runs
    with server() as running:
        row = soak(running, options.minutes * 60, options.warm_up * 60)
    row |= {
        "faults": faults(row),
        "commit": of_server,
        "command": shlex.join(["python", "benchmarks/soak.py", *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    print(json.dumps(row, indent=1))
    if options.out:
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
    return 1 if row["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
