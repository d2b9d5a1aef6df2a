"""Shared memory, settings of traces and of the log."""

from __future__ import annotations

import os
from collections.abc import Iterator

from corpus.exchange import GOOD, Exchange, Json, get, given, infer, post

REGION = f"/despina_differential_{os.getpid()}"
"""Key of an object of shared memory that is there while the servers are."""

REGION_BYTES = 64


def shared_memory() -> Iterator[Exchange]:
    """Regions: of nothing, wrong ones, and one that tensors come from and go to."""
    base = "/v2/systemsharedmemory"
    yield get("shm status", f"{base}/status")
    yield get("shm status of nothing", f"{base}/region/nope/status")
    yield post("shm unregister nothing", f"{base}/region/nope/unregister")
    yield post("shm unregister all", f"{base}/unregister")
    wrong: dict[str, Json] = {
        "without a key": {"byte_size": 1},
        "without a size": {"key": "/k"},
        "key of nothing": {"key": "/despina_no_such_object", "byte_size": 1},
        "key a number": {"key": 7, "byte_size": 1},
        "key slashes": {"key": "//", "byte_size": 1},
        "size negative": {"key": "/k", "byte_size": -1},
        "not JSON": b"hello",
        "an array": [],
        "beyond its end": {"key": REGION, "byte_size": REGION_BYTES * 100_000},
        "right": {"key": REGION, "byte_size": REGION_BYTES},
        "twice": {"key": REGION, "byte_size": REGION_BYTES},
    }
    for what, document in wrong.items():
        yield post(f"shm register {what}", f"{base}/region/r/register", document)
    yield get("shm status of a region", f"{base}/region/r/status")
    yield get("shm status of all", f"{base}/status")
    places: dict[str, Json] = {
        "nowhere": ("nope", 12, 0),
        "a region": ("r", 12, 0),
        "an offset": ("r", 12, 16),
        "too few bytes": ("r", 8, 0),
        "too many bytes": ("r", 16, 0),
        "beyond the end": ("r", 12, REGION_BYTES - 8),
        "an offset beyond": ("r", 12, 2**63),
        "an offset that wraps": ("r", 12, 2**64 - 4),
        "a size that is none": ("r", "12", 0),
    }
    for what, (region, size, offset) in places.items():
        place = {"shared_memory_region": region, "shared_memory_byte_size": size}
        place["shared_memory_offset"] = offset
        source = {"inputs": [given("INPUT0", "FP32", [3], parameters=place)]}
        target = {**GOOD, "outputs": [{"name": "OUTPUT0", "parameters": place}]}
        yield infer(f"input from {what}", "plain", source)
        yield infer(f"output to {what}", "plain", target)
    yield post("shm unregister", f"{base}/region/r/unregister")
    yield get("shm status after all", f"{base}/status")


def cuda() -> Iterator[Exchange]:
    """Shared memory of GPUs, where there is none."""
    base = "/v2/cudasharedmemory"
    yield get("cuda status", f"{base}/status")
    yield get("cuda status of nothing", f"{base}/region/nope/status")
    yield post("cuda unregister nothing", f"{base}/region/nope/unregister")
    yield post("cuda unregister all", f"{base}/unregister")
    yield post("cuda register nothing", f"{base}/region/r/register", {})


def traces() -> Iterator[Exchange]:
    """Settings of traces, of all models and of one; what is changed is taken back."""
    for path in ("/v2/trace/setting", "/v2/models/plain/trace/setting"):
        yield get(f"GET {path}", path)
        settings: dict[str, Json] = {
            "nothing": {},
            "unknown": {"nope": "1"},
            "level a text": {"trace_level": "OFF"},
            "level unknown": {"trace_level": ["NOPE"]},
            "rate a number": {"trace_rate": 5},
            "rate no number": {"trace_rate": "x"},
            "rate": {"trace_rate": "17"},
            "rate taken back": {"trace_rate": None},
            "count too small": {"trace_count": "-2"},
            "count": {"trace_count": "9"},
            "count taken back": {"trace_count": None},
            "frequency": {"log_frequency": "5"},
            "frequency taken back": {"log_frequency": None},
            "file": {"trace_file": "/tmp/t"},
            "not JSON": b"hello",
        }
        for what, document in settings.items():
            yield post(f"{path} {what}", path, document)
    yield get("trace of nobody", "/v2/models/nobody/trace/setting")
    yield post("trace of nobody set", "/v2/models/nobody/trace/setting", {"trace_rate": "1"})


def logging() -> Iterator[Exchange]:
    """Settings of the log; what is changed is taken back."""
    yield get("GET logging", "/v2/logging")
    settings: dict[str, Json] = {
        "nothing": {},
        "unknown": {"nope": True},
        "info a text": {"log_info": "yes"},
        "info off": {"log_info": False},
        "info on": {"log_info": True},
        "verbose": {"log_verbose_level": 1},
        "verbose back": {"log_verbose_level": 0},
        "verbose a text": {"log_verbose_level": "1"},
        "format": {"log_format": "ISO8601"},
        "format back": {"log_format": "default"},
        "format unknown": {"log_format": "bad"},
        "file": {"log_file": "/tmp/l"},
        "not JSON": b"hello",
    }
    for what, document in settings.items():
        yield post(f"logging {what}", "/v2/logging", document)
