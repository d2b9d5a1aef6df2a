"""Each broken native backend fails the conformance test that is named for its fault alone."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from native_libraries import SOURCE, build  # noqa: E402
from test_conformance_catches import Results, problem, run_tests  # noqa: E402

SUITES = Path(__file__).parent / "broken_native_backends.py"
TAKEN = "test_the_library_is_taken"
SURVIVES = "test_the_process_survives_the_sample"
SANITIZED = "test_the_sanitizers_find_nothing"
SERVED = "test_the_server_takes_the_library_and_answers_as_the_tests_do"
HAS_SERVER = importlib.util.find_spec("despina") is not None

CAUGHT_BY = {
    "AnswersTwice": "test_no_request_is_answered_twice",
    "NeverAnswers": "test_every_request_is_answered",
    "ReturnsUnanswered": "test_every_request_is_answered",
    "DetachesAndForgets": "test_every_request_is_answered",
    "GivesTooManyRows": "test_answers_have_as_many_rows_as_their_request",
    "GivesAWrongDatatype": "test_answers_have_the_declared_datatypes",
    "GivesAWrongShape": "test_answers_have_the_declared_shapes",
    "NamesAnUndeclaredOutput": "test_only_declared_tensors_are_named",
    "WritesToItsInput": "test_inputs_are_not_written_to",
    "WritesPastItsOutput": "test_nothing_is_written_beside_an_output",
    "WritesBeforeItsOutput": "test_nothing_is_written_beside_an_output",
    "KeepsItsBatch": "test_nothing_of_a_batch_is_used_after_execute",
    "KeepsItsRequests": "test_nothing_of_a_batch_is_used_after_execute",
    "UsesARequestAfterItsAnswer": "test_no_request_is_used_after_its_answer",
    "BlocksForEver": "test_execute_returns_in_time",
    "MixesUpItsBatch": "test_a_batch_answers_as_its_requests_do_alone",
    "HasNoRoomForItsLargestBatch": "test_the_largest_batch_is_answered",
    "FailsAWholeBatch": "test_a_request_that_fails_leaves_the_others_of_its_batch_alone",
    "NeverRecovers": (
        "test_an_exception_in_execute_fails_the_requests_and_leaves_the_instance_usable"
    ),
    "ChokesOnOddBytes": "test_any_bytes_are_answered_or_fail_and_leave_the_instance_usable",
    "SharesItsScratch": "test_two_instances_run_side_by_side_on_threads_of_their_own",
    "HearsNoCancellation": "test_a_request_that_is_cancelled_ends_early",
    "BlocksInACancellation": "test_a_request_that_is_cancelled_ends_early",
    "ForgetsCancelledRequests": ("test_a_request_that_was_cancelled_before_it_is_run_is_answered"),
    "ThrowsInLoad": "test_the_model_loads_with_a_signature",
    "ThrowsInInstance": "test_instance_model_and_backend_open_and_close_in_order",
    "LoadsOnce": "test_a_model_that_got_no_request_unloads_and_loads_again",
    "EndsAllModelsWithOne": "test_unloading_one_model_leaves_another_usable",
    "UsesWhatItHasNotDeclared": "test_only_declared_capabilities_are_used",
    "SendsLate": "test_nothing_is_sent_after_the_answer_is_complete",
    "SendsInTheWrongOrder": "test_parts_arrive_in_the_order_in_which_they_are_made",
    "NeverDetaches": "test_detached_requests_are_answered_after_execute",
    "LeaksAThread": "test_unloading_leaves_no_threads",
    "LeaksADescriptor": "test_unloading_leaves_no_descriptors",
    "ReleasesNothing": "test_memory_stays_level_over_many_requests",
    "LeaksMemory": "test_memory_stays_level_over_many_loads",
    "Crashes": SURVIVES,
    "CrashesInItsEntry": SURVIVES,
    "ReleasesWhatItHasGiven": SURVIVES,
    "ThrowsAcrossTheInterface": "test_no_exception_leaves_the_library",
    "NeverLoads": TAKEN,
    "HasNoEntry": TAKEN,
    "HasNoExecute": TAKEN,
    "HasNoName": TAKEN,
    "IsOfAnotherVersion": TAKEN,
    "DeclaresWhatThereIsNot": TAKEN,
    "ExportsASecondSymbol": "test_the_library_exports_nothing_but_its_entry",
    "HasUniqueSymbols": "test_the_library_has_no_symbols_that_are_unique_in_a_process",
    "ContradictsItsConfiguration": SERVED,
    "ReadsPastItsInput": SANITIZED,
    "LeaksWhatIsRefused": SANITIZED,
    "Overflows": SANITIZED,
}
WITH_CMAKE = [fault for fault, test in CAUGHT_BY.items() if test == SANITIZED]
WAITED_FOR = [
    "NeverLoads",
    "BlocksForEver",
    "BlocksInACancellation",
    "DetachesAndForgets",
    "ForgetsCancelledRequests",
]

TEXTS = {
    "AnswersTwice": "request 'sample 0' has been answered before",
    "NeverAnswers": "sample 0 was completed without any output",
    "ReturnsUnanswered": "the model returned without answering",
    "DetachesAndForgets": "'sample 0' was detached and not answered in 1 s",
    "GivesTooManyRows": "has shape [2,2], but the batch has 1 rows",
    "GivesAWrongDatatype": "output 'Y' is FP64, the model's signature says FP32",
    "GivesAWrongShape": "output 'Y' has shape (1,), declared is (2,)",
    "NamesAnUndeclaredOutput": "there is no output 7",
    "WritesToItsInput": "input 'X': it was changed",
    "WritesPastItsOutput": "output 'Y': 4 bytes after its end were written",
    "WritesBeforeItsOutput": "output 'Y': 4 bytes before its begin were written",
    "KeepsItsBatch": "neither it nor its requests may be kept after execute()",
    "KeepsItsRequests": "neither it nor its requests may be kept after execute()",
    "UsesARequestAfterItsAnswer": "request 'sample 0' was used after its answer",
    "BlocksForEver": "Instance.execute has not returned after 1 s",
    "ThrowsInLoad": "BackendError: weights.bin",
    "UsesWhatItHasNotDeclared": "the backend does not declare Capability.STREAMING",
    "Crashes": "the process ended with SIGSEGV",
    "CrashesInItsEntry": "the process ended with SIGABRT",
    "ReleasesWhatItHasGiven": "the process ended with SIG",
    "ThrowsAcrossTheInterface": "crosses",
    "BlocksInACancellation": "the cancellation of a request has not returned after 1 s",
    "ReleasesNothing": "bytes more are allocated",
    "NeverLoads": "the library does not load: the process has not ended after 28 s",
    "HasNoExecute": "its table has no 'execute'",
    "HasNoName": "its backend has no name",
    "HasNoEntry": "despina_backend_entry",
    "IsOfAnotherVersion": "it was compiled with another version of despina/abi.h",
    "DeclaresWhatThereIsNot": "it declares capabilities",
    "ExportsASecondSymbol": "broken_second_symbol",
    "HasUniqueSymbols": "BrokenUniqueSymbol",
    "ContradictsItsConfiguration": "max_batch_size",
    "ReadsPastItsInput": "heap-buffer-overflow",
    "LeaksWhatIsRefused": "LeakSanitizer: detected memory leaks",
    "Overflows": "signed integer overflow",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """For each broken backend what became of each conformance test."""
    missing = [tool for tool in ("g++", "cmake") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("broken")
    others = [fault for fault in CAUGHT_BY if fault not in WITH_CMAKE + WAITED_FOR]
    parts = {"plain": ["Good", *others], "sanitized": WITH_CMAKE, "waiting": WAITED_FOR}
    for part, faults in parts.items():
        (folder / part).mkdir()
        build(folder / part, faults)
    (folder / "sanitized" / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(broken LANGUAGES CXX)\n"
        "find_package(DespinaSDK REQUIRED CONFIG)\n"
        + "".join(f'despina_add_backend({fault} SOURCES "{SOURCE}")\n' for fault in WITH_CMAKE)
    )

    def run(part: str) -> Results:
        environment = {"DESPINA_BROKEN_LIBRARIES": str(folder / part)}
        return run_tests(SUITES, folder / part / "report.xml", environment)

    with ThreadPoolExecutor(len(parts)) as pool:
        return {name: each for found in pool.map(run, parts) for name, each in found.items()}


@pytest.mark.parametrize("backend", CAUGHT_BY)
def test_a_broken_backend_fails_the_test_named_for_its_fault_alone(
    results: Results, backend: str
) -> None:
    if CAUGHT_BY[backend] == SERVED and not HAS_SERVER:
        pytest.skip("despina is not installed: no server to refuse it")
    failures = {n: p for n, each in results[backend].items() if (p := problem(each)) is not None}
    texts = {name: failure.attrib["message"] for name, failure in failures.items()}
    assert set(failures) == {CAUGHT_BY[backend]}, texts
    assert TEXTS.get(backend, "") in (failures[CAUGHT_BY[backend]].text or "")


def test_the_good_one_passes(results: Results) -> None:
    assert not [name for name, each in results["Good"].items() if problem(each) is not None]
    assert any(each.tag == "skipped" for each in results["Good"][SERVED]) != HAS_SERVER


def test_every_broken_backend_is_tried(results: Results) -> None:
    assert set(results) == {"Good", *CAUGHT_BY}
