"""``despina validate``, beyond what the broken configurations in ``tests/fixtures`` show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from despina.cli import main

TENSORS = """
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
"""
GOOD = f'backend: "identity" max_batch_size: 8 {TENSORS}'
ENSEMBLE = f"""{TENSORS}
ensemble_scheduling {{ step {{
  model_name: "member"
  input_map {{ key: "x" value: "x" }} output_map {{ key: "y" value: "y" }} }} }}
"""


def validate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)])


def models(*arguments: str | Path) -> dict[str, Any]:
    """The models of the JSON output, by name."""
    found = json.loads(validate("--json", *arguments).stdout)["models"]
    return {each["name"]: each for each in found}


@pytest.fixture
def mixed(write_model, repository: Path) -> Path:
    write_model("good", GOOD)
    write_model("bad", 'backend: "identity"\nmax_batch_size: -1\ninput { dim: 1 }')
    return repository


def test_a_repository_is_summed_up(mixed: Path):
    result = validate(mixed)
    *problems, summary, not_checked = result.stdout.splitlines()
    assert problems == [
        f"{mixed}/bad/config.pbtxt:2:1: max_batch_size: -1 is not between 0 and 1048576",
        f"{mixed}/bad/config.pbtxt:3:9: ModelInput has no field 'dim'; did you mean 'dims'?",
    ]
    assert summary == "2 models, 2 problems in 1 of them"
    assert not_checked.startswith("Not checked: what only loading tells")
    assert result.exit_code == 1


@pytest.mark.parametrize("path", ["good", "good/config.pbtxt"])
def test_a_model_without_problems_ends_with_status_0(mixed: Path, path: str):
    result = validate(mixed / path)
    assert result.stdout.startswith("1 model, no problems\n")
    assert result.exit_code == 0


def test_a_path_may_be_the_current_folder(mixed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(mixed / "good")
    assert models(".").keys() == models("config.pbtxt").keys() == {"good"}
    monkeypatch.chdir(mixed)
    assert models(".").keys() == {"good", "bad"}
    assert validate("bad").stdout.startswith("bad/config.pbtxt:2:1: ")


def test_what_several_paths_have_in_common_is_told_once(mixed: Path):
    assert validate(mixed, mixed / "bad", mixed / "good").stdout == validate(mixed).stdout


def test_the_json_has_configurations_and_problems(mixed: Path):
    found = models(mixed)
    assert found["good"]["config"]["instance_group"][0]["name"] == "good"
    assert found["good"]["versions"] == [1]
    assert found["bad"]["config"] is None
    assert found["bad"]["problems"][0] == {
        "file": f"{mixed}/bad/config.pbtxt",
        "line": 2,
        "column": 1,
        "field": "max_batch_size",
        "text": "-1 is not between 0 and 1048576",
    }


def test_an_ensemble_brings_the_models_of_its_steps(write_model, repository: Path):
    write_model("whole", ENSEMBLE)
    write_model("member", f"{GOOD.replace('8', '-1')} instance_group {{ count: -1 }}")
    write_model("other", "x")
    found = models(repository / "whole")
    assert found.keys() == {"whole", "member"}
    assert len(found["member"]["problems"]) == 2
    assert found["whole"]["notes"] == ["its model 'member' has problems"]


def test_a_tensor_that_only_the_backend_can_know_is_a_note(write_model, repository: Path):
    write_model("e", "max_batch_size: 8" + ENSEMBLE.replace('{ key: "y"', '{ key: "yy"'))
    write_model("member", GOOD)
    text = "member' does not list output 'yy', which its backend would have to fill in"
    result = validate(repository / "e")
    note = f"{repository}/e: note: step 0: model '{text}; did you mean 'y'?"
    assert note in result.stdout
    assert result.exit_code == 0
    result = validate("--disable-auto-complete-config", repository / "e")
    assert "model 'member' has no output 'yy'; did you mean 'y'?" in result.stdout
    assert result.exit_code == 1


def test_a_model_without_a_configuration_is_told_by_its_files(write_model, repository: Path):
    (write_model("m", None) / "1" / "model.onnx").touch()
    (found,) = models(repository).values()
    assert found["config"]["backend"] == "onnxruntime"
    assert found["notes"] == [
        "inputs and outputs are not all given: the backend has to fill them in"
    ]


def test_a_plugin_may_tell_the_backend(install_plugin, write_model, repository: Path):
    source = """
    from despina_sdk.hooks import hookimpl
    @hookimpl
    def despina_detect_backend(path):
        return "identity"
    """
    install_plugin("plugin-detect", source, plugins={"detect": ""})
    write_model("m", TENSORS)
    assert models(repository)["m"]["config"]["backend"] == "identity"


def test_what_the_server_that_serves_it_may_have_is_a_note(write_model, repository: Path):
    write_model("m", f'backend: "identiti" default_model_filename: "net.bin" {TENSORS}')
    result = validate(repository)
    assert result.stdout.splitlines()[:2] == [
        f"{repository}/m: note: no distribution that is installed here offers backend 'identiti';"
        " did you mean 'identity'?",
        f"{repository}/m: note: version 1 has no file 'net.bin'",
    ]
    assert result.exit_code == 0


def test_a_library_beside_the_model_is_its_backend(write_model, repository: Path):
    (write_model("m", f'backend: "own" {TENSORS}') / "1" / "libdespina_own.so").touch()
    assert models(repository)["m"]["notes"] == []


def test_what_a_backend_may_fill_in_can_be_demanded(write_model, repository: Path):
    write_model("m", 'backend: "identity" input { name: "x" }')
    assert validate(repository).exit_code == 0
    result = validate("--disable-auto-complete-config", repository)
    assert "input[0].dims: is missing for 'x'" in result.stdout
    assert result.exit_code == 1


def test_a_file_alone_is_checked_as_far_as_it_goes(tmp_path: Path):
    text = tmp_path / "any.pbtxt"
    text.write_text(f'name: "m" {TENSORS} output {{ name: "z" label_filename: "none" dims: 0 }}')
    (problem,) = models(text)["m"]["problems"]
    assert problem["field"] == "output[1].dims[0]"
    text.write_text(ENSEMBLE.replace('value: "x"', 'value: "w"'))
    fields = {each["field"] for each in models(text)["any"]["problems"]}
    assert fields == {"input[0]", "ensemble_scheduling.step[0].input_map['x']"}
    text.write_text(TENSORS)
    assert "the model's folder is not looked at" in models(text)["any"]["notes"][0]


def test_the_json_form_is_checked_too(tmp_path: Path):
    file = tmp_path / "m.json"
    file.write_text('{"backend": "b", "max_batch_size": "x", "inptu": 1}')
    assert validate(file).stdout.splitlines()[:2] == [
        f"{file}: max_batch_size: takes a whole number, not the text 'x'",
        f"{file}: inptu: ModelConfig has no field 'inptu'; did you mean 'input'?",
    ]


def test_a_configuration_of_another_name_belongs_to_the_folder_around(write_model):
    folder = write_model("m", GOOD)
    (folder / "configs").mkdir()
    (folder / "configs" / "small.pbtxt").write_text(f'name: "n" {GOOD}')
    (problem,) = models(folder / "configs" / "small.pbtxt")["m"]["problems"]
    assert problem["text"].startswith("'n' is not the name of the folder, 'm'")


@pytest.mark.parametrize("path", ["", "m"], ids=["a repository", "a model"])
def test_the_configurations_of_a_name_are_checked_as_a_server_takes_them(
    write_model, repository: Path, path: str
):
    folder = write_model("m", 'backend: "identity" max_batch_size: 1', versions=())
    (folder / "configs").mkdir()
    (folder / "configs" / "large.pbtxt").write_text('backend: "identity" max_batch_size: 32')
    (folder / "configs" / "wrong.pbtxt").write_text("nonsense")
    for name, size in (("large", 32), ("absent", 1)):
        model = models(f"--model-config-name={name}", repository / path)["m"]
        assert model["config"]["max_batch_size"] == size
    (problem,) = models("--model-config-name=wrong", repository / path)["m"]["problems"]
    assert problem["file"] == str(folder / "configs" / "wrong.pbtxt")


def test_a_model_may_have_no_other_configuration(write_model, repository: Path):
    folder = write_model("m", None, versions=())
    (folder / "configs").mkdir()
    (folder / "configs" / "large.pbtxt").write_text('backend: "identity" max_batch_size: 32')
    model = models("--model-config-name=large", folder)["m"]
    assert model["config"]["max_batch_size"] == 32


def test_the_name_of_a_configuration_is_no_path(mixed: Path):
    result = validate("--model-config-name=../x", mixed)
    assert "'../x' is not the name of a file in 'configs'" in result.stderr
    assert result.exit_code == 2


def test_what_could_drive_a_terminal_is_escaped(write_model, repository: Path):
    write_model("m", f'{GOOD} default_model_filename: "/\\x1b[31m" parameters {{ key: "\\x1b" }}')
    assert "\x1b" not in validate(repository).stdout


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("none", 2, "Path '{}' does not exist."),
        (".", 1, "error: there is no model in '{}': models are folders with a config.pbtxt"),
    ],
)
def test_a_path_without_models_is_an_error(repository: Path, path: str, status: int, error: str):
    result = validate(repository / path)
    assert error.format(repository / path) in result.stderr
    assert result.exit_code == status


def test_without_a_path_the_usage_is_shown():
    result = validate()
    assert "Missing argument 'PATH...'" in result.stderr
    assert result.exit_code == 2


def test_an_interrupt_ends_it_without_a_traceback(mixed: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["despina.cli.validate"], "review", interrupted)
    result = validate(mixed)
    assert result.stderr.strip() == "Aborted!"
    assert result.exit_code == 1


def test_neither_the_engine_nor_a_backend_is_loaded(mixed: Path):
    code = f"""
import sys
from click.testing import CliRunner
from despina.cli import main
for command in ("validate", "explain"):
    result = CliRunner().invoke(main, [command, {str(mixed / "good")!r}])
    assert result.exit_code == 0, result.output
loaded = [name for name in sys.modules if "_engine" in name or "onnxruntime" in name]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)
