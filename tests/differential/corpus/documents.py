"""Inference requests whose JSON is not as it should be; elements of every datatype."""

from __future__ import annotations

import json
from collections.abc import Iterator

from corpus.exchange import GOOD, Exchange, Json, given, infer, without


def documents() -> Iterator[Exchange]:
    """JSON that is none, or is not what it should be."""
    texts = {
        "empty object": "{}",
        "array": "[]",
        "number": "7",
        "null": "null",
        "cut off": '{"inputs":[',
        "trailing": '{"inputs":[]} x',
        "two documents": "{}{}",
        "not JSON": "hello",
        "control character": '{"id":"a\nb","inputs":[]}',
        "NaN": '{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[3],"data":[NaN,1,2]}]}',
        "comment": '{"inputs":[]/* no */}',
        "single quotes": "{'inputs':[]}",
        "deep": "[" * 500,
        "member twice": json.dumps(GOOD)[:-1] + ',"inputs":[]}',
        "lone surrogate": json.dumps({**GOOD, "id": "\ud800"}),
    }
    for what, text in texts.items():
        yield infer(f"document {what}", "plain", text.encode())
    yield infer("document no UTF-8", "plain", b'{"id":"\xff","inputs":[]}')
    tensor = GOOD["inputs"][0]
    wrong: dict[str, Json] = {
        "id a number": {**GOOD, "id": 7},
        "parameters an array": {**GOOD, "parameters": []},
        "inputs an object": {"inputs": {}},
        "inputs null": {"inputs": None},
        "inputs of numbers": {"inputs": [1]},
        "outputs an object": {**GOOD, "outputs": {}},
        "outputs of texts": {**GOOD, "outputs": ["OUTPUT0"]},
        "outputs empty": {**GOOD, "outputs": []},
        "unknown member": {**GOOD, "more": 1},
        "name missing": {"inputs": [without(tensor, "name")]},
        "name a number": {"inputs": [{**tensor, "name": 7}]},
        "name unknown": {"inputs": [{**tensor, "name": "NOPE"}]},
        "name twice": {"inputs": [tensor, tensor]},
        "datatype missing": {"inputs": [without(tensor, "datatype")]},
        "datatype unknown": {"inputs": [{**tensor, "datatype": "FP31"}]},
        "datatype in small letters": {"inputs": [{**tensor, "datatype": "fp32"}]},
        "datatype another": {"inputs": [{**tensor, "datatype": "INT32", "data": [1, 2, 3]}]},
        "datatype a number": {"inputs": [{**tensor, "datatype": 32}]},
        "shape missing": {"inputs": [without(tensor, "shape")]},
        "data missing": {"inputs": [without(tensor, "data")]},
        "data a number": {"inputs": [{**tensor, "data": 7}]},
        "data an object": {"inputs": [{**tensor, "data": {}}]},
        "data of texts": {"inputs": [{**tensor, "data": ["1", "2", "3"]}]},
        "data of nulls": {"inputs": [{**tensor, "data": [None, 1, 2]}]},
        "data of truths": {"inputs": [{**tensor, "data": [True, 1, 2]}]},
        "data and binary": {"inputs": [{**tensor, "parameters": {"binary_data_size": 12}}]},
        "parameters of an input an array": {"inputs": [{**tensor, "parameters": []}]},
    }
    for what, document in wrong.items():
        yield infer(f"document with {what}", "plain", document)


VALUES: dict[str, list[Json]] = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP32": [0.5, 16777216],
    "FP64": [0.1, 1e300],
    "BYTES": ["a", "\u00fc\n\u0000"],
}


def datatypes() -> Iterator[Exchange]:
    """Elements of every datatype, as JSON."""
    for datatype, values in VALUES.items():
        model = f"any_{datatype.lower()}"
        document = {"inputs": [given("INPUT0", datatype, [len(values)], values)]}
        yield infer(f"{datatype} as JSON", model, document)
        for what, value in {
            "a fraction": 0.5,
            "a text": "x",
            "a truth": True,
            "null": None,
        }.items():
            document = {"inputs": [given("INPUT0", datatype, [1], [value])]}
            yield infer(f"{datatype} of {what}", model, document)
    for text in ("100000000000000000000", "-1e20", "-0.0", "5e-324", "1e-400", "1e400", "Infinity"):
        document = {"inputs": [given("INPUT0", "FP64", [1], [7])]}
        body = json.dumps(document).replace("7", text).encode()
        yield infer(f"FP64 of {text}", "any_fp64", body)
    half = {"inputs": [given("INPUT0", "FP16", [1], [1.5])]}
    yield infer("FP16 as JSON", "any_fp16", half)
    for datatype, value in {"INT8": 128, "UINT8": -1, "INT32": 2**31, "UINT64": 2**64}.items():
        document = {"inputs": [given("INPUT0", datatype, [1], [value])]}
        yield infer(f"{datatype} of {value}", f"any_{datatype.lower()}", document)
