"""Inference requests of JSON: tensors and shapes, what is asked for, parameters."""

from __future__ import annotations

from collections.abc import Iterator

from corpus.exchange import GOOD, Exchange, Json, given, infer, one, post

ROW = {"inputs": [given("INPUT0", "FP32", [1, 2], [1, 2])]}
COLUMN = given("INPUT0", "FP32", [2, 1], [1, 2])
PAIR = [given("INPUT0", "INT32", [1, 2], [1, 2]), given("INPUT1", "FP32", [1, 1], [0.5])]


def inference() -> Iterator[Exchange]:
    """What the model has to say of a request."""
    yield infer("good", "plain", GOOD)
    yield infer("with an id", "plain", {**GOOD, "id": "an id"})
    yield infer("with an id of quotes", "plain", {**GOOD, "id": '"\\\n\u00fc'})
    yield post("infer of a version", "/v2/models/versions/versions/1/infer", one(1))
    yield post("infer of another version", "/v2/models/versions/versions/3/infer", one(1))
    yield infer("without a version", "versions", one(1))
    yield post("infer of no version", "/v2/models/versions/versions/2/infer", one(1))
    yield infer("of nobody", "nobody", GOOD)
    yield infer("of a model not loaded", "broken", GOOD)
    yield infer("a row", "batched", ROW)
    yield infer("rows", "batched", {"inputs": [given("INPUT0", "FP32", [4, 1], [1, 2, 3, 4])]})
    yield infer("too many rows", "batched", {"inputs": [given("INPUT0", "FP32", [5, 0], [])]})
    yield infer("no rows", "batched", {"inputs": [given("INPUT0", "FP32", [0, 2], [])]})
    yield infer("no axis", "batched", {"inputs": [given("INPUT0", "FP32", [], [1])]})
    yield infer("one axis", "batched", {"inputs": [given("INPUT0", "FP32", [1], [1])]})
    yield infer("no elements", "batched", {"inputs": [given("INPUT0", "FP32", [1, 0], [])]})
    yield infer("an ensemble", "chain", {"inputs": [given("IN", "FP32", [2, 1], [1, 2])]})
    yield infer("ensemble, wrong name", "chain", {"inputs": [given("IM", "FP32", [2, 1], [1, 2])]})
    yield infer("decoupled", "repeat", {"inputs": [given("IN", "INT32", [1], [1])]})
    yield infer("two inputs", "pair", {"inputs": PAIR})
    yield infer("in the other order", "pair", {"inputs": PAIR[::-1]})
    yield infer("one of two", "pair", {"inputs": PAIR[:1]})
    yield infer(
        "rows that differ", "pair", {"inputs": [PAIR[0], given("INPUT1", "FP32", [2, 1], [1, 2])]}
    )
    yield infer(
        "optional there", "optional", {"inputs": [two(), given("INPUT1", "INT8", [1], [7])]}
    )
    yield infer("optional left out", "optional", {"inputs": [two()]})
    yield infer("required left out", "optional", {"inputs": [given("INPUT1", "INT8", [1], [7])]})
    yield infer("nothing", "optional", {"inputs": []})
    shapes: list[tuple[str, Json, Json]] = [
        ("nested", [2, 3], [[1, 2, 3], [4, 5, 6]]),
        ("nested otherwise", [2, 3], [[1, 2], [3, 4], [5, 6]]),
        ("flat", [2, 3], [1, 2, 3, 4, 5, 6]),
        ("wrong shape", [3, 2], [1, 2, 3, 4, 5, 6]),
        ("too few", [2, 3], [1, 2, 3]),
        ("too many", [2, 3], list(range(7))),
        ("rank", [6], [1, 2, 3, 4, 5, 6]),
        ("negative", [-1, 3], [1, 2, 3]),
        ("a fraction", [2.5, 3], [1]),
        ("text", ["2", 3], [1]),
        ("no array", 6, [1]),
        ("beyond 64 bits", [2**64, 1], [1]),
        ("overflowing", [2**62, 4], [1]),
        ("many axes", [1] * 100, [1]),
    ]
    for what, shape, data in shapes:
        yield infer(f"shape {what}", "fixed", {"inputs": [given("INPUT0", "INT64", shape, data)]})


def statistics() -> Iterator[Exchange]:
    """Counts of a model that nothing else asks."""
    yield infer("counted", "counted", ROW)
    yield infer("counted with rows", "counted", {"inputs": [COLUMN]})
    yield infer("counted with rows again", "counted", {"inputs": [COLUMN]})
    yield infer("counted without an input", "counted", {"inputs": []})
    yield infer("counted with another input", "counted", {"inputs": [{**COLUMN, "name": "X"}]})
    for what, of in (("after requests", ""), ("of a version", "/versions/1")):
        path = f"/v2/models/counted{of}/stats"
        yield Exchange(f"stats {what}", "GET", path, comes_late=True)


def two() -> Json:
    """An input of two numbers."""
    return given("INPUT0", "FP32", [2], [1, 2])


def outputs() -> Iterator[Exchange]:
    """What is asked for of the answer."""

    def asked(
        what: str, *listed: Json, model: str = "plain", document: Json = GOOD, **more: Json
    ) -> Exchange:
        return infer(f"output {what}", model, {**document, "outputs": list(listed), **more})

    plain = {"name": "OUTPUT0"}
    yield asked("named", plain)
    yield asked("unknown", {"name": "NOPE"})
    yield asked("twice", plain, plain)
    yield asked("without a name", {})
    yield asked("name a number", {"name": 7})
    for value in (True, False, 1, "true"):
        yield asked(f"binary {value!r}", {**plain, "parameters": {"binary_data": value}})
    yield asked("binary by default and listed", plain, parameters={"binary_data_output": True})
    yield asked("unknown parameter", {**plain, "parameters": {"x": 1}})
    four = {"inputs": [given("INPUT0", "FP32", [4], [0.1, 3, -2, 3])]}
    for count in (1, 2, 4, 9, 0, -1, "2"):
        listed = {**plain, "parameters": {"classification": count}}
        yield asked(f"classes {count!r}", listed, model="classes", document=four)
    listed = {**plain, "parameters": {"classification": 1, "binary_data": True}}
    yield asked("classes in binary", listed, model="classes", document=four)
    # Not classes of BYTES: the real Triton ends there with a fault of memory.
    truths = {"inputs": [given("INPUT0", "BOOL", [2], [True, False])]}
    listed = {**plain, "parameters": {"classification": 1}}
    yield asked("classes of BOOL", listed, model="any_bool", document=truths)


def parameters() -> Iterator[Exchange]:
    """Parameters of requests."""
    values: dict[str, Json] = {
        "custom int": {"a": 1},
        "custom negative": {"a": -1},
        "custom text": {"a": "x"},
        "custom truth": {"a": True},
        "custom fraction": {"a": 0.5},
        "custom null": {"a": None},
        "custom array": {"a": [1]},
        "custom object": {"a": {}},
        "custom of 64 bits": {"a": 2**63},
        "custom beyond": {"a": 2**64},
        "reserved prefix": {"triton_x": 1},
        "sequence_id": {"sequence_id": 7},
        "sequence_id text": {"sequence_id": "x"},
        "sequence_id truth": {"sequence_id": True},
        "sequence_start": {"sequence_start": True},
        "sequence_start number": {"sequence_start": 1},
        "priority": {"priority": 1},
        "priority negative": {"priority": -1},
        "priority text": {"priority": "1"},
        "timeout": {"timeout": 1_000_000},
        "timeout fraction": {"timeout": 0.5},
        "binary_data_output number": {"binary_data_output": 1},
        "empty name": {"": 1},
    }
    for what, value in values.items():
        yield infer(f"parameter {what}", "plain", {**GOOD, "parameters": value})
