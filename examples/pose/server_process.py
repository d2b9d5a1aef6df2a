"""`despina serve` as a subprocess: started, waited for, and ended in an orderly way."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY_TIMEOUT_SECONDS = 120.0
EXIT_TIMEOUT_SECONDS = 45.0  # the server itself gives requests 30 s to finish
_POLL_SECONDS = 0.1
_LOG_LINES_SHOWN = 40


class ServerError(RuntimeError):
    """The server did not start, did not stay, or did not end as it should."""


class ServerProcess:
    """A server of one model repository on free ports of this machine.

    Attributes:
        http_address: ``host:port`` of inference requests, known once the server is ready.
        metrics_address: ``host:port`` of ``/metrics``, likewise.
    """

    def __init__(self, model_repository: Path, log: Path) -> None:
        """Starts the server; what it prints goes to the file ``log``."""
        arguments = ["serve", "--model-repository", str(model_repository)]
        arguments += ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        self.http_address = self.metrics_address = ""
        self._log = log
        with log.open("wb") as output:
            # In a session of its own, Ctrl-C reaches this program only, which then ends the server.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "despina", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        command = shlex.join(["despina", *arguments])
        print(f"Starting the server (process {self._process.pid}): {command}")

    def wait_until_ready(self) -> None:
        """Waits until all models take requests, and shows that it does.

        Raises:
            ServerError: the server ended instead, or needs more than ``READY_TIMEOUT_SECONDS``.
        """
        start = time.monotonic()
        while not self._is_ready():
            self.check_running()
            waited = time.monotonic() - start
            if waited > READY_TIMEOUT_SECONDS:
                raise ServerError(f"not ready after {waited:.0f} s\n{self._end_of_log()}")
            if sys.stdout.isatty():
                print(f"\rWaiting for the models: {waited:.1f} s", end="", flush=True)
            time.sleep(_POLL_SECONDS)
        line_start = "\r" if sys.stdout.isatty() else ""
        print(f"{line_start}Ready after {time.monotonic() - start:.1f} s at {self.http_address}")

    def check_running(self) -> None:
        """Raises ServerError if the server has ended, with the end of its log."""
        status = self._process.poll()
        if status is not None:
            text = f"the server ended with status {status}; its log ends with\n"
            raise ServerError(text + self._end_of_log())

    def stop(self) -> int:
        """Asks the server to end, and kills it if it does not; its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(EXIT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _is_ready(self) -> bool:
        if not self.http_address:
            output = self._log.read_text(errors="replace")
            http = re.search(r"^Started HTTPService at (\S+)\n", output, re.MULTILINE)
            metrics = re.search(r"^Started Metrics Service at (\S+)\n", output, re.MULTILINE)
            if not http or not metrics:
                return False
            self.http_address, self.metrics_address = http[1], metrics[1]
        try:
            # Answered with status 200 only when every model is ready.
            urllib.request.urlopen(f"http://{self.http_address}/v2/health/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _end_of_log(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return "\n".join(f"  | {line}" for line in lines)


@contextmanager
def running_server(model_repository: Path, log: Path) -> Iterator[ServerProcess]:
    """A server that is ready; it is stopped when the block is left, however that happens.

    Raises:
        ServerError: it did not become ready, or did not end with status 0 when it was asked to.
    """
    server = ServerProcess(model_repository, log)
    try:
        server.wait_until_ready()
        yield server
    except Exception:
        server.check_running()  # if it has ended, that is what the failure comes from
        raise
    finally:
        status = server.stop()
    if status != 0:
        raise ServerError(f"the server ended with status {status} when asked to; see {log}")
    print("The server has ended with status 0")
