"""What one sample shows of a backend, sorted by the conformance test that reports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from despina_sdk.backend import ModelSpec, Signature
from despina_sdk.tensors import Array, TensorSpec
from despina_sdk.testing.answers import Reason
from despina_sdk.testing.fakes import FakeBatch, FakeRequest
from despina_sdk.testing.host import BlockedError, Host, UnansweredError

if TYPE_CHECKING:
    from despina_sdk.testing.probes import Tensors


class Finding(StrEnum):
    """The conformance tests that report what the trial has found."""

    LOADS = "test_the_model_loads_with_a_signature"
    OPENS_AND_CLOSES = "test_instance_model_and_backend_open_and_close_in_order"
    IN_TIME = "test_execute_returns_in_time"
    ANSWERED = "test_every_request_is_answered"
    ONCE = "test_no_request_is_answered_twice"
    NOT_LATE = "test_nothing_is_sent_after_the_answer_is_complete"
    NAMES = "test_only_declared_tensors_are_named"
    ROWS = "test_answers_have_as_many_rows_as_their_request"
    DATATYPES = "test_answers_have_the_declared_datatypes"
    SHAPES = "test_answers_have_the_declared_shapes"
    READ_ONLY = "test_inputs_are_not_written_to"
    NOT_KEPT = "test_nothing_of_a_batch_is_used_after_execute"
    DECLARED = "test_only_declared_capabilities_are_used"
    IN_BOUNDS = "test_nothing_is_written_beside_an_output"
    NOT_COMPLETED = "test_no_request_is_used_after_its_answer"


FINDINGS = {
    Reason.NAME: Finding.NAMES,
    Reason.ROWS: Finding.ROWS,
    Reason.DATATYPE: Finding.DATATYPES,
    Reason.PARAMETER: Finding.DATATYPES,
    Reason.ANSWERED: Finding.ONCE,
    Reason.SENT_LATE: Finding.NOT_LATE,
    Reason.DETACHED: Finding.ONCE,
    Reason.ENDED: Finding.NOT_KEPT,
    Reason.UNDECLARED: Finding.DECLARED,
    Reason.NOT_DECOUPLED: Finding.DECLARED,
    Reason.COMPLETED: Finding.NOT_COMPLETED,
    Reason.OUT_OF_BOUNDS: Finding.IN_BOUNDS,
    Reason.WRITTEN: Finding.READ_ONLY,
}


class Trial:
    """The backend loaded, the sample run twice, everything closed.

    Attributes:
        findings: what is wrong, by the test that reports it.
    """

    def __init__(self, make_host: Callable[[], Host], sample: Tensors) -> None:
        """Makes the trial; what the backend raises becomes a finding."""
        self.findings: dict[Finding, str] = {}
        self._step = Finding.OPENS_AND_CLOSES
        batches: list[FakeBatch] = []
        try:
            with make_host() as host:
                self._run(host, sample, batches)
        except BlockedError as blocked:
            self._note(Finding.IN_TIME, str(blocked))
        except UnansweredError as unanswered:
            self._note(Finding.ANSWERED, str(unanswered))
        except BaseException as error:
            self._note(self._step, f"{type(error).__name__}: {error}")
        for batch in batches:
            self._judge(batch)

    def expect_none(self, finding: Finding) -> None:
        """Fails the test that reports this finding, if there is one."""
        assert finding not in self.findings, self.findings[finding]

    @property
    def usable(self) -> bool:
        """Whether nothing is wrong so far, so that other tests can say something."""
        return not self.findings

    @property
    def reason(self) -> str:
        """Why they cannot."""
        return f"the sample alone is not answered as it should be: see {', '.join(self.findings)}"

    def _run(self, host: Host, sample: Tensors, batches: list[FakeBatch]) -> None:
        self._step = Finding.LOADS
        model = host.load()
        if not isinstance(getattr(model, "signature", None), Signature):
            self._note(Finding.LOADS, "Backend.load has not set the model's signature")
            return
        self._step = Finding.OPENS_AND_CLOSES
        (worker,) = host.start(model)
        before = {name: np.array(array) for name, array in sample.items()}
        for i in range(2):
            batches.append(FakeBatch([worker.request(sample, f"sample {i}")]))
            worker.execute(batches[-1])
        for name, array in sample.items():
            if before[name].tobytes() != array.tobytes():
                self._note(Finding.READ_ONLY, f"execute has changed input '{name}'")
        shapes = {each.name: declared_shape(host.spec, each) for each in model.signature.outputs}
        for batch in batches:
            self._check_shapes(batch.sent[0], shapes)

    def _check_shapes(self, request: FakeRequest, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for outputs in answer_of(request):
            for name, array in outputs.items():
                got = array.shape[1:] if request.batching else array.shape
                want = shapes[name]
                sizes = zip(want, got, strict=False)
                if len(got) != len(want) or any(w not in (-1, g) for w, g in sizes):
                    text = f"output '{name}' has shape {got}, declared is {want}"
                    self._note(Finding.SHAPES, f"{text} (without the batch axis)")

    def _judge(self, batch: FakeBatch) -> None:
        for request in batch.sent:
            refusals = batch.refusals + request.refusals
            for refusal in refusals:
                self._note(FINDINGS[refusal.reason], f"{request.id}: {refusal.message}")
            if request.error is not None and not refusals:
                written = "read-only" in str(request.error)
                finding = Finding.READ_ONLY if written else Finding.ANSWERED
                error = f"{type(request.error).__name__}: {request.error}"
                self._note(finding, f"{request.id} failed with {error}")
            declared = request.signature.outputs if request.signature else ()
            if declared and request.outputs is not None and not any(answer_of(request)):
                self._note(Finding.ANSWERED, f"{request.id} was completed without any output")

    def _note(self, finding: Finding, text: str) -> None:
        self.findings.setdefault(finding, text)


def declared_shape(spec: ModelSpec, tensor: TensorSpec) -> tuple[int, ...]:
    """The shape that a backend gives an output: another where the configuration reshapes it."""
    for output in spec.config.get("output", ()):
        if output.get("name") == tensor.name and "reshape" in output:
            return tuple(int(size) for size in output["reshape"].get("shape", ()))
    return tensor.shape


def answer_of(request: FakeRequest) -> list[dict[str, Array]]:
    """The parts of an answer and what completed it, in order; empty if it failed."""
    return [] if request.outputs is None else [*request.parts, request.outputs]
