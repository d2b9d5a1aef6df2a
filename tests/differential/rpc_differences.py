"""Where this server answers otherwise over gRPC on purpose; as ``differences`` for HTTP."""

from __future__ import annotations


def both(*names: str) -> tuple[str, ...]:
    """Requests for inference, as a call and on a stream."""
    return tuple(f"{way} {name}" for name in names for way in ("rpc infer", "stream"))


RPC_DIFFERENCES: dict[str, tuple[str, ...]] = {
    "`extensions` of the server's metadata": ("rpc server metadata",),
    "a version over gRPC that only begins with a number, or is negative": tuple(
        f"rpc {method} version '{version}'"
        for method in ("ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics")
        for version in ("-1", "1.0", " 1")
    ),
    "more `raw_input_contents` than inputs": both("fragments", "more contents than inputs"),
    "a number in typed contents that its datatype does not hold": both("typed INT8 of 300"),
    "a datatype over gRPC that is none": both("unknown datatype"),
    "a negative shape over gRPC": both("negative shape"),
    "`parameters` in the answer of an ensemble": both("an ensemble"),
    "the text for wrong values of `classification`, over gRPC": both(
        "classification 0", "classification -1"
    ),
    "BYTES that are cut off": both("BYTES cut off"),
    "a parameter of `uint64_param` or a negative `timeout`": both(
        "parameter custom uint64", "parameter timeout negative"
    ),
    "`model_version` of an empty final response": tuple(
        f"stream decoupled {count} and its end" for count in (0, 1, 3)
    ),
    "wrong types and values for `/v2/logging` and `/v2/trace/setting`": (
        "rpc trace trace_count ['-2']",
        "rpc log log_format string_param xml",
    ),
    "a region of shared memory that cannot be, over gRPC": (
        "rpc shm no key",
        "rpc shm no object",
        "rpc shm no name",
    ),
    "an offset that is itself beyond its region": ("rpc infer region, too large",),
    "regions of GPUs' shared memory": ("rpc cuda register",),
    "load of a name without a model": ("rpc load nobody", "rpc load of no name"),
    "load of a model whose configuration cannot be read,"
    " or that brings parameters that cannot be": (
        "rpc load config no JSON",
        "rpc load file without config",
    ),
}
"""Names of calls, by the first column of the row in ``docs/migrate-from-triton.md``."""

RPC_REASONS = {name: row for row, names in RPC_DIFFERENCES.items() for name in names}
"""The row of each call that is answered otherwise."""
