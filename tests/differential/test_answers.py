"""When two answers count as alike."""

from __future__ import annotations

import pytest
from answers import Answer, alike, normalised

FOUND = Answer(200, {"outputs": [{"name": "OUT", "data": [1.0]}]})


def error(status: int, text: str) -> Answer:
    return Answer(status, {"error": text})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (FOUND, FOUND),
        (error(400, "no such input"), error(400, "no such input")),
        (error(400, "no such input"), error(500, "no such input")),
        (error(400, "no such input 'X' of 'm'"), error(400, "no such input.\n")),
        (Answer(404, [{"error": "none: m"}]), Answer(404, [{"error": "none"}])),
        (
            error(400, "failed to parse the request JSON buffer: a comma is missing"),
            error(500, "failed to parse the request JSON buffer: Missing a comma. at 7"),
        ),
    ],
)
def test_alike(ours: Answer, theirs: Answer) -> None:
    assert alike(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (FOUND, Answer(200, {"outputs": []})),
        (FOUND, Answer(200, FOUND.content, b"\0")),
        (FOUND, error(200, "no such input")),
        (error(500, "no such input"), error(400, "no such input")),
        (error(404, "no such input"), error(500, "no such input")),
        (error(400, "no such"), error(400, "no such input")),
        (error(400, "something else"), error(500, "no such input")),
    ],
)
def test_not_alike(ours: Answer, theirs: Answer) -> None:
    assert not alike(ours, theirs)


def test_what_is_each_servers_own_is_masked_and_has_to_be_there() -> None:
    ours = {"extensions": [], "name": "despina", "version": "1"}
    assert normalised(ours) == normalised({**ours, "name": "triton", "version": "2"})
    assert normalised({"backend": "a"}) == normalised({"backend": "b"}) != normalised({})
    assert normalised({"count": 1, "ns": 5}) == normalised({"count": 1, "ns": 6})
    assert normalised({"count": 1, "ns": 5}) != normalised({"count": 2, "ns": 5})
    assert normalised({"reason": "unloaded"}) != normalised({"reason": "no such file"})
