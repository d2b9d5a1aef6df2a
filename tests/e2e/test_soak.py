"""Ten thousand requests on 64 connections, with a thousand clients that vanish in between."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harness.repository import add_model, ensemble, identity, step, tensor
from harness.serve import Serve
from harness.tensors import infer_request
from harness.waiting import wait_until

REQUESTS, CONNECTIONS, DISCONNECTS = 10_000, 64, 1_000
VANISHING = 16
"""Clients that vanish one after the other, beside those that stay."""
FLOATS = 20_000
FLAT_BYTES = 12 << 20
"""What may stay behind; were it every tensor that came, it would be 800 MB."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    repository = tmp_path_factory.mktemp("repository")
    add_model(repository, "steady", identity())
    add_model(repository, "left", identity(execute_delay_ms=2))
    add_model(repository, "member", identity(execute_delay_ms=1))
    steps = [
        step("member", {"INPUT0": "INPUT0"}, {"OUTPUT0": "between"}),
        step("member", {"INPUT0": "between"}, {"OUTPUT0": "OUTPUT0"}),
    ]
    tensors = ([tensor(name, "FP32", [-1])] for name in ("INPUT0", "OUTPUT0"))
    add_model(repository, "left_ensemble", ensemble(*tensors, steps))
    with Serve(repository, tmp_path_factory.mktemp("out")) as running:
        yield running
        assert running.stop() == 0, running.stderr


class Stayer:
    """A connection that sends requests one after the other and checks every answer."""

    def __init__(self, number: int, requests: int) -> None:
        self.array = np.full((1, FLOATS), number, np.float32)
        self.data = infer_request("steady", {"INPUT0": self.array})
        self.requests = requests

    async def run(self, port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = 0
        for _ in range(self.requests):
            writer.write(self.data)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().split(b"content-length:")[-1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert body.endswith(self.array.tobytes())
            answered += 1
        writer.close()
        await writer.wait_closed()
        return answered


LEFT = ("left", "left_ensemble")
"""The models whose clients vanish."""


async def vanish(port: int, model: str, chance: random.Random) -> str:
    """Connects, sends none, some or all of a request, and closes or resets the connection."""
    data = infer_request(model, {"INPUT0": np.ones((1, FLOATS), np.float32)})
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = data.index(b"\r\n\r\n") + 4
    sent = chance.choice([0, 7, head - 3, head, head + 100, len(data) - 1, len(data), len(data)])
    writer.write(data[:sent])
    outcome = "sent" if sent == len(data) else "cut"
    if sent == len(data) and chance.random() < 0.5:
        await asyncio.wait_for(reader.readexactly(10), 30)  # the beginning of the answer
        outcome = "answered"
    if chance.random() < 0.5:
        writer.transport.abort()
        return outcome + (", reset" if outcome == "sent" else "")
    writer.close()
    return outcome


async def load(port: int, requests: int, disconnects: int, seed: int) -> Counter[str]:
    """Both kinds of clients side by side; what became of their requests."""
    share = [requests // CONNECTIONS + (i < requests % CONNECTIONS) for i in range(CONNECTIONS)]
    outcomes: Counter[str] = Counter()

    async def vanishing(lane: int) -> None:
        chance = random.Random(seed * 1000 + lane)
        for _ in range(lane, disconnects, VANISHING):
            model = chance.choice(LEFT)
            outcomes[f"{model} {await vanish(port, model, chance)}"] += 1

    stayers = [Stayer(number, count).run(port) for number, count in enumerate(share)]
    answered = await asyncio.gather(*stayers, *(vanishing(lane) for lane in range(VANISHING)))
    outcomes["steady"] = sum(each for each in answered if each)
    return outcomes


def ended(statistics: dict[str, Any]) -> tuple[int, int]:
    """Requests that succeeded and that failed."""
    stats = statistics["inference_stats"]
    return stats["success"]["count"], stats["fail"]["count"]


async def settled(server: Serve) -> None:
    """Waits until the counts of the models that clients leave do not change any more."""
    before = None
    while before != (now := [ended(server.statistics(model)) for model in (*LEFT, "member")]):
        before = now
        await asyncio.sleep(0.5)


def check_steady(statistics: dict[str, Any], sent: int) -> None:
    """Every request of a client that stayed has succeeded, in some batch."""
    assert ended(statistics) == (sent, 0)
    assert statistics["inference_count"] == sent
    batches = [(e["batch_size"], e["compute_infer"]["count"]) for e in statistics["batch_stats"]]
    assert sum(count for _, count in batches) == statistics["execution_count"]
    assert sum(rows * count for rows, count in batches) == sent


def check_left(statistics: dict[str, Any], outcomes: Counter[str]) -> None:
    """Each request that arrived in whole was counted once; each that was answered succeeded."""
    model = statistics["name"]
    succeeded, failed = ended(statistics)
    answered = outcomes[f"{model} answered"]
    whole = answered + outcomes[f"{model} sent"]
    assert answered <= succeeded
    # A reset may overtake the last bytes of a request.
    assert whole <= succeeded + failed <= whole + outcomes[f"{model} sent, reset"]
    assert statistics["inference_count"] == succeeded


@pytest.mark.timeout(280)
def test_requests_between_vanishing_clients_lose_nothing_and_leave_nothing(
    server: Serve,
) -> None:
    async def run() -> None:
        warm_up = await load(server.port, REQUESTS // 5, DISCONNECTS // 5, seed=1)
        await settled(server)
        warm = server.resident_bytes()
        files = server.open_files()

        outcomes = await load(server.port, REQUESTS, DISCONNECTS, seed=2)
        await settled(server)
        assert outcomes["steady"] == REQUESTS
        everything = warm_up + outcomes
        check_steady(server.statistics("steady"), everything["steady"])
        for model in LEFT:
            assert outcomes[f"{model} cut"] > DISCONNECTS / 8
            assert outcomes[f"{model} answered"] > DISCONNECTS / 40
            check_left(server.statistics(model), everything)
        whole, _ = ended(server.statistics("left_ensemble"))
        assert ended(server.statistics("member"))[0] >= 2 * whole

        for model in ("steady", "left", "member"):
            assert server.gauge("nv_inference_pending_request_count", model) == 0
        wait_until(lambda: server.open_files() <= files, "let go of")
        assert server.resident_bytes() - warm < FLAT_BYTES
        assert server.ready()

    asyncio.run(run())


def test_nothing_of_a_request_is_left_in_the_buffer_pool(server: Serve) -> None:
    text = server.get("/metrics", metrics=True)[1].decode()
    (line,) = (each for each in text.splitlines() if 'despina_pool_bytes{state="in_use"}' in each)
    assert float(line.split()[-1]) < 1 << 20
