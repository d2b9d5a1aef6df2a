"""Traces of requests over gRPC: when the message had come, when the answer went."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import grpc
import pytest
from harness.grpc_calls import behave, opened, stub
from harness.repository import add_model, fixture
from harness.serve import Serve

RUN = [
    *("GRPC_WAITREAD_START", "GRPC_WAITREAD_END", "REQUEST_START", "QUEUE_START"),
    *("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"),
    *("INFER_RESPONSE_COMPLETE", "REQUEST_END", "GRPC_SEND_START", "GRPC_SEND_END"),
]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    add_model(folder, "behaviour", fixture("behaviour"))
    return folder


def stamps_by_request(file: Path) -> dict[str, list[tuple[str, int]]]:
    """What the file says, by the requests' ids."""
    names, stamps = {}, defaultdict(list)
    for entry in json.loads(file.read_text()):
        if "model_name" in entry:
            names[entry["id"]] = entry["request_id"]
        for stamp in entry.get("timestamps", []):
            stamps[entry["id"]].append((stamp["name"], stamp["ns"]))
    return {names[number]: found for number, found in stamps.items()}


def test_the_file_tells_of_calls_and_of_requests_on_streams(
    repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "traces.json"
    settings = ("rate=1", "level=TIMESTAMPS", f"triton,file={file}")
    flags = [f"--trace-config={each}" for each in settings]
    with Serve(repository, tmp_path, *flags) as server, opened(server.grpc_port) as channel:
        service = stub(channel)
        service.ModelInfer(behave("double", id="call"))
        with pytest.raises(grpc.RpcError):
            service.ModelInfer(behave("raise", id="failed"))
        streamed = [behave("double", id="first"), behave("raise", id="second")]
        assert len(list(service.ModelStreamInfer(iter(streamed)))) == 2
        assert server.stop() == 0, server.stderr
    found = stamps_by_request(file)
    assert set(found) == {"call", "failed", "first", "second"}
    for stamps in found.values():
        assert [name for name, _ in stamps] == RUN
        times = [when for _, when in stamps]
        assert times == sorted(times)


def test_the_context_of_a_client_decides(repository: Path, tmp_path: Path) -> None:
    # Nothing is sampled but what clients ask for.
    settings = ("rate=0", "level=TIMESTAMPS", "mode=opentelemetry")
    flags = [f"--trace-config={each}" for each in settings]
    flags.append("--trace-config=opentelemetry,url=http://127.0.0.1:9/v1/traces")
    with Serve(repository, tmp_path, *flags) as server, opened(server.grpc_port) as channel:
        asked = behave("trace", id="asked")
        answer = stub(channel).ModelInfer(asked, metadata=(("traceparent", PARENT),))
        given = answer.parameters["traceparent"].string_param
        assert given.startswith("00-0af7651916cd43dd8448eb211c80319c-")
        assert given != PARENT
        assert "traceparent" not in stub(channel).ModelInfer(asked).parameters
        server.stop()
