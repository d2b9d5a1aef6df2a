"""The text form of a configuration. The library's reader is the oracle."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import assume, given
from hypothesis import strategies as st

from despina.config.load import parse_config, read_text
from despina.config.model_config_pb2 import ModelConfig
from despina.config.text.reader import MAX_FAULTS
from despina.errors import ConfigError

# The library warns of escapes that it keeps as they are.
pytestmark = pytest.mark.filterwarnings("ignore:invalid:DeprecationWarning")

Draw = Callable[[st.SearchStrategy[Any]], Any]

WHOLE = """
name: "pose" # a comment, with "quotes" and { brackets
backend: 'onnx' "runtime"
max_batch_size: 0x10
input [ { name: "a\\tb\\x41\\101" data_type: TYPE_FP32, dims: [ 1, -1 ]; reshape { shape: 2 } },
  < name: "c" data_type: 6 dims: 3 dims: 010 optional: t > ]
output: { name: "o" data_type: TYPE_STRING dims: [ ] }
instance_group { count: 1 gpus: 0 rate_limiter { resources { name: "R" global: True count: 3 } } }
version_policy: < specific { versions: [ 1, 2 ] } >
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  priority_queue_policy { key: 1 value { timeout_action: DELAY } }
}
parameters { key: "k" value: { string_value: "v" } }
parameters [ { key: "l" value { string_value: "w" } }, { value { } } ]
model_warmup { inputs { key: "x" value { data_type: TYPE_INT8 dims: 3 zero_data: true } } }
model_metrics { metric_control { histogram_options { buckets: [ 1.5, .5, 1e3, 2f, -inf, -1. ] } } }
"""


def fields(draw: Draw, message: Descriptor) -> dict[str, Any]:
    """A message of the type, as names and values; of a choice one at most is taken."""
    known = list(message.fields)  # none, for `all { }`
    chosen = draw(st.lists(st.sampled_from(known), max_size=4, unique_by=id)) if known else []
    choices: set[str] = set()
    found = {}
    for field in chosen:
        if field.containing_oneof:
            if field.containing_oneof.name in choices:
                continue
            choices.add(field.containing_oneof.name)
        found[field.name] = values(draw, field)
    return found


def values(draw: Draw, field: FieldDescriptor) -> Any:
    entry = field.message_type if field.message_type else None
    if entry and entry.GetOptions().map_entry:
        keys = draw(st.lists(scalars(entry.fields_by_name["key"]), max_size=3, unique=True))
        return {key: value(draw, entry.fields_by_name["value"]) for key in keys}
    if field.is_repeated:
        return [value(draw, field) for _ in range(draw(st.integers(0, 3)))]
    return value(draw, field)


def value(draw: Draw, field: FieldDescriptor) -> Any:
    return fields(draw, field.message_type) if field.message_type else draw(scalars(field))


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Values of one field that is no message."""
    if field.enum_type is not None:
        return st.sampled_from([each.number for each in field.enum_type.values])
    return {
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_STRING: st.text(max_size=8),
        FieldDescriptor.CPPTYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
        FieldDescriptor.CPPTYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
        FieldDescriptor.CPPTYPE_UINT32: st.integers(0, (1 << 32) - 1),
        FieldDescriptor.CPPTYPE_UINT64: st.integers(0, (1 << 64) - 1),
        FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
    }[field.cpp_type]


class Writer:
    """Writes a message in whatever of its spellings is drawn."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def one_of(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def message(self, message: Descriptor, found: dict[str, Any]) -> str:
        return "".join(self.field(message.fields_by_name[n], v) for n, v in found.items())

    def field(self, field: FieldDescriptor, found: Any) -> str:
        entry = field.message_type if field.message_type else None
        if entry and entry.GetOptions().map_entry:
            found = [{"key": key, "value": each} for key, each in found.items()]
        colon = self.one_of(":", " : ", ":\n") if entry is None else self.one_of("", ":", " ")
        end = self.one_of(" ", ",", ";", "\n", " # c\n", "\r\n")
        if not field.is_repeated:
            return f"{field.name}{colon}{self.value(field, found)}{end}"
        if self.draw(st.booleans()):
            parts = self.one_of(",", " , ", ",\n").join(self.value(field, each) for each in found)
            return f"{field.name}{colon}[{parts}]{end}"
        return "".join(f"{field.name}{colon}{self.value(field, each)}{end}" for each in found)

    def value(self, field: FieldDescriptor, found: Any) -> str:
        if field.message_type is not None:
            opening, closing = self.one_of("{}", "<>")
            return f"{opening} {self.message(field.message_type, found)}{closing}"
        if field.enum_type is not None:
            return self.one_of(field.enum_type.values_by_number[found].name, str(found))
        if isinstance(found, bool):
            words = ("true", "t", "True", "1") if found else ("false", "f", "False", "0")
            return self.one_of(*words)
        if isinstance(found, str):
            return self.text(found)
        if isinstance(found, int):
            return self.one_of(str(found), hex(found), oct(found).replace("o", ""))
        return self.one_of(repr(found), repr(found).upper()) + self.one_of("", "f", "F")

    def text(self, found: str) -> str:
        """In one part or in two, with escapes of bytes, of characters or without."""
        cut = self.draw(st.integers(0, len(found)))
        parts = [found] if self.draw(st.booleans()) else [found[:cut], found[cut:]]
        return self.one_of(" ", "", "\n").join(self.quoted(part) for part in parts)

    def quoted(self, part: str) -> str:
        quote = self.one_of('"', "'")
        if self.draw(st.booleans()):
            form = self.one_of("\\x{:02x}", "\\{:03o}")
            return quote + "".join(form.format(byte) for byte in part.encode()) + quote
        # The library takes the backslash of an escaped character for the beginning of an escape.
        plain = {c: c for c in part if c.isprintable() and c not in "\"'\\"} | {"\\": "\\\\"}
        escaped = {c: plain.get(c, f"\\U{ord(c):08x}") for c in part}
        return quote + "".join(escaped[c] for c in part) + quote


@st.composite
def spelled(draw: Draw) -> str:
    message = ModelConfig.DESCRIPTOR
    return Writer(draw).message(message, fields(draw, message))


def oracle(text: str) -> ModelConfig | None:
    """What the library makes of a text; nothing if it refuses it."""
    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError:
        return None


def ours(text: str) -> ModelConfig | None:
    try:
        return parse_config(text, "c")
    except ConfigError:
        return None


@given(spelled())
def test_a_message_in_any_spelling_is_read_as_the_library_reads_it(text: str):
    expected = oracle(text)
    assert expected is not None
    assert parse_config(text, "c") == expected


@given(
    spelled(),
    st.fixed_dictionaries(
        {},
        optional={
            "as_one_line": st.booleans(),
            "as_utf8": st.booleans(),
            "pointy_brackets": st.booleans(),
            "use_short_repeated_primitives": st.booleans(),
            "use_index_order": st.booleans(),
            "force_colon": st.booleans(),
        },
    ),
)
def test_what_the_library_prints_is_read_again(text: str, style: dict[str, bool]):
    message = oracle(text)
    assert message is not None
    assert parse_config(text_format.MessageToString(message, **style), "c") == message


PIECES = [*"{}[]<>:;,\"'\\#\n-+.019xaet_=/ ", "name", "dims", "input", "key", "value", "TYPE_FP32"]
PIECES += ["max_batch_size", '"a"', "-1", "1.5", "0x1F", "010", "inf", "# x\n", "latest {}", "''"]


@st.composite
def mutated(draw: Draw) -> str:
    """A valid text with a few pieces taken out, put in, or written twice."""
    text = WHOLE
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(("cut", "put", "repeat"))):
            case "cut":
                text = text[:begin] + text[begin + draw(st.integers(1, 20)) :]
            case "put":
                piece = draw(st.sampled_from(PIECES) | st.characters())
                text = f"{text[:begin]}{piece}{text[begin:]}"
            case _:
                end = begin + draw(st.integers(1, 80))
                text = text[:end] + text[begin:]
    return text


@given(mutated())
def test_a_text_that_was_tampered_with_is_read_or_refused_as_the_library_does(text: str):
    try:
        expected: ModelConfig | None = text_format.Parse(text, ModelConfig())
    except (text_format.ParseError, ValueError):  # the library also lets errors of its parts out
        expected = None
    found = ours(text)
    if (found is None) != (expected is None):
        assume(not differs_on_purpose(text))
    assert found == expected


@given(st.text(alphabet=string.printable) | st.text() | mutated())
def test_no_text_makes_anything_but_a_configuration_or_a_refusal(text: str):
    _, origin = read_text(text, "c")
    for each in origin.faults:
        assert 1 <= each.line <= text.count("\n") + 1
        assert 1 <= each.column <= len(text.split("\n")[each.line - 1]) + 1


# What the library in Python takes and ours does not, as the one in C++ that the incumbent is built
# with refuses it too; except for the last two, which would be served as something else.
REFUSED_ON_PURPOSE = [
    ("max_batch_size: 1_000", "takes a whole number, not '1_000'"),
    ("max_batch_size: 0b11", "takes a whole number, not '0b11'"),
    ("max_batch_size: 0o7", "takes a whole number, not '0o7'"),
    ("max_batch_size: +1", "takes a whole number, not '+1'"),
    ('name: "\\q"', "there is no escape '\\q'"),
    ("model_metrics { metric_control { histogram_options { buckets: 1ff } } }", "not '1ff'"),
    ("model_metrics { metric_control { histogram_options { buckets: 1_0 } } }", "not '1_0'"),
    ("input { data_type: 99 }", "DataType has no value of number 99"),
    (
        'metric_tags { key: "a" value: "1" } metric_tags { key: "a" value: "2" }',
        "'metric_tags' has the key 'a' more than once",
    ),
]
# What only the library in C++ takes, and so do we: files that the incumbent reads have it.
TAKEN_ON_PURPOSE = [
    ("input { dims: [ - 1 ] }", "input { dims: [ -1 ] }"),
    ('name: "\\?"', 'name: "?"'),
]


def differs_on_purpose(text: str) -> bool:
    """Whether a text has something of the two tables."""
    try:
        parse_config(text, "c")
    except ConfigError as error:
        signs = "takes a", "no escape", "more than once", "no value of number"
        return any(sign in error.message for sign in signs)
    return "-" in text or "\\?" in text


@pytest.mark.parametrize(("text", "what"), REFUSED_ON_PURPOSE)
def test_what_the_library_takes_and_we_refuse_on_purpose(text: str, what: str):
    assert oracle(text) is not None or "\\q" in text
    with pytest.raises(ConfigError) as raised:
        parse_config(text, "c")
    assert what in raised.value.message


@pytest.mark.parametrize(("text", "same"), TAKEN_ON_PURPOSE)
def test_what_only_the_library_in_cpp_takes_and_we_do_too(text: str, same: str):
    assert parse_config(text, "c") == oracle(same)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        WHOLE,
        'name: "a" ; backend: "b" , platform: "c"',
        "name:\n\n\t'x'",
        "dynamic_batching: { }",
        "dynamic_batching < >",
        "dynamic_batching: <>",
        'input [ ] input [ { name: "a" } ]',
        'input { name: "a" } input [ < name: "b" > ]',
        "input { dims: 1 dims: [ 2, 3 ] dims: 4 }",
        "max_batch_size: 0 max_batch_size: 3",
        'name: "" name: "x"',
        "model_warmup { inputs { value { } } }",
        "dynamic_batching { priority_queue_policy { key: 18446744073709551615 } }",
        "dynamic_batching { max_queue_delay_microseconds: 0xFFFFFFFFFFFFFFFF }",
        "input { dims: -0x8000000000000000 dims: -00 dims: 007 }",
        "input { optional: f data_type: 0 format: FORMAT_NHWC }",
        "instance_group { kind: 0x2 }",
        "model_metrics { metric_control { histogram_options { buckets: [ INF, inff, -inf ] } } }",
        "model_metrics { metric_control { histogram_options { buckets: [ 1.e-3f, .5F, 0 ] } } }",
        "sequence_batching { direct { minimum_slot_utilization: 1e40 } }",
        r"""name: "\a\b\f\n\r\t\v\\\'\"\0\x7\x4a\u00e9\U0001F600é" """,
        "name: '\"' backend: \"'\"",
        "name: 'a''b'\"c\"#d\n'e'",
        "name: \"a\"backend:'b'max_batch_size:1",
        "name: 'x'\r\nbackend: 'y'\r\n",
        "name: 'x'\u00a0backend: 'y'",
    ],
)
def test_every_spelling_is_read_as_the_library_reads_it(text: str):
    expected = oracle(text)
    assert expected is not None
    assert text_format.MessageToString(parse_config(text, "c")) == (
        text_format.MessageToString(expected)
    )


FAULTS = [
    # names
    ("inptu { }", "1:1: ModelConfig has no field 'inptu'; did you mean 'input'?"),
    ("input { shape: 1 }", "1:9: ModelInput has no field 'shape'; did you mean 'dims'?"),
    (
        "preferred_batch_size: 1",
        "1:1: ModelConfig has no field 'preferred_batch_size'; it is a",
    ),
    ("input { backend: 'b' }", "1:9: ModelInput has no field 'backend'; it is a field of Mod"),
    ("zzz: 1", "1:1: ModelConfig has no field 'zzz'"),
    ("Name: 'x'", "1:1: ModelConfig has no field 'Name'; did you mean 'name'?"),
    ("'name': 'x'", "1:1: the name of a field stands without quotes: 'name'"),
    ("[a.b]: 1", "1:1: expected the name of a field, found '['"),
    ("1: 1", "1:1: expected the name of a field, found '1'"),
    ("= 1", "1:1: expected the name of a field, found '='"),
    ("// no\nname: 'x'", "1:1: a comment begins with '#'"),
    # what stands between name and value
    ("name 'x'", "1:6: expected ':' after 'name', found the text 'x'"),
    ("name = 'x'", "1:6: expected ':' after 'name', found '='"),
    ("input = { }", "1:7: expected ':' after 'input', found '='"),
    ("name", "1:5: expected ':' after 'name', found the end of the file"),
    ("name:", "1:6: 'name' takes text in quotes, found the end of the file"),
    ("name: backend: 'b'", "1:7: 'name' takes text in quotes, found 'backend'"),
    ("input: 'x'", "1:8: 'input' takes a message: expected '{', found the text 'x'"),
    ("dynamic_batching: [ ]", "1:19: 'dynamic_batching' takes a message, not a list"),
    ("max_batch_size: [ 1 ]", "1:17: 'max_batch_size' takes a whole number, not a list"),
    ("max_batch_size: { }", "1:17: 'max_batch_size' takes a whole number, found '{'"),
    # values
    ("name: x", "1:7: 'name' takes text in quotes, found 'x'"),
    ("name: 1", "1:7: 'name' takes text in quotes, found '1'"),
    ("name: 'x", "1:7: the text has no closing quote in its line"),
    ("name: 'x\\'", "1:7: the text has no closing quote in its line"),
    ("name: '\\ud800'", "1:7: there is no escape '\\ud800'"),
    ("name: '\\xff'", "1:7: the text '\\xff' is not UTF-8"),
    ("name: '\\777'", "1:7: there is no escape '\\777'"),
    ("max_batch_size: '8'", "1:17: 'max_batch_size' takes a whole number, without quotes: fo"),
    ("max_batch_size: 1.5", "1:17: 'max_batch_size' takes a whole number, not '1.5'"),
    ("max_batch_size: 08", "1:17: 'max_batch_size' takes a whole number, not '08'"),
    ("max_batch_size: 2147483648", "1:17: 'max_batch_size': 2147483648 is not between -2"),
    ("max_batch_size: -", "1:17: 'max_batch_size' takes a whole number, not '-'"),
    (
        "version_policy { latest { num_versions: -1 } }",
        "1:41: 'num_versions': -1 is not between 0 and",
    ),
    ("input { optional: yes }", "1:19: 'optional' takes true or false, not 'yes'"),
    ("input { data_type: FP32 }", "1:20: DataType has no value 'FP32'; did you mean 'TYPE_FP3"),
    ("input { data_type: BYTES }", "1:20: DataType has no value 'BYTES'; did you mean 'TYPE_S"),
    (
        "input { data_type: 'TYPE_FP32' }",
        "1:20: 'data_type' takes a value of DataType, without",
    ),
    ("input { data_type: dims: 1 }", "1:20: DataType has no value 'dims'"),
    # lists and brackets
    ("input { dims: [ 1, 2, ] }", "1:21: no ',' may stand before ']'"),
    (
        "input { dims: [ 1 2 ] }",
        "1:19: expected ',' or ']' in the list of 'dims' at 1:15, foun",
    ),
    ("input [ { } { } ]", "1:13: expected ',' or ']' in the list of 'input' at 1:7, found '{'"),
    ("input [ { } }", "1:13: expected ',' or ']' in the list of 'input' at 1:7, found '}'"),
    ("input { dims: [ 1, }", "1:20: 'dims' takes a whole number, found '}'"),
    ("input [ { name: 'x' ]", "1:21: found ']', but '{' at 1:9 is not closed"),
    ("input { name: 'x'\noutput { }", "2:1: found 'output', but '{' at 1:7 is not closed"),
    ("input { name: 'x'", "1:7: '{' is never closed"),
    ("input { name: 'x' >", "1:19: found '>', but '{' at 1:7 is not closed"),
    ("input [ { name: 'x' }", "1:7: '[' is never closed"),
    ("name: 'x' }", "1:11: '}' closes nothing"),
    # what excludes each other
    ("name: 'x' name: 'x'", "1:11: 'name' is given more than once"),
    (
        "dynamic_batching { } dynamic_batching { }",
        "1:22: 'dynamic_batching' is given more than",
    ),
    ("version_policy { latest { } all { } }", "1:29: 'all' and 'latest' exclude each other"),
    (
        "model_warmup { inputs { key: 'x' value { zero_data: false random_data: true } } }",
        "1:59: 'random_data' and 'zero_data' exclude each other: one of them may be given",
    ),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_text_that_the_library_refuses_is_refused_with_place_and_cause(text: str, fault: str):
    assert oracle(text) is None
    with pytest.raises(ConfigError) as raised:
        parse_config(text, "c")
    (problem,) = raised.value.problems
    assert str(problem).startswith(f"c:{fault}")


def test_every_error_of_a_text_is_told_in_its_order():
    text = """
        name: "a" "b"
        max_batch_size = 8
        inptu [ { name: "x" dims: [ 1, { } ] } ]
        input [ { data_type: TYPE_BYTES dims: [ 1, -1, ] } { name: y dims: 3, shape: [ 3 ] } ]
        instance_group [ { count: "2" kind: KIND_CPUS gpus: [ 0 1 ] } }
        output { name: "abc
          dims: [ 2 ] }
        // a comment
        version_policy: { latest { num_versions: -1 } all { } }
        sequence_batching { direct { } oldest { } }
        """
    with pytest.raises(ConfigError) as raised:
        parse_config(text, "c")
    places = [(each.line, each.text[:12]) for each in raised.value.problems]
    assert places == [
        (3, "expected ':'"),
        (4, "ModelConfig "),
        (5, "DataType has"),
        (5, "no ',' may s"),
        (5, "expected ','"),
        (5, "'name' takes"),
        (5, "ModelInput h"),
        (6, "'count' take"),
        (6, "Kind has no "),
        (6, "expected ','"),
        (6, "expected ','"),
        (7, "the text has"),
        (9, "a comment be"),
        (10, "'num_version"),
        (10, "'all' and 'l"),
        (11, "'oldest' and"),
    ]


def test_a_text_full_of_errors_is_not_read_to_its_end():
    with pytest.raises(ConfigError) as raised:
        parse_config("x: 1\n" * 10_000, "c")
    assert len(raised.value.problems) == MAX_FAULTS + 1
    assert "not looked at" in raised.value.problems[-1].text


@pytest.mark.parametrize(
    "text",
    ["{" * 100_000, "input {" * 50_000, "a {" * 50_000, "input [" * 50_000, "input { x [" * 50_000],
)
def test_depth_costs_no_stack(text: str):
    with pytest.raises(ConfigError):
        parse_config(text, "c")


def test_long_texts_take_no_time_that_grows_with_their_square():
    for text in (
        'name: "' + "\\" * 500_000 + '"',
        '"' * 500_000,
        "max_batch_size: " + "9" * 500_000,
    ):
        assert len(text) < 1 << 20
        ours(text)
