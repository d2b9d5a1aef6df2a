"""What a configuration may say and leave out, and what is said of one that does not fit."""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper

from despina_onnxruntime import OnnxRuntimeBackend, settings
from despina_sdk import Array, BackendError, Code, Model, ModelSpec, Placement, TensorSpec

Run = Callable[..., list[dict[str, Array]]]
Load = Callable[..., Model]
Write = Callable[..., None]

X, Y = TensorSpec("X", "FP32", (2,)), TensorSpec("Y", "FP32", (2,))
FLOAT = TensorProto.FLOAT


def refusal(load: Load, code: Code = Code.INVALID_ARGUMENT, **fields: Any) -> str:
    with pytest.raises(BackendError) as caught:
        load(**fields)
    assert caught.value.code is code
    assert caught.value.message.startswith("model 'net': ")
    return caught.value.message


def spec_with(
    config: dict[str, Any] | None = None, parameters: dict[str, str] | None = None
) -> ModelSpec:
    return ModelSpec("net", "1", Path("net/1"), parameters=parameters or {}, config=config or {})


def test_the_server_finds_it_under_its_backend_name() -> None:
    (found,) = entry_points(group="despina.backends", name="onnxruntime")
    assert found.load() is OnnxRuntimeBackend


# ---- the file


@pytest.mark.parametrize("file", ["model.onnx/model.onnx", "model.onnx"])
def test_the_model_is_model_onnx_or_in_a_folder_of_that_name(
    write_identity: Write, load: Load, file: str
) -> None:
    write_identity(file=file)
    assert load().signature.inputs == (X,)


def test_the_file_may_be_named(write_identity: Write, load: Load) -> None:
    write_identity(file="net.onnx")
    assert load(config={"default_model_filename": "net.onnx"}).signature.inputs == (X,)


@pytest.mark.parametrize("name", ["../other/model.onnx", "/etc/passwd", "a/../../b.onnx"])
def test_a_name_that_leads_out_of_the_version_folder_is_refused(load: Load, name: str) -> None:
    message = refusal(load, config={"default_model_filename": name})
    assert f"default_model_filename '{name}' leads out of the version folder" in message


def test_a_missing_file_is_named_relative_to_the_model(load: Load, tmp_path: Path) -> None:
    message = refusal(load, Code.NOT_FOUND)
    assert "there is no file '1/model.onnx'" in message
    assert str(tmp_path) not in message


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"ONNX"])
def test_a_corrupt_file_is_named_relative_to_the_model(
    version_folder: Path, load: Load, content: bytes
) -> None:
    (version_folder / "model.onnx").write_bytes(content)
    message = refusal(load)
    assert "1/model.onnx cannot be loaded: " in message
    assert str(version_folder) not in message


def test_a_truncated_file_is_corrupt(write_model: Write, version_folder: Path, load: Load) -> None:
    node = helper.make_node("Add", ["X", "W"], ["Y"])
    write_model([node], {"X": (FLOAT, [1000])}, {"Y": (FLOAT, [1000])}, W=np.ones(1000, np.float32))
    path = version_folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:500])
    assert "1/model.onnx cannot be loaded: " in refusal(load)


def test_an_operator_that_does_not_exist_is_named(write_model: Write, load: Load) -> None:
    node = helper.make_node("Frobnicate", ["X"], ["Y"])
    write_model([node], {"X": (FLOAT, [1])}, {"Y": (FLOAT, [1])})
    assert "Frobnicate" in refusal(load)


# ---- batching


def test_a_batching_model_without_configuration_gets_the_default_size(
    write_identity: Write, load: Load
) -> None:
    write_identity()
    signature = load().signature
    assert (signature.inputs, signature.outputs, signature.max_batch_size) == ((X,), (Y,), 4)


@pytest.mark.parametrize(("option", "size", "rank"), [("16", 16, 1), ("0", 0, 2)])
def test_the_operator_sets_the_default_size(
    write_identity: Write, load: Load, option: str, size: int, rank: int
) -> None:
    write_identity()
    signature = load({"default-max-batch-size": option}).signature
    assert signature.max_batch_size == size
    assert len(signature.inputs[0].shape) == rank


def test_a_default_size_that_is_no_number_is_refused(write_identity: Write, load: Load) -> None:
    write_identity()
    message = refusal(load, options={"default-max-batch-size": "many"})
    assert "'default-max-batch-size' is 'many'" in message


def test_a_configured_size_needs_a_first_axis_that_varies(
    write_identity: Write, load: Load
) -> None:
    write_identity(shape=[1, 2])
    message = refusal(load, max_batch_size=8)
    assert "max_batch_size is 8, but the first axis of input 'X' does not vary" in message
    assert "its shape is [1, 2]" in message


def test_tensors_configured_in_full_rank_switch_batching_off(
    write_identity: Write, load: Load, run: Run
) -> None:
    write_identity()
    model = load(inputs=(TensorSpec("X", "FP32", (-1, 2)),))
    assert model.signature.max_batch_size == 0
    assert model.signature.outputs == (TensorSpec("Y", "FP32", (-1, 2)),)
    assert run(model, {"X": np.zeros((3, 2), np.float32)})[0]["Y"].shape == (3, 2)


def test_one_tensor_without_a_varying_first_axis_means_no_batching(
    write_model: Write, load: Load
) -> None:
    node = helper.make_node("ReduceSum", ["X"], ["Y"], keepdims=0)
    write_model([node], {"X": (FLOAT, ["rows", 2])}, {"Y": (FLOAT, [])})
    signature = load().signature
    assert signature.max_batch_size == 0
    assert signature.outputs == (TensorSpec("Y", "FP32", ()),)


# ---- tensors


def test_outputs_may_be_a_subset_and_inputs_are_completed(
    write_model: Write, load: Load, run: Run
) -> None:
    nodes = [
        helper.make_node("Add", ["A", "B"], ["sum"]),
        helper.make_node("Sub", ["A", "B"], ["difference"]),
    ]
    kind = (FLOAT, ["rows", 1])
    write_model(nodes, {"A": kind, "B": kind}, {"sum": kind, "difference": kind})
    model = load(
        max_batch_size=2,
        inputs=(TensorSpec("B", "FP32", (1,)),),
        outputs=(TensorSpec("difference", "FP32", (1,)),),
    )
    assert [tensor.name for tensor in model.signature.inputs] == ["B", "A"]
    sent = {"A": np.array([[5]], np.float32), "B": np.array([[3]], np.float32)}
    assert run(model, sent) == [{"difference": 2}]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"inputs": (TensorSpec("Z", "FP32", (2,)),)},
            "input 'Z' is not in 1/model.onnx, whose inputs are: 'X'",
        ),
        (
            {"outputs": (TensorSpec("X", "FP32", (2,)),)},
            "output 'X' is not in 1/model.onnx, whose outputs are: 'Y'",
        ),
        (
            {"inputs": (TensorSpec("X", "INT32", (2,)),)},
            "input 'X' is INT32 as configured, but FP32 in 1/model.onnx",
        ),
        (
            {"inputs": (TensorSpec("X", "FP32", (3,)),)},
            "input 'X' is [-1, 3] as configured, but [-1, 2] in 1/model.onnx (with the batch axis)",
        ),
        (
            {"outputs": (TensorSpec("Y", "FP32", (-1,)),)},
            "output 'Y' is [-1, -1] as configured, but [-1, 2] in 1/model.onnx",
        ),
        (
            {"inputs": (X,), "max_batch_size": 0},
            "input 'X' is [2] as configured, but [-1, 2] in 1/model.onnx; "
            "is max_batch_size missing?",
        ),
        (
            {
                "inputs": (TensorSpec("X", "FP32", (4,)),),
                "config": {"input": [{"name": "X", "reshape": {"shape": ["2", "2"]}}]},
            },
            "input 'X' is [-1, 2, 2] as configured, but [-1, 2] in 1/model.onnx",
        ),
        (
            {"inputs": (TensorSpec("X", "FP32", (2,), optional=True),)},
            "input 'X' is optional as configured, but has no default in 1/model.onnx",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_says_what_either_side_has(
    write_identity: Write, load: Load, fields: dict[str, Any], text: str
) -> None:
    write_identity()
    assert text in refusal(load, **{"max_batch_size": 8, **fields})


def test_a_scalar_needs_a_reshape_and_the_message_shows_it(
    write_identity: Write, load: Load
) -> None:
    write_identity(shape=[])
    message = refusal(load, inputs=(TensorSpec("X", "FP32", (1,)),))
    assert "input 'X' is [1] as configured, but [] in 1/model.onnx" in message
    assert "reshape { shape: [ ] }" in message


def test_a_type_that_the_protocol_lacks_is_refused(write_identity: Write, load: Load) -> None:
    write_identity(TensorProto.FLOAT8E4M3FN)
    message = refusal(load)
    assert "input 'X' of 1/model.onnx is a tensor(float8e4m3fn), which cannot be served" in message


def test_a_sequence_is_refused_unless_only_other_outputs_are_configured(
    write_model: Write, load: Load, version_folder: Path
) -> None:
    nodes = [
        helper.make_node("SequenceConstruct", ["X"], ["many"]),
        helper.make_node("Identity", ["X"], ["Y"]),
    ]
    write_model(nodes, {"X": (FLOAT, [2])}, {"Y": (FLOAT, [2])})
    path = version_folder / "model.onnx"
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_sequence_value_info("many", FLOAT, None))
    path.write_bytes(model.SerializeToString())
    assert "output 'many' of 1/model.onnx is a seq(tensor(float))" in refusal(load)
    assert load(outputs=(Y,)).signature.outputs == (Y,)


def test_bfloat16_beside_strings_is_refused(write_model: Write, load: Load) -> None:
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("A", "C"), ("B", "D"))]
    text, number = (TensorProto.STRING, [1]), (TensorProto.BFLOAT16, [1])
    write_model(nodes, {"A": text, "B": number}, {"C": text, "D": number})
    assert "which do not go together" in refusal(load, Code.UNIMPLEMENTED)


# ---- session options


@pytest.mark.parametrize("instances", [1, 2, 1000])
def test_instances_share_the_cores_by_default(
    instances: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)))
    groups = {"instance_group": [{"count": instances, "kind": "KIND_CPU"}]}
    threads = settings.session_options(spec_with(groups)).intra_op_num_threads
    assert threads == {1: 12, 2: 6, 1000: 1}[instances]


def test_instances_on_several_gpus_are_all_counted() -> None:
    groups = [{"count": 2, "gpus": [0, 1]}, {"count": 3}, {"count": 0}]
    assert settings.instance_count(spec_with({"instance_group": groups})) == 8
    assert settings.instance_count(spec_with()) == 1


def test_parameters_reach_the_session() -> None:
    parameters = {
        "intra_op_thread_count": "3",
        "inter_op_thread_count": "2",
        "execution_mode": "1",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "False",
        "session.set_denormal_as_zero": "1",
        "session.inter_op.allow_spinning": "1",
    }
    options = settings.session_options(spec_with(parameters=parameters))
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 2
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert options.enable_cpu_mem_arena is False
    assert options.enable_mem_pattern is False
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"
    assert options.get_session_config_entry("session.inter_op.allow_spinning") == "1"
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (-1, "ORT_ENABLE_BASIC"),
        (0, "ORT_ENABLE_ALL"),
        (1, "ORT_ENABLE_EXTENDED"),
        (2, "ORT_DISABLE_ALL"),
    ],
)
def test_graph_levels_mean_what_they_mean_in_triton(level: int, name: str) -> None:
    options = settings.session_options(spec_with({"optimization": {"graph": {"level": level}}}))
    assert options.graph_optimization_level.name == name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("intra_op_thread_count", "many"),
        ("intra_op_thread_count", "-1"),
        ("intra_op_thread_count", "1000000"),
        ("inter_op_thread_count", "1.5"),
        ("execution_mode", "2"),
        ("enable_mem_arena", "perhaps"),
        ("enable_mem_pattern", ""),
        ("memory.enable_memory_arena_shrinkage", "cpu"),
        ("memory.enable_memory_arena_shrinkage", "cpu:0;tpu:0"),
        ("session." + "k" * 2000, "1"),
    ],
)
def test_a_bad_parameter_is_named(write_identity: Write, load: Load, key: str, value: str) -> None:
    write_identity()
    assert f"parameter '{key}'" in refusal(load, parameters={key: value})


def test_a_bad_graph_level_is_named() -> None:
    with pytest.raises(BackendError, match="level is 7, none of -1, 0, 1, 2"):
        settings.session_options(spec_with({"optimization": {"graph": {"level": 7}}}))


@pytest.mark.parametrize(
    "parameters",
    [
        {"memory.enable_memory_arena_shrinkage": "cpu:0"},
        {"enable_mem_arena": "0", "enable_mem_pattern": "0"},
        {"execution_mode": "1", "inter_op_thread_count": "2", "intra_op_thread_count": "2"},
    ],
)
def test_a_model_runs_with_each_setting(
    write_identity: Write, load: Load, run: Run, parameters: dict[str, str]
) -> None:
    write_identity()
    sent = np.ones((1, 2), np.float32)
    assert np.array_equal(run(load(parameters=parameters), {"X": sent})[0]["Y"], sent)


def test_a_profile_is_written_when_the_model_is_unloaded(
    write_identity: Write, load: Load, run: Run, tmp_path: Path
) -> None:
    write_identity()
    model = load(parameters={"profiling": str(tmp_path / "profile")})
    run(model, {"X": np.ones((1, 2), np.float32)})
    model.close()
    (profile,) = tmp_path.glob("profile*.json")
    assert "model_run" in profile.read_text()


# ---- execution providers


def accelerated(group: str, name: str, **parameters: str) -> dict[str, Any]:
    accelerator = {"name": name, "parameters": parameters}
    return {"optimization": {"execution_accelerators": {group: [accelerator]}}}


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime that was built with all execution providers."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", onnxruntime.get_all_providers)


def test_the_cpu_is_used_unless_told_otherwise() -> None:
    assert settings.providers(spec_with(), "cpu") == [("CPUExecutionProvider", {})]


@pytest.mark.usefixtures("everything_installed")
def test_instances_on_a_gpu_use_cuda_on_that_gpu() -> None:
    assert settings.providers(spec_with(), "cuda:1") == [
        ("CUDAExecutionProvider", {"device_id": "1"}),
        ("CPUExecutionProvider", {}),
    ]


@pytest.mark.usefixtures("everything_installed")
def test_accelerators_come_first_with_their_options() -> None:
    gpu = accelerated(
        "gpu_execution_accelerator",
        "tensorrt",
        precision_mode="FP16",
        max_workspace_size_bytes="1073741824",
        trt_engine_cache_enable="1",
    )
    assert settings.providers(spec_with(gpu), "cuda:0") == [
        (
            "TensorrtExecutionProvider",
            {
                "device_id": "0",
                "trt_fp16_enable": "1",
                "trt_max_workspace_size": "1073741824",
                "trt_engine_cache_enable": "1",
            },
        ),
        ("CUDAExecutionProvider", {"device_id": "0"}),
        ("CPUExecutionProvider", {}),
    ]
    assert settings.providers(spec_with(gpu), "cpu") == [("CPUExecutionProvider", {})]
    cpu = accelerated("cpu_execution_accelerator", "openvino", num_streams="1")
    assert settings.providers(spec_with(cpu), "cpu") == [
        ("OpenVINOExecutionProvider", {"device_type": "CPU", "num_streams": "1"}),
        ("CPUExecutionProvider", {}),
    ]


@pytest.mark.usefixtures("everything_installed")
def test_an_unknown_precision_is_refused() -> None:
    config = accelerated("gpu_execution_accelerator", "tensorrt", precision_mode="FP7")
    with pytest.raises(BackendError, match="precision_mode 'FP7' is none of FP32"):
        settings.providers(spec_with(config), "cuda:0")


def test_an_unknown_accelerator_is_refused(write_identity: Write, load: Load) -> None:
    write_identity()
    message = refusal(load, config=accelerated("cpu_execution_accelerator", "abacus"))
    assert "unknown cpu_execution_accelerator 'abacus'; known: openvino" in message


@pytest.mark.parametrize(
    ("group", "name", "provider"),
    [
        ("cpu_execution_accelerator", "openvino", "OpenVINOExecutionProvider"),
        ("gpu_execution_accelerator", "tensorrt", "TensorrtExecutionProvider"),
        ("gpu_execution_accelerator", "cuda", "CUDAExecutionProvider"),
    ],
)
def test_an_accelerator_that_is_not_installed_is_refused(
    write_identity: Write, load: Load, group: str, name: str, provider: str
) -> None:
    available = onnxruntime.get_available_providers()
    if provider in available:
        pytest.skip(f"the installed onnxruntime has {provider}")
    write_identity()
    message = refusal(load, config=accelerated(group, name))
    assert f"the installed onnxruntime has no {provider}; it has {', '.join(available)}" in message


def test_an_instance_on_a_gpu_is_not_run_on_the_cpu_instead(
    write_identity: Write, load: Load
) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("the installed onnxruntime has CUDAExecutionProvider")
    write_identity()
    model = load()
    with pytest.raises(BackendError, match="has no CUDAExecutionProvider"):
        model.instance(Placement("net_0", device="cuda:0"))
    assert "has no CUDAExecutionProvider" in refusal(
        load, config={"instance_group": [{"kind": "KIND_GPU", "count": 1, "gpus": [0]}]}
    )


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_not_replaced_by_the_cpu(
    write_identity: Write, load: Load
) -> None:
    if "OpenVINOExecutionProvider" in onnxruntime.capi._pybind_state.get_available_providers():
        pytest.skip("the installed onnxruntime has OpenVINOExecutionProvider")
    write_identity()
    message = refusal(load, config=accelerated("cpu_execution_accelerator", "openvino"))
    assert "OpenVINOExecutionProvider cannot be used here" in message


def test_a_parameter_without_effect_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    settings.session_options(
        spec_with(parameters={"intra_op_threads": "2", "session.set_denormal_as_zero": "1"})
    )
    assert caplog.messages == ["model 'net': parameter 'intra_op_threads' has no effect"]
