"""The backends under the kit: no server runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from despina_sdk import Array, BackendError, ModelSpec, Placement
from despina_sdk.testing import run_batch
from despina_sdk.testing.conformance import BackendConformance
from yolox_persons.backends import FoundPersons, YoloxPersons
from yolox_persons.detection import cells

TWICE = np.array([[2, 0, 0.5], [0, 2, 0.5]], np.float32)  # a picture twice as large as the input
SPEC = ModelSpec("yolox_persons", "1", Path("yolox_persons/1"))


def request(*persons: tuple[int, float], transform: Array = TWICE) -> dict[str, Array]:
    """Predictions with a person of a cell's size in these cells, with these scores."""
    predictions = np.zeros((len(cells(416, 416)), 85), np.float32)
    for cell, score in persons:
        predictions[cell, :6] = [0.5, 0.5, 0, 0, score, 1]
    return {
        "PREDICTIONS": predictions,
        "INVERSE_TRANSFORM": transform,
        "IMAGE_SIZE": np.array([832, 832], np.int32),
        "IMAGE": np.array([b"picture"], object),
    }


def find(inputs: dict[str, Array], **parameters: str) -> dict[str, Array]:
    spec = ModelSpec("yolox_persons", "1", Path("yolox_persons/1"), parameters=parameters)
    instance = YoloxPersons({}).load(spec).instance(Placement("yolox_persons_0"))
    (answer,) = run_batch(instance, inputs, batching=False)
    return answer


class TestYoloxPersons(BackendConformance):
    backend_class = YoloxPersons

    @pytest.fixture
    def spec(self) -> ModelSpec:
        return SPEC

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return request((1, 0.9), (60, 0.5))


class TestFoundPersons(BackendConformance):
    backend_class = FoundPersons

    @pytest.fixture
    def spec(self) -> ModelSpec:
        return ModelSpec("found_persons", "1", Path("found_persons/1"))

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return rows([0.5, 0.0])


def rows(scores: list[float]) -> dict[str, Array]:
    count = len(scores)
    boxes = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
    keypoints = np.ones((count, 17, 3), np.float32)
    return {"BOXES": boxes, "SCORES": np.array(scores, np.float32), "KEYPOINTS": keypoints}


def test_each_person_is_a_row_with_its_box_in_the_picture_and_the_picture() -> None:
    answer = find(request((1, 0.5), (3548, 0.9)))
    # Cell (12, 12) of 32 pixels, cell (1, 0) of 8; edges of a picture that is twice as large.
    assert answer["BOXES"].tolist() == [[768, 768, 64, 64], [16, 0, 16, 16]]
    np.testing.assert_allclose(answer["SCORES"], [0.9, 0.5])
    assert answer["IMAGES"].tolist() == [[b"picture"], [b"picture"]]


def test_a_picture_of_nobody_is_one_row_with_score_0() -> None:
    answer = find(request((1, 0.29)))
    assert answer["SCORES"].tolist() == [0]
    assert answer["BOXES"].shape == (1, 4)
    assert answer["IMAGES"].shape == (1, 1)


def test_only_the_surest_are_kept_and_only_what_is_sure_enough() -> None:
    persons = request((1, 0.5), (60, 0.9), (100, 0.7))
    np.testing.assert_allclose(find(persons, persons="2")["SCORES"], [0.9, 0.7])
    np.testing.assert_allclose(find(persons, score="0.8")["SCORES"], [0.9])


def test_boxes_end_where_the_picture_does() -> None:
    inputs = request((1, 0.5), (3548, 0.9))
    inputs["PREDICTIONS"][3548, 2:4] = np.log(2)  # of 128 pixels, about (800, 800)
    inputs["IMAGE_SIZE"][:] = [800, 820]
    assert find(inputs)["BOXES"].tolist() == [[736, 736, 64, 84], [16, 0, 16, 16]]


@pytest.mark.parametrize("width", [-1e30, -100])
def test_a_box_without_area_is_no_person_and_does_not_fail_the_picture(width: float) -> None:
    inputs = request((1, 0.5), (60, 0.9))
    inputs["PREDICTIONS"][60, 2] = width
    np.testing.assert_allclose(find(inputs)["SCORES"], [0.5])


def test_a_box_beside_the_picture_is_no_person_and_suppresses_none() -> None:
    inputs = request((1, 0.5), (3548, 0.9))
    inputs["IMAGE_SIZE"][:] = [832, 700]  # the rest of the network's input is grey
    np.testing.assert_allclose(find(inputs, persons="1")["SCORES"], [0.5])


@pytest.mark.parametrize(
    ("member", "value"),
    [(0, np.nan), (0, np.inf), (0, -np.inf), (2, np.nan), (4, np.nan), (4, np.inf)],
)
def test_what_is_no_finite_number_is_no_person(member: int, value: float) -> None:
    inputs = request((1, 0.5), (60, 0.9))
    inputs["PREDICTIONS"][60, member] = value
    np.testing.assert_allclose(find(inputs)["SCORES"], [0.5])


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"scor": "1"}, "'scor'"),
        ({"persons": "many"}, "'many'"),
        ({"persons": "0"}, "'persons' is 0"),
        ({"score": "0"}, "'score' is 0"),
        ({"score": "nan"}, "'score' is nan"),
        ({"overlap": "45"}, "'overlap' is 45"),
        ({"width": "400"}, "'width' is 400"),
        ({"height": "1000000000"}, "'height' is 1000000000"),
    ],
)
def test_a_parameter_that_cannot_be_fails_the_load(parameters: dict[str, str], text: str) -> None:
    with pytest.raises(BackendError, match=text):
        find(request(), **parameters)


@pytest.mark.parametrize(("scores", "left"), [([0.0], 0), ([0.9, 0.5], 2)])
def test_the_row_of_an_empty_picture_is_left_out(scores: list[float], left: int) -> None:
    instance = FoundPersons({}).load(SPEC).instance(Placement("found_persons_0"))
    (answer,) = run_batch(instance, rows(scores), batching=False)
    assert answer["PERSON_BOXES"].shape == (left, 4)
    assert answer["PERSON_SCORES"].shape == (left,)
    assert answer["PERSON_KEYPOINTS"].shape == (left, 17, 3)
