"""The contract between the server and a backend written in Python.

``Backend`` makes a ``Model``, a model makes an ``Instance`` for each lane of execution, and an
instance answers a ``Batch`` of requests at a time. Who calls what, and on which thread:

* ``Backend.load`` is called on threads that load models, for different models side by side. All
  other calls of a backend or a model come from control threads, one at a time for one object.
* ``Model.instance``, ``Instance.execute`` and ``Instance.close`` of one instance are called on the
  thread that belongs to that instance, never two at a time. Two instances of a model run side by
  side: what they share is the model's, and the model's author guards it.

A call that fails leaves nothing behind that its object's ``close`` would not release.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path
from typing import Any, ClassVar, Protocol

from despina_sdk.metrics import LocalMetrics, Metrics
from despina_sdk.tensors import Array, ArrayLike, TensorSpec

ParameterValue = str | int | bool | float


class Capability(Flag):
    """What a backend does beyond answering each request once before ``execute`` returns."""

    NONE = 0
    STREAMING = auto()
    """Answers in parts: ``Request.send``, ``Batch.send``. The parts of a model are wanted where
    its configuration has ``model_transaction_policy { decoupled: true }``."""
    ASYNC = auto()
    """Answers after ``execute`` has returned: ``Request.detach``."""


@dataclass(frozen=True)
class Signature:
    """The tensors that a model takes and gives.

    Attributes:
        inputs, outputs: without the batch axis of a batching model.
        max_batch_size: rows that one execution takes at most. ``None``: as configured. 0: the
            model has no batch axis. A number fills in a configuration that names none.
        decoupled: whether answers may come in parts. ``None``: as configured.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch_size: int | None = None
    decoupled: bool | None = None


@dataclass(frozen=True)
class ModelSpec:
    """One version of a model, as its configuration describes it, before it is loaded.

    Attributes:
        name: of the model.
        version: the number of the version folder, as text.
        path: the version folder (``repository/model/1``). It may not exist for a model that needs
            no files.
        max_batch_size: as configured; 0 is also what a configuration without the field says.
        inputs, outputs: as configured; empty when the backend is to fill them in.
        parameters: the ``parameters`` of the configuration.
        config: the whole configuration in its JSON form, field names as in ``config.pbtxt``.
        metrics: makes the model's own metrics.
    """

    name: str
    version: str
    path: Path
    max_batch_size: int = 0
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=LocalMetrics, compare=False)


@dataclass(frozen=True)
class Placement:
    """Where one instance runs.

    Attributes:
        name: of the instance, as in the log: ``<group>_<index>``.
        ordinal: its number among the instances of its model, from 0.
        device: ``cpu`` or ``cuda:<index>``.
    """

    name: str
    ordinal: int = 0
    device: str = "cpu"


class DetachedRequest(Protocol):
    """A request that is answered once, with ``complete`` or ``fail``."""

    @property
    def id(self) -> str:
        """What the client called it; may be empty."""
        ...

    @property
    def rows(self) -> int:
        """How many rows of the batch are its own; 1 when the model has no batch axis."""
        ...

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        """The custom parameters that the client sent."""
        ...

    @property
    def inputs(self) -> Mapping[str, Array]:
        """Read-only views of the tensors sent, with the batch axis of a batching model.

        A view keeps the memory behind it, also after the request has been answered, and lends it
        in its turn: ``torch.from_dlpack(view)`` is a tensor over it (with numpy 2.1 or later; not
        to be written to), and ``torch.from_dlpack(view).view(torch.bfloat16)`` one of a BF16 input.
        """
        ...

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        ...

    def complete(
        self,
        outputs: Mapping[str, ArrayLike],
        parameters: Mapping[str, ParameterValue] | None = None,
    ) -> None:
        """Answers with one array per output, shapes with the batch axis of a batching model.

        Without any output it ends an answer that was sent in parts. An output that is left out is
        not in the answer. Large arrays are sent from where they are: do not write to them
        afterwards.

        Args:
            outputs: numpy arrays, or what lends its memory by DLPack or the buffer protocol, such
                as tensors of PyTorch, which are not copied either. What does not lie row by row
                is copied once; what lies on a device is refused.
            parameters: custom ones of the answer.

        Raises:
            BackendError: an output that the model does not have, or a wrong dtype or row count
                (INTERNAL), or a parameter of another type; the request stays unanswered, and
                nothing of the answer is kept. Answered before (FAILED_PRECONDITION).
        """
        ...

    def send(
        self,
        outputs: Mapping[str, ArrayLike],
        parameters: Mapping[str, ParameterValue] | None = None,
    ) -> None:
        """Sends one part of the answer; more parts, ``complete`` or ``fail`` follow.

        Args:
            outputs, parameters: as ``complete``, of this part.

        Raises:
            BackendError: as ``complete``. UNIMPLEMENTED: the backend has not declared
                ``Capability.STREAMING``. FAILED_PRECONDITION: the model is not decoupled.
        """
        ...

    def fail(self, error: BaseException) -> None:
        """Answers with an error: a ``BackendError`` keeps its code, others become INTERNAL.

        The client gets the text; the traceback of the others goes to the log. An exception that
        ends a thread of the backend's own gets there by this only.
        """
        ...


class Request(DetachedRequest, Protocol):
    """A request of a batch, to be answered while ``execute`` runs, on the thread that runs it."""

    @property
    def trace_context(self) -> Mapping[str, str]:
        """Headers of W3C's trace context, to send with what the backend asks of other servers.

        Their spans are then below the request's execution. Empty unless the request is traced and
        its spans go to a collector.
        """
        ...

    def detach(self) -> DetachedRequest:
        """Takes the request out of its batch, to answer it later, on any thread.

        The batch leaves it alone from then on. Dropped without an answer, it fails.

        Raises:
            BackendError: UNIMPLEMENTED: the backend has not declared ``Capability.ASYNC``.
                FAILED_PRECONDITION: answered before.
        """
        ...


class Batch(Protocol):
    """What one ``execute`` is to answer. The server's own; not to be kept after ``execute``.

    Requests in one batch supply the same inputs, and their shapes differ in the batch axis only.
    A model without a batch axis gets batches of one request.
    """

    @property
    def requests(self) -> Sequence[Request]:
        """At least one, in order of arrival."""
        ...

    @property
    def rows(self) -> int:
        """Rows of all requests together."""
        ...

    def gather(self, name: str) -> Array | None:
        """One read-only, C-contiguous array of all requests' rows of an input, in their order.

        One request in the batch: a view, nothing is copied. ``None`` for an optional input that
        these requests leave out.

        Raises:
            BackendError: the model has no such input (INTERNAL).
        """
        ...

    def scatter(self, outputs: Mapping[str, ArrayLike]) -> None:
        """Splits one array per output back to the requests and completes those unanswered.

        Large arrays are sent from where they are: do not write to them afterwards.

        Raises:
            BackendError: an output that the model does not have, or a wrong dtype or row count
                (INTERNAL); all requests stay as they were.
        """
        ...

    def send(self, outputs: Mapping[str, ArrayLike]) -> None:
        """Splits one array per output into a part of each unanswered request's answer.

        Raises:
            BackendError: as ``scatter`` and ``Request.send``.
        """
        ...


class Instance(ABC):
    """One lane of execution of a model."""

    @abstractmethod
    def execute(self, batch: Batch) -> None:
        """Answers every request of the batch.

        An exception fails the requests that are still unanswered, and so does returning without
        having answered them.
        """

    def close(self) -> None:  # noqa: B027 - nothing to release is the usual case
        """Releases what the instance holds. Called once, after the last ``execute``."""


class Model(ABC):
    """Weights and signature: what the instances of one model version share."""

    signature: Signature
    """Set by the time ``Backend.load`` returns. It completes a configuration that leaves out what
    it says (``auto_complete``); one that says something else is refused."""

    @abstractmethod
    def instance(self, placement: Placement) -> Instance:
        """Makes an instance, on the thread that will run it."""

    def check_ready(self) -> None:  # noqa: B027 - most models serve as long as they are loaded
        """Asked about once a second: the answer of the model's readiness route.

        Called on a control thread, also while instances run; must not block. A model that is not
        ready gets requests all the same.

        Raises:
            Exception: it cannot serve now; the text says why.
        """

    def close(self) -> None:  # noqa: B027 - nothing to release is the usual case
        """Releases what the model holds. Called once, after its instances are closed."""


class Backend(ABC):
    """Code that can run one kind of model. One object per process, made when first needed."""

    name: ClassVar[str]
    """As in the field ``backend`` of a model configuration."""

    capabilities: ClassVar[Capability] = Capability.NONE
    """What is not declared is refused with UNIMPLEMENTED."""

    uses: ClassVar[frozenset[str]] = frozenset()
    """Optional fields of a model configuration that the backend acts on itself, of
    ``instance_group.gpus``, ``optimization`` and ``default_model_filename``. A model whose
    configuration sets one of the others is refused."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """Takes the operator's ``--backend-config`` settings for this backend. Cheap."""
        self.options = options

    @abstractmethod
    def load(self, spec: ModelSpec) -> Model:
        """Loads one version of a model; may take its time.

        Raises:
            BackendError: the model cannot be loaded, and why. Nothing of it stays behind.
        """

    def close(self) -> None:  # noqa: B027 - nothing to release is the usual case
        """Releases what the backend holds. Called once, after its models are closed."""
