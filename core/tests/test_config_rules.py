"""Each rule of the fields that are refused until they work: a wrong value is told already now."""

from __future__ import annotations

import pytest

from despina.config.load import parse_config
from despina.config.normalise import normalise
from despina.config.support import unsupported
from despina.config.validate import validate

TENSORS = """
backend: "b" max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4, -1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
"""


def problems(text: str, base: str = TENSORS, *, completing: bool = False) -> dict[str, str]:
    config = parse_config(base + text, "c")
    normalise(config, "m")
    return dict(validate(config, "m", completing=completing))


START = "control_input { name: 'S' control { int32_false_true: [ 0, 1 ] } }"
CONTROL = "sequence_batching { control_input { name: 'c' control { %s } } }"
STATE = """sequence_batching { state {
  input_name: 'i' output_name: 'o' data_type: TYPE_FP32 dims: [ 2, -1 ] %s } }"""
INITIAL = STATE % "initial_state { name: 's' data_type: TYPE_FP32 dims: [ 2, 3 ] %s }"
WARMUP = "model_warmup { inputs { key: 'x' value { data_type: TYPE_FP32 %s } } }"
GRAPH = "optimization { cuda { graph_spec { batch_size: 2 %s } } }"

RIGHT = [
    "sequence_batching { direct { minimum_slot_utilization: 1 } }",
    "sequence_batching { oldest { max_candidate_sequences: 1 preferred_batch_size: 4 } }",
    f"sequence_batching {{ {START} }}",
    CONTROL % "kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING",
    CONTROL % "kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ]",
    INITIAL % "zero_data: true",
    INITIAL % "data_file: 'state'",
    STATE % "use_growable_memory: true use_same_buffer_for_input_output: true",
    WARMUP % "dims: [ 4, 2 ] zero_data: true",
    WARMUP % "dims: [ 4, 2 ] input_data_file: 'file'",
    GRAPH % "input { key: 'x' value { dim: [ 4, 2 ] } } graph_lower_bound { batch_size: 1 }",
    "dynamic_batching { priority_levels: 2 default_priority_level: 2"
    " priority_queue_policy { key: 1 value { timeout_action: DELAY } } }",
    "instance_group { rate_limiter { resources { name: 'R' count: 1 } } }",
    "batch_input { target_name: 't' source_input: 'x' data_type: TYPE_INT32 }",
    "batch_output { target_name: 'y' source_input: 'x' }",
    "cc_model_filenames { key: '8.6' value: 'f' } runtime: 'r'",
    "model_repository_agents { agents { name: 'a' } }",
    "response_cache { enable: true }",
]


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_value_has_no_problem_but_that_it_is_not_supported_yet(text: str):
    assert problems(text) == {}
    assert problems(text, completing=True) == {}
    assert unsupported(parse_config(TENSORS + text, "c"))


WRONG = [
    # priorities and queues
    (
        "dynamic_batching { priority_levels: 2 }",
        "dynamic_batching.default_priority_level",
        "0 is not",
    ),
    (
        "dynamic_batching { priority_levels: 2 default_priority_level: 3 }",
        "dynamic_batching.default_priority_level",
        "3 is not between 1 and priority_levels, 2",
    ),
    (
        "dynamic_batching { default_priority_level: 1 }",
        "dynamic_batching.default_priority_level",
        "has no effect: priority_levels is 0",
    ),
    (
        "dynamic_batching { priority_levels: 5000 default_priority_level: 1 }",
        "dynamic_batching.priority_levels",
        "5000 is more than 1024",
    ),
    (
        "dynamic_batching { priority_queue_policy { key: 1 value { } } }",
        "dynamic_batching.priority_queue_policy['1']",
        "1 is not between 1 and priority_levels, 0",
    ),
    (
        "dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
        "dynamic_batching.preserve_ordering",
        "requests of 2 priorities overtake each other",
    ),
    (
        "dynamic_batching { preserve_ordering: true default_queue_policy {"
        " timeout_action: DELAY default_timeout_microseconds: 1 } }",
        "dynamic_batching.default_queue_policy.timeout_action",
        "DELAY lets requests overtake each other",
    ),
    (
        "dynamic_batching { default_queue_policy {"
        " default_timeout_microseconds: 1000000000000001 } }",
        "dynamic_batching.default_queue_policy.default_timeout_microseconds",
        "thirty years",
    ),
    # sequences
    (
        "sequence_batching { max_sequence_idle_microseconds: 18446744073709551615 }",
        "sequence_batching.max_sequence_idle_microseconds",
        "thirty years",
    ),
    (
        "sequence_batching { control_input { control { kind: CONTROL_SEQUENCE_READY } } }",
        "sequence_batching.control_input[0].name",
        "is missing",
    ),
    (
        "sequence_batching { control_input { name: 'c' } }",
        "sequence_batching.control_input[0].control",
        "is missing",
    ),
    (
        f"sequence_batching {{ {START} {START} }}",
        "sequence_batching.control_input[1].control[0].kind",
        "CONTROL_SEQUENCE_START is there more than once",
    ),
    (
        f"sequence_batching {{ {START} {START} }}",
        "sequence_batching.control_input[1].name",
        "'S' is there more than once",
    ),
    (
        CONTROL % "kind: CONTROL_SEQUENCE_READY",
        "sequence_batching.control_input[0].control[0]",
        "CONTROL_SEQUENCE_READY needs one of int32_false_true, fp32_false_true, bool_false_true:"
        " none is given",
    ),
    (
        CONTROL % "int32_false_true: [ 0, 1 ] bool_false_true: [ false, true ]",
        "sequence_batching.control_input[0].control[0]",
        "int32_false_true and bool_false_true",
    ),
    (
        CONTROL % "fp32_false_true: [ 1 ]",
        "sequence_batching.control_input[0].control[0].fp32_false_true",
        "takes two values, that for false and that for true, not 1",
    ),
    (
        CONTROL % "fp32_false_true: [ 0, nan ]",
        "sequence_batching.control_input[0].control[0].fp32_false_true",
        "must be finite",
    ),
    (
        CONTROL % "kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_FP32",
        "sequence_batching.control_input[0].control[0].data_type",
        "must be one of TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32, TYPE_STRING",
    ),
    (
        CONTROL % "kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT64 int32_false_true: [ 0, 1 ]",
        "sequence_batching.control_input[0].control[0].int32_false_true",
        "is of no use to CONTROL_SEQUENCE_CORRID",
    ),
    (
        "sequence_batching { direct { minimum_slot_utilization: 1.5 } }",
        "sequence_batching.direct.minimum_slot_utilization",
        "1.5 is not between 0 and 1",
    ),
    (
        "sequence_batching { direct { minimum_slot_utilization: nan } }",
        "sequence_batching.direct.minimum_slot_utilization",
        "nan is not between",
    ),
    (
        "sequence_batching { direct { max_queue_delay_microseconds: 3600000001 } }",
        "sequence_batching.direct.max_queue_delay_microseconds",
        "is more than an hour",
    ),
    (
        "sequence_batching { oldest { } }",
        "sequence_batching.oldest.max_candidate_sequences",
        "0 is less than 1: no sequence would ever run",
    ),
    (
        "sequence_batching { oldest { max_candidate_sequences: 1 preferred_batch_size: 5 } }",
        "sequence_batching.oldest.preferred_batch_size[0]",
        "5 is not between 1 and max_batch_size, 4",
    ),
    ("sequence_batching { state { } }", "sequence_batching.state[0].input_name", "is missing"),
    ("sequence_batching { state { } }", "sequence_batching.state[0].output_name", "is missing"),
    ("sequence_batching { state { } }", "sequence_batching.state[0].data_type", "is missing"),
    ("sequence_batching { state { } }", "sequence_batching.state[0].dims", "is missing"),
    (STATE % "dims: 0", "sequence_batching.state[0].dims[2]", "0 is neither -1 nor at least 1"),
    (
        STATE % "use_growable_memory: true",
        "sequence_batching.state[0].use_growable_memory",
        "needs use_same_buffer_for_input_output",
    ),
    (
        STATE % "initial_state { } initial_state { }",
        "sequence_batching.state[0].initial_state",
        "2 are given, one is taken",
    ),
    (INITIAL % "", "sequence_batching.state[0].initial_state[0]", "needs zero_data or data_file"),
    (
        INITIAL % "dims: -1",
        "sequence_batching.state[0].initial_state[0].dims[2]",
        "-1 is less than 1",
    ),
    (
        INITIAL % "dims: 1",
        "sequence_batching.state[0].initial_state[0].dims",
        "[2, 3, 1] does not fit dims [2, -1] of its state",
    ),
    (
        INITIAL % "data_file: '../f'",
        "sequence_batching.state[0].initial_state[0].data_file",
        "'../f' leads out of the model's folder",
    ),
    (
        STATE % "initial_state { data_type: TYPE_INT8 dims: [ 2, 3 ] zero_data: true }",
        "sequence_batching.state[0].initial_state[0].name",
        "is missing",
    ),
    (
        STATE % "initial_state { data_type: TYPE_INT8 dims: [ 2, 3 ] zero_data: true }",
        "sequence_batching.state[0].initial_state[0].data_type",
        "is TYPE_INT8, and that of its state TYPE_FP32",
    ),
    (
        "sequence_batching { } response_cache { enable: true }",
        "response_cache.enable",
        "cannot be cached",
    ),
    # ragged batches
    (
        "batch_input { target_name: 't' source_input: 'x' data_type: TYPE_INT64 }",
        "batch_input[0].data_type",
        "must be TYPE_INT32 or TYPE_FP32",
    ),
    (
        "batch_input { target_name: 't' data_type: TYPE_INT32 }",
        "batch_input[0].source_input",
        "one input is needed, 0 are given",
    ),
    (
        "batch_input { target_name: 't' source_input: 'X' data_type: TYPE_INT32 }",
        "batch_input[0].source_input",
        "there is no input 'X'; did you mean 'x'?",
    ),
    ("batch_output { source_input: 'x' }", "batch_output[0].target_name", "is missing"),
    (
        "batch_output { target_name: [ 'y', 'y' ] source_input: 'x' }",
        "batch_output[0].target_name",
        "more than once: 'y'",
    ),
    (
        "batch_output { target_name: 'z' source_input: 'x' }",
        "batch_output[0].target_name",
        "there is no output 'z'",
    ),
    # TensorRT's
    (
        "input { name: 's' data_type: TYPE_INT32 dims: 1 is_shape_tensor: true }",
        "input[1].is_shape_tensor",
        "belongs to the platform tensorrt_plan",
    ),
    (
        "output { name: 's' data_type: TYPE_INT32 dims: 1 is_non_linear_format_io: true }",
        "output[1].is_non_linear_format_io",
        "needs three dims",
    ),
    (
        "instance_group { profile: '0' }",
        "instance_group[0].profile",
        "belongs to the platform tens",
    ),
    ("instance_group { profile: 'x' }", "instance_group[0].profile[0]", "'x' is not the index of"),
    # instances
    (
        "instance_group { kind: KIND_MODEL gpus: 0 }",
        "instance_group[0].gpus",
        "are of no use to KIND_MODEL",
    ),
    (
        "instance_group { secondary_devices { device_id: -1 } }",
        "instance_group[0].secondary_devices[0].device_id",
        "-1 is not the index of a device",
    ),
    (
        "instance_group { rate_limiter { resources { count: 1 } } }",
        "instance_group[0].rate_limiter.resources[0].name",
        "is missing",
    ),
    (
        "instance_group { rate_limiter { resources { name: 'R' } } }",
        "instance_group[0].rate_limiter.resources[0].count",
        "must be at least 1",
    ),
    (
        "instance_group { rate_limiter {"
        " resources { name: 'R' count: 1 } resources { name: 'R' count: 1 } } }",
        "instance_group[0].rate_limiter.resources[1].name",
        "'R' is there more than once",
    ),
    (
        "instance_group { rate_limiter { resources { name: 'R' count: 1 } } }"
        " instance_group { rate_limiter { resources { name: 'R' count: 1 global: true } } }",
        "instance_group[1].rate_limiter.resources[0].global",
        "'R' is global in one place and not in another",
    ),
    # warm-up
    ("model_warmup { }", "model_warmup[0].inputs", "is missing"),
    (
        "model_warmup { batch_size: 5 }",
        "model_warmup[0].batch_size",
        "5 is more than max_batch_size, 4",
    ),
    ("model_warmup { count: 1000001 }", "model_warmup[0].count", "1000001 is more than 1000000"),
    (
        "model_warmup { name: 'w' } model_warmup { name: 'w' }",
        "model_warmup[1].name",
        "'w' is there more than once",
    ),
    (
        WARMUP.replace("'x'", "'z'") % "dims: 4 zero_data: true",
        "model_warmup[0].inputs['z']",
        "there is no input 'z'",
    ),
    (
        WARMUP % "dims: [ 4, 1 ]",
        "model_warmup[0].inputs['x']",
        "needs zero_data, random_data or input_data_file",
    ),
    (
        WARMUP % "dims: [ 4, -1 ] zero_data: true",
        "model_warmup[0].inputs['x'].dims[1]",
        "-1 is less than 1",
    ),
    (
        WARMUP % "dims: [ 3, 1 ] zero_data: true",
        "model_warmup[0].inputs['x'].dims",
        "[3, 1] does not fit dims [4, -1] of the input",
    ),
    (
        WARMUP.replace("FP32", "INT8") % "dims: [ 4, 1 ] zero_data: true",
        "model_warmup[0].inputs['x'].data_type",
        "is TYPE_INT8, and that of the input TYPE_FP32",
    ),
    (
        WARMUP.replace("data_type: TYPE_FP32", "") % "dims: [ 4, 1 ] zero_data: true",
        "model_warmup[0].inputs['x'].data_type",
        "is missing",
    ),
    (
        WARMUP % "dims: [ 4, 1 ] input_data_file: '/etc/passwd'",
        "model_warmup[0].inputs['x'].input_data_file",
        "leads out of the model's folder",
    ),
    # the rest
    ("cc_model_filenames { key: 'x' }", "cc_model_filenames['x']", "'x' is no compute capability"),
    (
        "cc_model_filenames { key: '8.6' value: '../f' }",
        "cc_model_filenames['8.6']",
        "leads out of",
    ),
    ("runtime: 'a/b.so'", "runtime", "'a/b.so' is not the name of a file alone"),
    (
        "model_operations { op_library_filename: '' }",
        "model_operations.op_library_filename[0]",
        "is empty",
    ),
    (
        "model_repository_agents { agents { } }",
        "model_repository_agents.agents[0].name",
        "is missing",
    ),
    (
        "optimization { execution_accelerators { gpu_execution_accelerator { } } }",
        "optimization.execution_accelerators.gpu_execution_accelerator[0].name",
        "is missing",
    ),
    (
        GRAPH.replace("2", "5") % "",
        "optimization.cuda.graph_spec[0].batch_size",
        "5 is not between 0 and 4",
    ),
    (
        GRAPH % "graph_lower_bound { batch_size: 3 }",
        "optimization.cuda.graph_spec[0].graph_lower_bound.batch_size",
        "3 is not between 0 and 2",
    ),
    (
        GRAPH % "input { key: 'x' value { dim: -1 } }",
        "optimization.cuda.graph_spec[0].input['x'].dim[0]",
        "-1 is less than 1",
    ),
    (
        "response_cache { enable: true } model_transaction_policy { decoupled: true }",
        "response_cache.enable",
        "a decoupled model answers in parts",
    ),
]


@pytest.mark.parametrize(("text", "field", "what"), WRONG)
def test_a_wrong_value_is_told_by_its_field(text: str, field: str, what: str):
    platform = (
        "platform: 'tensorrt_plan' " if "profile: 'x'" in text or "non_linear" in text else ""
    )
    base = TENSORS.replace('backend: "b"', "") if platform else TENSORS
    assert what in problems(text + platform, base)[field]


def test_a_known_backend_has_platforms_of_its_own():
    for backend, platform in (("onnxruntime", "tensorrt_plan"), ("tensorrt", "mine")):
        base = TENSORS.replace('"b"', f'"{backend}"')
        (text,) = problems(f'platform: "{platform}"', base).values()
        assert text.startswith(f"'{platform}' is none of backend '{backend}'")
    assert problems('platform: "tensorrt_plan"') == {}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("batch_input { target_name: 't' source_input: 'x' data_type: TYPE_INT32 }", "batch_input"),
        ("batch_output { target_name: 'y' source_input: 'x' }", "batch_output"),
        (
            "input { name: 'r' data_type: TYPE_INT8 dims: -1 allow_ragged_batch: true }",
            "input[1].allow_ragged_batch",
        ),
    ],
)
def test_what_belongs_to_batches_needs_a_model_that_batches(text: str, field: str):
    base = TENSORS.replace("max_batch_size: 4", "")
    assert problems(text, base) == {field: "max_batch_size is 0, the model does not batch"}
    assert problems(text, base, completing=True) == {}
