"""Colour order, normalisation, layout, datatype and batch axis of image_preprocess."""

from __future__ import annotations

import numpy as np
import pytest

from despina_sdk import Code, Placement, TensorSpec

COLOUR = np.array([200, 100, 50], np.uint8)


@pytest.fixture
def flat(encode):
    """A PNG of one colour."""
    return encode(np.tile(COLOUR, (20, 30, 1)), "PNG")


def test_by_default_rgb_from_0_to_1_channels_first_fp32(preprocess, flat):
    tensor = preprocess(flat, size=(12, 8), datatype="FP32", layout="NCHW")["TENSOR"]
    assert tensor.shape == (3, 8, 12)
    assert tensor.dtype == np.float32
    assert np.allclose(tensor, COLOUR[:, None, None] / 255, atol=1e-6)


@pytest.mark.parametrize("scale", ["1/255", "0.00392156862745098"])
def test_mean_and_std_count_after_scale(preprocess, flat, scale):
    tensor = preprocess(
        flat,
        size=(12, 8),
        datatype="FP32",
        scale=scale,
        mean="0.485, 0.456, 0.406",
        std="0.2,0.3,0.4",
    )["TENSOR"]
    expected = (COLOUR / 255 - [0.485, 0.456, 0.406]) / [0.2, 0.3, 0.4]
    assert np.allclose(tensor, expected, atol=1e-5)


def test_one_mean_stands_for_all_channels(preprocess, flat):
    tensor = preprocess(flat, size=(12, 8), datatype="FP32", scale="1", mean="10", std="2")[
        "TENSOR"
    ]
    assert np.allclose(tensor, (COLOUR - 10.0) / 2)


def test_bgr_turns_channels_round_and_mean_follows_the_order_of_channels(preprocess, flat):
    tensor = preprocess(
        flat, size=(12, 8), datatype="FP32", color="BGR", scale="1", mean="50,100,200"
    )["TENSOR"]
    assert np.allclose(tensor, 0, atol=1e-4)


def test_gray_has_one_channel_with_the_weights_of_bt_601(preprocess, flat):
    tensor = preprocess(flat, size=(12, 8), color="GRAY")["TENSOR"]
    assert tensor.shape == (8, 12, 1)
    assert np.abs(tensor - COLOUR @ [0.299, 0.587, 0.114]).max() <= 1


def test_uint8_carries_raw_pixels(preprocess, flat):
    tensor = preprocess(flat, size=(12, 8), layout="NCHW", scale="1/255", mean="0", std="1")[
        "TENSOR"
    ]
    assert tensor.dtype == np.uint8
    assert (tensor == COLOUR[:, None, None]).all()


def test_fp16(preprocess, flat):
    tensor = preprocess(flat, size=(12, 8), datatype="FP16")["TENSOR"]
    assert tensor.dtype == np.float16
    assert np.allclose(tensor, COLOUR / 255, atol=1e-3)


def image_rows(*images):
    return {"IMAGE": np.array([[image] for image in images], object)}


def test_without_inputs_and_outputs_configured_the_signature_is_complete(load):
    signature = load("image_preprocess", width="192", height="256").signature
    assert signature.inputs == (
        TensorSpec("IMAGE", "BYTES", (1,)),
        TensorSpec("BOX", "FP32", (4,), optional=True),
    )
    assert signature.outputs == (
        TensorSpec("TENSOR", "FP32", (3, 256, 192)),
        TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)),
        TensorSpec("IMAGE_SIZE", "INT32", (2,)),
    )


@pytest.mark.parametrize("datatype", ["FP32", "FP16", "UINT8"])
def test_the_outputs_configured_are_those_made(load, execute, flat, datatype):
    model = load(
        "image_preprocess",
        inputs=(TensorSpec("IMAGE", "BYTES", (1,)),),
        outputs=(TensorSpec("TENSOR", datatype, (-1, 8, 12)),),
        width="12",
        height="8",
    )
    (request,) = execute(
        model.instance(Placement("x")), image_rows(flat), signature=model.signature
    )
    assert model.signature.outputs == (TensorSpec("TENSOR", datatype, (3, 8, 12)),)
    assert list(request.outputs) == ["TENSOR"]
    assert request.outputs["TENSOR"].dtype == model.signature.outputs[0].dtype


def test_a_model_without_batch_axis(make_instance, execute, flat):
    instance = make_instance("image_preprocess", max_batch_size=0, width="12", height="8")
    inputs = {"IMAGE": np.array([flat], object), "BOX": np.array([0, 0, 30, 20], np.float32)}
    (request,) = execute(instance, inputs, batching=False)
    shapes = {name: output.shape for name, output in request.outputs.items()}
    assert shapes == {"TENSOR": (3, 8, 12), "INVERSE_TRANSFORM": (2, 3), "IMAGE_SIZE": (2,)}
    assert request.outputs["IMAGE_SIZE"].tolist() == [30, 20]


def test_a_batch_gives_what_its_rows_give_alone(make_instance, execute, encode, ramp, picture):
    instance = make_instance("image_preprocess", width="24", height="32")
    images = [encode(picture, "JPEG"), encode(ramp(300, 200), "PNG"), encode(ramp(40, 90), "BMP")]
    boxes = np.array([[0, 0, 40, 50], [100, 50, 80, 120], [5, 5, 20, 60]], np.float32)
    together = execute(
        instance,
        {**image_rows(images[0]), "BOX": boxes[:1]},
        {**image_rows(images[1], images[2]), "BOX": boxes[1:]},
    )
    for name in ("TENSOR", "INVERSE_TRANSFORM", "IMAGE_SIZE"):
        batched = np.concatenate([request.outputs[name] for request in together])
        for row, image in enumerate(images):
            (alone,) = execute(instance, {**image_rows(image), "BOX": boxes[row : row + 1]})
            assert np.array_equal(batched[row], alone.outputs[name][0])


def test_a_bad_image_fails_its_request_alone(make_instance, execute, flat):
    instance = make_instance("image_preprocess", width="12", height="8")
    good, bad, last = execute(
        instance, image_rows(flat), image_rows(flat, b"no image"), image_rows(flat)
    )
    assert good.outputs is not None
    assert last.outputs is not None
    assert bad.error.code == Code.INVALID_ARGUMENT
    assert bad.error.message.startswith("row 1: IMAGE is not a JPEG, PNG, BMP or WebP image")


def test_a_cancelled_request_is_not_decoded(make_instance, execute, flat):
    instance = make_instance("image_preprocess", width="12", height="8")
    (request,) = execute(instance, image_rows(flat), cancelled=True)
    assert request.error.code == Code.CANCELLED
