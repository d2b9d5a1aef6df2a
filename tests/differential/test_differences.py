"""Every request of the corpus gets the same answer from both servers, or a better one.

``make differential`` runs this. With a virtual environment that has nvidia-pytriton:
``DESPINA_TRITON_ENVIRONMENT=FOLDER python -m pytest tests/differential``.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from answers import Answer, alike, ask
from corpus import EXCHANGES
from corpus.exchange import Exchange
from differences import DIFFERENCES, REASONS
from servers import Both

Answers = dict[str, tuple[Answer, Answer]]

LATE_SECONDS = 10.0


def ask_both(both: Both, exchange: Exchange) -> tuple[Answer, Answer]:
    """The answers, ours and theirs; what comes late is asked for until they are alike."""
    deadline = time.monotonic() + LATE_SECONDS
    while True:
        found = ask(both.ours, exchange), ask(both.theirs, exchange)
        if not exchange.comes_late or alike(*found) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


@pytest.fixture(scope="module")
def answers(both: Both) -> Answers:
    """All answers, ours and theirs, in the order of the corpus: some depend on those before."""
    found = {}
    for each in EXCHANGES:
        found[each.name] = ask_both(both, each)
        if each.path.startswith("/v2/repository/models/"):
            both.settle()
        for server in (both.ours, both.theirs):
            assert server.process.poll() is None, f"ended at '{each.name}'"
    return found


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each.name)
def test_both_servers_answer_alike(exchange: Exchange, answers: Answers) -> None:
    ours, theirs = answers[exchange.name]
    if reason := REASONS.get(exchange.name):
        assert not alike(ours, theirs), f"no longer different, but listed: {reason}"
    else:
        assert alike(ours, theirs), f"\nours   {ours}\ntheirs {theirs}"


def test_each_difference_has_its_row_in_the_migration_guide(checkout: Path) -> None:
    guide = (checkout / "docs" / "migrate-from-triton.md").read_text()
    rows = {line.split(" | ")[0] for line in guide.splitlines() if line.startswith("| ")}
    assert [row for row in DIFFERENCES if f"| {row}" not in rows] == []


def test_each_difference_is_one_of_a_request_of_the_corpus() -> None:
    assert REASONS.keys() - {each.name for each in EXCHANGES} == set()


def test_each_request_and_each_difference_is_there_once() -> None:
    for names in (
        [each.name for each in EXCHANGES],
        [name for listed in DIFFERENCES.values() for name in listed],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []
