"""The tests that every backend passes: subclass ``BackendConformance`` in a file of tests."""

# ruff: noqa: D102 - the names of the tests say what they test

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from despina_sdk.backend import Backend, Capability, Model, ModelSpec
from despina_sdk.testing.fakes import FakeBatch, FakeRequest
from despina_sdk.testing.host import Host, StarvedRequest, Worker
from despina_sdk.testing.probes import (
    Tensors,
    descriptors,
    filled,
    fitting,
    noted,
    repeat,
    resident_bytes,
    rows_of,
    scattered,
    settled,
    threads,
    turned,
    use_one_heap,
)
from despina_sdk.testing.trial import Finding, Trial, answer_of

TRIALS = pytest.StashKey[dict[str, Trial]]()
ROUNDS = 5
"""In which memory is looked at."""
ODD_TEXTS = (b"", b"\0", b"\xff\xfe no text \0", b"\0" * 4096)
"""Elements of BYTES inputs that any client may send."""


class BackendConformance:
    """What the server relies on, tested without one.

    A subclass names the backend and overrides two fixtures::

        class TestRowSum(BackendConformance):
            backend_class = RowSum

            @pytest.fixture
            def spec(self):
                return ModelSpec("sums", "1", Path("sums/1"), max_batch_size=8)

            @pytest.fixture
            def sample(self):
                return {"X": np.ones((1, 4), np.float32)}

    The sample is first run by itself. Where even that goes wrong, the tests that say what went
    wrong fail, and the others are skipped. No test sends an empty batch, since the server sends
    none: a batch has at least one request, and a request at least one row.

    Attributes:
        backend_class: the class under test.
        options: the operator's settings for it.
        device: that the instances are placed on.
        exact: whether a batch answers to the bit as its requests do alone; otherwise within
            ``relative_tolerance`` and ``absolute_tolerance``.
        repeatable: whether the same inputs always give the same answer. Where not, values are not
            compared.
        fails_on: inputs of a request that is to fail, and to leave others alone.
        slow: inputs of a request that takes at least three times ``cancel_seconds``, and ends
            early when it is cancelled.
        cancel_seconds: how soon after it was cancelled.
        expected_parts: of the sample's answer, the last one included, for a backend that streams.
        time_limit: seconds that any call of the backend may take.
        cycles: how often the model is loaded to see memory grow; of native code also requests
            are counted in it, a few for each.
        growth_bytes: by how much it may, in all those loads (resident memory).
    """

    backend_class: ClassVar[type[Backend]]
    options: ClassVar[Mapping[str, str]] = {}
    device: ClassVar[str] = "cpu"
    exact: ClassVar[bool] = True
    relative_tolerance: ClassVar[float] = 1e-5
    absolute_tolerance: ClassVar[float] = 1e-6
    repeatable: ClassVar[bool] = True
    fails_on: ClassVar[Tensors | None] = None
    slow: ClassVar[Tensors | None] = None
    cancel_seconds: ClassVar[float] = 0.5
    expected_parts: ClassVar[Sequence[Tensors] | None] = None
    time_limit: ClassVar[float] = 10.0
    cycles: ClassVar[int] = 50
    growth_bytes: ClassVar[int] = 8 << 20

    # ---- fixtures: the first two are the author's

    @pytest.fixture
    def spec(self) -> ModelSpec:
        """The model to load."""
        raise NotImplementedError("override the fixture 'spec': a ModelSpec of the model to load")

    @pytest.fixture
    def sample(self) -> Tensors:
        """The inputs of one request, with the batch axis of a batching model."""
        raise NotImplementedError("override the fixture 'sample': the inputs of one request")

    @pytest.fixture
    def samples(self, sample: Tensors) -> Sequence[Tensors]:
        """Inputs of requests that may share a batch, and whose answers differ.

        The sample, and the same with numbers in reverse order, unless overridden.
        """
        return [sample, turned(sample)]

    @pytest.fixture(autouse=True)
    def one_heap(self) -> None:
        """Has all threads share one heap, so that memory which grows is memory that leaks."""
        use_one_heap()

    @pytest.fixture
    def tested(self) -> type[Backend]:
        """The class under test."""
        return self.backend_class

    @pytest.fixture
    def make_host(self, tested: type[Backend], spec: ModelSpec) -> Callable[[], Host]:
        """Makes the backend and what surrounds it."""

        def make() -> Host:
            return Host(
                tested,
                self.options,
                spec,
                device=self.device,
                time_limit=self.time_limit,
            )

        return make

    @pytest.fixture
    def trial(
        self, request: pytest.FixtureRequest, make_host: Callable[[], Host], sample: Tensors
    ) -> Trial:
        """What the sample shows; tried once for the class (and each parameter of the author's)."""
        assert isinstance(request.node, pytest.Function)
        assert request.node.parent is not None
        trials = request.node.parent.stash.setdefault(TRIALS, {})
        parameters = request.node.name.partition("[")[2]
        if parameters not in trials:
            trials[parameters] = Trial(make_host, sample)
        return trials[parameters]

    @pytest.fixture
    def host(self, trial: Trial, make_host: Callable[[], Host]) -> Iterator[Host]:
        """A backend whose sample is known to be answered."""
        if not trial.usable:
            pytest.skip(trial.reason)
        with make_host() as host:
            yield host

    @pytest.fixture
    def model(self, host: Host) -> Model:
        """The model, loaded."""
        return host.load()

    @pytest.fixture
    def worker(self, host: Host, model: Model) -> Worker:
        """An instance of it, on its own thread."""
        return host.start(model)[0]

    # ---- life cycle

    def test_the_backend_says_what_it_is(self, tested: type[Backend]) -> None:
        name = getattr(tested, "name", None)
        assert name, f"{tested.__name__}.name is not set"
        assert isinstance(name, str), f"the name of a backend is text, not {name!r}"
        capabilities = tested.capabilities
        assert isinstance(capabilities, Capability), f"{capabilities!r} is no Capability"

    def test_the_model_loads_with_a_signature(self, trial: Trial) -> None:
        trial.expect_none(Finding.LOADS)

    def test_instance_model_and_backend_open_and_close_in_order(self, trial: Trial) -> None:
        trial.expect_none(Finding.OPENS_AND_CLOSES)

    def test_each_object_is_closed_once_by_the_server_alone(
        self, host: Host, model: Model, worker: Worker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed: list[str] = []
        for what, each in (("instance", worker.instance), ("model", model)):
            try:
                monkeypatch.setattr(each, "close", noted(each.close, closed, what))
            except AttributeError:
                pytest.skip(
                    f"the calls of an {type(each).__name__} cannot be watched: it has slots"
                )
        host.unload(model)
        monkeypatch.undo()
        assert closed == ["instance", "model"], f"closed were, in order: {', '.join(closed)}"

    def test_a_model_that_got_no_request_unloads_and_loads_again(
        self, host: Host, sample: Tensors
    ) -> None:
        idle = host.load()
        host.start(idle)
        host.unload(idle)
        self._answer(host.start(host.load())[0], sample)

    def test_unloading_one_model_leaves_another_usable(
        self, host: Host, model: Model, worker: Worker, sample: Tensors
    ) -> None:
        other = host.load()
        self._answer(host.start(other)[0], sample)
        host.unload(other)
        self._answer(worker, sample)

    # ---- answers

    def test_execute_returns_in_time(self, trial: Trial) -> None:
        trial.expect_none(Finding.IN_TIME)

    def test_every_request_is_answered(self, trial: Trial) -> None:
        trial.expect_none(Finding.ANSWERED)

    def test_no_request_is_answered_twice(self, trial: Trial) -> None:
        trial.expect_none(Finding.ONCE)

    def test_only_declared_tensors_are_named(self, trial: Trial) -> None:
        trial.expect_none(Finding.NAMES)

    def test_answers_have_as_many_rows_as_their_request(self, trial: Trial) -> None:
        trial.expect_none(Finding.ROWS)

    def test_answers_have_the_declared_datatypes(self, trial: Trial) -> None:
        trial.expect_none(Finding.DATATYPES)

    def test_answers_have_the_declared_shapes(self, trial: Trial) -> None:
        trial.expect_none(Finding.SHAPES)

    def test_nothing_of_a_batch_is_used_after_execute(self, trial: Trial) -> None:
        trial.expect_none(Finding.NOT_KEPT)

    # ---- batches

    def test_a_batch_answers_as_its_requests_do_alone(
        self, host: Host, model: Model, worker: Worker, samples: Sequence[Tensors]
    ) -> None:
        chosen = fitting(samples, host.rows_at_most(model))
        alone = [self._answer(worker, each) for each in chosen]
        together = worker.run(*chosen)
        for request, expected in zip(together, alone, strict=True):
            self._expect(request, expected)

    def test_the_largest_batch_is_answered(
        self, host: Host, model: Model, worker: Worker, sample: Tensors
    ) -> None:
        limit = host.rows_at_most(model)
        if not limit:
            pytest.skip("the model has no batch axis")
        count = limit // worker.request(sample).rows
        expected = self._answer(worker, sample)
        for request in worker.run(*[sample] * count):
            self._expect(request, expected)
        whole = [repeat(each, count) for each in expected]
        self._expect(worker.run(repeat(sample, count))[0], whole)

    # ---- inputs

    def test_inputs_are_not_written_to(self, trial: Trial) -> None:
        trial.expect_none(Finding.READ_ONLY)

    def test_inputs_that_the_client_has_scattered_in_memory_are_taken(
        self, worker: Worker, sample: Tensors
    ) -> None:
        sent = {name: scattered(array) for name, array in sample.items()}
        if all(array.flags.c_contiguous for array in sent.values()):
            pytest.skip("no input of the sample has more than one element")
        request = worker.request(sent)
        # As the server does, so that no backend has to.
        assert all(array.flags.c_contiguous for array in request.inputs.values())
        expected = self._answer(worker, sample)
        worker.execute(FakeBatch([request]))
        self._expect(request, expected)

    def test_any_bytes_are_answered_or_fail_and_leave_the_instance_usable(
        self, model: Model, worker: Worker, sample: Tensors
    ) -> None:
        names = {each.name for each in model.signature.inputs if each.datatype == "BYTES"}
        if not names & set(sample):
            pytest.skip("the sample has no BYTES input")
        for text in ODD_TEXTS:
            odd = {name: filled(sample[name].shape, text) for name in names & set(sample)}
            batch = FakeBatch([worker.request({**sample, **odd})])
            worker.execute(batch)
            for refusal in batch.refusals + batch.sent[0].refusals:
                pytest.fail(f"{text[:16]!r}: {refusal.message}")
            self._answer(worker, sample)

    # ---- failures

    def test_a_request_that_fails_leaves_the_others_of_its_batch_alone(
        self, host: Host, model: Model, worker: Worker, sample: Tensors
    ) -> None:
        if self.fails_on is None:
            pytest.skip("the test class names no inputs that fail: fails_on")
        expected = self._answer(worker, sample)
        rows = [worker.request(each).rows for each in (sample, self.fails_on, sample)]
        if sum(rows) <= host.rows_at_most(model):
            first, bad, last = worker.run(sample, self.fails_on, sample)
        else:
            bad, first, last = (worker.run(i)[0] for i in (self.fails_on, sample, sample))
        assert bad.error is not None, "the request with the inputs of fails_on has not failed"
        self._expect(first, expected)
        self._expect(last, expected)

    def test_an_exception_in_execute_fails_the_requests_and_leaves_the_instance_usable(
        self, worker: Worker, sample: Tensors
    ) -> None:
        expected = self._answer(worker, sample)
        starved = worker.request(sample, "starved", StarvedRequest)
        worker.execute(FakeBatch([starved]))
        assert starved.error is not None, "a request was answered that there is no memory for"
        self._expect(worker.run(sample)[0], expected)

    # ---- side by side

    def test_two_instances_run_side_by_side_on_threads_of_their_own(
        self, host: Host, model: Model, samples: Sequence[Tensors]
    ) -> None:
        limit = host.rows_at_most(model)
        chosen = [each for each in samples if not limit or rows_of(each) <= limit]
        lanes = [
            (worker, inputs, self._answer(worker, inputs))
            for worker, inputs in zip(host.start(model, 2), (chosen[0], chosen[-1]), strict=True)
        ]
        for _ in range(10):
            batches = [FakeBatch([worker.request(inputs)]) for worker, inputs, _ in lanes]
            started = [lane[0].start(batch) for lane, batch in zip(lanes, batches, strict=True)]
            for i, (worker, _, expected) in enumerate(lanes):
                worker.finish(started[i], batches[i])
                self._expect(batches[i].sent[0], expected)

    def test_a_request_that_is_cancelled_ends_early(self, worker: Worker) -> None:
        if self.slow is None:
            pytest.skip("the test class names no inputs that take long: slow")
        batch = FakeBatch([worker.request(self.slow)])
        (request,) = batch.sent
        execution = worker.start(batch)
        early = request.wait(self.cancel_seconds)
        assert not early, f"the slow request was answered within {self.cancel_seconds:g} s"
        worker.cancel(request)
        heard = request.wait(self.cancel_seconds)
        assert heard, f"cancelled, and not answered {self.cancel_seconds:g} s later"
        worker.finish(execution, batch)

    def test_a_request_that_was_cancelled_before_it_is_run_is_answered(
        self, worker: Worker, sample: Tensors
    ) -> None:
        request = worker.request(sample)
        request.cancelled = True
        worker.execute(FakeBatch([request]))
        assert request.answered

    # ---- capabilities

    def test_only_declared_capabilities_are_used(self, trial: Trial) -> None:
        trial.expect_none(Finding.DECLARED)

    def test_nothing_is_sent_after_the_answer_is_complete(self, trial: Trial) -> None:
        trial.expect_none(Finding.NOT_LATE)

    def test_parts_arrive_in_the_order_in_which_they_are_made(
        self, host: Host, worker: Worker, sample: Tensors
    ) -> None:
        self._require(host, Capability.STREAMING)
        (request,) = worker.run(sample)
        assert request.parts, "the sample is answered in one piece: see model_transaction_policy"
        if self.expected_parts is not None:
            self._expect(request, self.expected_parts)
        self._expect(worker.run(sample)[0], answer_of(request))

    def test_detached_requests_are_answered_after_execute(
        self, host: Host, worker: Worker, sample: Tensors
    ) -> None:
        self._require(host, Capability.ASYNC)
        batches = [FakeBatch([worker.request(sample, f"request {i}")]) for i in range(5)]
        executions = [worker.start(batch) for batch in batches]
        for execution, batch in zip(executions, batches, strict=True):
            worker.finish(execution, batch)
        requests = [batch.sent[0] for batch in batches]
        assert any(each.detached for each in requests), "no request of the sample was detached"
        for request in requests:
            self._expect(request, answer_of(requests[0]))

    # ---- nothing stays behind

    def test_unloading_leaves_no_threads(
        self, trial: Trial, make_host: Callable[[], Host], sample: Tensors
    ) -> None:
        left = self._left(trial, make_host, sample, threads)
        assert not left, f"left after unloading: {', '.join(left)}"

    def test_unloading_leaves_no_descriptors(
        self, trial: Trial, make_host: Callable[[], Host], sample: Tensors
    ) -> None:
        left = self._left(trial, make_host, sample, descriptors)
        assert not left, f"left open after unloading: {', '.join(left)}"

    def test_unloading_frees_instance_model_and_backend(
        self, trial: Trial, make_host: Callable[[], Host], sample: Tensors
    ) -> None:
        alive = self._cycle(trial, make_host, sample)
        left = settled(lambda: sorted(name for name, each in alive.items() if each()))
        assert not left, f"still referred to after unloading: {', '.join(left)}"

    def test_memory_stays_level_over_many_loads(
        self, trial: Trial, make_host: Callable[[], Host], sample: Tensors
    ) -> None:
        levels = []
        for _ in range(ROUNDS):
            for _ in range(max(1, self.cycles // ROUNDS)):
                self._cycle(trial, make_host, sample)
            levels.append(resident_bytes())
        # The first rounds warm up; one that happens to be high is no leak, which stays.
        grown = min(levels[-2:]) - max(levels[:2])
        assert grown <= self.growth_bytes, f"{grown} bytes more after {self.cycles} loads"

    # ---- what the tests share

    def _answer(self, worker: Worker, inputs: Tensors) -> list[dict[str, Any]]:
        (request,) = worker.run(inputs)
        assert request.error is None, f"{request.id} failed: {request.error}"
        return answer_of(request)

    def _expect(self, request: FakeRequest, expected: Sequence[Tensors]) -> None:
        assert request.error is None, f"{request.id} failed: {request.error}"
        got = answer_of(request)
        if not self.repeatable:
            return
        assert len(got) == len(expected), f"{len(got)} parts, {len(expected)} are expected"
        for outputs, values in zip(got, expected, strict=True):
            assert set(outputs) == set(values), f"outputs are {set(outputs)}, not {set(values)}"
            for name, value in values.items():
                self._expect_alike(outputs[name], value, f"{request.id}, output '{name}'")

    def _expect_alike(self, got: Any, expected: Any, what: str) -> None:
        if self.exact or np.asarray(expected).dtype.kind not in "fc":
            np.testing.assert_array_equal(got, expected, err_msg=what, strict=True)
        else:
            relative, absolute = self.relative_tolerance, self.absolute_tolerance
            np.testing.assert_allclose(got, expected, relative, absolute, err_msg=what)

    def _require(self, host: Host, capability: Capability) -> None:
        if capability not in host.backend.capabilities:
            pytest.skip(f"the backend does not declare Capability.{capability.name}")

    def _cycle(
        self, trial: Trial, make_host: Callable[[], Host], sample: Tensors
    ) -> dict[str, weakref.ref[Any]]:
        """Loads, runs, unloads; weak references to what was made."""
        if not trial.usable:
            pytest.skip(trial.reason)
        with make_host() as host:
            model = host.load()
            (worker,) = host.start(model)
            worker.run(sample)
            made = {"instance": worker.instance, "model": model, "backend": host.backend}
            return {k: weakref.ref(o) for k, o in made.items() if type(o).__weakrefoffset__}

    def _left(
        self,
        trial: Trial,
        make_host: Callable[[], Host],
        sample: Tensors,
        look: Callable[[], dict[str, str]],
    ) -> list[str]:
        """What is there after some cycles that was not there after the first."""
        self._cycle(trial, make_host, sample)
        before = look()
        for _ in range(3):
            self._cycle(trial, make_host, sample)
        return settled(lambda: [what for key, what in look().items() if key not in before])
