"""The generate extension."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

from corpus.exchange import Exchange, Json, post


def generate() -> Iterator[Exchange]:
    """The generate extension."""

    def asked(what: str, document: Json, model: str = "plain", verb: str = "generate") -> Exchange:
        return post(f"{verb} {what}", f"/v2/models/{model}/{verb}", document)

    three = {"INPUT0": [1.5, -2, 3]}
    once = {"IN": 5, "DELAY": 0, "WAIT": 0}
    twice = {"IN": [5, 6], "DELAY": [0, 0], "WAIT": 0}
    none: Json = {"IN": [], "DELAY": [], "WAIT": 0}
    for verb in ("generate", "generate_stream"):
        yield asked("good", three, verb=verb)
        yield asked("with an id", {**three, "id": "7"}, verb=verb)
        yield asked("of nobody", three, "nobody", verb)
        yield asked("once", once, "repeat", verb)
        yield asked("twice", twice, "repeat", verb)
        yield asked("never", none, "repeat", verb)
        yield asked("not JSON", b"hello", verb=verb)
        yield asked("nothing", b"", verb=verb)
    yield asked("a scalar", {"INPUT0": 1}, "batched")
    yield asked("a list", {"INPUT0": [1, 2]}, "batched")
    yield asked("a text", {"INPUT0": "hello"}, "text")
    yield asked("texts", {"INPUT0": ["a", "b"]}, "text")
    yield asked("too few", {"INPUT0": [1]})
    yield asked("of another type", {"INPUT0": ["a", "b", "c"]})
    yield asked("null", {"INPUT0": None})
    yield asked("missing", {})
    yield asked("array", [1])
    yield asked("parameters", {**three, "parameters": {"a": 1, "b": "x"}})
    yield asked("parameter object", {**three, "x": {"y": 1}})
    yield asked("parameter null", {**three, "x": None})
    yield asked("parameter array", {**three, "parameters": {"x": [1]}})
    yield asked("id a number", {**three, "id": 5})
    yield asked("input twice", b'{"INPUT0":[1,2,3],"INPUT0":[1,2,3]}')
    yield asked("input in parameters", {"parameters": three})
    yield asked("fixed", {"INPUT0": [1, 2, 3, 4, 5, 6]}, "fixed")
    yield post(
        "generate gzip",
        "/v2/models/plain/generate",
        gzip.compress(json.dumps(three).encode()),
        Content_Encoding="gzip",
    )
