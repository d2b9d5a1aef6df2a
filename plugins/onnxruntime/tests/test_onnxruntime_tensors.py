"""Every kind of tensor passes through a model, and its memory outlives what made it."""

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper

from despina_sdk import NUMPY_DTYPES, Array, BackendError, Code, Model, Placement, TensorSpec
from despina_sdk.testing import FakeBatch, FakeRequest

Run = Callable[..., list[dict[str, Array]]]
Load = Callable[..., Model]
Write = Callable[..., None]

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BF16": TensorProto.BFLOAT16,
    "BYTES": TensorProto.STRING,
}


def sample(datatype: str, shape: tuple[int, ...]) -> Array:
    values = np.arange(np.prod(shape, dtype=int))
    if datatype == "BYTES":
        texts = np.empty(values.size, object)
        texts[:] = [f"é{value}\0".encode() for value in values]
        return texts.reshape(shape)
    return values.astype(NUMPY_DTYPES[datatype]).reshape(shape)


def test_every_datatype_of_the_protocol_is_covered() -> None:
    assert set(ONNX_TYPES) == set(NUMPY_DTYPES)


@pytest.mark.parametrize("datatype", ONNX_TYPES)
def test_rows_of_every_datatype_come_back_from_a_batch(
    write_identity: Write, load: Load, run: Run, datatype: str
) -> None:
    write_identity(ONNX_TYPES[datatype])
    model = load()
    assert model.signature.inputs == (TensorSpec("X", datatype, (2,)),)
    sent = sample(datatype, (3, 2))
    answers = run(model, {"X": sent[:1]}, {"X": sent[1:]})
    got = np.concatenate([answer["Y"] for answer in answers])
    assert got.dtype == NUMPY_DTYPES[datatype]
    assert np.array_equal(got, sent)


@pytest.mark.parametrize("datatype", ["FP32", "BF16", "BYTES"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_scalars_and_tensors_of_no_elements_keep_their_shape(
    write_identity: Write, load: Load, run: Run, datatype: str, shape: tuple[int, ...]
) -> None:
    write_identity(ONNX_TYPES[datatype], shape)
    sent = sample(datatype, shape)
    (answer,) = run(load(), {"X": sent})
    assert answer["Y"].shape == shape
    assert answer["Y"].dtype == sent.dtype
    assert np.array_equal(answer["Y"], sent)


def test_bfloat16_is_computed_with_not_only_passed_on(
    write_model: Write, load: Load, run: Run
) -> None:
    nodes = [
        helper.make_node("Cast", ["X"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["wide", "wide"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["Y"], to=TensorProto.BFLOAT16),
    ]
    kind = (TensorProto.BFLOAT16, [2])
    write_model(nodes, {"X": kind}, {"Y": kind})
    patterns = (np.array([1.5, -3], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    (answer,) = run(load(), {"X": patterns})
    doubled = (answer["Y"].astype(np.uint32) << 16).view(np.float32)
    assert doubled.tolist() == [3, -6]


def test_shapes_of_dynamic_axes_follow_each_batch(write_model: Write, load: Load, run: Run) -> None:
    node = helper.make_node("Transpose", ["X"], ["Y"], perm=[0, 2, 1])
    write_model(
        [node],
        {"X": (TensorProto.FLOAT, ["rows", "height", "width"])},
        {"Y": (TensorProto.FLOAT, ["rows", "width", "height"])},
    )
    model = load()
    assert model.signature.inputs == (TensorSpec("X", "FP32", (-1, -1)),)
    for shape in ((1, 2, 3), (4, 5, 1)):
        sent = sample("FP32", shape)
        assert np.array_equal(run(model, {"X": sent})[0]["Y"], sent.transpose(0, 2, 1))


def test_numbers_become_strings(write_model: Write, load: Load, run: Run) -> None:
    node = helper.make_node("Cast", ["X"], ["Y"], to=TensorProto.STRING)
    write_model([node], {"X": (TensorProto.INT64, ["n"])}, {"Y": (TensorProto.STRING, ["n"])})
    (answer,) = run(load(), {"X": np.array([7, -1])})
    assert answer["Y"].tolist() == [b"7", b"-1"]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.BFLOAT16])
def test_an_output_that_is_an_input_does_not_outlive_its_memory(
    write_model: Write, load: Load, run: Run, kind: int
) -> None:
    node = helper.make_node("Identity", ["X"], ["Y"])
    both = {"X": (kind, ["n", 3]), "Y": (kind, ["n", 3])}
    write_model([node], {"X": both["X"]}, both)
    sent = sample("FP32" if kind == TensorProto.FLOAT else "BF16", (2, 3)).copy()
    expected, address, owner = sent.copy(), sent.ctypes.data, weakref.ref(sent)
    (answer,) = run(load(), {"X": sent})
    del sent
    gc.collect()
    assert answer["X"].ctypes.data != address or owner() is not None
    assert np.array_equal(answer["X"], expected)
    assert np.array_equal(answer["Y"], expected)


def test_an_input_with_a_default_in_the_file_may_be_left_out(
    write_model: Write, load: Load, run: Run
) -> None:
    kind = (TensorProto.FLOAT, ["n"])
    inputs = {"X": kind, "bias": (TensorProto.FLOAT, [1])}
    node = helper.make_node("Add", ["X", "bias"], ["Y"])
    write_model([node], inputs, {"Y": kind}, bias=np.array([10], np.float32))
    assert [tensor.name for tensor in load().signature.inputs] == ["X"]
    optional = TensorSpec("bias", "FP32", (1,), optional=True)
    model = load(inputs=(TensorSpec("X", "FP32", (-1,)), optional))
    one = np.array([1], np.float32)
    assert run(model, {"X": one})[0]["Y"] == 11
    assert run(model, {"X": one, "bias": one})[0]["Y"] == 2


@pytest.mark.parametrize("datatype", ["FP32", "BF16", "BYTES"])
def test_outputs_outlive_later_runs_the_instance_and_the_model(
    write_identity: Write, load: Load, datatype: str
) -> None:
    write_identity(ONNX_TYPES[datatype], ["rows", 1000])
    model = load()
    instance = model.instance(Placement("net_0"))
    first = FakeRequest({"X": sample(datatype, (4, 1000))}, signature=model.signature)
    instance.execute(FakeBatch([first]))
    later = [FakeRequest({"X": sample(datatype, (4, 1000))[::-1].copy()}) for _ in range(5)]
    for request in later:
        instance.execute(FakeBatch([request]))
    instance.close()
    model.close()
    del instance, model, later
    gc.collect()
    _clutter = [np.full((4, 1000), 9, np.uint16) for _ in range(100)]
    assert first.outputs is not None
    assert np.array_equal(first.outputs["Y"], sample(datatype, (4, 1000)))


@pytest.mark.parametrize("datatype", ["FP32", "BF16"])
def test_outputs_are_views_of_the_runtime_s_memory(
    write_identity: Write, load: Load, run: Run, datatype: str
) -> None:
    write_identity(ONNX_TYPES[datatype])
    (answer,) = run(load(), {"X": sample(datatype, (3, 2))})
    memory = answer["Y"]
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    assert not memory.flags.owndata


def test_text_that_is_not_utf_8_is_the_client_s_mistake(
    write_identity: Write, load: Load, run: Run
) -> None:
    write_identity(TensorProto.STRING)
    with pytest.raises(BackendError, match="input 'X': element 1 is not UTF-8") as caught:
        run(load(), {"X": np.array([[b"fine", b"\xff"]], object)})
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_shape_that_the_model_refuses_is_the_client_s_mistake(
    write_identity: Write, load: Load, run: Run
) -> None:
    write_identity()
    with pytest.raises(BackendError, match=r"^Got invalid dimensions for input: X") as caught:
        run(load(), {"X": np.zeros((1, 3), np.float32)})
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_two_instances_run_side_by_side_on_one_session(
    load_shared: Load, golden: Callable[[str], Array]
) -> None:
    model = load_shared("pp_tinypose_256x192.onnx")
    images = golden("pp_tinypose_batch3.in.image")
    expected = golden("pp_tinypose_batch3.out.conv2d_441.tmp_1")
    together = threading.Barrier(2)
    answers: dict[tuple[int, int], FakeRequest] = {}

    def serve(lane: int) -> None:
        instance = model.instance(Placement(f"net_{lane}", lane))
        together.wait()
        for turn in range(5):
            row = (lane + turn) % 3
            request = FakeRequest({"image": images[row : row + 1]}, signature=model.signature)
            instance.execute(FakeBatch([request]))
            answers[lane, turn] = request

    lanes = [threading.Thread(target=serve, args=(lane,)) for lane in range(2)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    assert len(answers) == 10
    for (lane, turn), request in answers.items():
        assert request.outputs is not None
        row = (lane + turn) % 3
        got = request.outputs["conv2d_441.tmp_1"][0]
        np.testing.assert_allclose(got, expected[row], atol=1e-3)


def test_python_goes_on_while_a_model_runs(load_shared: Load) -> None:
    model = load_shared("yolox_nano.onnx")
    instance = model.instance(Placement("net_0"))
    request = FakeRequest({"images": np.zeros((1, 3, 416, 416), np.float32)}, batching=False)
    ticks, done = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.0001)

    ticker = threading.Thread(target=tick)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # from here on a thread runs only if another lets go of the GIL
    try:
        ticker.start()
        before = ticks
        instance.execute(FakeBatch([request]))
        after = ticks
    finally:
        sys.setswitchinterval(interval)
        done.set()
        ticker.join()
    assert after > before
