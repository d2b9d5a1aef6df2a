"""The fixture ``despina_server`` starts real servers and sees to it that they end well."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

SECONDS = 120
MODEL = """
backend: "identity_python"
max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 2 ] }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 2 ] }
"""
CONFTEST = 'pytest_plugins = ["despina_sdk.testing.plugin"]\n'

needs_server = pytest.mark.skipif(
    not (find_spec("despina") and find_spec("despina_identity")),
    reason="despina and despina-identity are not installed",
)

RunTests = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_tests(tmp_path: Path) -> RunTests:
    """Runs a file of tests with the plugin, beside a repository with two models."""

    def run(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
        for name in ("one", "two"):
            (tmp_path / "repository" / name / "1").mkdir(parents=True)
            (tmp_path / "repository" / name / "config.pbtxt").write_text(MODEL)
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "test_it.py").write_text(textwrap.dedent(source))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-rs",
            "-c",
            "/dev/null",
            f"--rootdir={tmp_path}",
        ]
        return subprocess.run(
            [*command, "-p", "no:cacheprovider", str(tmp_path)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def outcome(done: subprocess.CompletedProcess[str]) -> str:
    """The last line: how many passed, failed, were skipped."""
    return done.stdout.splitlines()[-1]


@needs_server
def test_a_server_with_chosen_models_answers_and_ends(run_tests: RunTests) -> None:
    done = run_tests(
        """
        import json
        import urllib.error
        import urllib.request

        import pytest

        def status(url):
            try:
                return urllib.request.urlopen(url, timeout=10).status
            except urllib.error.HTTPError as error:
                return error.code

        def test_chosen_models_are_ready(despina_server):
            options = ["--model-control-mode=explicit", "--load-model=one"]
            chosen = despina_server("repository", *options)
            all_models = despina_server("repository")
            assert chosen.url == f"http://{chosen.address}"
            assert chosen.url != all_models.url
            ready = [[status(f"{server.url}/v2/models/{name}/ready") for name in ("one", "two")]
                     for server in (chosen, all_models)]
            assert ready[0][0] == 200 and ready[0][1] != 200
            assert ready[1] == [200, 200]
            assert status(chosen.metrics_url) == 200
            assert "Server is ready" in chosen.log
            tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
            body = json.dumps({"inputs": [tensor]}).encode()
            url = f"{chosen.url}/v2/models/one/infer"
            answer = json.load(urllib.request.urlopen(url, body, timeout=10))
            assert answer["outputs"][0]["data"] == [1, 2]
        """,
        DESPINA_HTTP_PORT="1",
    )
    assert "1 passed" in outcome(done), done.stdout + done.stderr


@needs_server
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"repository", "--no-such-flag"', "--no-such-flag"),
        ('"repository", "--model-control-mode=explicit", "--load-model=three"', "three"),
    ],
    ids=["unknown option", "unknown model"],
)
def test_a_server_that_does_not_start_fails_the_test_with_its_log(
    run_tests: RunTests, arguments: str, text: str
) -> None:
    done = run_tests(f"def test_it(despina_server):\n    despina_server({arguments})\n")
    assert "1 failed" in outcome(done), done.stdout + done.stderr
    assert "before it served; its log:" in done.stdout
    assert text in done.stdout.partition("its log:")[2]


@needs_server
def test_a_server_that_does_not_end_well_fails_the_tests_with_its_log(run_tests: RunTests) -> None:
    source = "def test_it(despina_server):\n    despina_server('repository').process.kill()\n"
    done = run_tests(source)
    assert "1 passed, 1 error" in outcome(done), done.stdout + done.stderr
    assert "the server ended with status -9; its log:" in done.stdout
    assert "Server is ready" in done.stdout


@needs_server
def test_a_server_that_does_not_end_is_killed(run_tests: RunTests) -> None:
    done = run_tests(
        """
        import signal

        from despina_sdk.testing import plugin

        def test_it(despina_server):
            plugin.STOP_SECONDS = 0.2
            despina_server("repository").process.send_signal(signal.SIGSTOP)
        """
    )
    assert "1 passed, 1 error" in outcome(done), done.stdout + done.stderr
    assert "the server did not end in 0.2 s; its log:" in done.stdout


@needs_server
def test_a_server_that_is_not_ready_in_time_is_killed(run_tests: RunTests) -> None:
    done = run_tests(
        """
        from despina_sdk.testing import plugin

        def test_it(despina_server, monkeypatch):
            monkeypatch.setattr(plugin, "START_SECONDS", 0)
            despina_server("repository")
        """
    )
    assert "1 failed" in outcome(done), done.stdout + done.stderr
    assert "the server was not ready after 0 s; its log:" in done.stdout


def test_tests_are_skipped_where_no_server_is_installed(run_tests: RunTests) -> None:
    done = run_tests(
        """
        import importlib.util

        def test_it(despina_server, monkeypatch):
            monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
            despina_server("repository")
        """
    )
    assert "1 skipped" in outcome(done), done.stdout + done.stderr
    assert "despina is not installed: no server to start" in done.stdout


def test_installing_the_sdk_turns_nothing_on(tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "-q", "-c", "/dev/null", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "tmp_path" in listed.stdout
    assert "despina_server" not in listed.stdout
