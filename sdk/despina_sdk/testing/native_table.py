"""The functions of ``despina_host_api``, over what the handles stand for."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from despina_sdk.backend import ParameterValue
from despina_sdk.cmake import include_folder
from despina_sdk.errors import BackendError, Code
from despina_sdk.metrics import Metrics
from despina_sdk.testing import abi
from despina_sdk.testing.native_requests import BatchHandle, Handles, RequestHandle, shape_of

logger = logging.getLogger("despina.backend")
"""To which a backend's lines go, and what the server would say in its log."""

LEVELS = {
    abi.NUMBERS["DESPINA_LOG_ERROR"]: logging.ERROR,
    abi.NUMBERS["DESPINA_LOG_WARNING"]: logging.WARNING,
    abi.NUMBERS["DESPINA_LOG_INFO"]: logging.INFO,
    abi.NUMBERS["DESPINA_LOG_VERBOSE"]: logging.DEBUG,
}
MARKS = {abi.NUMBERS["DESPINA_COMPUTE_STARTS"], abi.NUMBERS["DESPINA_COMPUTE_ENDS"]}


class NoCompilerError(RuntimeError):
    """The kit needs a C compiler for native backends, and there is none."""


class CompilerError(NoCompilerError):
    """What the C compiler should have made for the kit is not there, or cannot be loaded."""


class ModelMetrics:
    """What ``despina_metrics`` stands for: the metrics of one model.

    Attributes:
        numbers: the handles of its series, by the series.
    """

    def __init__(self, metrics: Metrics) -> None:
        """Makes them in these."""
        self.metrics = metrics
        self.numbers: dict[int, int] = {}


class Metric:
    """What ``despina_metric`` stands for."""

    def __init__(self, series: Any) -> None:
        """One series."""
        self.series = series


class HostTable:
    """The table for all native backends of the process.

    Attributes:
        api: for the libraries.
        handles: what they are given numbers of.
    """

    def __init__(self) -> None:
        """Makes it.

        Raises:
            NoCompilerError: there is no C compiler, or none that works.
        """
        self.handles = Handles()
        self._kept: list[Any] = []
        self._by_value = _compiled_by_value()
        self.api = abi.HostApi(
            struct_size=ctypes.sizeof(abi.HostApi),
            abi_major=abi.NUMBERS["DESPINA_ABI_MAJOR"],
            abi_minor=abi.NUMBERS["DESPINA_ABI_MINOR"],
            abi_hash=abi.NUMBERS["DESPINA_ABI_HASH"],
        )
        types = dict(abi.HostApi._fields_)
        for name, kind in types.items():
            if (function := getattr(self, f"_{name}", None)) is None:
                continue
            if kind is ctypes.c_void_p:
                setattr(self.api, name, self._returning_structure(name, function))
            elif kind._restype_ is ctypes.c_int32 and kind._argtypes_[-1]._type_ is abi.Error:
                setattr(self.api, name, kind(_reporting(function)))
            else:
                setattr(self.api, name, kind(_logging(name, function)))

    def _returning_structure(self, name: str, function: Callable[..., None]) -> int | None:
        """The address of the C function that gives back what this one fills in."""
        out = {"request_id": abi.Str, "request_parameter": abi.Parameter}[name]
        index = [ctypes.c_size_t] if name == "request_parameter" else []
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *index, ctypes.POINTER(out))
        callback = kind(_logging(name, function))
        self._kept.append(callback)
        address = ctypes.cast(callback, ctypes.c_void_p).value
        ctypes.c_void_p.in_dll(self._by_value, f"fill_{name}").value = address
        return ctypes.cast(getattr(self._by_value, name), ctypes.c_void_p).value

    def _request(self, number: int) -> RequestHandle:
        found: RequestHandle = self.handles.find(RequestHandle, number)
        return found

    def _batch(self, number: int) -> BatchHandle:
        found: BatchHandle = self.handles.find(BatchHandle, number)
        return found

    # ---- of the server

    def _log(self, level: int, text: abi.Str) -> None:
        logger.log(LEVELS.get(level, logging.INFO), "%s", abi.decoded(text))

    def _query(self, name: abi.Str) -> None:
        return None

    # ---- of a batch

    def _batch_size(self, batch: int) -> int:
        return len(self._batch(batch).batch.requests)

    def _batch_rows(self, batch: int) -> int:
        return self._batch(batch).batch.rows

    def _batch_request(self, batch: int, i: int) -> int:
        return self._batch(batch).number(i)

    def _batch_gather(
        self, batch: int, index: int, device: abi.Device, stream: int, out: Any
    ) -> None:
        if device.type != abi.CPU:
            text = f"there is no memory on devices of type {device.type}: ask for the CPU"
            raise BackendError(Code.UNIMPLEMENTED, text)
        out[0] = self._batch(batch).gather(index)

    def _batch_allocate(
        self, batch: int, index: int, datatype: abi.Datatype, shape: Any, ndim: int, out: Any
    ) -> None:
        self._allocate(self._batch(batch), index, datatype, shape, ndim, out)

    def _batch_give(self, batch: int, index: int, stream: int, tensor: Any) -> None:
        self._give(self._batch(batch), index, tensor.contents)

    def _batch_send(self, batch: int) -> None:
        for request in self._batch(batch).unanswered():
            request.send()

    def _batch_complete(self, batch: int, code: int, message: abi.Str) -> None:
        for request in self._batch(batch).unanswered():
            request.complete(code, abi.decoded(message))

    # ---- of a request

    def _request_id(self, request: int, out: Any) -> None:
        handle = self._request(request)
        out[0] = handle.lent.text(handle.look().id)

    def _request_rows(self, request: int) -> int:
        return self._request(request).look().rows

    def _request_parameter_count(self, request: int) -> int:
        return len(self._request(request).look()._parameters)

    def _request_parameter(self, request: int, i: int, out: Any) -> None:
        handle = self._request(request)
        name, value = list(handle.look()._parameters.items())[i]
        out[0] = _parameter(name, value, handle.lent)

    def _request_cancelled(self, request: int) -> int:
        return int(self._request(request).look()._cancelled)

    def _request_wants(self, request: int, index: int) -> int:
        handle = self._request(request)
        handle.look()
        return int(index < len(handle.signature.outputs))

    def _request_input(self, request: int, index: int, out: Any) -> None:
        out[0] = self._request(request).input(index)

    def _request_allocate(
        self, request: int, index: int, datatype: abi.Datatype, shape: Any, ndim: int, out: Any
    ) -> None:
        self._allocate(self._request(request), index, datatype, shape, ndim, out)

    def _request_give(self, request: int, index: int, stream: int, tensor: Any) -> None:
        self._give(self._request(request), index, tensor.contents)

    def _request_set_parameter(self, request: int, parameter: Any) -> None:
        name, value = _value(parameter.contents)
        handle = self._request(request)
        handle.look()
        handle.answer_parameters[name] = value

    def _request_send(self, request: int) -> None:
        self._request(request).send()

    def _request_detach(self, request: int) -> None:
        self._request(request).detach()

    def _request_complete(self, request: int, code: int, message: abi.Str) -> None:
        self._request(request).complete(code, abi.decoded(message))

    # ---- statistics and metrics

    def _batch_mark(self, batch: int, mark: int) -> None:
        for request in self._batch(batch).unanswered():
            _mark(request, mark)

    def _request_mark(self, request: int, mark: int) -> None:
        _mark(self._request(request), mark)

    def _metric_create(self, metrics: int, spec: Any, out: Any) -> None:
        model: ModelMetrics = self.handles.find(ModelMetrics, metrics)
        series = _series(model.metrics, spec.contents)
        if id(series) not in model.numbers:
            model.numbers[id(series)] = self.handles.add(Metric(series))
        out[0] = model.numbers[id(series)]

    def _metric_add(self, metric: int, value: float) -> None:
        self.handles.find(Metric, metric).series.add(value)

    def _metric_set(self, metric: int, value: float) -> None:
        self.handles.find(Metric, metric).series.set(value)

    def _metric_observe(self, metric: int, value: float) -> None:
        self.handles.find(Metric, metric).series.observe(value)

    # ---- of both

    def _allocate(
        self,
        handle: BatchHandle | RequestHandle,
        index: int,
        datatype: abi.Datatype,
        shape: Any,
        ndim: int,
        out: Any,
    ) -> None:
        name = abi.name_of(datatype)
        block = handle.allocate(index, name, shape_of(shape, ndim))
        device = abi.Device(abi.CPU, 0)
        out[0] = abi.Tensor(block.address, shape, ndim, datatype, device, block.bytes.size)

    def _give(
        self, handle: BatchHandle | RequestHandle, index: int, tensor: abi.TensorOwned
    ) -> None:
        handle.give(index, tensor)


def _reporting(function: Callable[..., None]) -> Callable[..., int]:
    """A function that gives a code and fills in the error."""

    def call(*arguments: Any) -> int:
        *given, out = arguments
        try:
            function(*given)
        except BackendError as error:
            return report(out, error.code, error.message)
        except BaseException as error:  # nothing may cross
            logger.exception("the kit has failed")
            return report(out, Code.INTERNAL, f"{type(error).__name__}: {error}")
        return abi.OK

    return call


def _logging(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that cannot fail: what is wrong goes to the log."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (BackendError, ValueError, IndexError) as error:
            logger.error("%s: %s", name, error)
        except BaseException:  # nothing may cross
            logger.exception("the kit has failed in %s", name)
        return None if name in _GIVES_NOTHING else 0

    return call


_GIVES_NOTHING = {
    name
    for name, kind in abi.HostApi._fields_
    if getattr(kind, "_restype_", None) in (None, ctypes.c_void_p)
}


def report(out: Any, code: Code, message: str) -> int:
    """Fills in an error, which may be NULL."""
    if out:
        text = message.encode()[: abi.Error.message.size - 1]
        out[0] = abi.Error(code, text)
    return int(code)


def _mark(request: RequestHandle, mark: int) -> None:
    request.look()
    if mark not in MARKS:
        raise BackendError(Code.INVALID_ARGUMENT, f"there is no mark {mark}")


_PARAMETERS: tuple[tuple[type, str, str], ...] = (
    (bool, "DESPINA_PARAMETER_BOOL", "as_bool"),
    (int, "DESPINA_PARAMETER_INT", "as_int"),
    (float, "DESPINA_PARAMETER_DOUBLE", "as_double"),
    (str, "DESPINA_PARAMETER_TEXT", "as_text"),
)


def _parameter(name: str, value: ParameterValue, lent: abi.Lent) -> abi.Parameter:
    _, kind, member = next(each for each in _PARAMETERS if isinstance(value, each[0]))
    out = abi.Parameter(name=lent.text(name), type=abi.NUMBERS[kind])
    setattr(out.value, member, lent.text(value) if isinstance(value, str) else value)
    return out


def _value(parameter: abi.Parameter) -> tuple[str, ParameterValue]:
    name = abi.decoded(parameter.name)
    for kind, number, member in _PARAMETERS:
        if parameter.type == abi.NUMBERS[number]:
            value = getattr(parameter.value, member)
            return name, abi.decoded(value) if isinstance(value, abi.Str) else kind(value)
    text = f"parameter '{name}' has type {parameter.type}, which there is not"
    raise BackendError(Code.INVALID_ARGUMENT, text)


def _series(metrics: Metrics, spec: abi.MetricSpec) -> Any:
    name, help = abi.decoded(spec.name), abi.decoded(spec.help)
    pairs = [spec.labels[i] for i in range(spec.label_count)]
    labels = {abi.decoded(each.key): abi.decoded(each.value) for each in pairs}
    if spec.kind == abi.NUMBERS["DESPINA_METRIC_COUNTER"]:
        return metrics.counter(name, help, labels)
    if spec.kind == abi.NUMBERS["DESPINA_METRIC_GAUGE"]:
        return metrics.gauge(name, help, labels)
    if spec.kind == abi.NUMBERS["DESPINA_METRIC_HISTOGRAM"]:
        return metrics.histogram(name, help, spec.bounds[: spec.bound_count], labels)
    raise BackendError(Code.INVALID_ARGUMENT, f"metric '{name}': there is no kind {spec.kind}")


def _compiled_by_value() -> ctypes.CDLL:
    """The functions of ``by_value.c``.

    Raises:
        NoCompilerError: there is no C compiler, or none that works.
    """
    names = (os.environ.get("CC", "cc"), "gcc", "clang")
    compiler = next(filter(None, map(shutil.which, names)), None)
    if compiler is None:
        raise NoCompilerError(f"no C compiler ({', '.join(names)}) is installed")
    source = Path(__file__).with_name("by_value.c")
    try:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "by_value.so"
            command = [compiler, "-std=c11", "-shared", "-fPIC", f"-I{include_folder()}"]
            command += ["-o", str(library), str(source)]
            subprocess.run(command, check=True, capture_output=True, text=True)
            return ctypes.CDLL(str(library))
    except subprocess.CalledProcessError as failure:
        text = f"the C compiler '{compiler}' does not work: {failure.stderr.strip()}"
        raise CompilerError(text) from None
    except OSError as error:  # such as a folder of which nothing may be executed
        text = f"what the C compiler '{compiler}' makes cannot be used: {error}"
        raise CompilerError(text) from None
