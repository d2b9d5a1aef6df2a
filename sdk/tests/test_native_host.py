"""The host in ctypes behaves as the server's: what is given is released once, on all paths."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from native_libraries import COMPILE  # noqa: E402

from despina_sdk import Array, BackendError, Code, LocalMetrics, ModelSpec  # noqa: E402
from despina_sdk.isolation import ending  # noqa: E402
from despina_sdk.testing import abi, isolated  # noqa: E402
from despina_sdk.testing.answers import Reason  # noqa: E402
from despina_sdk.testing.fakes import FakeBatch, FakeRequest  # noqa: E402
from despina_sdk.testing.host import Host, StarvedRequest  # noqa: E402
from despina_sdk.testing.memory import Block, Input  # noqa: E402
from despina_sdk.testing.native import LibraryError, _copy, backend_class, load  # noqa: E402
from despina_sdk.testing.native_table import HostTable, NoCompilerError  # noqa: E402
from despina_sdk.testing.sanitizer import NoToolsError, SanitizedBuild, shortened  # noqa: E402
from despina_sdk.testing.symbols import symbols_of  # noqa: E402

HERE = Path(__file__).parent


def rows(*values: float) -> dict[str, Array]:
    return {"X": np.array(values, np.float32).reshape(-1, 1)}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler is installed")
    path = tmp_path_factory.mktemp("counting") / "libdespina_counting.so"
    command = [*COMPILE, "-shared", "-o", str(path), str(HERE / "counting_backend.cc")]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def metrics() -> LocalMetrics:
    return LocalMetrics()


@pytest.fixture
def host(library: Path, metrics: LocalMetrics) -> Iterator[Host]:
    spec = ModelSpec("counted", "1", Path("counted/1"), metrics=metrics)
    with Host(backend_class(library), {}, spec, time_limit=5) as host:
        yield host


def made_and_released(metrics: LocalMetrics) -> tuple[float, float]:
    return metrics.value("made_total"), metrics.value("released_total")


def run(host: Host, what: str, *inputs: dict[str, Array], kind: type = FakeRequest) -> FakeBatch:
    """Runs one batch with a request that says what to do, and unloads the model."""
    model = host.load()
    (worker,) = host.start(model)
    requests = [
        kind(
            each,
            f"request {i}",
            {"do": what},
            signature=model.signature,
            capabilities=host.backend.capabilities,
            decoupled=True,
        )
        for i, each in enumerate(inputs)
    ]
    batch = FakeBatch(requests)
    worker._lane.result("execute", worker.start(batch))
    host.unload(model)
    return batch


ONE, TWO = [rows(1)], [rows(1), rows(2, 3)]


@pytest.mark.parametrize(
    ("what", "inputs", "made"),
    [
        ("", ONE, 2),
        ("", TWO, 2),
        ("wrong rows", ONE, 1),
        ("wrong rows", TWO, 1),
        ("fail", ONE, 1),
        ("forget", ONE, 1),
        ("twice", ONE, 3),
        ("part", ONE, 3),
        ("late", ONE, 1),
        ("late", TWO, 1),
    ],
)
def test_what_a_backend_gives_is_released_once_and_what_is_refused_stays_its_own(
    host: Host,
    metrics: LocalMetrics,
    what: str,
    inputs: list[dict[str, Array]],
    made: int,
) -> None:
    run(host, what, *inputs)
    assert made_and_released(metrics) == (made, made)


def test_what_is_given_to_a_request_without_memory_is_released(
    host: Host, metrics: LocalMetrics
) -> None:
    batch = run(host, "", rows(1), kind=StarvedRequest)
    assert isinstance(batch.sent[0].error, BackendError)
    assert batch.sent[0].error.code is Code.RESOURCE_EXHAUSTED
    assert made_and_released(metrics) == (2, 2)


def test_a_batch_is_gathered_and_its_answer_split(host: Host) -> None:
    one, two = run(host, "", rows(1), rows(2, 3)).sent
    assert one.outputs is not None
    assert two.outputs is not None
    assert one.outputs["Y"].tolist() == [[1]]
    assert two.outputs["Y"].tolist() == [[2], [3]]
    assert two.outputs["TEXTS"].tolist() == [[b"text"], [b"text"]]


def test_refusals_have_the_codes_of_the_server(host: Host) -> None:
    (request,) = run(host, "wrong rows", rows(1)).sent
    assert isinstance(request.error, BackendError)
    assert request.error.code is Code.INTERNAL
    assert [each.reason for each in request.refusals] == [Reason.ROWS]
    (request,) = run(host, "fail", rows(1)).sent
    assert isinstance(request.error, BackendError)
    assert request.error.code is Code.NOT_FOUND
    assert request.error.message == "failed after it has given"


def test_ids_and_parameters_are_seen(host: Host) -> None:
    (request,) = run(host, "id", rows(1)).sent
    assert request.outputs is not None
    assert request.outputs["TEXTS"].tolist() == [[b"request 0"]]


def test_parameters_are_those_of_their_part_of_the_answer(host: Host) -> None:
    (request,) = run(host, "part", rows(1)).sent
    assert request.part_parameters == [{"part": True}]
    assert request.answer_parameters == {"rows": 1, "half": 0.5, "text": "é"}


def test_metrics_go_to_the_specification(host: Host, metrics: LocalMetrics) -> None:
    run(host, "", rows(1), rows(2, 3))
    assert metrics.value("level", of="water") == 7
    assert metrics.series["sizes", frozenset()].buckets == [0, 0, 1]


def test_a_cancellation_is_told_while_the_request_is_not_answered(
    host: Host, metrics: LocalMetrics
) -> None:
    model = host.load()
    (worker,) = host.start(model)
    request = worker.request(rows(1))
    request._parameters = {"do": "forget"}
    worker._lane.result("execute", worker.start(FakeBatch([request])))
    request.cancelled = True
    assert metrics.value("level", of="water") == 8
    (answered,) = worker.run(rows(1))
    answered.cancelled = True
    assert metrics.value("level", of="water") == 7


def test_who_is_told_of_a_cancellation_may_look_at_the_request_after_its_answer(
    host: Host, metrics: LocalMetrics
) -> None:
    (worker,) = host.start(host.load())
    request = worker.request(rows(1))
    request._parameters = {"do": "answer when cancelled"}
    worker._lane.result("execute", worker.start(FakeBatch([request])))
    worker.cancel(request)
    assert request.answered
    assert not request.refusals
    assert metrics.value("level", of="water") == 8


def test_readiness_is_asked(host: Host) -> None:
    with pytest.raises(BackendError, match="not today"):
        host.load().check_ready()


def test_what_a_model_says_of_itself_is_seen(host: Host) -> None:
    signature = host.load().signature
    assert (signature.max_batch_size, signature.decoupled) == (4, True)
    assert [each.optional for each in signature.inputs] == [False, True]


def test_the_logs_of_a_backend_are_python_s(
    caplog: pytest.LogCaptureFixture, library: Path
) -> None:
    lent = abi.Lent()
    with caplog.at_level(logging.DEBUG, "despina.backend"):
        load(library.resolve()).table.api.log(abi.NUMBERS["DESPINA_LOG_WARNING"], lent.text("hot"))
    assert caplog.messages == ["hot"]
    assert caplog.records[0].levelno == logging.WARNING


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "libdespina_text.so"
    path.write_text("no library")
    with pytest.raises(LibraryError, match="invalid ELF header|file too short"):
        backend_class(path)
    with pytest.raises(ValueError, match="is no library"):
        symbols_of(path)
    path.write_bytes(b"\x7fELF\x02\x01" + bytes(10))
    with pytest.raises(ValueError, match="is damaged"):
        symbols_of(path)


def test_without_a_compiler_the_kit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **options: None)
    monkeypatch.delenv("CMAKE_GENERATOR", raising=False)
    with pytest.raises(NoCompilerError, match="no C compiler .* is installed"):
        HostTable()
    with pytest.raises(NoToolsError, match=r"not installed: cmake, c\+\+, ninja or make"):
        SanitizedBuild(HERE, HERE, "twice", "libdespina_twice.so")


def test_a_folder_that_may_not_be_looked_into_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "around" / "package" / "libdespina_alone.so"
    path.parent.mkdir(parents=True)
    path.write_text("a library")
    (path.parent.parent / "beside").touch()
    own = tmp_path / "own"
    own.mkdir()

    def refuse(*_: Any) -> None:
        raise PermissionError("part of the test")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert _copy(path, own).read_text() == "a library"


def test_a_refusal_is_kept_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (tmp_path / "package").mkdir()
    path = tmp_path / "package" / "libdespina_refused.so"
    path.write_text("no library")
    refusals = []
    for _ in range(2):
        with pytest.raises(LibraryError) as caught:
            load(path)
        refusals.append(caught.value)
    assert refusals[0] is refusals[1]
    assert not list(temporary.iterdir())


def test_what_builds_is_looked_for_beside_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CMAKE_GENERATOR", raising=False)
    searched = []

    def which(name: str, path: str) -> str | None:
        searched.append(path)
        return name if name in ("cmake", "c++") else None

    monkeypatch.setattr(shutil, "which", which)
    with pytest.raises(NoToolsError, match="not installed: ninja or make$"):
        SanitizedBuild(HERE, HERE, "twice", "libdespina_twice.so")
    assert set(searched) == {f"/nowhere:{Path(sys.executable).parent}"}


def a_compiler(folder: Path, script: str) -> str:
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no space left >&2; exit 1", "does not work: no space left"),
        ("exit 0", "makes cannot be used: .*by_value.so"),
    ],
)
def test_a_compiler_that_does_not_work_is_the_kit_s_affair(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setenv("CC", a_compiler(tmp_path, script))
    with pytest.raises(NoCompilerError, match=message):
        HostTable()
    case = isolated.Case(library, {}, ModelSpec("counted", "1", Path("1")), rows(1), "cpu", 5.0)
    outcome = isolated.run("try", case)
    assert re.search(message, outcome.not_tried)
    assert not outcome.death


def test_what_cannot_be_pickled_as_it_is_reaches_the_other_process(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    none: MappingProxyType[str, Any] = MappingProxyType({})
    spec = ModelSpec("counted", "1", Path("1"), config=none, parameters=none)
    case = isolated.Case(library, none, spec, MappingProxyType(rows(1)), "cpu", 5.0)
    assert isolated.run("try", case) == isolated.Outcome()
    assert not list(tmp_path.iterdir()), "left behind"


def test_the_server_is_not_asked_about_another_library(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("counting", "fractions:Fraction", "despina.backends")
    monkeypatch.setattr(isolated, "entry_points", lambda **_: [point])
    with pytest.raises(isolated.NotTriedError, match="is 'fractions:Fraction', under test is '/"):
        isolated._require_this_one("counting", library)
    monkeypatch.setattr(isolated, "entry_points", lambda **_: [])
    assert not isolated._require_this_one("counting", library)


@pytest.mark.parametrize(
    ("status", "text"), [(3, "status 3"), (-11, "SIGSEGV"), (-40, "signal 40")]
)
def test_every_ending_of_a_process_has_a_text(status: int, text: str) -> None:
    assert ending(status) == text


def test_a_build_that_fails_is_shown(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    (tmp_path / "CMakeLists.txt").write_text('message(FATAL_ERROR "no abacus")')
    build = SanitizedBuild(tmp_path, tmp_path / "cache", "twice", "libdespina_twice.so")
    with pytest.raises(AssertionError, match="no abacus"):
        build.make()


@pytest.mark.parametrize("size", [0, 1, 64, 1000])
def test_memory_is_aligned_and_shows_what_was_written_beside_it(size: int) -> None:
    block = Block(size)
    assert block.address % 64 == 0
    assert block.damage() == ""
    block._after[0] = 0
    assert block.damage() == "1 bytes after its end were written"
    block._before[-2:] = 0
    assert block.damage() == "2 bytes before its begin were written"


def test_a_text_that_was_changed_is_damage() -> None:
    texts = Input("TEXT", "BYTES", np.array([b"mug", b"\0"], object))
    assert texts.damage() == ""
    texts._blocks[1].bytes[0] = 0
    assert texts.damage() == "it was changed"


def test_a_process_that_does_not_end_is_ended(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "START_SECONDS", 0.1)
    spec = ModelSpec("counted", "1", Path("counted/1"))
    case = isolated.Case(library, {}, spec, rows(1), "cpu", 0.0)
    for task in ("try", "serve"):
        assert isolated.run(task, case).stuck == "the process has not ended after 0.1 s"


@pytest.mark.parametrize("task", ["try", "serve"])
def test_a_library_that_ends_its_process_with_status_0_was_an_error_of_the_kit(
    task: str, tmp_path: Path
) -> None:
    source, library = tmp_path / "ends.c", tmp_path / "libdespina_ends.so"
    source.write_text(
        "#include <unistd.h>\n__attribute__((constructor)) static void end(void) { _exit(0); }"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    case = isolated.Case(library, {}, ModelSpec("ends", "1", Path("1")), rows(1), "cpu", 5.0)
    assert isolated.run(task, case).death == "the process ended with status 0"


def test_a_report_is_shortened_to_what_helps() -> None:
    frames = "\n".join(f"    #{i} 0x1 in f{i}" for i in range(20))
    noise = "Shadow bytes around:\n  0x1: fa fa\nSUMMARY: AddressSanitizer: overflow in f0\n"
    lines = shortened(f"a log line\n==1==ERROR: AddressSanitizer: overflow\n{frames}\n{noise}")
    assert lines.splitlines()[0] == "==1==ERROR: AddressSanitizer: overflow"
    assert lines.splitlines()[-1] == "SUMMARY: AddressSanitizer: overflow in f0"
    assert "#7 " in lines
    assert "#8 " not in lines
    assert "Shadow" not in lines
    assert "log line" not in lines
