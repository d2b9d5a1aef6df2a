"""The message: generated files, field numbers, and what is done with each field."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

import despina.config
from despina.config.model_config_pb2 import DESCRIPTOR, ModelConfig
from despina.config.support import UNSUPPORTED, UNSUPPORTED_VALUES, USED, unsupported

FOLDER = Path(despina.config.__file__).parent
CORE = FOLDER.parents[1]

# Numbers of the incumbent's public message, by field.
NUMBERS = {
    "ModelConfig": """name 1 platform 2 version_policy 3 max_batch_size 4 input 5 output 6
        instance_group 7 default_model_filename 8 cc_model_filenames 9 metric_tags 10
        dynamic_batching 11 optimization 12 sequence_batching 13 parameters 14
        ensemble_scheduling 15 model_warmup 16 backend 17 model_operations 18
        model_transaction_policy 19 batch_input 20 batch_output 21 model_repository_agents 23
        response_cache 24 runtime 25 model_metrics 26""",
    "ModelInput": """name 1 data_type 2 format 3 dims 4 reshape 5 is_shape_tensor 6
        allow_ragged_batch 7 optional 8 is_non_linear_format_io 9""",
    "ModelOutput": """name 1 data_type 2 dims 3 label_filename 4 reshape 5 is_shape_tensor 6
        is_non_linear_format_io 7""",
    "ModelDynamicBatching": """preferred_batch_size 1 max_queue_delay_microseconds 2
        preserve_ordering 3 priority_levels 4 default_priority_level 5 default_queue_policy 6
        priority_queue_policy 7""",
    "ModelInstanceGroup": """name 1 count 2 gpus 3 kind 4 profile 5 rate_limiter 6 passive 7
        secondary_devices 8 host_policy 9""",
    "ModelEnsembling": "step 1 max_inflight_requests 2",
    "ModelOptimizationPolicy": """graph 1 priority 2 cuda 3 execution_accelerators 4
        input_pinned_memory 5 output_pinned_memory 6 gather_kernel_buffer_threshold 7
        eager_batching 8""",
}


@pytest.mark.parametrize("message", NUMBERS)
def test_field_numbers_are_those_of_the_incumbent(message: str):
    words = NUMBERS[message].split()
    expected = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    fields = DESCRIPTOR.message_types_by_name[message].fields
    assert {field.name: field.number for field in fields} == expected


def test_generated_files_are_current(tmp_path: Path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools generates the files")
    arguments = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    proto = "despina/config/model_config.proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(CORE), *arguments, proto]
    run(command, check=True)
    for name in ("model_config_pb2.py", "model_config_pb2.pyi"):
        made = (tmp_path / "despina/config" / name).read_text()
        committed = (FOLDER / name).read_text()
        version = re.compile(r"Protobuf Python Version: .*|^    \d+,$", re.MULTILINE)
        assert version.sub("", made) == version.sub("", committed), f"generate {name} again"


def test_the_message_does_not_collide_with_the_clients_own():
    assert DESCRIPTOR.package == "despina.config"
    assert DESCRIPTOR.name == "despina/config/model_config.proto"


def _fields(message: Descriptor, path: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field below a message, down to those that are refused."""
    for field in message.fields:
        below = f"{path}{field.name}"
        yield below, field
        if below in UNSUPPORTED or field.message_type is None:
            continue
        inner = field.message_type
        if inner.GetOptions().map_entry:
            inner = inner.fields_by_name["value"].message_type
        if inner is not None:
            yield from _fields(inner, f"{below}.")


ALL_FIELDS = dict(_fields(ModelConfig.DESCRIPTOR))


@pytest.mark.parametrize("path", ALL_FIELDS)
def test_every_field_is_either_used_or_refused(path: str):
    message, _, name = path.rpartition(".")
    used = name in USED.get(message, "").split()
    assert used != (path in UNSUPPORTED), "neither used nor refused, or both"


def test_the_tables_name_only_fields_that_exist():
    used = {f"{m}.{f}".lstrip(".") for m, names in USED.items() for f in names.split()}
    assert used | UNSUPPORTED.keys() == ALL_FIELDS.keys()
    assert {path for path, _ in UNSUPPORTED_VALUES} <= used


def _text_that_sets(path: str) -> str:
    """A configuration in which one field has a value other than its default."""
    field = ALL_FIELDS[path]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key = field.message_type.fields_by_name["key"]
        value = 'key: "k"' if key.type == FieldDescriptor.TYPE_STRING else "key: 1"
        text = f"{field.name} {{ {value} }}"
    elif field.message_type is not None:
        text = f"{field.name} {{ }}"
    else:
        value = {
            FieldDescriptor.CPPTYPE_STRING: '"x"',
            FieldDescriptor.CPPTYPE_BOOL: "true",
        }.get(field.cpp_type, "1")
        text = f"{field.name}: {value}"
    for name in reversed(path.split(".")[:-1]):
        text = f"{name} {{ {text} }}"
    return text


@pytest.mark.parametrize("path", UNSUPPORTED)
def test_a_refused_field_is_refused_by_name(path: str):
    config = text_format.Parse(_text_that_sets(path), ModelConfig())
    problems = unsupported(config)
    shown = [re.sub(r"\[\d+\]", "", problem.field) for problem in problems]
    assert shown == [path]
    assert UNSUPPORTED[path] in problems[0].text


@pytest.mark.parametrize(("path", "value"), UNSUPPORTED_VALUES)
def test_a_refused_value_is_refused_by_name(path: str, value: int):
    name = ALL_FIELDS[path].enum_type.values_by_number[value].name
    text = _text_that_sets(path).replace(": 1", f": {name}")
    (problem,) = unsupported(text_format.Parse(text, ModelConfig()))
    assert name in problem.text


def test_switching_off_what_is_not_there_is_allowed():
    text = "response_cache { enable: false } model_transaction_policy { decoupled: false }"
    assert unsupported(text_format.Parse(text, ModelConfig())) == []


def test_a_refused_field_says_where_it_is():
    text = "input { } input { allow_ragged_batch: true }"
    (problem,) = unsupported(text_format.Parse(text, ModelConfig()))
    assert problem.field == "input[1].allow_ragged_batch"
