"""Where this server answers otherwise on purpose.

All other differences are faults of this server: they are mended, or come here and into the guide.
"""

from __future__ import annotations

DIFFERENCES: dict[str, tuple[str, ...]] = {
    # what is read
    "`extensions` of the server's metadata": ("server metadata",),
    "fields of the configuration that are newer than 2.51 (`max_inflight_requests`)": (
        "config of chain",
    ),
    "a version of more than 64 bits in a path": (
        "version huge",
        "version huge/ready",
        "version huge/config",
        "version huge/stats",
    ),
    "`%41` in a path": ("path encoded", "path control"),
    "other paths on the port of the metrics": (
        "metrics path /",
        "metrics path /v2",
        "metrics path /metrics/x",
    ),
    # JSON
    "a body of JSON that is no object": (
        "infer document array",
        "infer document number",
        "infer document null",
        "generate array",
        "shm register an array",
    ),
    "a body that is not UTF-8": ("infer document no UTF-8",),
    "`NaN` and `Infinity` in JSON": ("infer document NaN", "infer FP64 of Infinity"),
    "a member of JSON that is there twice": ("infer document member twice",),
    "a member of a wrong JSON type": (
        "infer document with parameters an array",
        "infer document with inputs of numbers",
        "infer document with outputs of texts",
        "infer document with parameters of an input an array",
        "infer BYTES of a fraction",
        "infer BYTES of a truth",
        "infer BYTES of null",
        "infer output classes -1",
        "infer output classes '2'",
        "infer parameter sequence_id truth",
        "shm register key a number",
        "shm register size negative",
        "index ready a number",
        "load config an object",
        "unload dependents wrong",
    ),
    "an integer in JSON that its datatype does not hold": (
        "infer INT8 of 128",
        "infer UINT8 of -1",
        "infer INT32 of 2147483648",
    ),
    "a parameter of an integer from 2^63 to 2^64": ("infer parameter custom of 64 bits",),
    # tensors
    "batch of 0 rows": ("infer no rows",),
    "a shape of more than 16 dimensions, or of more elements than 64 bits count": (
        "infer shape overflowing",
        "infer shape many axes",
    ),
    "the note behind an unexpected shape of a model that batches": ("infer one axis",),
    "inputs whose numbers of rows differ": ("infer rows that differ",),
    "a required input that is left out, of a model that has optional ones": (
        "infer required left out",
    ),
    "BYTES that are cut off": (
        "binary BYTES cut off in a length",
        "binary BYTES cut off in a text",
        "binary BYTES a length beyond",
        "binary BYTES the largest length",
    ),
    # bodies
    "`Inference-Header-Content-Length` that is no number, or given twice": (
        "binary header length 'x'",
        "binary header length ''",
        "binary header length '1e2'",
        "binary header length '0x10'",
    ),
    "a body that is one tensor, without JSON": (
        "binary header length '0'",
        "infer alone and short",
        "infer alone of two inputs",
        "infer alone and empty",
        "infer empty",
        "infer no chunks",
    ),
    "a chunk with an extension (`3;x=y`)": ("infer chunks with an extension",),
    "a compressed body that is broken, cut off, or has more behind it"
    " (also a second member of gzip)": ("infer gzip that is none", "infer gzip cut off"),
    # answers
    "`parameters` in the answer of an ensemble": ("infer an ensemble",),
    "an output asked for twice": ("infer output twice",),
    "classes of an output of BOOL or BYTES": ("infer output classes of BOOL",),
    "`generate` of a model that answers not at all, or several times": (
        "generate twice",
        "generate never",
    ),
    "a compressed body for `generate`": ("generate gzip",),
    # shared memory and settings
    "a key of shared memory of slashes alone": ("shm register key slashes",),
    "regions of GPUs' shared memory": ("cuda register nothing",),
    "unknown trace levels": (
        "/v2/trace/setting level unknown",
        "/v2/models/plain/trace/setting level unknown",
    ),
    "wrong types and values for `/v2/logging` and `/v2/trace/setting`": ("logging format unknown",),
    # the repository
    "the index of one repository": ("index of a repository",),
    "load of a name without a model": ("load nobody", "load a%20b"),
    "a name such as `..` in a load or unload": (
        "load ..",
        "unload ..",
        "load %2e%2e",
        "unload %2e%2e",
        "load xxxxxxxxxxxxxxxxxxxx",
        "unload xxxxxxxxxxxxxxxxxxxx",
    ),
    "load of a model whose configuration cannot be read,"
    " or that brings parameters that cannot be": (
        "load unknown parameter",
        "load config no JSON",
        "load config unknown field",
        "load file without config",
        "load file outside",
    ),
    "base64 of a `file:` parameter that is malformed": ("load file no base64",),
    "a backend that is not there": ("load broken",),
    "a model that has failed and is unloaded": ("ready without it", "index without it"),
}
"""Names of exchanges, by the first column of the row in ``docs/migrate-from-triton.md``."""

REASONS = {name: row for row, names in DIFFERENCES.items() for name in names}
"""The row of each exchange that is answered otherwise."""
