"""A decoupled backend: one request, as many answers as IN has elements.

They are sent by a thread of its own after ``execute`` has returned: it shows how answers come in
parts and later.
"""

import threading
import time

import numpy as np

from despina_sdk import (
    Backend,
    BackendError,
    Batch,
    Capability,
    Code,
    DetachedRequest,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
    TensorSpec,
)


class RepeatBackend(Backend):
    """Needs no files; the model's configuration makes it decoupled."""

    name = "repeat_python"
    capabilities = Capability.STREAMING | Capability.ASYNC

    def load(self, spec: ModelSpec) -> Model:
        """Makes a model."""
        return _RepeatModel()


class _RepeatModel(Model):
    signature = Signature(
        inputs=(
            TensorSpec("IN", "INT32", (-1,)),
            TensorSpec("DELAY", "UINT32", (-1,)),
            TensorSpec("WAIT", "UINT32", (1,)),
        ),
        outputs=(TensorSpec("OUT", "INT32", (1,)), TensorSpec("IDX", "UINT32", (1,))),
        max_batch_size=0,
    )

    def instance(self, placement: Placement) -> Instance:
        return _RepeatInstance()


class _RepeatInstance(Instance):
    def __init__(self) -> None:
        self._running: list[threading.Thread] = []

    def execute(self, batch: Batch) -> None:
        """Takes the next request WAIT milliseconds after this one."""
        (request,) = batch.requests
        count, delays = request.inputs["IN"].size, request.inputs["DELAY"].size
        if count != delays:
            text = f"expected IN and DELAY of the same size, got {count} and {delays}"
            raise BackendError(Code.INVALID_ARGUMENT, text)
        wait = float(request.inputs["WAIT"][0])
        thread = threading.Thread(target=_repeat, args=(request.detach(),))
        self._running = [each for each in self._running if each.is_alive()]
        self._running.append(thread)
        thread.start()
        time.sleep(wait / 1000)

    def close(self) -> None:
        for thread in self._running:
            thread.join()


def _repeat(request: DetachedRequest) -> None:
    """Sends IN[i] and i as OUT and IDX, DELAY[i] milliseconds after the one before."""
    try:
        pairs = zip(request.inputs["IN"], request.inputs["DELAY"], strict=True)
        for index, (value, delay) in enumerate(pairs):
            if request.cancelled:
                break
            time.sleep(float(delay) / 1000)
            request.send({"OUT": np.array([value], np.int32), "IDX": np.array([index], np.uint32)})
        request.complete({})
    except BackendError as error:
        request.fail(error)
