"""Inference requests of bytes: binary tensors, alone and behind JSON, and compression."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator

from corpus.exchange import GOOD, Exchange, Json, given, infer


def raw(name: str, model: str, document: Json, tensors: bytes, **headers: str) -> Exchange:
    """An inference request with binary tensors."""
    text = json.dumps(document).encode()
    fields = {"Inference-Header-Content-Length": str(len(text)), **headers}
    fields = {key.replace("_", "-"): value for key, value in fields.items()}
    return Exchange(f"binary {name}", "POST", f"/v2/models/{model}/infer", text + tensors, fields)


def sized(size: Json, shape: Json = (3,), **more: Json) -> Json:
    """A request whose input has so many bytes behind the JSON."""
    tensor = given("INPUT0", "FP32", list(shape), parameters={"binary_data_size": size})
    return {"inputs": [tensor], **more}


THREE = struct.pack("<3f", 1.5, -2, 3)


def binary() -> Iterator[Exchange]:
    """Tensors behind the JSON, alone, and compressed."""
    yield raw("good", "plain", sized(12), THREE)
    yield raw("both ways", "plain", sized(12, parameters={"binary_data_output": True}), THREE)
    for datatype in ("FP16", "INT8", "UINT64", "FP64", "BOOL"):
        width = {"FP16": 2, "INT8": 1, "UINT64": 8, "FP64": 8, "BOOL": 1}[datatype]
        tensor = given("INPUT0", datatype, [2], parameters={"binary_data_size": 2 * width})
        document = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
        yield raw(datatype, f"any_{datatype.lower()}", document, b"\x01\x00" * width)
    texts = struct.pack("<I1sI2s", 1, b"a", 2, b"bc")
    tensor = given("INPUT0", "BYTES", [2], parameters={"binary_data_size": len(texts)})
    yield raw("BYTES", "any_bytes", {"inputs": [tensor]}, texts)
    for what, shape, data in (
        ("too few elements", [3], texts),
        ("too many elements", [1], texts),
        ("cut off in a length", [2], texts[:7]),
        ("cut off in a text", [2], texts[:-1]),
        ("a length beyond", [1], struct.pack("<I2s", 100, b"ab")),
        ("the largest length", [1], struct.pack("<I2s", 2**32 - 1, b"ab")),
    ):
        tensor = given("INPUT0", "BYTES", shape, parameters={"binary_data_size": len(data)})
        yield raw(f"BYTES {what}", "any_bytes", {"inputs": [tensor]}, data)
    yield raw("size too small", "plain", sized(8), THREE[:8])
    yield raw("size too large", "plain", sized(16), THREE + b"abcd")
    yield raw("body too short", "plain", sized(12), THREE[:8])
    yield raw("body too long", "plain", sized(12), THREE + b"abcd")
    yield raw("size negative", "plain", sized(-1), THREE)
    yield raw("size a text", "plain", sized("12"), THREE)
    yield raw("size zero", "plain", sized(0), b"")
    for length in ("-1", "0", "999999", "x", "", "1e2", "0x10", str(2**63), "12 "):
        fields = {"Inference_Header_Content_Length": length}
        yield raw(f"header length '{length}'", "plain", sized(12), THREE, **fields)
    zero = {"Inference_Header_Content_Length": "0"}
    yield infer("alone", "plain", THREE, **zero)
    yield infer("alone and short", "plain", THREE[:8], **zero)
    yield infer("alone of an open axis", "batched", THREE, **zero)
    yield infer("alone of two inputs", "pair", THREE, **zero)
    yield infer("alone of a text", "text", b"hello", **zero)
    yield infer("alone and empty", "plain", b"", **zero)
    yield infer("empty", "plain", b"")


def chunks() -> Iterator[Exchange]:
    """Bodies in chunks, and requests whose header is not what such a body needs."""
    good = json.dumps(GOOD).encode()
    halves = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (good[:20], good[20:]))
    chunked = {"Transfer_Encoding": "chunked"}
    yield infer("chunks", "plain", halves + b"0\r\n\r\n", **chunked)
    yield infer("chunks with a trailer", "plain", halves + b"0\r\nX: y\r\n\r\n", **chunked)
    yield infer("chunks with an extension", "plain", b"3;x=y\r\n{ }\r\n0\r\n\r\n", **chunked)
    yield infer("no chunks", "plain", b"0\r\n\r\n", **chunked)


def compression() -> Iterator[Exchange]:
    """Codings of bodies, both ways."""
    good = json.dumps(GOOD).encode()
    yield infer("gzip", "plain", gzip.compress(good), Content_Encoding="gzip")
    yield infer("deflate", "plain", zlib.compress(good), Content_Encoding="deflate")
    yield infer("identity", "plain", good, Content_Encoding="identity")
    for coding in ("br", "zstd", "gzip, gzip", "x"):
        yield infer(f"coding {coding}", "plain", good, Content_Encoding=coding)
    yield infer("gzip that is none", "plain", good, Content_Encoding="gzip")
    yield infer("gzip cut off", "plain", gzip.compress(good)[:-9], Content_Encoding="gzip")
    for accepted in (
        "gzip",
        "deflate",
        "gzip;q=0",
        "*",
        "br",
        "identity",
        "deflate;q=0.5, gzip;q=0.4",
    ):
        yield infer(f"accept {accepted}", "plain", good, Accept_Encoding=accepted)
