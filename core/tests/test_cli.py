"""The command line, as far as it needs no running server."""

import os
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from despina.cli import COMMANDS, main
from despina.cli.process import _finished, raise_file_limit
from despina.runtime import Runtime
from despina.settings import Settings
from despina.settings.model import flag_name, setting_fields


def invoke(*arguments: str):
    return CliRunner().invoke(main, arguments)


def test_the_version_is_printed():
    assert invoke("--version").output.startswith("despina, version ")


def modules_behind(*arguments: str) -> set[str]:
    """Names of the modules that a process has imported once its command has ended."""
    code = (
        "import sys; from despina.cli import main; main(sys.argv[1:], standalone_mode=False);"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("Usage: ")
    return set(done.stderr.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_engine_and_no_other_command(command: str):
    modules = modules_behind(command, "--help")
    assert f"despina.cli.{command}" in modules
    assert "despina._engine" not in modules
    assert not modules & {f"despina.cli.{other}" for other in COMMANDS if other != command}


def test_the_help_of_serve_has_the_groups_of_the_page():
    lines = invoke("serve", "--help").output.splitlines()
    heads = [line.removesuffix(":") for line in lines if line.endswith(":") and line[0] != " "]
    groups = dict.fromkeys(each.metadata["group"] for each in setting_fields())
    assert heads == ["Options", *groups]


def test_every_setting_has_a_flag_with_help():
    output = invoke("serve", "--help").output
    for each in setting_fields():
        assert f"--{flag_name(each.name)}" in output


def test_the_incumbents_name_of_the_repository_is_understood():
    result = invoke("serve", "--model-store", "/no/such/folder")
    assert result.exit_code == 1
    assert "model repository '/no/such/folder' does not exist" in result.output


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        ((), 1, "error: no --model-repository"),
        (("--model-repository=/no/such",), 1, "error: model repository '/no/such' does not exist"),
        (("--http-port=x",), 2, "Invalid value for '--http-port': 'x' is not a whole number"),
        (("--http-prt=1",), 2, "No such option"),
        (("--model-control-mode=pull",), 2, "'pull' is none of none, poll, explicit"),
        (("--model-config-name=../x", "--model-repository=/"), 1, "not the name of a file"),
        (("--load-model=a", "--model-repository=/"), 1, "needs --model-control-mode=explicit"),
        (("--config-file=/no/such.toml",), 1, "error: /no/such.toml: No such file"),
        (
            ("--model-repository=/", "--http-port=8000", "--metrics-port=8000"),
            1,
            "--http-port and --metrics-port are both 8000",
        ),
        (("--model-repository=/", "--backend-config=x"), 1, "'x' is not BACKEND,KEY=VALUE"),
    ],
)
def test_a_mistake_is_named_and_ends_with_a_status(arguments, status: int, error: str):
    result = invoke("serve", *arguments)
    assert error in result.output
    assert result.exit_code == status


def test_what_could_drive_a_terminal_is_escaped():
    result = invoke("serve", "--model-repository=/no\x1b[31m")
    assert "/no\\x1b[31m' does not exist" in result.output


@pytest.mark.parametrize(
    ("finish", "line"),
    [
        (lambda timeout: False, "cut off after --exit-timeout-secs=30: something still runs"),
        (lambda timeout: sys.exit(0), "cut off: the end itself failed"),
        (lambda timeout: 1 / 0, "cut off: the end itself failed"),
    ],
)
def test_an_end_that_fails_is_told_from_one_that_takes_too_long(monkeypatch, caplog, finish, line):
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    runtime = Runtime(Settings())
    end = runtime.finish
    monkeypatch.setattr(runtime, "finish", finish)
    with _finished(runtime):
        pass
    assert end(10)
    assert left == [1]
    assert [record.message for record in caplog.records] == [line]


def test_the_process_may_open_as_many_files_as_the_system_allows():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
