"""Calls over gRPC that both servers are sent."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from corpus.services import REGION, REGION_BYTES

Input = pb.ModelInferRequest.InferInputTensor
Output = pb.ModelInferRequest.InferRequestedOutputTensor
THREE = struct.pack("<3f", 1.5, -2, 3)


@dataclass(frozen=True)
class RpcExchange:
    """One call.

    Attributes:
        name: unlike any other's.
        method: of the service; the messages of a stream are several.
        metadata: of the call.
    """

    name: str
    method: str
    messages: tuple[Any, ...]
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def changes_models(self) -> bool:
        """Whether what is loaded may be another after it."""
        return self.method.startswith("RepositoryModel")


def call(name: str, method: str, message: Any) -> RpcExchange:
    """One with one message."""
    return RpcExchange(f"rpc {name}", method, (message,))


def reads() -> Iterator[RpcExchange]:
    """What changes nothing."""
    yield call("live", "ServerLive", pb.ServerLiveRequest())
    yield call("ready", "ServerReady", pb.ServerReadyRequest())
    yield call("server metadata", "ServerMetadata", pb.ServerMetadataRequest())
    versions = ("", "1", "3", "7", "x", "-1", "0", "1.0", " 1", str(2**70))
    kinds = {
        "ModelReady": pb.ModelReadyRequest,
        "ModelMetadata": pb.ModelMetadataRequest,
        "ModelConfig": pb.ModelConfigRequest,
        "ModelStatistics": pb.ModelStatisticsRequest,
    }
    for method, kind in kinds.items():
        for model in ("nobody", "broken", "a/b", 'q"ü'):
            yield call(f"{method} {model}", method, kind(name=model))
        for version in versions:
            named = kind(name="versions", version=version)
            yield call(f"{method} version '{version}'", method, named)
    for method in ("ModelReady", "ModelMetadata", "ModelConfig"):
        yield call(f"{method} of no name", method, kinds[method]())
    for model in ("plain", "batched", "pair", "optional", "text", "classes", "chain", "repeat"):
        yield call(f"metadata {model}", "ModelMetadata", pb.ModelMetadataRequest(name=model))
        yield call(f"config {model}", "ModelConfig", pb.ModelConfigRequest(name=model))
    yield call("index", "RepositoryIndex", pb.RepositoryIndexRequest())
    yield call("index ready", "RepositoryIndex", pb.RepositoryIndexRequest(ready=True))
    named = pb.RepositoryIndexRequest(repository_name="main")
    yield call("index of a repository", "RepositoryIndex", named)


def tensor(shape: list[int], datatype: str = "FP32", name: str = "INPUT0", **contents: Any) -> Any:
    """An input."""
    made = Input(name=name, datatype=datatype, shape=shape)
    if contents:
        made.contents.CopyFrom(pb.InferTensorContents(**contents))
    return made


def asking(model: str, *inputs: Any, raw: tuple[bytes, ...] = (), **fields: Any) -> Any:
    """An inference request."""
    return pb.ModelInferRequest(model_name=model, inputs=inputs, raw_input_contents=raw, **fields)


def good(**fields: Any) -> Any:
    """One that is answered."""
    return asking("plain", tensor([3]), raw=(THREE,), **fields)


def requests() -> Iterator[tuple[str, Any]]:
    """Inference requests, for a call or a stream."""
    yield "good", good()
    yield "with an id", good(id='an "id" ü')
    yield "typed", asking("plain", tensor([3], fp32_contents=[1.5, -2, 3]))
    yield "nobody", asking("nobody", tensor([3]), raw=(THREE,))
    yield "of no name", asking("", tensor([3]), raw=(THREE,))
    yield "not loaded", asking("broken", tensor([3]), raw=(THREE,))
    for version in ("1", "3", "2", "x", str(2**70)):
        sent = asking("versions", tensor([1]), raw=(THREE[:4],), model_version=version)
        yield f"version {version}", sent
    yield "nothing", asking("plain")
    yield "no data", asking("plain", tensor([3]))
    yield "both kinds", asking("plain", tensor([3], fp32_contents=[1, 2, 3]), raw=(THREE,))
    yield "fragments", asking("plain", tensor([3]), raw=(THREE[:4], THREE[4:]))
    yield "more contents than inputs", asking("plain", tensor([3]), raw=(THREE, THREE))
    pair = (tensor([1, 2], "INT32"), tensor([1, 1], "FP32", "INPUT1"))
    yield "two inputs", asking("pair", *pair, raw=(THREE[:8], THREE[:4]))
    yield "fewer contents than inputs", asking("pair", *pair, raw=(THREE[:8],))
    yield "one of two", asking("pair", pair[0], raw=(THREE[:8],))
    yield "too few bytes", asking("plain", tensor([3]), raw=(THREE[:8],))
    yield "too many bytes", asking("plain", tensor([3]), raw=(THREE + THREE,))
    yield "too few typed", asking("plain", tensor([3], fp32_contents=[1]))
    yield "too many typed", asking("plain", tensor([3], fp32_contents=[1] * 9))
    yield "typed of another type", asking("plain", tensor([3], int_contents=[1, 2, 3]))
    yield from typed()
    overflowing = asking("any_int8", tensor([1], "INT8", int_contents=[300]))
    yield "typed INT8 of 300", overflowing
    yield "wrong datatype", asking("plain", tensor([3], "INT32"), raw=(THREE,))
    yield "unknown datatype", asking("plain", tensor([3], "FP33"), raw=(THREE,))
    yield "wrong shape", asking("plain", tensor([4]), raw=(THREE + THREE[:4],))
    yield "wrong name", asking("plain", tensor([3], name="X"), raw=(THREE,))
    yield "negative shape", asking("batched", tensor([1, -3]), raw=(THREE,))
    yield "input twice", asking("plain", tensor([3]), tensor([3]), raw=(THREE, THREE))
    yield "too many rows", asking("batched", tensor([9, 0]), raw=(b"",))
    yield "an ensemble", asking("chain", tensor([1, 3], name="IN"), raw=(THREE,))
    yield "unknown output", good(outputs=[Output(name="X")])
    for value in (1, 2, 100, 0, -1):
        classes = Output(name="OUTPUT0")
        classes.parameters["classification"].int64_param = value
        scores = struct.pack("<4f", 3, 1, 4, 2)
        sent = asking("classes", tensor([4]), raw=(scores,), outputs=[classes])
        yield f"classification {value}", sent
    yield "BYTES cut off", asking("any_bytes", tensor([1], "BYTES"), raw=(b"\5\0\0\0ab",))
    yield from parameters()


def typed() -> Iterator[tuple[str, Any]]:
    """Typed contents of every datatype."""
    for datatype, contents in (
        ("BOOL", {"bool_contents": [True, False]}),
        ("INT8", {"int_contents": [-128, 127]}),
        ("INT16", {"int_contents": [-1, 2]}),
        ("INT32", {"int_contents": [-1, 2]}),
        ("INT64", {"int64_contents": [-1, 2**40]}),
        ("UINT8", {"uint_contents": [1, 255]}),
        ("UINT16", {"uint_contents": [1, 2]}),
        ("UINT32", {"uint_contents": [1, 2]}),
        ("UINT64", {"uint64_contents": [1, 2**63]}),
        ("FP32", {"fp32_contents": [0.5, 2]}),
        ("FP64", {"fp64_contents": [0.5, 2]}),
        ("BYTES", {"bytes_contents": [b"", b"ab"]}),
        ("FP16", {"fp32_contents": [0.5, 2]}),
    ):
        sent = asking(f"any_{datatype.lower()}", tensor([2], datatype, **contents))
        yield f"typed {datatype}", sent


def parameters() -> Iterator[tuple[str, Any]]:
    """Parameters of requests, right and wrong ones."""
    values = {
        "bool": {"bool_param": True},
        "int64": {"int64_param": 1},
        "negative": {"int64_param": -1},
        "string": {"string_param": "1"},
        "double": {"double_param": 1.5},
        "uint64": {"uint64_param": 1},
    }
    for name in (
        "custom",
        "priority",
        "timeout",
        "sequence_id",
        "sequence_start",
        "triton_any",
        "triton_enable_empty_final_response",
    ):
        for kind, value in values.items():
            # Sequences are another matter than their parameters.
            if name == "sequence_id" and kind in ("int64", "string", "uint64", "negative"):
                continue
            sent = good()
            sent.parameters[name].CopyFrom(pb.InferParameter(**value))
            yield f"parameter {name} {kind}", sent


def repeat(count: int) -> Any:
    """A request to the decoupled model."""
    given = [
        tensor([count], "INT32", "IN"),
        tensor([count], "UINT32", "DELAY"),
        tensor([1], "UINT32", "WAIT"),
    ]
    numbers = struct.pack(f"<{count}i", *range(count))
    return asking("repeat", *given, raw=(numbers, bytes(4 * count), bytes(4)), id="r")


def inference() -> Iterator[RpcExchange]:
    """Each request as a call and as the only one of a stream, and longer streams."""
    for name, sent in requests():
        yield call(f"infer {name}", "ModelInfer", sent)
        yield RpcExchange(f"stream {name}", "ModelStreamInfer", (sent,))
    yield call("infer decoupled", "ModelInfer", repeat(1))
    yield RpcExchange("stream of nothing", "ModelStreamInfer", ())
    wrong = asking("nobody", tensor([3]), raw=(THREE,), id="w")
    several = (good(id="1"), wrong, good(id="2"))
    yield RpcExchange("stream with an error", "ModelStreamInfer", several)
    status = (("triton_grpc_error", "true"),)
    yield RpcExchange("stream with a status", "ModelStreamInfer", several, status)
    for count in (0, 1, 3):
        yield RpcExchange(f"stream decoupled {count}", "ModelStreamInfer", (repeat(count),))
        asked = repeat(count)
        asked.parameters["triton_enable_empty_final_response"].bool_param = True
        yield RpcExchange(f"stream decoupled {count} and its end", "ModelStreamInfer", (asked,))
    asked = good()
    asked.parameters["triton_enable_empty_final_response"].bool_param = True
    yield RpcExchange("stream with its end", "ModelStreamInfer", (asked,))


def settings() -> Iterator[RpcExchange]:
    """Traces and the log."""
    yield call("trace", "TraceSetting", pb.TraceSettingRequest())
    yield call("trace of a model", "TraceSetting", pb.TraceSettingRequest(model_name="plain"))
    yield call("trace of nobody", "TraceSetting", pb.TraceSettingRequest(model_name="nobody"))
    for name, values in (
        ("trace_rate", ["9"]),
        ("trace_rate", ["x"]),
        ("trace_rate", ["1", "2"]),
        ("trace_level", ["TIMESTAMPS"]),
        ("trace_level", ["OFF"]),
        ("trace_count", ["-1"]),
        ("trace_count", ["-2"]),
        ("trace_file", ["/tmp/x"]),
        ("trace_any", ["1"]),
        ("trace_rate", []),
    ):
        sent = pb.TraceSettingRequest()
        sent.settings[name].value.extend(values)
        yield call(f"trace {name} {values}", "TraceSetting", sent)
    yield call("log", "LogSettings", pb.LogSettingsRequest())
    log: list[tuple[str, dict[str, Any]]] = [
        ("log_info", {"bool_param": False}),
        ("log_info", {"bool_param": True}),
        ("log_info", {"string_param": "x"}),
        ("log_verbose_level", {"uint32_param": 1}),
        ("log_verbose_level", {"uint32_param": 0}),
        ("log_verbose_level", {"bool_param": True}),
        ("log_format", {"string_param": "ISO8601"}),
        ("log_format", {"string_param": "default"}),
        ("log_format", {"string_param": "xml"}),
        ("log_file", {"string_param": "/tmp/x"}),
        ("log_any", {"bool_param": True}),
    ]
    for name, value in log:
        sent = pb.LogSettingsRequest()
        ((kind, setting),) = value.items()
        setattr(sent.settings[name], kind, setting)
        yield call(f"log {name} {kind} {setting}", "LogSettings", sent)


def shared_memory() -> Iterator[RpcExchange]:
    """Regions of system and CUDA memory."""
    status, register = "SystemSharedMemoryStatus", "SystemSharedMemoryRegister"
    unregister = "SystemSharedMemoryUnregister"
    yield call("shm", status, pb.SystemSharedMemoryStatusRequest())
    yield call("shm of nobody", status, pb.SystemSharedMemoryStatusRequest(name="nobody"))
    for what, fields in (
        ("no key", {"name": "g", "byte_size": 8}),
        ("no object", {"name": "g", "key": "/despina_nothing", "byte_size": 8}),
        ("beyond its end", {"name": "g", "key": REGION, "byte_size": REGION_BYTES * 100_000}),
        ("right", {"name": "g", "key": REGION, "byte_size": REGION_BYTES}),
        ("twice", {"name": "g", "key": REGION, "byte_size": REGION_BYTES}),
    ):
        yield call(f"shm {what}", register, pb.SystemSharedMemoryRegisterRequest(**fields))
    yield call("shm of one", status, pb.SystemSharedMemoryStatusRequest(name="g"))
    for what, region, size, offset in (
        ("region", "g", 12, 0),
        ("unknown region", "x", 12, 0),
        ("region, too large", "g", 12, REGION_BYTES),
        ("region, too small", "g", 8, 0),
    ):
        given = tensor([3])
        given.parameters["shared_memory_region"].string_param = region
        given.parameters["shared_memory_byte_size"].int64_param = size
        given.parameters["shared_memory_offset"].int64_param = offset
        yield call(f"infer {what}", "ModelInfer", asking("plain", given))
    for what, name in (("end", "g"), ("end again", "g"), ("end of all", "")):
        sent = pb.SystemSharedMemoryUnregisterRequest(name=name)
        yield call(f"shm {what}", unregister, sent)
    # Triton takes it, and then has no other region of this object.
    sent = pb.SystemSharedMemoryRegisterRequest(key=REGION, byte_size=8)
    yield call("shm no name", register, sent)
    sent = pb.SystemSharedMemoryUnregisterRequest()
    yield call("shm end of no name", unregister, sent)
    yield call("cuda", "CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest())
    yield call("cuda of one", "CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest(name="c"))
    sent = pb.CudaSharedMemoryRegisterRequest(name="c", raw_handle=bytes(64), byte_size=8)
    yield call("cuda register", "CudaSharedMemoryRegister", sent)
    sent = pb.CudaSharedMemoryUnregisterRequest(name="c")
    yield call("cuda end", "CudaSharedMemoryUnregister", sent)


def repository() -> Iterator[RpcExchange]:
    """Loads and unloads, at the end of which all is as before."""
    load, unload = "RepositoryModelLoad", "RepositoryModelUnload"
    Load, Unload = pb.RepositoryModelLoadRequest, pb.RepositoryModelUnloadRequest  # noqa: N806
    yield call("load nobody", load, Load(model_name="nobody"))
    yield call("load of no name", load, Load())
    yield call("load in a repository", load, Load(model_name="other", repository_name="main"))
    for what, name, value in (
        ("unknown parameter", "any", {"string_param": "x"}),
        ("config no JSON", "config", {"string_param": "{"}),
        ("config of another type", "config", {"bool_param": True}),
        ("file without config", "file:1/x", {"bytes_param": b"x"}),
        ("file of another type", "file:1/x", {"string_param": "x"}),
    ):
        sent = Load(model_name="other")
        sent.parameters[name].CopyFrom(pb.ModelRepositoryParameter(**value))
        yield call(f"load {what}", load, sent)
    yield call("load other", load, Load(model_name="other"))
    yield call("unload nobody", unload, Unload(model_name="nobody"))
    wrong = Unload(model_name="other")
    wrong.parameters["unload_dependents"].string_param = "x"
    yield call("unload dependents of a wrong type", unload, wrong)
    yield call("unload other", unload, Unload(model_name="other"))
    yield call("ready of it", "ModelReady", pb.ModelReadyRequest(name="other"))
    yield call("load it again", load, Load(model_name="other"))


def unknown() -> Iterator[RpcExchange]:
    """What is no call of the service."""
    yield RpcExchange("rpc unknown method", "Nothing", (pb.ServerLiveRequest(),))


RPC_EXCHANGES: list[RpcExchange] = [
    *reads(),
    *inference(),
    *settings(),
    *shared_memory(),
    *repository(),
    *unknown(),
]
"""In the order in which they are to be sent."""
