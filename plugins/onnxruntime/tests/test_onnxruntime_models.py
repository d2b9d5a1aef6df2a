"""Pretrained networks give the results that they gave when the golden tensors were made."""

from collections.abc import Callable

import numpy as np
import pytest

from despina_sdk import Array, Model, TensorSpec

Run = Callable[..., list[dict[str, Array]]]
Load = Callable[..., Model]
Golden = Callable[[str], Array]

HEATMAPS, INDICES = "conv2d_441.tmp_1", "argmax_0.tmp_0"


def test_pose_network_is_completed_as_batching(load_shared: Load) -> None:
    signature = load_shared("pp_tinypose_256x192.onnx").signature
    assert signature.inputs == (TensorSpec("image", "FP32", (3, 256, 192)),)
    assert set(signature.outputs) == {
        TensorSpec(HEATMAPS, "FP32", (17, 64, 48)),
        TensorSpec(INDICES, "INT64", (17,)),
    }
    assert signature.max_batch_size == 4


def test_pose_network_gives_golden_rows_alone_and_batched(
    load_shared: Load, run: Run, golden: Golden
) -> None:
    images = golden("pp_tinypose_batch3.in.image")
    heatmaps = golden(f"pp_tinypose_batch3.out.{HEATMAPS}")
    indices = golden(f"pp_tinypose_batch3.out.{INDICES}")
    model = load_shared("pp_tinypose_256x192.onnx")
    rows = [{"image": images[i : i + 1]} for i in range(3)]
    alone = [run(model, row)[0] for row in rows]
    together = run(model, *rows)
    mixed = run(model, {"image": images[2:]}, {"image": images[:2]})[::-1]
    for answers in (alone, together, mixed):
        got = np.concatenate([answer[HEATMAPS] for answer in answers])
        np.testing.assert_allclose(got, heatmaps, atol=1e-3)
        assert np.array_equal(np.concatenate([answer[INDICES] for answer in answers]), indices)


def test_fp16_classifier_is_served_with_reshaped_tensors(
    load_shared: Load, run: Run, golden: Golden
) -> None:
    model = load_shared(
        "squeezenet_fp16.onnx",
        inputs=(TensorSpec("data_0", "FP16", (3, 224, 224)),),
        outputs=(TensorSpec("softmaxout_1", "FP16", (1000,)),),
        config={
            "input": [{"name": "data_0", "reshape": {"shape": [1, 3, 224, 224]}}],
            "output": [{"name": "softmaxout_1", "reshape": {"shape": [1, 1000, 1, 1]}}],
        },
    )
    assert model.signature.inputs == (TensorSpec("data_0", "FP16", (3, 224, 224)),)
    assert model.signature.max_batch_size == 0
    (answer,) = run(model, {"data_0": golden("squeezenet_mug_fp16.in.data_0")})
    scores = answer["softmaxout_1"]
    assert scores.shape == (1, 1000, 1, 1)
    assert scores.argmax() == 504
    np.testing.assert_allclose(
        scores.astype(np.float32),
        golden("squeezenet_mug_fp16.out.softmaxout_1").astype(np.float32),
        atol=0.01,
    )


def test_classifier_batches_up_to_the_configured_size(
    load_shared: Load, run: Run, golden: Golden
) -> None:
    model = load_shared("squeezenet_fp32_dynbatch.onnx", max_batch_size=8)
    assert model.signature.max_batch_size == 8
    mug = golden("squeezenet_mug_fp32.in.data_0")
    answers = run(model, {"data_0": mug}, {"data_0": np.zeros_like(mug)}, {"data_0": mug})
    expected = golden("squeezenet_mug_fp32.out.softmaxout_1")
    for answer in (answers[0], answers[2]):
        np.testing.assert_allclose(answer["softmaxout_1"], expected, atol=1e-3)
    assert answers[1]["softmaxout_1"].argmax() != 504


def test_quantised_pose_network_takes_uint8(load_shared: Load, run: Run, golden: Golden) -> None:
    model = load_shared("movenet_lightning_int8.onnx")
    assert model.signature.inputs == (
        TensorSpec("serving_default_input:0", "UINT8", (1, 192, 192, 3)),
    )
    (answer,) = run(model, {"serving_default_input:0": golden("movenet_yoga.in")})
    got = answer["StatefulPartitionedCall:0"]
    np.testing.assert_allclose(got[..., :2], golden("movenet_yoga.out")[..., :2], atol=0.03)


@pytest.mark.parametrize("configured", [False, True])
def test_voice_detector_takes_state_and_a_scalar(
    load_shared: Load, run: Run, golden: Golden, configured: bool
) -> None:
    fields = {
        "inputs": (
            TensorSpec("sr", "INT64", (1,)),
            TensorSpec("state", "FP32", (2, -1, 128)),
            TensorSpec("input", "FP32", (-1, -1)),
        ),
        "config": {"input": [{"name": "sr", "reshape": {"shape": []}}]},
    }
    model = load_shared("silero_vad_16k.onnx", **(fields if configured else {}))
    assert model.signature.max_batch_size == 0
    state, rate = np.zeros((2, 1, 128), np.float32), np.array(16000, np.int64)
    probabilities = []
    for chunk in golden("silero_chunks.in"):
        (answer,) = run(model, {"input": chunk[np.newaxis], "state": state, "sr": rate})
        state = answer["stateN"]
        probabilities.append(answer["output"][0])
    np.testing.assert_allclose(probabilities, golden("silero_chunks.out"), atol=5e-3)
    np.testing.assert_allclose(state, golden("silero_final_state"), atol=5e-3)


def test_digit_classifier_with_a_fixed_first_axis_has_no_batch_axis(
    load_shared: Load, run: Run, golden: Golden
) -> None:
    model = load_shared("mnist.onnx")
    assert model.signature.inputs == (TensorSpec("Input3", "FP32", (1, 1, 28, 28)),)
    assert model.signature.max_batch_size == 0
    (answer,) = run(model, {"Input3": golden("mnist_nine.in.Input3")})
    expected = golden("mnist_nine.out.Plus214_Output_0")
    np.testing.assert_allclose(answer["Plus214_Output_0"], expected, atol=0.1)
    assert answer["Plus214_Output_0"].argmax() == 9


def test_detector_gives_golden_output(load_shared: Load, run: Run, golden: Golden) -> None:
    (answer,) = run(load_shared("yolox_nano.onnx"), {"images": golden("yolox_couple.in.images")})
    np.testing.assert_allclose(answer["output"], golden("yolox_couple.out.output"), atol=2e-3)
