"""Traces of requests: files in Triton's form, and spans that a collector gets."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from harness.raw_http import Connection, json_infer, request
from harness.repository import add_model, ensemble, fixture, step, tensor
from harness.serve import Serve
from harness.waiting import wait_until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import despina

FRONT = ["HTTP_RECV_START", "HTTP_RECV_END"]
QUEUED = ["REQUEST_START", "QUEUE_START"]
COMPUTE = ["COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"]
SENT = ["HTTP_SEND_START", "HTTP_SEND_END"]
RUN = [*FRONT, *QUEUED, *COMPUTE, "INFER_RESPONSE_COMPLETE", "REQUEST_END", *SENT]

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model, and an ensemble of it twice."""
    folder = tmp_path / "models"
    add_model(folder, "one", fixture("behaviour"))
    tensors = [tensor("X", "FP32", [-1])], [tensor("Y", "FP32", [-1])]
    steps = [step("one", {"X": "X"}, {"Y": "Z"}), step("one", {"X": "Z"}, {"Y": "Y"})]
    add_model(folder, "twice", ensemble(*tensors, steps))
    return folder


def send(server: Serve, model: str, name: str, behaviour: str = "double", **headers: object) -> int:
    x = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2.5]}
    document = {"id": name, "inputs": [x], "parameters": {"behaviour": behaviour}}
    with Connection(server.port) as connection:
        return connection.exchange(json_infer(model, document, headers)).status


class Traced:
    """What a file says of one request or step."""

    def __init__(self) -> None:
        self.about: dict[str, Any] = {}
        self.stamps: list[tuple[str, int]] = []
        self.tensors: list[tuple[str, dict[str, str]]] = []

    @property
    def activities(self) -> list[str]:
        return [name for name, _ in self.stamps]


def read(file: Path) -> dict[int, Traced]:
    """By number, in the order of the file."""
    traces: dict[int, Traced] = defaultdict(Traced)
    for entry in json.loads(file.read_text()):
        trace = traces[entry["id"]]
        if "model_name" in entry:
            trace.about = entry
        for stamp in entry.get("timestamps", []):
            trace.stamps.append((stamp["name"], stamp["ns"]))
        if "tensor" in entry:
            trace.tensors.append((entry["activity"], entry["tensor"]))
    return traces


def by_request(traces: dict[int, Traced]) -> dict[str, Traced]:
    """Those that are no steps."""
    return {
        each.about["request_id"]: each
        for each in traces.values()
        if each.about and "parent_id" not in each.about
    }


def flags(file: Path, *more: str) -> list[str]:
    given = ["rate=1", "level=TIMESTAMPS", f"triton,file={file}", *more]
    return [f"--trace-config={each}" for each in given]


def test_the_file_tells_of_each_request_and_each_step(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    with Serve(repository, tmp_path, *flags(file)) as server:
        assert send(server, "one", "plain") == 200
        assert send(server, "one", "failed", "raise") == 500
        assert send(server, "twice", "steps") == 200
        assert server.stop() == 0, server.stderr
    traces = read(file)
    found = by_request(traces)
    assert found["plain"].about["model_name"] == "one"
    assert found["plain"].about["model_version"] == 1
    for name in ("plain", "failed"):
        assert found[name].activities == RUN
    for trace in traces.values():
        times = [when for _, when in trace.stamps]
        assert times == sorted(times)
    whole = found["steps"]
    assert whole.activities == [each for each in RUN if each not in COMPUTE]
    steps = [each for each in traces.values() if each.about.get("parent_id") == whole.about["id"]]
    assert [each.about["model_name"] for each in steps] == ["one", "one"]
    assert [each.about["request_id"] for each in steps] == ["steps", "steps"]
    for each in steps:
        assert each.activities == [*QUEUED, *COMPUTE, "REQUEST_END"]
    first, second = (dict(each.stamps) for each in steps)
    assert first["REQUEST_END"] <= second["REQUEST_START"]
    assert second["REQUEST_END"] <= dict(whole.stamps)["REQUEST_END"]


def test_answers_in_parts_are_traced_too(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    generated = {"X": [1], "behaviour": "double"}
    with Serve(repository, tmp_path, *flags(file)) as server:
        for route in ("generate", "generate_stream"):
            body = json.dumps({"id": route, **generated}).encode()
            with Connection(server.port) as connection:
                sent = connection.exchange(request(f"/v2/models/one/{route}", body))
            assert sent.status == 200, sent.body
        assert send(server, "one", "events", Accept="text/event-stream") == 200
        assert server.stop() == 0, server.stderr
    found = by_request(read(file))
    assert sorted(found) == ["events", "generate", "generate_stream"]
    for name, trace in found.items():
        assert sorted(trace.activities) == sorted(RUN), name


def test_requests_of_the_same_process_are_traced_too(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    config = ["rate=2", "level=TIMESTAMPS", f"triton,file={file}"]
    x = {"X": np.ones((1, 2), np.float32)}
    with despina.Server(repository, trace_config=config) as server:
        for name in ("left out", "plain", "left out", "steps"):
            server.infer("twice" if name == "steps" else "one", x, request_id=name)
        list(server.stream("one", x, request_id="left out"))
        list(server.stream("one", x, request_id="streamed"))
        with pytest.raises(despina.DespinaError, match="unexpected inference input"):
            server.infer("one", {"Z": x["X"]}, request_id="refused")
    traces = read(file)
    found = by_request(traces)
    assert found.keys() == {"plain", "steps", "streamed"}
    whole = [*QUEUED, *COMPUTE, "INFER_RESPONSE_COMPLETE", "REQUEST_END"]
    assert found["plain"].activities == found["streamed"].activities == whole
    steps = [each for each in traces.values() if "parent_id" in each.about]
    assert len(steps) == 2


def test_tensors_are_written_where_that_is_asked_for(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    with Serve(repository, tmp_path, *flags(file, "level=TENSORS")) as server:
        assert send(server, "one", "plain") == 200
        assert send(server, "twice", "steps") == 200
        assert server.stop() == 0, server.stderr
    found = by_request(read(file))
    sent = {"name": "X", "data": "1,2.5", "shape": "1,2", "dtype": "FP32"}
    answered = {"name": "Y", "data": "2,5", "shape": "1,2", "dtype": "FP32"}
    assert found["plain"].tensors == [
        ("TENSOR_QUEUE_INPUT", sent),
        ("TENSOR_BACKEND_OUTPUT", answered),
    ]
    twice = {**answered, "data": "4,10"}
    assert found["steps"].tensors == [
        ("TENSOR_QUEUE_INPUT", sent),
        ("TENSOR_BACKEND_OUTPUT", twice),
    ]
    assert found["plain"].activities == RUN


def test_the_file_is_whole_while_the_server_runs(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    with Serve(repository, tmp_path, *flags(file)) as server:
        for number in range(3):
            send(server, "one", str(number))
            wait_until(lambda name=str(number): name in written(file))
    assert list(by_request(read(file))) == ["0", "1", "2"]


def written(file: Path) -> dict[str, Traced]:
    """Nothing where the file is met before its first trace, or amid one that is being written."""
    try:
        return by_request(read(file))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def test_a_file_has_as_many_traces_as_it_may(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    with Serve(repository, tmp_path, *flags(file, "triton,log-frequency=2")) as server:
        for number in range(5):
            send(server, "twice", str(number))
        assert server.stop() == 0
    names = [list(by_request(read(tmp_path / f"traces.json.{n}"))) for n in range(3)]
    assert names == [["0", "1"], ["2", "3"], ["4"]]
    assert not file.exists()


def test_rate_and_count_choose_requests(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    more = ["rate=3", "count=2"]
    with Serve(repository, tmp_path, *flags(file, *more)) as server:
        for number in range(1, 13):
            send(server, "one", str(number))
        assert server.stop() == 0
    assert list(by_request(read(file))) == ["3", "6"]


def test_the_older_flags_do_the_same_and_are_said_to_be_old(
    repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "traces.json"
    old = [f"--trace-file={file}", "--trace-level=TIMESTAMPS", "--trace-rate=1"]
    with Serve(repository, tmp_path, *old) as server:
        send(server, "one", "plain")
        assert server.stop() == 0
        assert f"--trace-file is deprecated: use --trace-config triton,file={file}" in server.stderr
    assert by_request(read(file))["plain"].activities == RUN


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("level=ALL", "level: 'ALL' is none of OFF, TIMESTAMPS, TENSORS"),
        ("level=TIMESTAMPS", "level=TIMESTAMPS needs a file: triton,file=PATH"),
        ("colour=red", "there is no key 'colour'"),
        ("triton,file=/nowhere/at/all", "the folder '/nowhere/at' cannot be written to"),
    ],
)
def test_what_cannot_be_traced_ends_the_start(
    repository: Path, tmp_path: Path, given: str, text: str
) -> None:
    with Serve(repository, tmp_path, f"--trace-config={given}", wait=False) as server:
        assert server.wait() == 1
        assert text in server.stderr


class Collector(http.server.ThreadingHTTPServer):
    """Takes what is exported, over HTTP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.requests: list[ExportTraceServiceRequest] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        super().__exit__(*args)

    def __enter__(self) -> Self:
        return self


class _Receiver(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keeps the output of the tests to itself."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as receiving:
        yield receiving


def exporting(collector: Collector, *more: str) -> list[str]:
    given = ["mode=opentelemetry", "level=TIMESTAMPS", f"opentelemetry,url={collector.url}", *more]
    return [f"--trace-config={each}" for each in given]


def tree(spans: list[Span]) -> dict[str, list[Span]]:
    """Spans by the path of their names from the root on."""
    by_id = {span.span_id: span for span in spans}
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        path, at = [span.name], span
        while at.parent_span_id in by_id:
            at = by_id[at.parent_span_id]
            path.append(at.name)
        found["/".join(reversed(path))].append(span)
    return found


def attributes(span: Span) -> dict[str, object]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


def test_a_collector_gets_spans_of_queue_batch_steps_and_backend(
    repository: Path, tmp_path: Path, collector: Collector
) -> None:
    more = [
        "rate=1",
        "opentelemetry,resource=deployment=test",
        "opentelemetry,bsp_schedule_delay=50",
    ]
    with Serve(repository, tmp_path, *exporting(collector, *more)) as server:
        send(server, "twice", "r1", traceparent=PARENT + "01", tracestate="k=v")
        assert server.stop() == 0, server.stderr
    found = tree(collector.spans())
    step_parts = ["queue", "compute", "compute/backend"]
    assert {path: len(spans) for path, spans in found.items()} == {
        "InferRequest": 1,
        "InferRequest/twice": 1,
        "InferRequest/twice/one": 2,
        **{f"InferRequest/twice/one/{part}": 2 for part in step_parts},
    }
    (root,) = found["InferRequest"]
    assert root.kind == Span.SPAN_KIND_SERVER
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    for span in collector.spans():
        assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
        assert span.trace_state == "k=v"
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert abs(span.start_time_unix_nano - time.time_ns()) < 600e9
    assert [each.name for each in root.events] == [*FRONT, "INFER_RESPONSE_COMPLETE", *SENT]
    (compute, _) = found["InferRequest/twice/one/compute"]
    assert [each.name for each in compute.events] == COMPUTE
    assert attributes(compute) == {
        "despina.batch_rows": 1,
        "despina.batch_requests": 1,
        "despina.instance": "one_0",
    }
    about = attributes(found["InferRequest/twice"][0])
    assert about["triton.model_name"] == "twice"
    assert about["triton.request_id"] == "r1"
    (resource,) = {
        each.resource_spans[0].resource.SerializeToString() for each in collector.requests
    }
    assert b"deployment" in resource
    assert b"service.name" in resource


def test_a_backend_can_hand_the_trace_on(
    repository: Path, tmp_path: Path, collector: Collector
) -> None:
    def asked(server: Serve) -> dict[str, str]:
        x = {"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}
        document = {"inputs": [x], "parameters": {"behaviour": "trace"}}
        headers = {"traceparent": PARENT + "01", "tracestate": "k=v"}
        with Connection(server.port) as connection:
            answer = connection.exchange(json_infer("one", document, headers))
        given: dict[str, str] = answer.json.get("parameters", {})
        return given

    with Serve(repository, tmp_path, *exporting(collector)) as server:
        given = asked(server)
        assert server.stop() == 0, server.stderr
    (compute,) = tree(collector.spans())["InferRequest/one/compute"]
    span = compute.span_id.hex()
    assert given == {
        "traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{span}-01",
        "tracestate": "k=v",
    }
    # A file is nothing that others could add to.
    with Serve(repository, tmp_path / "other", *flags(tmp_path / "traces.json")) as server:
        assert asked(server) == {}


def test_a_failed_request_is_an_error(
    repository: Path, tmp_path: Path, collector: Collector
) -> None:
    with Serve(repository, tmp_path, *exporting(collector, "rate=1")) as server:
        send(server, "one", "r1", "raise")
        assert server.stop() == 0, server.stderr
    found = tree(collector.spans())
    for path in ("InferRequest", "InferRequest/one", "InferRequest/one/compute"):
        (span,) = found[path]
        assert span.status.code == 2
        assert "raised on purpose" in span.status.message


def test_a_client_decides_for_its_own_requests(
    repository: Path, tmp_path: Path, collector: Collector
) -> None:
    with Serve(repository, tmp_path, *exporting(collector, "rate=0")) as server:
        send(server, "one", "not asked")
        send(server, "one", "no", traceparent=PARENT + "00")
        send(server, "one", "malformed", traceparent=PARENT + "0x")
        send(server, "one", "yes", traceparent=PARENT + "01")
        assert server.stop() == 0, server.stderr
    names = [attributes(each).get("triton.request_id") for each in collector.spans()]
    assert {name for name in names if name} == {"yes"}


def test_a_collector_that_is_not_there_keeps_nobody_waiting(
    repository: Path, tmp_path: Path
) -> None:
    config = ["mode=opentelemetry", "level=TIMESTAMPS", "rate=1"]
    config.append("opentelemetry,url=http://127.0.0.1:9/v1/traces")
    given = [f"--trace-config={each}" for each in config]
    with Serve(repository, tmp_path, *given, "--exit-timeout-secs=5") as server:
        assert send(server, "one", "r1") == 200
        started = time.monotonic()
        assert server.stop() == 0, server.stderr
        assert time.monotonic() - started < 30
