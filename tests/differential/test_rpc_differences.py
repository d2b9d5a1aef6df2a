"""Every call of the corpus gets the same answer from both servers over gRPC, or a better one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import grpc
import pytest
from corpus.calls import RPC_EXCHANGES, RpcExchange
from rpc_answers import RpcAnswer, alike, ask
from rpc_differences import RPC_DIFFERENCES, RPC_REASONS
from servers import Both

Answers = dict[str, tuple[RpcAnswer, RpcAnswer]]


@pytest.fixture(scope="module")
def answers(both: Both) -> Answers:
    """All answers, ours and theirs, in the order of the corpus."""
    found = {}
    ports = both.ours.grpc_port, both.theirs.grpc_port
    ours, theirs = (grpc.insecure_channel(f"127.0.0.1:{port}") for port in ports)
    with ours, theirs:
        for each in RPC_EXCHANGES:
            found[each.name] = ask(ours, each), ask(theirs, each)
            if each.changes_models:
                both.settle()
            for server in (both.ours, both.theirs):
                assert server.process.poll() is None, f"ended at '{each.name}'"
    return found


@pytest.mark.parametrize("exchange", RPC_EXCHANGES, ids=lambda each: each.name)
def test_both_servers_answer_alike(exchange: RpcExchange, answers: Answers) -> None:
    ours, theirs = answers[exchange.name]
    if reason := RPC_REASONS.get(exchange.name):
        assert not alike(ours, theirs), f"no longer different, but listed: {reason}"
    else:
        assert alike(ours, theirs), f"\nours   {ours}\ntheirs {theirs}"


def test_each_difference_has_its_row_in_the_migration_guide(checkout: Path) -> None:
    guide = (checkout / "docs" / "migrate-from-triton.md").read_text()
    rows = {line.split(" | ")[0] for line in guide.splitlines() if line.startswith("| ")}
    assert [row for row in RPC_DIFFERENCES if f"| {row}" not in rows] == []


def test_each_call_and_each_difference_is_there_once() -> None:
    names = [each.name for each in RPC_EXCHANGES]
    listed = [name for each in RPC_DIFFERENCES.values() for name in each]
    for found in (names, listed):
        assert [name for name, count in Counter(found).items() if count > 1] == []
    assert set(listed) <= set(names)
