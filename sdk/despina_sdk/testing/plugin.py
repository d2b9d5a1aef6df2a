"""A pytest plugin: a live server for tests of plugins and clients.

Named in a ``conftest.py`` (installing the SDK alone turns nothing on)::

    pytest_plugins = ["despina_sdk.testing.plugin"]
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

START_SECONDS = 60.0
STOP_SECONDS = 40.0
"""Longer than the server gives requests that were accepted (``--exit-timeout-secs``)."""

_READY = re.compile(r"^(Server is ready|Serving without some models.*)$", re.MULTILINE)
_HTTP = re.compile(r"^Started HTTPService at (\S+:\d+)$", re.MULTILINE)
_METRICS = re.compile(r"^Started Metrics Service at (\S+:\d+)$", re.MULTILINE)


class LiveServer:
    """``despina serve`` as a process, on ports that are free.

    Attributes:
        process: the server.
    """

    def __init__(self, repository: Path | str, folder: Path, *options: str) -> None:
        """Starts it, and waits until it serves.

        Args:
            repository: the folder of models.
            folder: where its output goes.
            options: further ones of ``despina serve``, such as ``--load-model=NAME``.

        Raises:
            AssertionError: it has ended, or is not ready after ``START_SECONDS``; with its log.
        """
        self._output = folder / "server.log"
        command = [sys.executable, "-m", "despina", "serve", f"--model-repository={repository}"]
        command += ["--http-port=0", "--grpc-port=0", "--metrics-port=0", *options]
        # Settings of another server in the environment are not meant for this one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DESPINA_")}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._kill()
            raise

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._output.read_text(errors="replace")

    @property
    def address(self) -> str:
        """``host:port`` of HTTP."""
        return self._find(_HTTP)

    @property
    def url(self) -> str:
        """Of HTTP: ``http://host:port``."""
        return f"http://{self.address}"

    @property
    def metrics_url(self) -> str:
        """Of the metrics."""
        return f"http://{self._find(_METRICS)}/metrics"

    def stop(self) -> None:
        """Ends it, if it has not been ended.

        Raises:
            AssertionError: it does not end, or not with status 0; with its log.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            raise AssertionError(self._with_log(f"did not end in {STOP_SECONDS:g} s")) from None
        assert status == 0, self._with_log(f"ended with status {status}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _READY.search(self.log):
            status = self.process.poll()
            assert status is None, self._with_log(f"ended with status {status} before it served")
            in_time = time.monotonic() < deadline
            assert in_time, self._with_log(f"was not ready after {START_SECONDS:g} s")
            time.sleep(0.02)

    def _find(self, pattern: re.Pattern[str]) -> str:
        found = pattern.search(self.log)
        assert found is not None, self._with_log("serves nothing of the kind")
        return found[1]

    def _with_log(self, what: str) -> str:
        return f"the server {what}; its log:\n{self.log}"

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def despina_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveServer]]:
    """Starts servers: ``despina_server(repository, *options)``, each on its own free ports.

    They are stopped after the last test of the module, which fails if one does not end well. Tests
    are skipped where ``despina`` is not installed.
    """
    servers: list[LiveServer] = []

    def start(repository: Path | str, *options: str) -> LiveServer:
        if importlib.util.find_spec("despina") is None:
            pytest.skip("despina is not installed: no server to start")
        servers.append(LiveServer(repository, tmp_path_factory.mktemp("despina"), *options))
        return servers[-1]

    yield start
    failures = [failure for server in servers if (failure := _failure(server))]
    assert not failures, "\n".join(failures)


def _failure(server: LiveServer) -> str | None:
    try:
        server.stop()
    except AssertionError as error:
        return str(error)
    return None
