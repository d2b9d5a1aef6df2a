"""What is read of server and models, and paths and methods that there are not."""

from __future__ import annotations

from collections.abc import Iterator

from corpus.exchange import Exchange, get


def reads() -> Iterator[Exchange]:
    """Health, metadata, configuration, statistics."""
    for path in ("live", "ready", "other"):
        yield get(f"health {path}", f"/v2/health/{path}")
    yield get("server metadata", "/v2")
    models = ("plain", "batched", "pair", "optional", "text", "classes", "chain", "repeat")
    for model in models:
        yield get(f"metadata of {model}", f"/v2/models/{model}")
        yield get(f"config of {model}", f"/v2/models/{model}/config")
    for what in ("", "/ready", "/config", "/stats"):
        yield get(f"known{what}", f"/v2/models/plain{what}")
        yield get(f"version{what}", f"/v2/models/versions/versions/3{what}")
        yield get(f"unknown model{what}", f"/v2/models/nobody{what}")
        yield get(f"unknown version{what}", f"/v2/models/plain/versions/7{what}")
        yield get(f"model not loaded{what}", f"/v2/models/broken{what}")
        yield get(f"version no number{what}", f"/v2/models/plain/versions/x{what}")
        yield get(f"version zero{what}", f"/v2/models/plain/versions/0{what}")
        yield get(f"version negative{what}", f"/v2/models/plain/versions/-1{what}")
        yield get(f"version huge{what}", f"/v2/models/plain/versions/{2**70}{what}")
    yield get("versions without one", "/v2/models/versions")
    yield get("stats of all", "/v2/models/stats")
    yield get("query", "/v2/models/plain?x=1")
    for path in ("/", "/v2/", "/v1", "/v2/models", "/v2/models/", "/v2/models/plain/"):
        yield get(f"path {path}", path)
    yield get("path encoded", "/v2/models/pl%61in")
    yield get("path dots", "/v2/models/../plain")
    yield get("path of two slashes", "/v2//models/plain")
    yield get("path in capitals", "/V2")
    yield get("path control", "/v2/models/a%0ab")


def methods() -> Iterator[Exchange]:
    """Methods that a path does not have."""
    paths = {
        "GET": ("/v2/models/plain/infer", "/v2/repository/index", "/v2/models/plain/generate"),
        "POST": ("/v2", "/v2/models/plain", "/v2/models/plain/config", "/v2/health/live"),
    }
    for method, wrong in paths.items():
        for path in wrong:
            yield Exchange(f"{method} {path}", method, path)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        yield Exchange(f"{method} /v2", method, "/v2")
        yield Exchange(f"{method} infer", method, "/v2/models/plain/infer", b"{}")
    yield Exchange("HEAD /v2", "HEAD", "/v2")
    for path in ("/", "/v2", "/metrics/x"):
        yield Exchange(f"metrics path {path}", "GET", path, of_metrics=True)
    yield Exchange("metrics posted", "POST", "/metrics", of_metrics=True)
