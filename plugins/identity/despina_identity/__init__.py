"""A backend that returns its inputs, and a small example of all that a backend has to do."""

import time
from itertools import zip_longest

from despina_sdk import (
    Backend,
    BackendError,
    Batch,
    Code,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
)


class IdentityBackend(Backend):
    """Serves models of any tensors; needs no files."""

    name = "identity_python"

    def load(self, spec: ModelSpec) -> Model:
        """Makes a model of the configuration alone."""
        return _IdentityModel(spec)


class _IdentityModel(Model):
    def __init__(self, spec: ModelSpec) -> None:
        delay = spec.parameters.get("execute_delay_ms", "0")
        if not delay.isdecimal():
            raise _refusal(spec, f"parameter 'execute_delay_ms' is '{delay}', no whole number")
        self.delay_seconds = int(delay) / 1000
        self.input_of = _pair(spec)
        self.signature = Signature(spec.inputs, spec.outputs)

    def instance(self, placement: Placement) -> Instance:
        return _IdentityInstance(self)


class _IdentityInstance(Instance):
    def __init__(self, model: _IdentityModel) -> None:
        self._model = model

    def execute(self, batch: Batch) -> None:
        if self._model.delay_seconds:
            time.sleep(self._model.delay_seconds)
        # An input that is optional may be left out, and its output with it.
        batch.scatter(
            {
                output: array
                for output, name in self._model.input_of.items()
                if (array := batch.gather(name)) is not None
            }
        )


def _pair(spec: ModelSpec) -> dict[str, str]:
    """Names the input of each output: that of the same suffix, otherwise of the same position."""
    inputs = {tensor.name: tensor for tensor in spec.inputs}
    names = [output.name.replace("OUTPUT", "INPUT", 1) for output in spec.outputs]
    by_suffix = sorted(names) == sorted(inputs)
    mirrored = [inputs[name] for name in names] if by_suffix else spec.inputs
    for tensor, output in zip_longest(mirrored, spec.outputs):
        if not tensor or not output or tensor.datatype != output.datatype:
            of_input = f"input '{tensor.name}' ({tensor.datatype})" if tensor else "no input"
            of_output = f"output '{output.name}' ({output.datatype})" if output else "no output"
            raise _refusal(spec, f"{of_input} and {of_output} do not make a pair")
    return {o.name: tensor.name for o, tensor in zip(spec.outputs, mirrored, strict=True)}


def _refusal(spec: ModelSpec, reason: str) -> BackendError:
    return BackendError(Code.INVALID_ARGUMENT, f"model '{spec.name}': {reason}")
