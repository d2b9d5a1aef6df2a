"""The repository extension."""

from __future__ import annotations

from collections.abc import Iterator

from corpus.exchange import Exchange, Json, get, given, infer, one, post

BASE = "/v2/repository"


def index() -> Iterator[Exchange]:
    """What the index is asked for."""
    for what, document in {
        "": b"",
        " ready": {"ready": True},
        " not only ready": {"ready": False},
        " ready a number": {"ready": 1},
        " not JSON": b"hello",
    }.items():
        yield post(f"index{what}", f"{BASE}/index", document)
    yield post("index of a repository", f"{BASE}/main/index")


def loads() -> Iterator[Exchange]:
    """Loads that cannot be, and one that changes nothing."""
    yield post("load in a repository", f"{BASE}/main/models/other/load")
    wrong: dict[str, Json] = {
        "not JSON": b"hello",
        "unknown parameter": {"parameters": {"nope": "x"}},
        "config an object": {"parameters": {"config": {}}},
        "config no JSON": {"parameters": {"config": "hello"}},
        "config unknown field": {"parameters": {"config": '{"nope": 1}'}},
        "file without config": {"parameters": {"file:1/model.py": "eA=="}},
        "file outside": {"parameters": {"config": "{}", "file:../x": "eA=="}},
        "file no base64": {"parameters": {"config": "{}", "file:1/x": "***"}},
    }
    for what, document in wrong.items():
        yield post(f"load {what}", f"{BASE}/models/other/load", document)
    yield post("load unchanged", f"{BASE}/models/other/load")


def unloads() -> Iterator[Exchange]:
    """Models that go, and come back."""
    yield post("unload other", f"{BASE}/models/other/unload")
    yield infer("of an unloaded model", "other", one(1))
    yield get("config of an unloaded model", "/v2/models/other/config")
    yield get("ready of an unloaded model", "/v2/models/other/ready")
    yield get("stats of an unloaded model", "/v2/models/other/stats")
    yield post("index after unload", f"{BASE}/index", {})
    yield post("unload again", f"{BASE}/models/other/unload")
    yield post("load again", f"{BASE}/models/other/load")
    yield infer("of a model that is back", "other", one(1))
    yield post(
        "unload dependents wrong",
        f"{BASE}/models/other/unload",
        {"parameters": {"unload_dependents": 1}},
    )
    yield post("load other after it", f"{BASE}/models/other/load")
    yield post("unload a member", f"{BASE}/models/batched/unload")
    yield infer(
        "of an ensemble without its member", "chain", {"inputs": [given("IN", "FP32", [1, 1], [1])]}
    )
    yield post("load the member", f"{BASE}/models/batched/load")
    yield get("ready after unloads", "/v2/health/ready")


def failures() -> Iterator[Exchange]:
    """Models that there are not, or that fail; last, as Triton is not ready ever after."""
    for name in ("nobody", "a%20b", "x" * 300, "%2e%2e"):
        yield post(f"load {name[:20]}", f"{BASE}/models/{name}/load")
        yield post(f"unload {name[:20]}", f"{BASE}/models/{name}/unload")
    yield get("ready after odd names", "/v2/health/ready")
    yield post("load broken", f"{BASE}/models/broken/load")
    for what in ("", "/ready", "/config", "/stats"):
        yield get(f"model that failed{what}", f"/v2/models/broken{what}")
    yield infer("of a model that failed", "broken", one(1))
    yield get("ready while a model has failed", "/v2/health/ready")
    yield post("index with a failure", f"{BASE}/index")
    yield post("unload broken", f"{BASE}/models/broken/unload")
    yield get("ready without it", "/v2/health/ready")
    yield post("index without it", f"{BASE}/index")
    yield post("load ..", f"{BASE}/models/../load")
    yield post("unload ..", f"{BASE}/models/../unload")
