"""The tests that every native backend passes: subclass ``NativeBackendConformance``."""

# ruff: noqa: D102 - the names of the tests say what they test

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from despina_sdk.backend import Backend, Model, ModelSpec
from despina_sdk.native import NativeBackend
from despina_sdk.testing import abi, isolated, native
from despina_sdk.testing.conformance import ROUNDS, BackendConformance
from despina_sdk.testing.fakes import FakeBatch
from despina_sdk.testing.host import Host, StarvedRequest, Worker
from despina_sdk.testing.native_table import NoCompilerError
from despina_sdk.testing.probes import Tensors, allocated_bytes
from despina_sdk.testing.sanitizer import NoToolsError, SanitizedBuild
from despina_sdk.testing.symbols import symbols_of
from despina_sdk.testing.trial import Finding, Trial

OUTCOMES = pytest.StashKey[dict[str, isolated.Outcome]]()
BUILDS = "despina-sanitizers"
REQUESTS = 2
"""Of each kind, for each of the cycles, in a round in which memory is looked at."""
SPREAD_BYTES = 16 << 10
"""By which the memory in use differs from round to round, of the kit itself."""


class NativeBackendConformance(BackendConformance):
    """The tests of ``BackendConformance``, and what only native code can do wrong.

    ::

        class TestTwice(NativeBackendConformance):
            native_backend = TWICE  # as the entry point
            source = Path(__file__).parents[1]  # the folder of CMakeLists.txt
            ...  # fixtures: spec and sample

    A host within the process of the tests speaks the C interface with the library. The sample is
    tried in a process of its own before: what ends that is a failure of one test, and the others
    are skipped.

    Attributes:
        native_backend: the backend under test, or the path of its library.
        source: where the backend is built with CMake, by ``despina_add_backend()``; for the test
            that builds it with the address sanitizer, in the cache of pytest. ``None``: no such
            test.
    """

    native_backend: ClassVar[NativeBackend | Path]
    source: ClassVar[Path | None] = None

    # ---- fixtures

    @pytest.fixture
    def library(self) -> Path:
        """The file under test."""
        named = self.native_backend
        return (named.path() if isinstance(named, NativeBackend) else named).resolve()

    @pytest.fixture
    def case(self, library: Path, spec: ModelSpec, sample: Tensors) -> isolated.Case:
        """What another process needs to try the sample."""
        return isolated.Case(library, self.options, spec, sample, self.device, self.time_limit)

    @pytest.fixture
    def outcome(self, request: pytest.FixtureRequest, case: isolated.Case) -> isolated.Outcome:
        """What became of a process that has tried the sample; tried once, as the trial."""
        assert isinstance(request.node, pytest.Function)
        assert request.node.parent is not None
        outcomes = request.node.parent.stash.setdefault(OUTCOMES, {})
        parameters = request.node.name.partition("[")[2]
        if parameters not in outcomes:
            outcomes[parameters] = isolated.run("try", case)
        return outcomes[parameters]

    @pytest.fixture
    def tested(self, library: Path, outcome: isolated.Outcome) -> type[Backend]:
        """The backend of the library, as a class."""
        if outcome.stuck:
            pytest.skip("the library does not load: see test_the_library_is_taken")
        if outcome.death:
            pytest.skip("the library ends its process: see the tests that say how")
        try:
            return native.backend_class(library)
        except native.LibraryError:
            pytest.skip("the library is refused: see test_the_library_is_taken")
        except NoCompilerError as error:
            pytest.skip(str(error))

    @pytest.fixture
    def builds(self, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Where builds are kept: from one run of pytest to the next, where it has a cache."""
        cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)
        return cache.mkdir(BUILDS) if cache else tmp_path_factory.getbasetemp() / BUILDS

    # ---- the library

    def test_the_library_exports_nothing_but_its_entry(self, library: Path) -> None:
        symbols = symbols_of(library)
        more = set(symbols.exported) - set(symbols.unique) - {abi.ENTRY}
        assert not more, f"exported are also {', '.join(sorted(more))}"

    def test_the_library_has_no_symbols_that_are_unique_in_a_process(self, library: Path) -> None:
        unique = symbols_of(library).unique
        assert not unique, f"compile with -fno-gnu-unique: {', '.join(unique)}"

    def test_the_process_survives_the_sample(self, outcome: isolated.Outcome) -> None:
        self._require_tried(outcome)
        assert not outcome.death or outcome.thrown, outcome.death

    def test_no_exception_leaves_the_library(self, outcome: isolated.Outcome) -> None:
        self._require_tried(outcome)
        assert not outcome.thrown, outcome.death

    def test_the_library_is_taken(self, library: Path, outcome: isolated.Outcome) -> None:
        assert not outcome.stuck, f"the library does not load: {outcome.stuck}"
        if outcome.death:
            pytest.skip("the library ends its process: see the tests that say how")
        try:
            native.backend_class(library)
        except NoCompilerError as error:
            pytest.skip(str(error))

    def test_the_server_takes_the_library_and_answers_as_the_tests_do(
        self, host: Host, worker: Worker, case: isolated.Case
    ) -> None:
        if importlib.util.find_spec("despina") is None:
            pytest.skip("despina is not installed: no server to ask")
        expected = [part for part in self._answer(worker, case.sample) if part]
        outcome = isolated.run("serve", case)
        if outcome.not_tried:
            pytest.skip(outcome.not_tried)
        assert not (problem := outcome.death or outcome.stuck), problem
        assert isinstance(outcome.result, list), outcome.result
        got = [part for part in outcome.result if part]
        if not self.repeatable:
            return
        assert [set(each) for each in got] == [set(each) for each in expected]
        for i, (outputs, values) in enumerate(zip(got, expected, strict=True)):
            for name, value in values.items():
                self._expect_alike(outputs[name], value, f"the server's part {i}, output '{name}'")

    # ---- memory

    def test_nothing_is_written_beside_an_output(self, trial: Trial) -> None:
        trial.expect_none(Finding.IN_BOUNDS)

    def test_no_request_is_used_after_its_answer(self, trial: Trial) -> None:
        trial.expect_none(Finding.NOT_COMPLETED)

    def test_memory_stays_level_over_many_requests(
        self, host: Host, model: Model, sample: Tensors
    ) -> None:
        levels = []
        for _ in range(ROUNDS):
            (worker,) = host.start(model)
            for _ in range(self.cycles * REQUESTS):
                for inputs in (sample, self.fails_on or sample):
                    worker.run(inputs)
                worker.execute(FakeBatch([worker.request(sample, "starved", StarvedRequest)]))
            worker.close()  # the kit's own records of the requests are kept until then
            levels.append(allocated_bytes())
        grown = min(levels[-2:]) - max(levels[:2])  # the first rounds warm up
        assert grown <= SPREAD_BYTES, (
            f"{grown} bytes more are allocated, round after round: {levels}"
        )

    # ---- sanitizers

    def test_the_sanitizers_find_nothing(
        self,
        builds: Path,
        host: Host,
        model: Model,
        samples: Sequence[Tensors],
        case: isolated.Case,
    ) -> None:
        if self.source is None:
            pytest.skip("the test class names no folder with a CMakeLists.txt: source")
        try:
            build = SanitizedBuild(self.source, builds, host.backend.name, case.library.name)
        except NoToolsError as error:
            pytest.skip(str(error))
        build.make()
        report = build.run(case, model.signature, samples)
        assert not report, report

    # ---- what the tests share

    def _require_tried(self, outcome: isolated.Outcome) -> None:
        if reason := outcome.not_tried or outcome.stuck:
            pytest.skip(reason)
