"""pose_postprocess finds keypoints in heatmaps whose peaks are known."""

from __future__ import annotations

import numpy as np
import pytest

from despina_sdk import BackendError, Code, Placement, TensorSpec

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def gaussian(x, y, shape=(64, 48), sigma=2.0, top=0.9):
    """A heatmap with its peak at column x, row y."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    squared = (columns - x) ** 2 + (rows - y) ** 2
    return (top * np.exp(-squared / (2 * sigma**2))).astype(np.float32)


def inputs(*heatmaps, inverse=IDENTITY):
    """One request of one row."""
    return {"HEATMAPS": np.stack(heatmaps)[None], "INVERSE_TRANSFORM": inverse[None]}


@pytest.fixture
def keypoints(make_instance, execute):
    def run(*heatmaps, inverse=IDENTITY, **parameters):
        instance = make_instance("pose_postprocess", **parameters)
        (request,) = execute(instance, inputs(*heatmaps, inverse=inverse))
        if request.error is not None:
            raise request.error
        result = request.outputs["KEYPOINTS"]
        assert result.dtype == np.float32
        assert result.shape == (1, len(heatmaps), 3)
        return result[0]

    return run


@pytest.mark.parametrize(
    ("refinement", "least", "most"),
    [("none", 0.4, 0.5), ("quarter", 0.2, 0.25), ("dark", 0, 0.001)],
)
def test_how_near_each_refinement_comes_to_the_peak(keypoints, refinement, least, most):
    peaks = np.random.default_rng(3).uniform(8, 38, (200, 2))
    found = keypoints(*(gaussian(x, y) for x, y in peaks), refinement=refinement)
    worst = np.abs(found[:, :2] / 4 - peaks).max()
    assert least <= worst <= most + 1e-5


def test_the_refinement_is_quarter_unless_said_otherwise(keypoints):
    (found,) = keypoints(gaussian(10.3, 19.6))
    assert found[:2].tolist() == [4 * 10.25, 4 * 19.75]


@pytest.mark.parametrize("refinement", ["none", "quarter", "dark"])
def test_the_score_is_the_highest_value(keypoints, refinement):
    heatmap = gaussian(10.3, 19.6, top=0.71)
    (found,) = keypoints(heatmap, refinement=refinement)
    assert found[2] == heatmap.max()


def test_cells_are_four_pixels_apart_unless_the_input_size_is_given(keypoints):
    heatmap = gaussian(12, 20)
    assert keypoints(heatmap)[0, :2].tolist() == [48, 80]
    found = keypoints(heatmap, input_width="96", input_height="512")
    assert found[0, :2].tolist() == [24, 160]


def test_the_inverse_transform_leads_to_the_original_image(keypoints):
    inverse = np.array([[2, 0.5, -7], [0.25, 3, 11]], np.float32)
    (found,) = keypoints(gaussian(12, 20), inverse=inverse)
    assert np.allclose(found[:2], [2 * 48 + 0.5 * 80 - 7, 0.25 * 48 + 3 * 80 + 11])


@pytest.mark.parametrize(("refinement", "border"), [("none", 0), ("quarter", 1), ("dark", 2)])
def test_a_peak_too_near_the_border_for_its_refinement_stays_in_its_cell(
    keypoints, refinement, border
):
    near = range(border)
    for column in [*near, *(47 - distance for distance in near)]:
        (found,) = keypoints(gaussian(column + 0.2, 30.3), refinement=refinement)
        assert found[0] == 4 * column
    (inner,) = keypoints(gaussian(border + 0.2, 63 - border - 0.2), refinement=refinement)
    assert (inner[0] != 4 * border) == (refinement != "none")
    assert (inner[1] != 4 * (63 - border)) == (refinement != "none")


@pytest.mark.parametrize("refinement", ["none", "quarter", "dark"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (5, 4)])
def test_tiny_heatmaps_are_served(keypoints, refinement, shape):
    (found,) = keypoints(gaussian(0, 0, shape), refinement=refinement)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("refinement", ["none", "quarter", "dark"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_count_as_zero(keypoints, refinement, value):
    pierced = gaussian(20, 30)
    pierced[5, 5] = pierced[30, 22] = value
    all_lost = np.full((64, 48), value, np.float32)
    found, lost = keypoints(pierced, all_lost, refinement=refinement)
    assert np.abs(found[:2] / 4 - [20, 30]).max() <= 1
    assert found[2] == np.float32(0.9)
    assert lost.tolist() == [0, 0, 0]


@pytest.mark.parametrize("refinement", ["none", "quarter", "dark"])
def test_heatmaps_of_noise_and_of_great_values_give_finite_keypoints(keypoints, refinement):
    generator = np.random.default_rng(5)
    noise = generator.normal(0, 1, (64, 48)).astype(np.float32)
    found = keypoints(noise, noise * np.float32(1e37), -np.abs(noise), refinement=refinement)
    assert np.isfinite(found).all()
    assert (found[:, 0] >= -4).all()
    assert (found[:, 0] <= 4 * 48).all()


def test_a_batch_gives_what_its_rows_give_alone(make_instance, execute):
    generator = np.random.default_rng(1)
    heatmaps = generator.random((5, 17, 64, 48), np.float32)
    inverses = generator.random((5, 2, 3), np.float32)

    def rows(part):
        return {"HEATMAPS": heatmaps[part], "INVERSE_TRANSFORM": inverses[part]}

    for refinement in ("none", "quarter", "dark"):
        instance = make_instance("pose_postprocess", refinement=refinement)
        together = execute(instance, rows(slice(0, 1)), rows(slice(1, 4)), rows(slice(4, 5)))
        batched = np.concatenate([request.outputs["KEYPOINTS"] for request in together])
        assert batched.shape == (5, 17, 3)
        for row in range(5):
            (alone,) = execute(instance, rows(slice(row, row + 1)))
            assert np.array_equal(batched[row], alone.outputs["KEYPOINTS"][0])


def test_a_model_without_batch_axis(make_instance, execute):
    instance = make_instance("pose_postprocess", max_batch_size=0)
    sent = {"HEATMAPS": gaussian(12, 20)[None], "INVERSE_TRANSFORM": IDENTITY}
    (request,) = execute(instance, sent, batching=False)
    assert request.outputs["KEYPOINTS"].shape == (1, 3)
    assert request.outputs["KEYPOINTS"][0, :2].tolist() == [48, 80]


def test_an_inverse_transform_that_is_not_finite_fails_its_request_alone(make_instance, execute):
    instance = make_instance("pose_postprocess")
    broken = IDENTITY * np.float32(np.nan)
    good, bad = execute(
        instance, inputs(gaussian(12, 20)), inputs(gaussian(12, 20), inverse=broken)
    )
    assert good.outputs is not None
    assert bad.error.code == Code.INVALID_ARGUMENT
    assert bad.error.message == "INVERSE_TRANSFORM has values that are not finite"


def test_heatmaps_without_cells_are_refused(keypoints):
    with pytest.raises(BackendError, match=r"HEATMAPS of shape \[1, 0, 48\] have no cells"):
        keypoints(np.empty((0, 48), np.float32))


@pytest.mark.parametrize("shape", [(2**31, 1), (1, 2**31), (1, 16_385)], ids=str)
def test_heatmaps_of_more_cells_than_32_bits_count_are_refused(make_instance, execute, shape):
    def send():
        heatmaps = np.empty((1, 0, *shape), np.float32)
        sent = {"HEATMAPS": heatmaps, "INVERSE_TRANSFORM": IDENTITY[None]}
        (request,) = execute(make_instance("pose_postprocess"), sent)
        if request.error is not None:
            raise request.error

    with pytest.raises(BackendError, match="have a side of more than 16384 cells") as caught:
        send()
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_no_keypoints_give_no_keypoints(make_instance, execute):
    sent = {"HEATMAPS": np.empty((2, 0, 64, 48), np.float32), "INVERSE_TRANSFORM": IDENTITY[None]}
    sent["INVERSE_TRANSFORM"] = np.repeat(sent["INVERSE_TRANSFORM"], 2, axis=0)
    for refinement in ("none", "quarter", "dark"):
        (request,) = execute(make_instance("pose_postprocess", refinement=refinement), sent)
        assert request.outputs["KEYPOINTS"].shape == (2, 0, 3)


def test_without_inputs_and_outputs_configured_the_signature_is_complete(load):
    signature = load("pose_postprocess").signature
    assert signature.inputs == (
        TensorSpec("HEATMAPS", "FP32", (-1, -1, -1)),
        TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)),
    )
    assert signature.outputs == (TensorSpec("KEYPOINTS", "FP32", (-1, 3)),)


def test_the_number_of_keypoints_follows_the_heatmaps_configured(load):
    heatmaps = TensorSpec("HEATMAPS", "FP32", (17, 64, 48))
    model = load(
        "pose_postprocess", inputs=(heatmaps, TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)))
    )
    assert model.signature.inputs[0] == heatmaps
    assert model.signature.outputs == (TensorSpec("KEYPOINTS", "FP32", (17, 3)),)
    model.instance(Placement("x")).close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"refinement": "taylor"},
            "parameter 'refinement' is 'taylor', not one of quarter, dark, none",
        ),
        ({"input_width": "0"}, "parameter 'input_width' is 0, it must be at least 1"),
        ({"width": "192"}, "parameter 'width' is not known; the nearest that is known is"),
        (
            {"inputs": (TensorSpec("HEATMAPS", "FP32", (17, 64, 48)),)},
            "input 'INVERSE_TRANSFORM' is missing from the configuration",
        ),
        (
            {"inputs": (TensorSpec("HEATMAPS", "FP16", (17, 64, 48)),)},
            "input 'HEATMAPS' is FP16, it must be FP32",
        ),
        (
            {
                "inputs": (
                    TensorSpec("HEATMAPS", "FP32", (17, 64, 48)),
                    TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)),
                ),
                "outputs": (TensorSpec("KEYPOINTS", "FP32", (16, 3)),),
            },
            r"output 'KEYPOINTS' is \[16, 3\], not \[17, 3\]",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_at_load(load, arguments, text):
    with pytest.raises(BackendError, match=f"^model 'model_under_test': {text}") as caught:
        load("pose_postprocess", **arguments)
    assert caught.value.code == Code.INVALID_ARGUMENT
