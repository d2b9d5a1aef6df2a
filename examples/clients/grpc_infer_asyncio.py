"""Many requests at a time over one connection of gRPC, with asyncio.

    python grpc_infer_asyncio.py [host:port]

The model is `echo` of the README beside this.
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc
from tritonclient.grpc import aio

REQUESTS = 100


async def infer(client: aio.InferenceServerClient, values: NDArray[np.float32]) -> float:
    """The sum of what comes back."""
    tensor = grpc.InferInput("INPUT0", values.shape, "FP32")
    tensor.set_data_from_numpy(values)
    answer = await client.infer("echo", [tensor], client_timeout=10)
    return float(answer.as_numpy("OUTPUT0").sum())


async def main(url: str = "localhost:8001") -> None:
    """Send all requests before the first answer is waited for."""
    async with aio.InferenceServerClient(url) as client:
        requests = (infer(client, np.full((1, 4), i, np.float32)) for i in range(REQUESTS))
        sums = await asyncio.gather(*requests)
    print(len(sums), "answers:", *sums[:3], "...", sums[-1])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
