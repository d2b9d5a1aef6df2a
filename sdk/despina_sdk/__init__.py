"""What a plugin author imports: the backend contract, its errors, and the short cut.

The smallest backend is one function::

    from despina_sdk import TensorSpec, batch_function

    @batch_function(
        inputs=[TensorSpec("X", "FP32", (4,))], outputs=[TensorSpec("Y", "FP32", (1,))]
    )
    def row_sum(X):
        return {"Y": X.sum(axis=1, keepdims=True)}

An entry point of the group ``despina.backends`` makes it known to the server.
"""

from despina_sdk.backend import (
    Backend,
    Batch,
    Capability,
    DetachedRequest,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Request,
    Signature,
)
from despina_sdk.errors import BackendError, Code
from despina_sdk.functional import batch_function
from despina_sdk.metrics import LocalMetrics, Metrics
from despina_sdk.tensors import NUMPY_DTYPES, Array, ArrayLike, TensorSpec

__all__ = [
    "NUMPY_DTYPES",
    "Array",
    "ArrayLike",
    "Backend",
    "BackendError",
    "Batch",
    "Capability",
    "Code",
    "DetachedRequest",
    "Instance",
    "LocalMetrics",
    "Metrics",
    "Model",
    "ModelSpec",
    "Placement",
    "Request",
    "Signature",
    "TensorSpec",
    "batch_function",
]
