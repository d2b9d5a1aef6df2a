"""Where tensors are copied, by the engine's counter, and where they are not."""

import numpy as np

from despina import Server, TensorSpec, batch_function

LARGE = np.arange(1 << 16, dtype=np.float32).reshape(1, -1)


@batch_function(inputs=[TensorSpec("x", "FP32", (-1,))], outputs=[TensorSpec("y", "FP32", (-1,))])
def echo(x):
    return {"y": x}


@batch_function(inputs=[TensorSpec("x", "FP32", (-1,))], outputs=[TensorSpec("y", "FP32", (-1,))])
def double(x):
    return {"y": 2 * x}


def copies(server: Server) -> tuple[int, int]:
    memory = server._runtime.engine.memory()
    return memory["tensor_copies"], memory["tensor_bytes_copied"]


def test_a_large_tensor_is_copied_on_its_way_in_and_nowhere_else():
    """In process the caller keeps its array; what the backend sees and gives is not copied."""
    with Server(models={"echo": echo, "double": double}) as server:
        for model, expected in (("echo", LARGE), ("double", 2 * LARGE)):
            count, size = copies(server)
            np.testing.assert_array_equal(server.infer(model, {"x": LARGE})["y"], expected)
            assert copies(server) == (count + 1, size + LARGE.nbytes)
