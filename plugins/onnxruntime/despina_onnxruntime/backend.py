"""Backend, model and instance: one ONNX session that all instances of a model share."""

from __future__ import annotations

import threading
from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]
from onnxruntime.capi.onnxruntime_pybind11_state import (  # type: ignore[import-untyped]
    InvalidArgument,
)

from despina_onnxruntime import model_file, settings, signature
from despina_onnxruntime.errors import reason_of, refusal
from despina_onnxruntime.tensors import to_array, to_bytes, to_text, to_value
from despina_sdk import (
    Array,
    Backend,
    BackendError,
    Batch,
    Code,
    Instance,
    Model,
    ModelSpec,
    Placement,
)


class OnnxRuntimeBackend(Backend):
    """Serves ONNX models.

    The option ``default-max-batch-size`` (4) is for models that can batch and whose configuration
    names neither tensors nor ``max_batch_size``; 0 switches that off.
    """

    name = "onnxruntime"
    uses = frozenset({"instance_group.gpus", "optimization", "default_model_filename"})

    def load(self, spec: ModelSpec) -> Model:
        """Loads a model; its configuration need not name a tensor.

        Raises:
            BackendError: no such file (NOT_FOUND); a file that is no ONNX model or does not fit
                the configuration, a parameter that cannot be, an execution provider that is not
                installed (INVALID_ARGUMENT); bfloat16 and strings in one model (UNIMPLEMENTED).
        """
        default = self.options.get("default-max-batch-size", "4")
        if not default.isdecimal():
            text = f"backend option 'default-max-batch-size' is '{default}', no whole number"
            raise refusal(spec, text)
        return _OnnxModel(spec, model_file.find(spec), int(default))


class _OnnxModel(Model):
    """A session for each device that the model runs on; sessions may run on many threads."""

    def __init__(self, spec: ModelSpec, path: Path, default_max_batch_size: int) -> None:
        self._spec, self._path, self._file = spec, path, model_file.label(spec, path)
        self._session_options = settings.session_options(spec)
        self._run_options = settings.run_options(spec)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()
        session = self._session(settings.first_device(spec))
        self.signature = signature.complete(spec, session, self._file, default_max_batch_size)
        datatypes = {each.datatype for each in (*self.signature.inputs, *self.signature.outputs)}
        if {"BF16", "BYTES"} <= datatypes:
            text = f"{self._file} has tensors of bfloat16 and of strings, which do not go together"
            raise refusal(spec, text, Code.UNIMPLEMENTED)

    def instance(self, placement: Placement) -> Instance:
        return _OnnxInstance(self, self._session(placement.device), self._run_options)

    def close(self) -> None:
        for session in self._sessions.values():
            if self._session_options.enable_profiling:
                session.end_profiling()
        self._sessions.clear()

    def _session(self, device: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if device not in self._sessions:
                self._sessions[device] = self._open(device)
            return self._sessions[device]

    def _open(self, device: str) -> onnxruntime.InferenceSession:
        providers = settings.providers(self._spec, device)
        try:
            session = onnxruntime.InferenceSession(
                self._path, self._session_options, providers=providers, enable_fallback=0
            )
        except Exception as error:  # its exceptions have no other base
            reason = reason_of(error).replace(str(self._path), self._file)
            text = f"{self._file} cannot be loaded: {reason}"
            raise refusal(self._spec, text) from error
        # A provider whose libraries do not load is logged and left out.
        for name, _ in providers:
            if name not in session.get_providers():
                raise refusal(self._spec, f"{name} cannot be used here; see the log for the reason")
        return session


class _OnnxInstance(Instance):
    """Runs batches.

    On the CPU nothing is copied but strings: ``run`` works on the memory of contiguous inputs,
    which it refers to until it returns, and its outputs are views that keep ONNX Runtime's memory.
    It costs less per call than IO binding, whose errors carry no code besides.
    """

    def __init__(
        self,
        model: _OnnxModel,
        session: onnxruntime.InferenceSession,
        run_options: onnxruntime.RunOptions | None,
    ) -> None:
        self._session, self._run_options = session, run_options
        self._inputs = {each.name: each.datatype for each in model.signature.inputs}
        self._outputs = {each.name: each.datatype for each in model.signature.outputs}
        has_bfloat16 = "BF16" in {*self._inputs.values(), *self._outputs.values()}
        self._run = self._run_values if has_bfloat16 else self._run_arrays

    def execute(self, batch: Batch) -> None:
        gathered = {name: batch.gather(name) for name in self._inputs}
        inputs = {name: array for name, array in gathered.items() if array is not None}
        try:
            outputs = self._run(inputs)
        except InvalidArgument as error:
            raise BackendError(Code.INVALID_ARGUMENT, reason_of(error)) from error
        batch.scatter(outputs)

    def _run_arrays(self, inputs: dict[str, Array]) -> dict[str, Array]:
        for name, array in inputs.items():
            if self._inputs[name] == "BYTES":
                inputs[name] = to_text(name, array)
        outputs = self._session.run(list(self._outputs), inputs, self._run_options)
        return {
            name: to_bytes(array) if datatype == "BYTES" else array
            for (name, datatype), array in zip(self._outputs.items(), outputs, strict=True)
        }

    def _run_values(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """The same for bfloat16, which ``run`` does not take from numpy."""
        values = {name: to_value(array, self._inputs[name]) for name, array in inputs.items()}
        outputs = self._session.run_with_ort_values(list(self._outputs), values, self._run_options)
        # An output that is an input shares the memory of ours, but would not keep it.
        return {
            name: inputs[name] if name in inputs else to_array(value)
            for name, value in zip(self._outputs, outputs, strict=True)
        }
