"""Requests that are wrong: each is refused with a reason, and leaves the server as it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness.raw_http import (
    Connection,
    binary_infer,
    bytes_tensor,
    good,
    is_good,
    json_infer,
)
from harness.serve import Serve

GOOD: dict[str, Any] = {
    "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]
}


@pytest.fixture
def connection(server: Serve) -> Iterator[Connection]:
    """Whatever a test does, the same connection, or a new one, serves the next client."""
    with Connection(server.port, timeout=60) as opened:
        yield opened
    with Connection(server.port) as other:
        assert is_good(other.exchange(good()))
    assert server.ready()


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The good request with something else at one place; ``...`` takes it away."""
    document = copy.deepcopy(GOOD)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


def input0(**members: Any) -> dict[str, Any]:
    """The good request with members of its input changed."""
    document = copy.deepcopy(GOOD)
    document["inputs"][0].update(members)
    return document


NESTED = "[" * 100_000 + "]" * 100_000
DEEP_VALUE = '{"a":' * 100_000 + "1" + "}" * 100_000
PREFIX = '{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,2],"data":[1,2]}]'

MALFORMED_JSON = {
    "no JSON": "not JSON",
    "blank": " ",
    "cut off": json.dumps(GOOD)[:-3],
    "something behind": json.dumps(GOOD) + "{}",
    "an array": "[]",
    "a number": "3",
    "null": "null",
    "nested arrays": f'{{"inputs":{NESTED}}}',
    "nested objects": DEEP_VALUE,
    "NaN": PREFIX.replace("[1,2]}", "[NaN,2]}") + "}",
    "Infinity": PREFIX.replace("[1,2]}", "[-Infinity,2]}") + "}",
    "a huge exponent": PREFIX.replace("[1,2]}", "[1e999999,2]}") + "}",
    "single quotes": "{'inputs': []}",
    "a comment": "{/* */}",
    "a trailing comma": PREFIX + ",}",
    "a bare control character": PREFIX + ',"id":"\x01"}',
    "a lone surrogate, encoded": PREFIX + ',"id":"\ud800"}',
    "a lone surrogate, escaped": PREFIX + ',"id":"\\ud800"}',
    "a byte order mark alone": "\ufeff",
}


@pytest.mark.parametrize("what", MALFORMED_JSON)
def test_malformed_json(connection: Connection, what: str) -> None:
    answer = connection.exchange(json_infer("identity_fp32", MALFORMED_JSON[what]))
    assert answer.status == 400
    assert answer.error


def test_bytes_that_are_no_utf_8(connection: Connection) -> None:
    text = (PREFIX + ',"id":"caf"}').encode()
    data = json_infer("identity_fp32", text.decode())
    assert connection.exchange(data.replace(b"caf", b"c\xe9f")).status == 400


def test_a_duplicate_member_is_refused(connection: Connection) -> None:
    for text in (
        PREFIX + ',"inputs":[]}',
        PREFIX + ',"id":"a","id":"b"}',
        PREFIX.replace('"shape":[1,2]', '"shape":[1,2],"shape":[2,1]') + "}",
        PREFIX + ',"parameters":{"a":1,"a":2}}',
    ):
        answer = connection.exchange(json_infer("identity_fp32", text))
        assert answer.status == 400
        assert "twice" in answer.error


WRONG: dict[str, tuple[Any, str]] = {
    "no inputs member": ({}, "non-existing object member 'inputs'"),
    "inputs an object": ({"inputs": {}}, "'inputs'"),
    "inputs null": ({"inputs": None}, "'inputs'"),
    "an input that is no object": ({"inputs": [3]}, "'inputs'"),
    "no inputs": ({"inputs": []}, "missing required input(s) ['INPUT0']"),
    "id a number": ({**GOOD, "id": 3}, "'id'"),
    "id an array": ({**GOOD, "id": []}, "'id'"),
    "parameters an array": ({**GOOD, "parameters": []}, "'parameters'"),
    "outputs an object": ({**GOOD, "outputs": {}}, "'outputs'"),
    "an output that is text": ({**GOOD, "outputs": ["OUTPUT0"]}, "'outputs'"),
    "an output without a name": ({**GOOD, "outputs": [{}]}, "'name'"),
    "an unknown output": ({**GOOD, "outputs": [{"name": "NOPE"}]}, "unexpected inference output"),
    "an output twice": ({**GOOD, "outputs": [{"name": "OUTPUT0"}] * 2}, "more than once"),
    "binary_data a number": (
        {**GOOD, "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": 1}}]},
        "'binary_data'",
    ),
    "classification negative": (
        {**GOOD, "outputs": [{"name": "OUTPUT0", "parameters": {"classification": -1}}]},
        "'classification'",
    ),
    "no name": (changed("inputs", 0, "name", to=...), "'name'"),
    "no datatype": (changed("inputs", 0, "datatype", to=...), "'datatype'"),
    "no shape": (changed("inputs", 0, "shape", to=...), "'shape'"),
    "no data": (changed("inputs", 0, "data", to=...), "no field is set"),
    "name a number": (input0(name=3), "'name'"),
    "an unknown name": (input0(name="IN9"), "unexpected inference input 'IN9'"),
    "an empty name": (input0(name=""), "unexpected inference input ''"),
    "a name with a NUL": (input0(name="INPUT0\0"), "unexpected inference input"),
    "an input twice": ({"inputs": GOOD["inputs"] * 2}, "already exists"),
    "an unknown datatype": (input0(datatype="FP33"), "invalid datatype for input INPUT0"),
    "datatype in lower case": (input0(datatype="fp32"), "invalid datatype"),
    "another datatype": (
        input0(datatype="INT32", data=[1, 2]),
        "data-type is 'INT32', but model 'identity_fp32' expects 'FP32'",
    ),
    "shape a number": (input0(shape=2), "'shape'"),
    "shape with text": (input0(shape=["1", 2]), "'shape'"),
    "shape with a fraction": (input0(shape=[1.0, 2]), "'shape'"),
    "a negative dimension": (input0(shape=[1, -2]), "non-unsigned-integer"),
    "a dimension of 2^63": (input0(shape=[1, 2**63]), "too large"),
    "a dimension of 2^64": (input0(shape=[1, 2**64]), "non-unsigned-integer"),
    "2^62 times 4 elements": (input0(shape=[2**62, 4]), "more elements"),
    "2^62 rows": (input0(shape=[2**62, 1], data=[]), "true shape"),
    "0 times 2^62": (input0(shape=[0, 2**62], data=[]), ""),
    "nine dimensions": (input0(shape=[1] * 9), "shape"),
    "a million dimensions": (input0(shape=[1] * 1_000_000), "dimensions"),
    "no dimensions": (input0(shape=[], data=[1]), "shape"),
    "too few dimensions": (input0(shape=[2]), "unexpected shape"),
    "too many dimensions": (input0(shape=[1, 1, 2]), "unexpected shape"),
    "no rows": (input0(shape=[0, 2], data=[]), "batch"),
    "nine rows": (input0(shape=[9, 1], data=[0] * 9), "batch-size must be <= 8"),
    "too little data": (input0(data=[1.0]), "true shape"),
    "too much data": (input0(data=[1.0, 2.0, 3.0]), "true shape"),
    "data nested too little": (input0(data=[[1.0], [2.0, 3.0]]), "true shape"),
    "data an object": (input0(data={"0": 1}), "'data'"),
    "data a number": (input0(data=3), "'data'"),
    "data with text": (input0(data=["1", "2"]), "'data'"),
    "data with null": (input0(data=[None, 1]), "'data'"),
    "data with booleans": (input0(data=[True, False]), "'data'"),
    "both data and binary_data_size": (
        input0(parameters={"binary_data_size": 8}),
        "set 'data' 'binary_data_size'",
    ),
    "shared memory": (
        input0(parameters={"shared_memory_region": "r", "shared_memory_byte_size": 8}),
        "Unable to find shared memory region: 'r'",
    ),
    "a reserved parameter": ({**GOOD, "parameters": {"triton_x": 1}}, "reserved"),
    "a parameter of null": ({**GOOD, "parameters": {"a": None}}, "'a' has invalid type"),
    "a parameter of an array": ({**GOOD, "parameters": {"a": [1]}}, "'a' has invalid type"),
    "a parameter of an object": ({**GOOD, "parameters": {"a": {}}}, "'a' has invalid type"),
    "a parameter beyond 64 bits": ({**GOOD, "parameters": {"a": 2**63}}, "'a' is out of range"),
    "sequence_id a boolean": ({**GOOD, "parameters": {"sequence_id": True}}, "'sequence_id'"),
    "sequence_start a number": ({**GOOD, "parameters": {"sequence_start": 1}}, "'sequence_start'"),
    "priority negative": ({**GOOD, "parameters": {"priority": -1}}, "'priority'"),
    "timeout a fraction": ({**GOOD, "parameters": {"timeout": 0.5}}, "'timeout'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_members_that_are_wrong(connection: Connection, what: str) -> None:
    document, text = WRONG[what]
    answer = connection.exchange(json_infer("identity_fp32", document))
    assert answer.status == (404 if what == "shared memory" else 400), answer.body
    assert text in answer.error
    assert is_good(connection.exchange(good()))


RANGES = {
    "UINT8": (-1, 256, 0.5),
    "INT8": (-129, 128, 0.5),
    "UINT16": (-1, 2**16, 1e3 + 0.5),
    "INT32": (-(2**31) - 1, 2**31, 0.5),
    "UINT64": (-1, 2**64, 0.5),
    "INT64": (-(2**63) - 1, 2**63, 0.5),
    "FP32": (1e39, -1e39, "1"),
    "BOOL": (0, 1, "true"),
    "BYTES": (1, True, None),
}


@pytest.mark.parametrize("datatype", RANGES)
def test_elements_that_their_datatype_cannot_hold(connection: Connection, datatype: str) -> None:
    for value in RANGES[datatype]:
        tensor = {"name": "INPUT0", "datatype": datatype, "shape": [1, 1], "data": [value]}
        answer = connection.exchange(
            json_infer(f"identity_{datatype.lower()}", {"inputs": [tensor]})
        )
        assert answer.status == 400, value
        assert "'data'" in answer.error or "parsing a number" in answer.error


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_precision_does_not_go_through_json(connection: Connection, datatype: str) -> None:
    tensor = {"name": "INPUT0", "datatype": datatype, "shape": [1, 1], "data": [1.0]}
    model = f"identity_{datatype.lower()}"
    answer = connection.exchange(json_infer(model, {"inputs": [tensor]}))
    assert answer.status == 400
    assert f"receiving {datatype} data via JSON is not supported" in answer.error
    tensor = {
        "name": "INPUT0",
        "datatype": datatype,
        "shape": [1, 1],
        "parameters": {"binary_data_size": 2},
    }
    answer = connection.exchange(binary_infer(model, {"inputs": [tensor]}, b"\0\0"))
    assert answer.status == 400
    assert datatype in answer.error


def test_floats_that_json_has_no_word_for_are_an_error_and_not_broken_json(
    connection: Connection,
) -> None:
    tensor = {
        "name": "INPUT0",
        "datatype": "FP32",
        "shape": [1, 1],
        "parameters": {"binary_data_size": 4},
    }
    for bits in (b"\0\0\xc0\x7f", b"\0\0\x80\x7f"):
        document = {"inputs": [tensor]}
        assert connection.exchange(binary_infer("identity_fp32", document, bits)).status == 400
        document = {**document, "parameters": {"binary_data_output": True}}
        answer = connection.exchange(binary_infer("identity_fp32", document, bits))
        assert answer.binary == bits


def binary(size: Any, shape: Any = (1, 2), datatype: str = "FP32") -> dict[str, Any]:
    tensor = {
        "name": "INPUT0",
        "datatype": datatype,
        "shape": list(shape),
        "parameters": {"binary_data_size": size},
    }
    return {"inputs": [tensor]}


BINARY: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "less than it says": (binary(8), b"1234", "expecting 4 additional bytes"),
    "more than it says": (binary(8), b"1234567890", "unexpected additional input data"),
    "nothing": (binary(8), b"", "expecting 8 additional bytes"),
    "too small for the shape": (binary(4), b"1234", "Expected 8, got 4"),
    "too large for the shape": (binary(12), b"123456789012", "Expected 8, got 12"),
    "size negative": (binary(-8), b"12345678", "'binary_data_size'"),
    "size a fraction": (binary(8.5), b"12345678", "'binary_data_size'"),
    "size text": (binary("8"), b"12345678", "'binary_data_size'"),
    "size 2^64-1": (binary(2**64 - 1), b"12345678", "additional bytes"),
    "size 2^64": (binary(2**64), b"12345678", "'binary_data_size'"),
    "size null": (binary(None), b"12345678", "'binary_data_size'"),
    "a shape of 2^61 elements": (binary(8, (1, 2**61)), b"12345678", f"Expected {2**63}, got 8"),
}


@pytest.mark.parametrize("what", BINARY)
def test_binary_tensors_that_are_not_what_is_said_of_them(
    connection: Connection, what: str
) -> None:
    document, tensors, text = BINARY[what]
    answer = connection.exchange(binary_infer("identity_fp32", document, tensors))
    assert answer.status == 400, answer.body
    assert text in answer.error
    assert is_good(connection.exchange(good()))


STRINGS: dict[str, tuple[int, bytes, str]] = {
    "one element too few": (2, bytes_tensor(b"a"), "expected 2 string elements"),
    "one element too many": (1, bytes_tensor(b"a", b"b"), "number of string elements 2"),
    "a length that is cut off": (1, b"\x01\x00", "expecting 4 bytes but only 2 bytes available"),
    "an element that is cut off": (
        1,
        b"\x64\0\0\0ab",
        "expecting string of length 100 but only 2 bytes available",
    ),
    "a length of 2^32-1": (1, b"\xff\xff\xff\xff", "4294967295"),
    "nothing": (1, b"", "expected 1 string elements"),
    "2^40 elements": (2**40, bytes_tensor(b"a"), "string elements"),
}


@pytest.mark.parametrize("what", STRINGS)
def test_bytes_tensors_that_do_not_hold_their_elements(connection: Connection, what: str) -> None:
    count, tensors, text = STRINGS[what]
    document = binary(len(tensors), (1, count), "BYTES")
    answer = connection.exchange(binary_infer("identity_bytes", document, tensors))
    assert answer.status == 400
    assert text in answer.error
    assert is_good(connection.exchange(good()))


def test_a_hundred_thousand_outputs(connection: Connection) -> None:
    for outputs in (
        [{"name": "OUTPUT0"}] * 100_000,
        [{"name": f"OUTPUT{i}"} for i in range(100_000)],
    ):
        answer = connection.exchange(json_infer("identity_fp32", {**GOOD, "outputs": outputs}))
        assert answer.status == 400


def test_a_hundred_thousand_parameters_are_taken(connection: Connection) -> None:
    sent = {f"key {i}": i for i in range(100_000)}
    answer = connection.exchange(json_infer("identity_fp32", {**GOOD, "parameters": sent}))
    assert answer.status == 200


def test_a_string_of_twenty_megabytes_comes_back(connection: Connection) -> None:
    long = "x" * 20_000_000
    answer = connection.exchange(json_infer("identity_fp32", {**GOOD, "id": long}))
    assert answer.json["id"] == long


def test_more_classes_than_there_are_elements_gives_them_all(connection: Connection) -> None:
    output = {"name": "OUTPUT0", "parameters": {"classification": 2**63}}
    answer = connection.exchange(json_infer("identity_fp32", {**GOOD, "outputs": [output]}))
    assert answer.json["outputs"][0]["data"] == ["2.000000:1", "1.000000:0"]


@pytest.mark.parametrize("datatype", ["BOOL", "FP16", "BF16", "BYTES"])
def test_classes_of_a_datatype_that_has_none(connection: Connection, datatype: str) -> None:
    tensors = {"BOOL": b"\1", "BYTES": bytes_tensor(b"a")}.get(datatype, b"\0\0")
    document = binary(len(tensors), (1, 1), datatype)
    document["outputs"] = [{"name": "OUTPUT0", "parameters": {"classification": 1}}]
    model = f"identity_{datatype.lower()}"
    answer = connection.exchange(binary_infer(model, document, tensors))
    assert answer.status == 400
    assert datatype in answer.error


def test_what_a_client_sends_cannot_forge_a_line_of_the_log(
    connection: Connection, server: Serve
) -> None:
    evil = "x\r\nE0101 00:00:00.000000 1 forged.cc:1] \x1b[31mforged"
    parameters = {"behaviour": f"raise:{evil}"}
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
    document = {"id": evil, "inputs": [tensor], "parameters": parameters}
    assert connection.exchange(json_infer("behaviour", document)).status == 500
    assert connection.exchange(json_infer("identity_fp32", {**GOOD, "id": evil})).status == 200
    assert connection.exchange(json_infer("identity_fp32", input0(name=evil))).status == 400
    assert "\x1b" not in server.stderr
    assert not [line for line in server.stderr.splitlines() if line.startswith("E0101")]
