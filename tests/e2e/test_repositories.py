"""Repositories with something wrong in them: what is refused, and what is served all the same."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from harness.repository import add_model, ensemble, fixture, identity, step, tensor
from harness.serve import HTTP_PORT, Serve
from harness.waiting import wait_until

import despina

X = tensor("X", "FP32", [-1])
Y = tensor("Y", "FP32", [-1])
ONE = np.ones((1, 1), np.float32)


def steps(*models: str) -> list[str]:
    """A chain of identities: X, t1, t2, …, Y."""
    names = ["X", *(f"t{i}" for i in range(1, len(models))), "Y"]
    return [
        step(model, {"INPUT0": names[i]}, {"OUTPUT0": names[i + 1]})
        for i, model in enumerate(models)
    ]


def chain(*models: str) -> str:
    return ensemble([X], [Y], steps(*models))


def corrupt_onnx(folder: Path) -> None:
    files = {"1/model.onnx": b"this is no model" * 100}
    add_model(folder, "bad", 'backend: "onnxruntime"\n', files)


def truncated_onnx(folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["X"], ["Y"])
    info = onnx.helper.make_tensor_value_info
    float_type = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "g", [info("X", float_type, ["N", 1])], [info("Y", float_type, ["N", 1])]
    )
    data = onnx.helper.make_model(graph).SerializeToString()
    add_model(folder, "bad", 'backend: "onnxruntime"\n', {"1/model.onnx": data[:-10]})


def missing_onnx(folder: Path) -> None:
    add_model(folder, "bad", 'backend: "onnxruntime"\n')


def missing_plugin(folder: Path) -> None:
    add_model(folder, "bad", 'backend: "identity_pithon"\n')


def broken_plugin(folder: Path) -> None:
    add_model(folder, "bad", fixture("broken_import"))


def triton_library(folder: Path) -> None:
    add_model(folder, "bad", 'backend: "custom"\n', {"1/libtriton_custom.so": b"\x7fELF"})


def version_that_is_not_there(folder: Path) -> None:
    policy = "version_policy { specific { versions: [1, 4] } }\n"
    add_model(folder, "bad", identity(extra=policy))


def other_name(folder: Path) -> None:
    add_model(folder, "bad", 'name: "good"\n' + identity())


def syntax_error(folder: Path) -> None:
    add_model(folder, "bad", 'backend: "identity_python"\nmax_batch_size 8\n')


def unknown_field(folder: Path) -> None:
    add_model(folder, "bad", 'backend: "identity_python"\n  max_batchsize: 8\n')


def unsupported_field(folder: Path) -> None:
    add_model(folder, "bad", identity(extra="model_warmup [ { batch_size: 1 } ]\n"))


def not_utf8(folder: Path) -> None:
    (add_model(folder, "bad", "") / "config.pbtxt").write_bytes(b'name: "\xff"\n')


def bad_values(folder: Path) -> None:
    extra = "instance_group [ { count: -1 } ]\nmodel_warmup [ { } ]\n"
    add_model(folder, "bad", identity(dims=(0,), max_batch_size=-1, extra=extra))


def label_file_outside(folder: Path) -> None:
    output = 'output { name: "CLASSES" label_filename: "../../secret" }\n'
    add_model(folder, "bad", fixture("classes", extra=output))


def mismatched_model(folder: Path) -> None:
    add_model(folder, "bad", fixture("pair", extra=f"input [ {tensor('X', 'INT32', [-1])} ]\n"))


def cyclic_ensembles(folder: Path) -> None:
    add_model(folder, "bad", chain("good", "other"))
    add_model(folder, "other", chain("bad"))


def steps_in_a_circle(folder: Path) -> None:
    circle = [
        step("good", {"INPUT0": "b"}, {"OUTPUT0": "a"}),
        step("good", {"INPUT0": "a"}, {"OUTPUT0": "b"}),
        step("good", {"INPUT0": "X"}, {"OUTPUT0": "Y"}),
    ]
    add_model(folder, "bad", ensemble([X], [Y], circle))


def missing_member(folder: Path) -> None:
    add_model(folder, "bad", chain("god"))


def member_that_fails(folder: Path) -> None:
    add_model(folder, "failing", fixture("load", behaviour="refuse"))
    add_model(folder, "bad", chain("good", "failing"))


def member_of_another_datatype(folder: Path) -> None:
    add_model(folder, "integers", identity("INT32"))
    add_model(folder, "bad", chain("good", "integers"))


def member_of_another_shape(folder: Path) -> None:
    add_model(folder, "two", identity(dims=(2,)))
    add_model(folder, "three", identity(dims=(3,)))
    add_model(folder, "bad", chain("good", "two", "three"))


def member_without_that_tensor(folder: Path) -> None:
    one = step("good", {"INPUT1": "X"}, {"OUTPUT0": "Y"})
    add_model(folder, "bad", ensemble([X], [Y], [one]))


def tensor_that_nothing_makes(folder: Path) -> None:
    one = step("good", {"INPUT0": "W"}, {"OUTPUT0": "Y"})
    add_model(folder, "bad", ensemble([X], [Y], [one]))


def tensor_made_twice(folder: Path) -> None:
    add_model(folder, "bad", ensemble([X], [Y], steps("good") * 2))


def load_raises(folder: Path) -> None:
    add_model(folder, "bad", fixture("load", behaviour="raise"))


def load_exits(folder: Path) -> None:
    add_model(folder, "bad", fixture("load", behaviour="exit"))


def instance_raises(folder: Path) -> None:
    add_model(folder, "bad", fixture("load", behaviour="instance_raise"))


def instance_exits(folder: Path) -> None:
    add_model(folder, "bad", fixture("load", behaviour="instance_exit"))


REASONS: dict[Callable[[Path], None], list[str]] = {
    corrupt_onnx: ["model.onnx"],
    truncated_onnx: ["model.onnx"],
    missing_onnx: ["model.onnx"],
    missing_plugin: ["'identity_pithon'", "did you mean", "identity_python"],
    broken_plugin: ["'fixture_broken_import'", "import failed", "despina_fixtures.nowhere"],
    triton_library: ["libtriton_custom.so", "Triton's backend interface"],
    version_that_is_not_there: ["version_policy.specific.versions", "no folder for 4"],
    other_name: ["name", "'good' is not the name of the folder, 'bad'"],
    syntax_error: [r"bad/config\.pbtxt:2:16: "],
    unknown_field: [r"bad/config\.pbtxt:2:3: ", "max_batchsize", "max_batch_size"],
    unsupported_field: [r"bad/config\.pbtxt:\d+:1: ", "model_warmup", "not there yet"],
    not_utf8: ["config.pbtxt", "not UTF-8"],
    bad_values: ["max_batch_size", r"input\[0\]\.dims", r"instance_group\[0\]\.count", "warm-up"],
    label_file_outside: ["label_filename", "leads out of the model's folder"],
    mismatched_model: ["'X'", "INT32", "FP32"],
    cyclic_ensembles: ["contains itself", "bad -> other -> bad"],
    steps_in_a_circle: ["wait for each other", r"0 \(model 'good'\), 1 \(model 'good'\)"],
    missing_member: ["no model 'god'", "did you mean 'good'"],
    member_that_fails: ["model 'failing'", "load refused on purpose"],
    member_of_another_datatype: ["'t1' is FP32", r"step 0 \(model 'good'\)", "INT32"],
    member_of_another_shape: ["'t2'", r"step 1 \(model 'two'\)", r"\[3\]"],
    member_without_that_tensor: ["model 'good' needs 'INPUT0'", "does not list 'INPUT1'"],
    tensor_that_nothing_makes: ["'W'", "which nothing makes"],
    tensor_made_twice: ["'Y' has several producers"],
    load_raises: ["load failed on purpose"],
    load_exits: ["SystemExit"],
    instance_raises: ["instance 'bad_0'", "instance failed on purpose"],
    instance_exits: ["instance 'bad_0'", "SystemExit"],
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With one model that is as it should be."""
    folder = tmp_path / "repository"
    add_model(folder, "good", identity())
    return folder


@pytest.mark.parametrize("break_it", REASONS, ids=lambda each: each.__name__)
def test_a_model_that_cannot_be_served_fails_alone_with_its_reason(
    repository: Path, break_it: Callable[[Path], None]
) -> None:
    break_it(repository)
    with despina.Server(repository, exit_on_error=False) as server:
        rows = {row.name: row for row in server.models()}
        assert rows["good"].state == "READY"
        assert rows["bad"].state == "UNAVAILABLE"
        for pattern in REASONS[break_it]:
            assert re.search(pattern, rows["bad"].reason), rows["bad"].reason
        assert not server.ready
        assert server.infer("good", {"INPUT0": ONE})["OUTPUT0"] == ONE
        with pytest.raises(despina.DespinaError) as refused:
            server.infer("bad", {"X": ONE})
        assert refused.value.code is despina.Code.NOT_FOUND
        assert "'bad'" in refused.value.message
    with pytest.raises(despina.DespinaError, match="bad"):
        despina.Server(repository)


def test_the_process_ends_with_the_reason_unless_told_to_go_on(
    repository: Path, tmp_path: Path
) -> None:
    syntax_error(repository)
    with Serve(repository, tmp_path / "a", wait=False) as ending:
        assert ending.wait() == 1
        assert "config.pbtxt:2:16" in ending.stderr
    with Serve(repository, tmp_path / "b", "--exit-on-error=false") as going_on:
        assert "Serving without some models" in going_on.stdout
        assert "config.pbtxt:2:16" in going_on.stdout
        assert going_on.get("/v2/health/live")[0] == 200
        assert not going_on.ready()
        assert going_on.get("/v2/models/good/ready")[0] == 200
        assert going_on.get("/v2/models/bad/ready")[0] == 400
        assert going_on.stop() == 0


def test_without_strict_readiness_a_failed_model_does_not_count(
    repository: Path, tmp_path: Path
) -> None:
    syntax_error(repository)
    flags = ["--exit-on-error=false", "--strict-readiness=false"]
    with Serve(repository, tmp_path / "out", *flags) as server:
        assert server.ready()
        assert server.stop() == 0


def test_several_repositories_are_served_together(repository: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    add_model(second, "more", chain("good"))
    with despina.Server([repository, second]) as server:
        assert [row.name for row in server.models()] == ["good", "more"]
        assert server.infer("more", {"X": ONE})["Y"] == ONE


def test_a_name_in_two_repositories_is_served_from_neither(
    repository: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    add_model(second, "good", identity())
    add_model(second, "more", identity())
    with despina.Server([repository, second], exit_on_error=False) as server:
        rows = {row.name: row for row in server.models()}
        assert rows["more"].state == "READY"
        assert rows["good"].state == "UNAVAILABLE"
        assert str(repository) in rows["good"].reason
        assert str(second) in rows["good"].reason


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", [10]),
        ("version_policy { latest { num_versions: 2 } }", [3, 10]),
        ("version_policy { all { } }", [1, 3, 10]),
        ("version_policy { specific { versions: [1, 3] } }", [1, 3]),
    ],
)
def test_version_policies(tmp_path: Path, policy: str, served: list[int]) -> None:
    folder = add_model(tmp_path, "many", fixture("describe", extra=policy + "\n"))
    for name in ("3", "10", "02", "x", "-4"):
        (folder / name).mkdir()
    with despina.Server(tmp_path) as server:
        assert [row.version for row in server.models()] == served
        for version in [None, *served]:
            about = server.infer("many", {"X": ONE}, version=version)["ABOUT"][0, 0]
            assert f'"version": "{version or served[-1]}"'.encode() in about
        with pytest.raises(despina.DespinaError, match="'many' version 7 is not found"):
            server.infer("many", {"X": ONE}, version=7)


def test_a_model_that_needs_no_files_needs_no_version_folder(repository: Path) -> None:
    """Version control keeps no empty folders."""
    (repository / "good" / "1").rmdir()
    with despina.Server(repository) as server:
        assert [(row.name, row.version) for row in server.models()] == [("good", 1)]
        assert server.infer("good", {"INPUT0": ONE})["OUTPUT0"] == ONE


def test_explicit_mode_loads_what_is_named_and_the_members_of_it(
    repository: Path, tmp_path: Path
) -> None:
    add_model(repository, "unwanted", identity())
    add_model(repository, "wanted", chain("good"))
    flags = ["--model-control-mode=explicit", "--load-model=wanted"]
    with Serve(repository, tmp_path / "out", *flags) as server:
        assert server.ready()
        assert server.get("/v2/models/wanted/ready")[0] == 200
        assert server.get("/v2/models/good/ready")[0] == 200
        assert server.get("/v2/models/unwanted/ready")[0] == 400
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--load-model=good"], "--model-control-mode=explicit"),
        (["--model-control-mode=explicit", "--load-model=god"], "did you mean 'good'"),
        (["--model-control-mode=pull"], "poll"),
        (["--http-port=70000"], "http-port"),
        (["--http-thread-count=0"], "http-thread-count"),
        (["--exit-on-error=perhaps"], "exit-on-error"),
        (["--backend-config=nonsense"], "backend-config"),
        (["--no-such-flag"], "no-such-flag"),
        (["--model-repository=/nowhere/at/all"], "/nowhere/at/all"),
        (["--http-address=no.such.host.invalid"], "--http-port"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_that_cannot_be_are_named(
    repository: Path, tmp_path: Path, flags: list[str], text: str
) -> None:
    with Serve(repository, tmp_path / "out", *flags, wait=False) as server:
        assert server.wait() != 0
        assert text in server.stderr
        assert "Traceback" not in server.stderr


def test_settings_come_from_flags_the_environment_and_a_file(
    repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "despina.toml"
    file.write_text('id = "from the file"\nhttp-max-input-size = 1234\n')
    flags = [f"--config-file={file}", "--id=from the flag"]
    env = {"DESPINA_LOG_VERBOSE": "1", "DESPINA_HTTP_MAX_INPUT_SIZE": "4321"}
    with Serve(repository, tmp_path / "out", *flags, env=env) as server:
        assert server.json("/v2")["name"] == "from the flag"
        for name, value in (("log-verbose", "1"), ("http-max-input-size", "4321")):
            assert re.search(rf"\| {name} +\| {value} +\| environment", server.stdout)
        assert server.stop() == 0


@pytest.mark.parametrize("which", ["http", "metrics"])
def test_a_port_that_is_used_is_a_clear_error(repository: Path, tmp_path: Path, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        flag = f"--{which}-port"
        with Serve(repository, tmp_path / "out", f"{flag}={port}", wait=False) as server:
            assert server.wait() == 1
            assert f"127.0.0.1:{port} ({flag})" in server.stderr
            assert "Traceback" not in server.stderr


def test_the_server_is_live_and_not_ready_while_models_load(
    repository: Path, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    add_model(repository, "late", fixture("load", behaviour=f"hold:{held}"))
    add_model(repository, "both", chain("good", "good"))
    with Serve(repository, tmp_path / "out", wait=False) as server:
        server.wait_for(HTTP_PORT)
        assert server.get("/v2/health/live")[0] == 200
        assert not server.ready()
        assert server.get("/v2/models/late/ready")[0] == 400
        wait_until(held.exists)
        held.unlink()
        server.wait_for(re.compile("Server is ready"))
        assert server.ready()
        assert server.get("/v2/models/late/ready")[0] == 200
        assert server.stop() == 0


def test_an_ensemble_waits_for_its_members(repository: Path, tmp_path: Path) -> None:
    """Whatever the order of names and however long a member takes."""
    add_model(repository, "zz_late", fixture("load", behaviour="sleep:1"))
    late = [
        step("good", {"INPUT0": "X"}, {"OUTPUT0": "t"}),
        step("zz_late", {"X": "t"}, {"Y": "Y"}),
    ]
    add_model(repository, "aa", ensemble([X], [Y], late))
    add_model(repository, "ab", ensemble([X], [Y], [step("aa", {"X": "X"}, {"Y": "Y"})]))
    with despina.Server(repository, model_load_thread_count=1) as server:
        assert server.ready
        assert server.infer("ab", {"X": ONE})["Y"] == 2 * ONE


def test_a_member_that_is_loaded_again_brings_its_ensembles_back_before_load_returns(
    repository: Path,
) -> None:
    names = ["good", *(f"e{i}" for i in range(8))]
    for member, name in pairwise(names):
        inputs = {"INPUT0" if member == "good" else "X": "X"}
        outputs = {"OUTPUT0" if member == "good" else "Y": "Y"}
        add_model(repository, name, ensemble([X], [Y], [step(member, inputs, outputs)]))
    with despina.Server(repository) as server:
        server.unload("good")
        states = {row.name: (row.state, row.reason) for row in server.models()}
        assert states == dict.fromkeys(names, ("UNAVAILABLE", "unloaded"))
        assert server.ready
        server.load("good")
        assert server.infer(names[-1], {"X": ONE})["Y"] == ONE


def test_a_failed_load_can_be_mended_while_the_server_runs(repository: Path) -> None:
    corrupt_onnx(repository)
    with despina.Server(repository, exit_on_error=False) as server:
        with pytest.raises(despina.DespinaError, match="model.onnx"):
            server.load("bad")
        add_model(repository, "bad", identity())
        server.load("bad")
        assert server.ready
        assert server.infer("bad", {"INPUT0": ONE})["OUTPUT0"] == ONE
