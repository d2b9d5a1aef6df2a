"""Requests to the pose-estimation ensemble with tritonclient and curl."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tritonclient import http
from tritonclient.http import aio

MODEL = "hrnet_pose_estimate"

Keypoints = NDArray[np.float32]  # [K, 3]: x, y in pixels of the upright picture, score


class CurlError(RuntimeError):
    """curl is missing or failed, or the server answered it with an error."""


class PoseClient:
    """Requests to the ensemble of one server, each with one picture.

    Attributes:
        url: where they go.
    """

    def __init__(self, address: str) -> None:
        """Asks the server at ``address``, ``host:port``, for the form of the ensemble's input.

        Raises:
            OSError: there is no server.
            InferenceServerException: it does not serve the ensemble.
        """
        self.url = f"http://{address}/v2/models/{MODEL}/infer"
        self.outputs = [http.InferRequestedOutput("KEYPOINTS", binary_data=True)]
        self._address = address
        self._client = http.InferenceServerClient(address)
        shape = self._client.get_model_metadata(MODEL)["inputs"][0]["shape"]
        self._shape = [1] * len(shape)  # one picture, with an axis of rows or without

    def inputs(self, picture: Path) -> list[http.InferInput]:
        """The inputs of a request with ``picture``: its bytes, as they are in the file."""
        image = http.InferInput("IMAGE", self._shape, "BYTES")
        data = np.array([picture.read_bytes()], dtype=np.object_)
        image.set_data_from_numpy(data.reshape(self._shape))
        return [image]

    def infer(self, inputs: list[http.InferInput]) -> Keypoints:
        """Keypoints of a picture. Raises InferenceServerException where it is refused."""
        return _keypoints(self._client.infer(MODEL, inputs, outputs=self.outputs))

    def latencies(self, inputs: list[http.InferInput], count: int) -> NDArray[np.float64]:
        """Milliseconds of ``count`` requests that are sent one after the other."""
        times = [time.perf_counter()]
        for _ in range(count):
            self.infer(inputs)
            times.append(time.perf_counter())
        return np.diff(times) * 1000

    async def throughput(
        self, inputs: list[http.InferInput], connections: int, seconds: float
    ) -> float:
        """Requests per second on several connections, each with one request at a time."""
        start = time.perf_counter()

        async def send(client: aio.InferenceServerClient) -> int:
            answered = 0
            while time.perf_counter() - start < seconds:
                await client.infer(MODEL, inputs, outputs=self.outputs)
                answered += 1
            return answered

        async with aio.InferenceServerClient(self._address, conn_limit=connections) as client:
            answered = await asyncio.gather(*(send(client) for _ in range(connections)))
        return sum(answered) / (time.perf_counter() - start)


@dataclass(frozen=True)
class CurlRequest:
    """A request in a file and the curl command that sends it.

    Attributes:
        header: the JSON that the body begins with; the tensors follow it.
        command: program and arguments.
        response: where curl puts the answer's body.
    """

    header: str
    command: list[str]
    response: Path

    @classmethod
    def prepare(
        cls, client: PoseClient, picture: Path, request: Path, response: Path
    ) -> CurlRequest:
        """Write the body of the request with ``picture`` to the file ``request``."""
        body, header_length = http.InferenceServerClient.generate_request_body(
            client.inputs(picture), outputs=client.outputs
        )
        request.write_bytes(body)
        command = [
            "curl", "--silent", "--show-error", "--fail-with-body",
            "--header", f"Inference-Header-Content-Length: {header_length}",
            "--header", "Content-Type: application/octet-stream",
            "--data-binary", f"@{request}",
            "--dump-header", "-", "--output", str(response),
            client.url,
        ]  # fmt: skip
        return cls(body[:header_length].decode(), command, response)

    def send(self) -> Keypoints:
        """Run the command; the keypoints of the answer. Raises CurlError."""
        self.response.unlink(missing_ok=True)
        try:
            run = subprocess.run(self.command, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise CurlError("curl is not installed") from error
        answer = self.response.read_bytes() if self.response.exists() else b""
        header_length = re.search(
            r"^Inference-Header-Content-Length: (\d+)", run.stdout, re.I | re.M
        )
        if run.returncode != 0 or header_length is None:
            text = f"curl ended with status {run.returncode}: {run.stderr}"
            raise CurlError(text + answer[:1000].decode(errors="replace"))
        return _keypoints(
            http.InferResult.from_response_body(answer, header_length=int(header_length[1]))
        )


def _keypoints(result: http.InferResult) -> Keypoints:
    keypoints: Keypoints = result.as_numpy("KEYPOINTS")
    return keypoints.reshape(-1, 3)
