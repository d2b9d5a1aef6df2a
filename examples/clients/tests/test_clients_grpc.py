"""The clients of gRPC print what the README shows, and end with an error where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# A command, and what it prints until the next one or the end of the block.
SHOWN = re.compile(r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
MODELS = {
    "echo": """
        backend: "identity_python"
        max_batch_size: 8
        input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
        output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
    """,
    "repeat": 'backend: "repeat" model_transaction_policy { decoupled: true }',
}
SCRIPTS = ("grpc_infer", "grpc_infer_asyncio", "grpc_stream", "grpc_shared_memory")
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def address(start_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    repository = tmp_path_factory.mktemp("models")
    for name, configuration in MODELS.items():
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(configuration)
    return str(start_server(repository, "--allow-client-shm=true").grpc)


@pytest.fixture(scope="module")
def shown(clients: Path) -> dict[str, str]:
    """What the README says that commands print."""
    return dict(SHOWN.findall((clients / "README.md").read_text()))


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_prints_what_the_readme_shows(
    script: str, address: str, clients: Path, shown: dict[str, str]
) -> None:
    done = run(sys.executable, clients / f"{script}.py", address)
    assert (done.returncode, done.stdout) == (
        0,
        shown[f"python examples/clients/{script}.py"],
    ), done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_finds_no_server_ends_with_an_error(script: str, clients: Path) -> None:
    before = set(Path("/dev/shm").glob("despina_*"))
    done = run(sys.executable, clients / f"{script}.py", NOBODY)
    assert done.returncode == 1
    assert "tritonclient.utils.InferenceServerException: " in done.stderr
    assert set(Path("/dev/shm").glob("despina_*")) <= before


@pytest.fixture(scope="module")
def cpp_client(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("grpc_cpp_plugin") is None or not Path("/usr/include/grpcpp").is_dir():
        pytest.skip("gRPC's library for C++ is not installed (Debian: libgrpc++-dev)")
    # The one of the environment that this runs in; a bare Debian has no other.
    beside = Path(sys.executable).with_name("cmake")
    cmake = beside if beside.exists() else "cmake"
    build = tmp_path_factory.mktemp("build")
    for command in (("-S", clients / "cpp", "-B", build), ("--build", build)):
        done = run(cmake, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "grpc_client"


def test_the_client_in_cpp_prints_what_the_readme_shows(
    cpp_client: Path, address: str, shown: dict[str, str]
) -> None:
    done = run(cpp_client, address)
    assert (done.returncode, done.stdout) == (0, shown["build/clients/grpc_client"]), done.stderr


def test_the_client_in_cpp_says_when_it_finds_no_server(cpp_client: Path) -> None:
    done = run(cpp_client, NOBODY)
    assert done.returncode == 1
    assert "failed to connect to all addresses" in done.stderr
