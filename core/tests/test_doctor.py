"""``despina doctor``: what is here, what fits what, and whether a model can be served."""

import json
import os
import platform
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from despina.cli import main
from despina.diagnosis.limits import memory, processors
from despina.diagnosis.server import _interface
from despina.engine.native import ABI


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def checks(result: Result, section: str) -> dict[str, dict[str, str]]:
    """The last check of each subject."""
    return {each["subject"]: each for each in json.loads(result.output)["sections"][section]}


@pytest.fixture
def at_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """``at_start(code)``: runs at the start of each process that the command starts."""

    def run(code: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))

    return run


def test_where_a_model_can_be_served_it_says_what_there_is(monkeypatch):
    result = doctor("--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["serves"] is True
    versions = checks(result, "Versions")
    assert versions["Python"]["text"] == f"{platform.python_version()}, {sys.executable}"
    assert versions["engine"]["text"].startswith(f"ABI {ABI}, ")
    assert versions["requirements"]["verdict"] == "ok"
    machine = checks(result, "Machine")
    assert f"{os.cpu_count()}, of which" in machine["cores"]["text"]
    assert "glibc" in machine["system"]["text"]
    assert {"processor", "memory", "files", "shared memory", "http port", "GPU"} <= set(machine)
    assert checks(result, "Backends and plugins")["identity_python"]["verdict"] == "ok"
    assert checks(result, "Serving")["CPU model"]["verdict"] == "ok"


def test_it_is_printed_for_people_with_what_to_do(install_plugin, monkeypatch):
    install_plugin("plugin-bad", "1 / 0", backends={"broken": "X"})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("DESPINA_HTTP_PORT", str(port))
        result = doctor()
    assert result.exit_code == 0, result.output  # both are notes
    lines = [line.strip() for line in result.output.splitlines()]
    broken = next(i for i, line in enumerate(lines) if line.startswith("note     broken"))
    assert "plugin-bad 1.0: refused: import failed: ZeroDivisionError" in lines[broken]
    assert lines[broken + 1] == "=> despina plugins doctor broken"
    busy = next(i for i, line in enumerate(lines) if line.startswith("note     http port"))
    assert lines[busy].endswith(f"127.0.0.1:{port}: Address already in use")
    assert "--http-port=PORT" in lines[busy + 1]
    assert lines[-1] == "A model can be served"


def test_without_an_engine_it_says_how_to_get_one(at_start):
    at_start("import sys; sys.modules['despina._engine'] = None")
    result = doctor("--json")
    assert result.exit_code == 1
    check = checks(result, "Serving")["CPU model"]
    assert check["verdict"] == "problem"
    assert "_engine" in check["text"]
    assert "in a checkout run `make build`" in check["remedy"]
    assert "--no-index --find-links WHEELS" in check["remedy"]
    assert any("Traceback" in line for line in check["details"])
    assert checks(result, "Versions")["engine"]["verdict"] == "note"
    assert checks(result, "Backends and plugins")["backends"]["verdict"] == "note"


@pytest.mark.parametrize(
    ("code", "text", "remedy"),
    [
        ("os.kill(os.getpid(), 4)", "SIGILL (Illegal instruction)", "build it on this one"),
        ("sys.modules['pluggy'] = None", "import of pluggy", "python -m pip install pluggy"),
        (
            "print('libre2.so.9: cannot open shared object file', flush=True); os._exit(1)",
            "libre2.so.9",
            "install the package of the system",
        ),
        ("sys.exit('disk full')", "disk full", "`despina plugins` tells more"),
        ("os._exit(0)", "it ended the process with status 0", "`despina plugins` tells more"),
    ],
)
def test_why_the_model_cannot_be_served_is_told(at_start, code: str, text: str, remedy: str):
    at_start(f"import os, sys\nif 'despina.diagnosis.serving' in sys.orig_argv: {code}")
    result = doctor("--json")
    assert result.exit_code == 1
    check = checks(result, "Serving")["CPU model"]
    assert text in check["text"]
    assert remedy in check["remedy"]


def test_without_any_backend_that_works_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("despina.diagnosis.server.all_targets", lambda directory: [])
    result = doctor("--json")
    assert result.exit_code == 1
    check = checks(result, "Backends and plugins")["backends"]
    assert check["verdict"] == "problem"
    assert "despina-onnxruntime" in check["remedy"]


def test_versions_that_do_not_fit_are_named(install_plugin):
    site = install_plugin("plugin-old", "", plugins={"old": ""})
    (metadata,) = site.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text() + "Requires-Dist: numpy<1\n")
    result = doctor("--json")
    assert result.exit_code == 0
    check = checks(result, "Versions")["requirements"]
    assert check["text"].startswith("plugin-old needs numpy<1: numpy ")
    assert check["remedy"] == "python -m pip install 'numpy<1'"


def test_an_engine_and_an_sdk_of_different_builds_are_a_note():
    same = _interface({"abi": ABI, "engine": "e"})
    assert same.verdict == "ok"
    other = _interface({"abi": "9.9 (00000000)", "engine": "e"})
    assert other.verdict == "note"
    assert f"despina-sdk has ABI {ABI}" in other.text
    assert "take both from one build" in other.remedy


def test_a_setting_that_cannot_be_ends_it(monkeypatch):
    monkeypatch.setenv("DESPINA_HTTP_PORT", "x")
    result = doctor()
    assert result.exit_code == 1
    assert "error: DESPINA_HTTP_PORT: 'x' is not a whole number" in result.output


@pytest.mark.parametrize(
    ("files", "cores", "size"),
    [
        ({}, None, None),
        ({"proc/self/cgroup": "0::/\n"}, None, None),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
                "sys/fs/cgroup/a/memory.max": "1000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                "sys/fs/cgroup/a/b/memory.max": "2000\n",
            },
            1.5,
            1000,
        ),
        (
            {
                "proc/self/cgroup": "0::/path/of/the/host\n",
                "sys/fs/cgroup/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/memory.max": "max\n",
            },
            0.5,
            None,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "4096\n",
            },
            2.0,
            4096,
        ),
    ],
    ids=["none", "no limit", "the least of those around it", "container", "first kind"],
)
def test_limits_of_control_groups_are_read(tmp_path: Path, files, cores, size):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processors(tmp_path) == cores
    assert memory(tmp_path) == size
