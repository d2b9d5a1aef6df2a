"""Answers in parts: a stream of gRPC to a decoupled model.

    python grpc_stream.py [host:port]

The model is `repeat` of the README beside this: it answers once for each element of its input.
"""

from __future__ import annotations

import queue
import sys
from typing import Any

import numpy as np
from tritonclient import grpc


def main(url: str = "localhost:8001") -> None:
    """Print each part as it comes, until the one that is said to be the last."""
    tensors = []
    for name, datatype, values in (
        ("IN", "INT32", np.array([10, 20, 30], np.int32)),
        ("DELAY", "UINT32", np.array([100, 100, 100], np.uint32)),  # ms before each part
        ("WAIT", "UINT32", np.array([0], np.uint32)),
    ):
        tensors.append(grpc.InferInput(name, values.shape, datatype))
        tensors[-1].set_data_from_numpy(values)

    # The client calls back on a thread of its own.
    parts: queue.Queue[Any] = queue.Queue()
    with grpc.InferenceServerClient(url) as client:
        client.start_stream(callback=lambda result, error: parts.put(error or result))
        client.async_stream_infer(
            "repeat", tensors, request_id="1", enable_empty_final_response=True
        )
        while True:
            part = parts.get(timeout=10)
            if isinstance(part, Exception):
                raise part
            response = part.get_response()
            if response.outputs:
                print(response.id, part.as_numpy("OUT"))
            if response.parameters["triton_final_response"].bool_param:
                break
        client.stop_stream()
    print("that was all")


if __name__ == "__main__":
    main(*sys.argv[1:])
