"""``despina serve`` as a process: what it prints, how it ends, and what signals do."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PLUGIN = """
import time
from pathlib import Path
from despina_sdk import Backend, Instance, Model, Signature, TensorSpec

class SleepInstance(Instance):
    def __init__(self, path):
        self.path = path
    def execute(self, batch):
        x = batch.gather("SECONDS")
        (self.path.parent / "running").touch()
        time.sleep(float(x.reshape(-1)[0]))
        batch.scatter({"DONE": x})

class SleepModel(Model):
    signature = Signature(
        (TensorSpec("SECONDS", "FP32", (1,)),), (TensorSpec("DONE", "FP32", (1,)),)
    )
    def __init__(self, path):
        self.path = path
    def instance(self, placement):
        return SleepInstance(self.path)

class Sleep(Backend):
    name = "sleep"
    def load(self, spec):
        (spec.path.parent / "loading").touch()
        time.sleep(float(spec.parameters.get("load_seconds", "0")))
        if "broken" in spec.parameters:
            raise RuntimeError("broken\\nFORGED line \\x1b[31m")
        return SleepModel(spec.path)
"""


class Process:
    """A server that was started, and what it has printed."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "despina", "serve", *arguments]
        self.popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.printed = ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads lines until one matches."""
        assert self.popen.stdout
        for line in self.popen.stdout:
            self.printed += line
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"no {pattern!r} in {self.printed}{self.popen.stderr.read()}")

    def end(self, *signals: int) -> tuple[int, str, str]:
        """Sends signals; exit status, standard output and standard error."""
        for number in signals:
            self.popen.send_signal(number)
        out, err = self.popen.communicate(timeout=30)
        return self.popen.returncode, self.printed + out, err


Serve = Callable[..., Process]


@pytest.fixture
def serve(install_plugin, repository: Path) -> Iterator[Serve]:
    """Starts a server on the repository, on free ports."""
    site = install_plugin("plugin-sleep", PLUGIN, backends={"sleep": "Sleep"})
    started: list[Process] = []

    def start(*arguments: str, **environment: str) -> Process:
        ports = ("--http-port=0", "--grpc-port=0", "--metrics-port=0")
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        flags = (f"--model-repository={repository}", *ports, *arguments)
        started.append(Process(flags, {"PYTHONPATH": path, **environment}))
        return started[-1]

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def sleeper(write_model) -> Path:
    return write_model("sleeper", 'backend: "sleep"')


def get(url: str, data: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, data, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def started(process: Process) -> str:
    """The server's address once it is ready."""
    address = process.wait_for(r"Started HTTPService at (127\.0\.0\.1:\d+)")[1]
    process.wait_for("Server is ready")
    return f"http://{address}"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sleep_request(seconds: float) -> bytes:
    tensor = {"name": "SECONDS", "datatype": "FP32", "shape": [1], "data": [seconds]}
    return json.dumps({"inputs": [tensor]}).encode()


def in_background(url: str, seconds: float) -> subprocess.Popen[str]:
    """A client in a process of its own that prints the status of its request."""
    code = (
        "import sys, urllib.request\n"
        "print(urllib.request.urlopen(sys.argv[1], sys.argv[2].encode(), timeout=20).status)"
    )
    arguments = [sys.executable, "-c", code, f"{url}/v2/models/sleeper/infer"]
    data = sleep_request(seconds).decode()
    return subprocess.Popen([*arguments, data], stdout=subprocess.PIPE, text=True)


def test_a_server_starts_answers_and_ends_with_status_0(serve: Serve, sleeper: Path):
    process = serve()
    url = started(process)
    assert get(f"{url}/v2/health/ready")[0] == 200
    assert get(f"{url}/v2/models/sleeper/infer", sleep_request(0))[0] == 200
    status, out, err = process.end(signal.SIGTERM)
    assert status == 0, err
    assert re.search(r"\| sleep +\| plugin-sleep +\| 1.0 +\| - +\| .*_sleep.py \| loaded", out)
    assert re.search(r"\| sleeper \| 1 +\| READY", out)
    assert re.search(r"\| http-port +\| 0 +\| flag", out)
    assert re.search(r"Started Metrics Service at 127\.0\.0\.1:[1-9]", out)
    assert re.search(r"^I.*\] \"model 'sleeper' version 1 is ready\"$", err, re.MULTILINE)
    assert "gRPC" not in out


def test_ctrl_c_ends_it_too(serve: Serve, sleeper: Path):
    process = serve()
    started(process)
    assert process.end(signal.SIGINT)[0] == 0


def test_metrics_have_a_port_of_their_own(serve: Serve, sleeper: Path):
    process = serve()
    address = process.wait_for(r"Started Metrics Service at (\S+)")[1]
    status, text = get(f"http://{address}/metrics")
    assert status == 200
    assert b"# TYPE" in text


def test_requests_that_run_are_finished_first(serve: Serve, sleeper: Path):
    process = serve()
    client = in_background(started(process), 1.0)
    wait_until((sleeper / "running").exists)
    status, out, err = process.end(signal.SIGTERM)
    answer, _ = client.communicate(timeout=20)
    assert answer.strip() == "200", err
    assert status == 0
    assert "Ending" in out


def test_what_does_not_finish_in_time_is_cut_off_with_a_remark(serve: Serve, sleeper: Path):
    process = serve("--exit-timeout-secs=0.3")
    client = in_background(started(process), 15)
    wait_until((sleeper / "running").exists)
    before = time.monotonic()
    status, _, err = process.end(signal.SIGTERM)
    assert time.monotonic() - before < 10
    assert status == 1
    assert "cut off after --exit-timeout-secs=0.3" in err
    client.kill()
    client.communicate()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_it_at_once(serve: Serve, sleeper: Path, number: int, expected: int):
    process = serve()
    client = in_background(started(process), 15)
    wait_until((sleeper / "running").exists)
    process.popen.send_signal(signal.SIGTERM)
    process.wait_for("Ending")
    before = time.monotonic()
    status, _, _ = process.end(number)
    assert status == expected
    assert time.monotonic() - before < 5
    client.kill()
    client.communicate()


def test_a_signal_is_heard_while_models_load(serve: Serve, write_model):
    folder = write_model(
        "slow", 'backend: "sleep" parameters { key: "load_seconds" value { string_value: "4" } }'
    )
    process = serve()
    address = process.wait_for(r"Started HTTPService at (\S+)")[1]
    wait_until((folder / "loading").exists)
    assert get(f"http://{address}/v2/health/live")[0] == 200
    assert get(f"http://{address}/v2/health/ready")[0] == 400
    status, _, err = process.end(signal.SIGTERM)
    assert status == 0, err


def test_a_model_that_fails_keeps_the_server_from_starting(serve: Serve, write_model):
    write_model("m", 'backend: "sleep" parameters { key: "broken" value { string_value: "1" } }')
    status, out, err = serve().end()
    assert status == 1
    assert re.search(r"\| m +\| 1 +\| UNAVAILABLE: RuntimeError: broken", out)
    assert "error: model 'm' version 1: RuntimeError: broken" in err


def test_what_a_backend_says_cannot_forge_a_line(serve: Serve, write_model):
    write_model("m", 'backend: "sleep" parameters { key: "broken" value { string_value: "1" } }')
    _, out, err = serve().end()
    assert "\x1b" not in out + err
    assert not re.search(r"^FORGED", out + err, re.MULTILINE)


def test_with_exit_on_error_off_the_others_are_served(serve: Serve, write_model, sleeper: Path):
    write_model("m", 'backend: "none"')
    process = serve("--exit-on-error=false", "--strict-readiness=false")
    address = process.wait_for(r"Started HTTPService at (\S+)")[1]
    process.wait_for("Serving without some models: model 'm' version 1: no installed")
    assert get(f"http://{address}/v2/health/ready")[0] == 200
    assert get(f"http://{address}/v2/models/sleeper/ready")[0] == 200
    assert get(f"http://{address}/v2/models/m/ready")[0] == 400
    assert process.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("flag", ["--http-port", "--grpc-port", "--metrics-port"])
def test_a_port_that_is_used_is_named(serve: Serve, sleeper: Path, flag: str):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, _, err = serve(f"{flag}={port}").end()
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port} ({flag}): " in err
    assert "Traceback" not in err


def test_environment_and_file_are_read(serve: Serve, sleeper: Path, tmp_path: Path):
    file = tmp_path / "despina.toml"
    file.write_text('id = "from-file"\nexit-timeout-secs = 5')
    process = serve(f"--config-file={file}", DESPINA_EXIT_TIMEOUT_SECS="6")
    url = started(process)
    assert json.loads(get(f"{url}/v2")[1])["name"] == "from-file"
    assert re.search(r"\| exit-timeout-secs +\| 6 +\| environment", process.printed)
    assert process.end(signal.SIGTERM)[0] == 0


def test_the_port_of_grpc_is_told(serve: Serve, sleeper: Path):
    process = serve()
    process.wait_for("Server is ready")
    assert re.search(
        r"^Started GRPCInferenceService at 127\.0\.0\.1:[1-9]\d*$", process.printed, re.M
    )
    assert process.end(signal.SIGTERM)[0] == 0


def test_only_metrics_can_be_served(serve: Serve, sleeper: Path):
    process = serve("--allow-http=false", "--allow-grpc=false")
    process.wait_for("Server is ready")
    assert "HTTPService" not in process.printed
    assert process.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "import os; server.close()"])
def test_a_program_that_ends_needs_no_close(repository: Path, sleeper: Path, serve, ending: str):
    code = f"""
import sys, numpy, despina
server = despina.Server(sys.argv[1])
server.infer("sleeper", {{"SECONDS": numpy.zeros(1, numpy.float32)}})
{ending}
"""
    process = serve()  # its environment has the plugin on the path
    environment = {**os.environ, "PYTHONPATH": str(repository.parent / "site-plugin-sleep")}
    result = subprocess.run(
        [sys.executable, "-c", code, str(repository)],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    process.end(signal.SIGTERM)
