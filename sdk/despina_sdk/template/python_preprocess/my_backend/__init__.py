"""Bytes in, a tensor out. A request whose bytes are wrong fails alone."""

import numpy as np
from despina_sdk import Backend, BackendError, Code, Instance, Model, Signature, TensorSpec

SIZE = 16


class Preprocess(Backend):
    name = "my_backend"

    def load(self, spec):
        return PreprocessModel(spec.max_batch_size or 8)


class PreprocessModel(Model):
    def __init__(self, rows):
        raw, tensor = TensorSpec("RAW", "BYTES", (1,)), TensorSpec("TENSOR", "FP32", (SIZE,))
        self.signature = Signature((raw,), (tensor,), rows)

    def instance(self, placement):
        return PreprocessInstance()


class PreprocessInstance(Instance):
    def execute(self, batch):
        for request in batch.requests:
            try:
                rows = [row_of(raw) for raw in request.inputs["RAW"].ravel()]
                request.complete({"TENSOR": np.stack(rows)})
            except BackendError as error:
                request.fail(error)


def row_of(raw):
    if len(raw) != SIZE:
        raise BackendError(Code.INVALID_ARGUMENT, f"expected {SIZE} bytes, got {len(raw)}")
    return np.frombuffer(raw, np.uint8).astype(np.float32) / 255


my_backend = Preprocess
