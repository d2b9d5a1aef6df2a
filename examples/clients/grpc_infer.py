"""One request over gRPC, and what comes back.

    python grpc_infer.py [host:port]

The model is `echo` of the README beside this.
"""

from __future__ import annotations

import sys

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException


def main(url: str = "localhost:8001") -> None:
    """Ask for the model, and for its answer."""
    with grpc.InferenceServerClient(url) as client:
        metadata = client.get_model_metadata("echo", client_timeout=10)
        print(metadata.platform, [tensor.name for tensor in metadata.inputs])

        values = np.array([[1, 2.5, 4, -1]], np.float32)
        tensor = grpc.InferInput("INPUT0", values.shape, "FP32")
        tensor.set_data_from_numpy(values)
        answer = client.infer("echo", [tensor], request_id="first", client_timeout=10)
        print(answer.get_response().id, answer.as_numpy("OUTPUT0"))

        try:
            client.infer("ecko", [tensor], client_timeout=10)
        except InferenceServerException as error:
            print(error.status(), error.message())


if __name__ == "__main__":
    main(*sys.argv[1:])
