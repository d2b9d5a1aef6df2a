"""Backends around the part of an ensemble that sees each person alone.

``yolox_persons`` makes a row for each person that the detector has found: the models behind it take
these rows as a batch, together with those of other requests. ``found_persons`` ends that part.
Neither has a batch axis, since how many rows come out of a picture is known only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from despina_sdk import (
    Backend,
    BackendError,
    Batch,
    Code,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
    TensorSpec,
)
from yolox_persons.detection import STRIDES, Floats, best_boxes, cells, clipped, decode

PERSON, CLASSES = 0, 80  # of COCO
NOBODY = (0.0, 0.0, 1.0, 1.0)
"""The box of the one row that stands for an empty picture, as a batch has at least one row."""

SIDES = range(STRIDES[-1], 4097, STRIDES[-1])
"""Of a network's input, whose grids it has to fill."""
THINNEST = 1.0
"""Pixels of the picture that a person is wide and high at least: less is nothing to crop."""


@dataclass(frozen=True)
class Options:
    """Parameters of a model, from its configuration.

    Attributes:
        width, height: of the network's input, in pixels.
        score: that a person needs, from 0 to 1.
        overlap: intersection over union from which on two boxes are of one person.
        persons: that are kept, at most: not more than the rows that the models behind take.
    """

    width: int = 416
    height: int = 416
    score: float = 0.3
    overlap: float = 0.45
    persons: int = 16

    def __post_init__(self) -> None:
        """Refuses what can be no option: ``ValueError``."""
        for name, fits, what in (
            ("width", self.width in SIDES, "a multiple of 32, 4096 at most"),
            ("height", self.height in SIDES, "a multiple of 32, 4096 at most"),
            ("score", 0 < self.score <= 1, "above 0, and 1 at most"),
            ("overlap", 0 <= self.overlap <= 1, "from 0 to 1"),
            ("persons", self.persons >= 1, "1 at least"),
        ):
            if not fits:
                raise ValueError(f"parameter '{name}' is {getattr(self, name)}, it must be {what}")

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self:
        """Those of a configuration.

        Raises:
            ValueError: what is wrong with which of them.
        """
        given = {}
        for name, text in parameters.items():
            if name not in vars(cls()):
                raise ValueError(f"there is no parameter '{name}', only {', '.join(vars(cls()))}")
            try:
                given[name] = type(getattr(cls, name))(text)
            except ValueError:
                raise ValueError(f"parameter '{name}' is '{text}', which is no number") from None
        return cls(**given)


class YoloxPersons(Backend):
    """Predictions of YOLOX in, a row for each person out; the first row has the best score.

    Inputs: ``PREDICTIONS`` FP32 [P, 85], as the network gives them; ``INVERSE_TRANSFORM`` FP32
    [2, 3] and ``IMAGE_SIZE`` INT32 [2], of ``image_preprocess``; ``IMAGE`` BYTES [1], the encoded
    picture.

    Outputs: ``BOXES`` FP32 [N, 4]: x, y, width, height in pixels of the upright picture, counted in
    pixel edges, what of them lies in it; ``SCORES`` FP32 [N]; ``IMAGES`` BYTES [N, 1]: the picture,
    once for each person. Where there is nobody N is 1, and the score 0.
    """

    name = "yolox_persons"

    def load(self, spec: ModelSpec) -> Model:
        """Reads the parameters; there are no weights."""
        try:
            return YoloxModel(Options.of(spec.parameters))
        except ValueError as error:
            text = f"model '{spec.name}': {error}"
            raise BackendError(Code.INVALID_ARGUMENT, text) from error


class YoloxModel(Model):
    """What its instances share."""

    def __init__(self, options: Options) -> None:
        self.options, self.grid = options, cells(options.width, options.height)
        self.signature = Signature(
            (
                TensorSpec("PREDICTIONS", "FP32", (len(self.grid), 5 + CLASSES)),
                TensorSpec("INVERSE_TRANSFORM", "FP32", (2, 3)),
                TensorSpec("IMAGE_SIZE", "INT32", (2,)),
                TensorSpec("IMAGE", "BYTES", (1,)),
            ),
            (
                TensorSpec("BOXES", "FP32", (-1, 4)),
                TensorSpec("SCORES", "FP32", (-1,)),
                TensorSpec("IMAGES", "BYTES", (-1, 1)),
            ),
            max_batch_size=0,
        )

    def instance(self, placement: Placement) -> Instance:
        """One lane."""
        return YoloxInstance(self)


class YoloxInstance(Instance):
    """Finds the persons of one picture at a time."""

    def __init__(self, model: YoloxModel) -> None:
        self._model = model

    def execute(self, batch: Batch) -> None:
        """Answers the one request that a batch without an axis of rows has."""
        predictions = batch.gather("PREDICTIONS")
        transform, size = batch.gather("INVERSE_TRANSFORM"), batch.gather("IMAGE_SIZE")
        image = batch.gather("IMAGE")
        assert predictions is not None
        assert transform is not None
        assert size is not None
        assert image is not None
        boxes, scores = self._find(predictions, transform, size)
        images = np.repeat(image[np.newaxis], len(boxes), axis=0)
        batch.scatter({"BOXES": boxes, "SCORES": scores, "IMAGES": images})

    def _find(
        self,
        predictions: NDArray[np.float32],
        transform: NDArray[np.float32],
        size: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        options = self._model.options
        with np.errstate(invalid="ignore"):
            boxes, scores = decode(predictions, self._model.grid, PERSON)
            boxes = clipped(_in_picture(boxes, transform), *size)
        # What is not a number is not larger either.
        sure = (scores >= options.score) & np.isfinite(scores) & (boxes[:, 2:] >= THINNEST).all(1)
        boxes, scores = boxes[sure], scores[sure]
        kept = best_boxes(boxes, scores, options.overlap, options.persons)
        if not kept.size:
            return np.array([NOBODY], np.float32), np.zeros(1, np.float32)
        return boxes[kept].astype(np.float32), scores[kept].astype(np.float32)


class FoundPersons(Backend):
    """Leaves out the row that stands for an empty picture, so that N may be 0.

    Inputs: ``BOXES`` FP32 [N, 4], ``SCORES`` FP32 [N] of ``yolox_persons``; ``KEYPOINTS`` FP32
    [N, K, 3] of ``pose_postprocess``. Outputs: the same, as ``PERSON_BOXES``, ``PERSON_SCORES``,
    ``PERSON_KEYPOINTS``.
    """

    name = "found_persons"

    def load(self, spec: ModelSpec) -> Model:
        """There is nothing to read."""
        return FoundModel()


class FoundModel(Model):
    """The tensors of ``FoundPersons``."""

    shapes = {"BOXES": (-1, 4), "SCORES": (-1,), "KEYPOINTS": (-1, -1, 3)}
    signature = Signature(
        tuple(TensorSpec(name, "FP32", shape) for name, shape in shapes.items()),
        tuple(TensorSpec(f"PERSON_{name}", "FP32", shape) for name, shape in shapes.items()),
        max_batch_size=0,
    )

    def instance(self, placement: Placement) -> Instance:
        """One lane."""
        return FoundInstance()


class FoundInstance(Instance):
    """Looks at the scores of one picture at a time."""

    def execute(self, batch: Batch) -> None:
        """Answers the one request that a batch without an axis of rows has."""
        rows = {name: batch.gather(name) for name in FoundModel.shapes}
        found = rows["SCORES"] > 0  # type: ignore[operator]
        batch.scatter({f"PERSON_{name}": each[found] for name, each in rows.items()})  # type: ignore[index]


def _in_picture(boxes: Floats, transform: NDArray[np.float32]) -> Floats:
    """Boxes in the network's input as boxes in the picture.

    The transform is one of points at pixel centres, where a box is counted in pixel edges, half a
    pixel before them; a letterbox neither turns nor shears.
    """
    scale, shift = np.diag(transform), transform[:, 2]
    corners = (boxes[:, :2] - 0.5) * scale + shift + 0.5
    return np.concatenate([corners, boxes[:, 2:] * scale], axis=1)
