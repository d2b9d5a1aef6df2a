"""A wrong configuration of image_preprocess is refused at load, and the error says where."""

from __future__ import annotations

import pytest

from despina_sdk import BackendError, Code, TensorSpec

IMAGE = TensorSpec("IMAGE", "BYTES", (1,))
TENSOR = TensorSpec("TENSOR", "FP32", (3, 8, 12))


def refused(load, text, **arguments):
    with pytest.raises(BackendError) as caught:
        load("image_preprocess", **{"width": "12", "height": "8", **arguments})
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message == f"model 'model_under_test': {text}"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"widht": "3"}, "'widht' is not known; the nearest that is known is 'width'"),
        ({"zzz": ""}, "'zzz' is not known; the nearest that is known is '"),
        ({"width": "wide"}, "'width' is 'wide', not a whole number"),
        ({"width": "1.5"}, "'width' is '1.5', not a whole number"),
        ({"height": "0"}, "'height' is 0, it must be 1 to 16384"),
        ({"height": "9" * 100}, f"'height' is {'9' * 100}, it must be 1 to 16384"),
        ({"fit": "cover"}, "'fit' is 'cover', not one of affine, letterbox, stretch"),
        ({"padding": "0"}, "'padding' is 0, it must be greater than 0"),
        (
            {"fit": "stretch", "padding": "1.1"},
            "'padding' is for fit = affine, the model has fit = stretch",
        ),
        ({"align": "center"}, "'align' is for fit = letterbox, the model has fit = affine"),
        (
            {"fit": "letterbox", "align": "left"},
            "'align' is 'left', not one of center, top-left",
        ),
        ({"interpolation": "sinc"}, "'interpolation' is 'sinc', not one of linear, cubic, area"),
        ({"fill": "256"}, "'fill' is 256, it must be 0 to 255"),
        ({"fill": "-1"}, "'fill' is -1, it must be 0 to 255"),
        ({"color": "rgb"}, "'color' is 'rgb', not one of RGB, BGR, GRAY"),
        ({"layout": "CHW"}, "'layout' is 'CHW', not one of NCHW, NHWC"),
        ({"datatype": "FP64"}, "'datatype' is 'FP64', not one of FP32, FP16, UINT8"),
        ({"scale": "1/0"}, "'scale' is '1/0', not a finite number"),
        ({"scale": "nan"}, "'scale' is 'nan', not a finite number"),
        ({"scale": "1/2/3"}, "'scale' is '1/2/3', not a finite number"),
        ({"mean": "1,2"}, "'mean' has 2 numbers, it must have 1 or 3"),
        ({"mean": "1,,3"}, "'mean' is '', not a finite number"),
        ({"color": "GRAY", "mean": "1,2,3"}, "'mean' has 3 numbers, it must have 1 or 1"),
        ({"std": "1,0,1"}, "'std' is 0, it must be greater than 0"),
        ({"scale": "1e39"}, "'scale' divided by std is more than FP32 can hold"),
        ({"std": "1e-300"}, "'scale' divided by std is more than FP32 can hold"),
        (
            {"mean": "0,-1,0", "std": "1e-39", "scale": "1e-39"},
            "'mean' divided by std is more than FP32 can hold",
        ),
        (
            {"datatype": "UINT8", "scale": "1"},
            "'scale' has no meaning for UINT8, which carries raw pixels",
        ),
        (
            {"datatype": "UINT8", "mean": "0,0,1"},
            "'mean' has no meaning for UINT8, which carries raw pixels",
        ),
        ({"max_pixels": "-5"}, "'max_pixels' is -5, it must be 1 to 1073741824"),
        ({"max_bytes": "0"}, "'max_bytes' is 0, it must be at least 1"),
        ({"reduced_decode": "yes"}, "'reduced_decode' is 'yes', not one of true, false"),
    ],
)
def test_a_wrong_parameter(load, parameters, text):
    with pytest.raises(BackendError) as caught:
        load("image_preprocess", **{"width": "12", "height": "8", **parameters})
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message.startswith(f"model 'model_under_test': parameter {text}")


def test_width_and_height_are_required(load):
    with pytest.raises(BackendError, match="parameter 'height' is required"):
        load("image_preprocess", width="12")


def test_parameters_of_the_server_are_let_pass(load):
    load("image_preprocess", width="12", height="8", isolation="process")


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (
            (TensorSpec("IMAGES", "BYTES", (1,)),),
            "input 'IMAGES' is not known; the nearest that is known is 'IMAGE'",
        ),
        ((TensorSpec("IMAGE", "UINT8", (1,)),), "input 'IMAGE' is UINT8, it must be BYTES"),
        ((TensorSpec("IMAGE", "BYTES", (2,)),), "input 'IMAGE' is [2], not [1]"),
        ((TensorSpec("IMAGE", "BYTES", (1,), True),), "input 'IMAGE' cannot be optional"),
        ((TensorSpec("BOX", "FP32", (4,)),), "input 'IMAGE' is missing from the configuration"),
        ((IMAGE, TensorSpec("BOX", "FP32", (1, 4))), "input 'BOX' is [1, 4], not [4]"),
    ],
)
def test_a_wrong_input(load, inputs, text):
    refused(load, text, inputs=inputs)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        (
            (TensorSpec("TENSOR", "INT8", (3, 8, 12)),),
            "output 'TENSOR' is INT8, it must be one of FP32, FP16, UINT8",
        ),
        (
            (TensorSpec("TENSOR", "FP32", (8, 12, 3)),),
            "output 'TENSOR' is [8, 12, 3], not [3, 8, 12]",
        ),
        (
            (TENSOR, TensorSpec("SIZE", "INT32", (2,))),
            "output 'SIZE' is not known; the nearest that is known is 'IMAGE_SIZE'",
        ),
        (
            (TensorSpec("IMAGE_SIZE", "INT32", (2,)),),
            "output 'TENSOR' is missing from the configuration",
        ),
    ],
)
def test_a_wrong_output(load, outputs, text):
    refused(load, text, outputs=outputs)


def test_a_datatype_given_twice_must_agree(load):
    text = "parameter 'datatype' is FP16, but output 'TENSOR' is FP32"
    refused(load, text, outputs=(TENSOR,), datatype="FP16")
