"""Each broken backend fails the conformance test that is named for its fault, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

import pytest

BROKEN_BACKENDS = Path(__file__).parent / "broken_backends.py"
SECONDS = 300

CAUGHT_BY = {
    "AnswersTwice": "test_no_request_is_answered_twice",
    "NeverAnswers": "test_every_request_is_answered",
    "GivesTooManyRows": "test_answers_have_as_many_rows_as_their_request",
    "GivesAWrongDatatype": "test_answers_have_the_declared_datatypes",
    "GivesAWrongShape": "test_answers_have_the_declared_shapes",
    "NamesAnUndeclaredOutput": "test_only_declared_tensors_are_named",
    "WritesToItsInput": "test_inputs_are_not_written_to",
    "ForcesItsWayIntoItsInput": "test_inputs_are_not_written_to",
    "KeepsItsBatch": "test_nothing_of_a_batch_is_used_after_execute",
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
    "ForgetsCancelledRequests": "test_a_request_that_was_cancelled_before_it_is_run_is_answered",
    "ThrowsInLoad": "test_the_model_loads_with_a_signature",
    "HasNoSignature": "test_the_model_loads_with_a_signature",
    "ThrowsInInstance": "test_instance_model_and_backend_open_and_close_in_order",
    "ThrowsInClose": "test_instance_model_and_backend_open_and_close_in_order",
    "ClosesItsInstances": "test_each_object_is_closed_once_by_the_server_alone",
    "LoadsOnce": "test_a_model_that_got_no_request_unloads_and_loads_again",
    "EndsAllModelsWithOne": "test_unloading_one_model_leaves_another_usable",
    "HasNoName": "test_the_backend_says_what_it_is",
    "UsesWhatItHasNotDeclared": "test_only_declared_capabilities_are_used",
    "SendsLate": "test_nothing_is_sent_after_the_answer_is_complete",
    "SendsInTheWrongOrder": "test_parts_arrive_in_the_order_in_which_they_are_made",
    "DetachesAndDrops": "test_every_request_is_answered",
    "DetachesAndForgets": "test_every_request_is_answered",
    "NeverDetaches": "test_detached_requests_are_answered_after_execute",
    "LeaksAThread": "test_unloading_leaves_no_threads",
    "LeaksADescriptor": "test_unloading_leaves_no_descriptors",
    "LeaksItsInstances": "test_unloading_frees_instance_model_and_backend",
    "LeaksMemory": "test_memory_stays_level_over_many_loads",
}

TEXTS = {
    "AnswersTwice": "request 'sample 0' has been answered before",
    "NeverAnswers": "the model returned without answering",
    "GivesTooManyRows": "has shape [2,2], but the batch has 1 rows",
    "GivesAWrongDatatype": "output 'Y' of model 'broken' is FP64, the configuration says FP32",
    "GivesAWrongShape": "output 'Y' has shape (1,), declared is (2,)",
    "WritesToItsInput": "read-only",
    "ForcesItsWayIntoItsInput": "execute has changed input 'X'",
    "KeepsItsBatch": "neither it nor its requests may be kept after execute()",
    "BlocksForEver": "Instance.execute has not returned after 1 s",
    "ThrowsInLoad": "FileNotFoundError: weights.bin",
    "ClosesItsInstances": "closed were, in order: instance, model, instance",
    "UsesWhatItHasNotDeclared": "the backend does not declare Capability.STREAMING",
    "DetachesAndDrops": "the backend dropped the request without answering it",
    "DetachesAndForgets": "'sample 0' was detached and not answered in 1 s",
    "LeaksAThread": "thread 'leaked'",
    "LeaksADescriptor": "/dev/null",
    "LeaksItsInstances": "still referred to after unloading: instance",
    "LeaksMemory": "bytes more after 50 loads",
}

Results = dict[str, dict[str, ElementTree.Element]]


def run_tests(
    path: Path, report: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Results:
    """For each class of tests what became of each of them; at least one of all must fail."""
    command = [sys.executable, "-m", "pytest", str(path), f"--junitxml={report}"]
    command += ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", "/dev/null"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found: Results = {}
    for each in ElementTree.parse(report).iter("testcase"):
        backend = each.attrib["classname"].rpartition(".")[2].removeprefix("Test")
        found.setdefault(backend, {})[each.attrib["name"]] = each
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """For each broken backend what became of each conformance test."""
    return run_tests(BROKEN_BACKENDS, tmp_path_factory.mktemp("broken") / "report.xml")


def problem(test: ElementTree.Element) -> ElementTree.Element | None:
    return next((each for each in test if each.tag in ("failure", "error")), None)


@pytest.mark.parametrize("backend", CAUGHT_BY)
def test_a_broken_backend_fails_the_test_named_for_its_fault_alone(
    results: Results, backend: str
) -> None:
    failures = {n: p for n, each in results[backend].items() if (p := problem(each)) is not None}
    texts = {name: failure.attrib["message"] for name, failure in failures.items()}
    assert set(failures) == {CAUGHT_BY[backend]}, texts
    assert TEXTS.get(backend, "") in texts[CAUGHT_BY[backend]]


def test_every_broken_backend_is_tried(results: Results) -> None:
    assert set(results) == set(CAUGHT_BY)


def test_every_skipped_test_says_why(results: Results) -> None:
    skipped = [s for tests in results.values() for test in tests.values() for s in test]
    reasons = [each.attrib["message"] for each in skipped if each.tag == "skipped"]
    assert len(reasons) > 0
    assert all(reasons)


@pytest.mark.parametrize("missing", ["spec", "sample"])
def test_a_test_class_that_is_not_finished_is_told_what_to_add(
    tmp_path: Path, missing: str
) -> None:
    present = {"spec": "sample", "sample": "spec"}[missing]
    source = f"""
        from pathlib import Path

        import pytest
        from despina_sdk import ModelSpec, batch_function
        from despina_sdk.testing.conformance import BackendConformance

        class TestUnfinished(BackendConformance):
            backend_class = batch_function(inputs=[], outputs=[])(lambda: {{}})

            @pytest.fixture
            def {present}(self):
                return {{"spec": ModelSpec("m", "1", Path("m/1")), "sample": {{}}}}["{present}"]
    """
    path = tmp_path / "test_unfinished.py"
    path.write_text(textwrap.dedent(source))
    tests = run_tests(path, tmp_path / "report.xml")["Unfinished"]
    failure = problem(tests["test_every_request_is_answered"])
    assert failure is not None
    assert f"override the fixture '{missing}'" in failure.attrib["message"]
