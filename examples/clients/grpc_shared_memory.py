"""Tensors in shared memory: over gRPC goes only where they are.

    python grpc_shared_memory.py [host:port]

The model is `echo` of the README beside this. The server must run on the same machine, with
`--allow-client-shm=true`.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import shared_memory


def main(url: str = "localhost:8001") -> None:
    """Lend the server two regions: one that it reads from, and one that it writes to."""
    values = np.array([[1, 2.5, 4, -1]], np.float32)
    size = values.nbytes
    with grpc.InferenceServerClient(url) as client, ExitStack() as cleanup:

        def lend(kind: str) -> tuple[str, Any]:
            # A name that nobody else on this machine has.
            name = f"despina_{kind}_{os.getpid()}"
            region = shared_memory.create_shared_memory_region(name, f"/{name}", size)
            cleanup.callback(shared_memory.destroy_shared_memory_region, region)
            client.register_system_shared_memory(name, f"/{name}", size, client_timeout=10)
            # At the end the server lets go first.
            cleanup.callback(client.unregister_system_shared_memory, name, client_timeout=10)
            return name, region

        input_name, input_region = lend("input")
        output_name, output_region = lend("output")
        shared_memory.set_shared_memory_region(input_region, [values])

        tensor = grpc.InferInput("INPUT0", values.shape, "FP32")
        tensor.set_shared_memory(input_name, size)
        output = grpc.InferRequestedOutput("OUTPUT0")
        output.set_shared_memory(output_name, size)
        answer = client.infer("echo", [tensor], outputs=[output], client_timeout=10)
        shape = list(answer.get_output("OUTPUT0").shape)
        print(shared_memory.get_contents_as_numpy(output_region, np.float32, shape))


if __name__ == "__main__":
    main(*sys.argv[1:])
