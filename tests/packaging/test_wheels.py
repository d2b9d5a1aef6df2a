"""What `make wheel` leaves in dist/ is complete, small, self-contained, and serves a model."""

from __future__ import annotations

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
import zipfile
from collections.abc import Iterator, Mapping
from email.parser import Parser
from pathlib import Path

import pytest
from harness.together import serve_beside

pytestmark = pytest.mark.wheel

OURS = {"despina", "despina-sdk", "despina-identity", "despina-onnxruntime", "despina-vision"}
LARGEST_SERVER_WHEEL = 8_000_000
# Of the system: what every Linux that the wheel's tag names has.
SYSTEM_LIBRARIES = {
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libstdc++.so.6",
    "libz.so.1",
}
SECONDS_TO_START = 60
IDENTITY = """\
backend: "%s"
max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
"""


@pytest.fixture(scope="module")
def dist(checkout: Path) -> Path:
    """The folder of wheels."""
    return checkout / "dist"


@pytest.fixture(scope="module")
def server_wheel(dist: Path) -> Path:
    """The wheel of the server, with the engine in it."""
    (wheel,) = dist.glob("despina-*.whl")
    return wheel


@pytest.fixture(scope="module")
def unpacked(server_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the server's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(server_wheel).extractall(folder)
    return folder


def metadata(wheel: Path) -> dict[str, list[str]]:
    """Fields of the wheel's METADATA, in lower case, each with all of its values."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        message = Parser().parsestr(archive.read(name).decode())
    fields: dict[str, list[str]] = {}
    for key, value in message.items():
        fields.setdefault(key.lower(), []).append(value)
    return fields


def requirement_name(requirement: str) -> str:
    """The distribution that a requirement names."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def run(*command: str | Path) -> str:
    """The output of a command that has to succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_there_is_one_wheel_of_each_distribution(dist: Path) -> None:
    names = [metadata(wheel)["name"][0] for wheel in dist.glob("*.whl")]
    assert sorted(names) == sorted(OURS)


def test_only_what_is_compiled_is_tied_to_a_platform(dist: Path) -> None:
    compiled = [wheel for wheel in dist.glob("*.whl") if not wheel.stem.endswith("-none-any")]
    names = {metadata(wheel)["name"][0] for wheel in compiled}
    assert names == {"despina", "despina-identity", "despina-vision"}
    assert all("-manylinux_" in wheel.name for wheel in compiled)


def test_the_operators_page_names_what_the_server_needs(server_wheel: Path, checkout: Path) -> None:
    page = (checkout / "docs" / "operate.md").read_text()
    _, _, _, _, platform = server_wheel.stem.split("-")
    system, processor = re.fullmatch(r"(manylinux_\d+_\d+)_(\w+)", platform).groups()
    assert f"`{system}`" in page
    assert processor.replace("_", "-") in page


@pytest.mark.parametrize("name", ["despina_identity", "despina_vision"])
def test_a_native_backend_serves_every_python(dist: Path, name: str) -> None:
    (wheel,) = dist.glob(f"{name}-*.whl")
    assert "-py3-none-" in wheel.name


def test_the_codecs_are_in_the_wheel_with_their_licences(dist: Path) -> None:
    (path,) = dist.glob("despina_vision-*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (notice,) = (name for name in names if name.endswith(".dist-info/licenses/NOTICE"))
        text = wheel.read(notice).decode()
    bundled = {m.group(1) for n in names if (m := re.match(r"despina_vision.libs/lib(\w+)-", n))}
    assert bundled >= {"jpeg", "png16", "webp", "webpdemux"}
    assert [library for library in bundled if library not in text] == []


def test_the_server_is_small(server_wheel: Path) -> None:
    assert server_wheel.stat().st_size <= LARGEST_SERVER_WHEEL


def test_the_server_carries_the_licences_of_what_is_inside(unpacked: Path) -> None:
    (folder,) = unpacked.glob("despina-*.dist-info/licenses")
    assert "Apache License" in (folder / "LICENSE").read_text()
    notice = (folder / "NOTICE").read_text()
    names = ("Boost", "OpenSSL", "protozero", "pybind11", "RE2", "simdjson")
    assert [name for name in names if name not in notice] == []


def test_every_bundled_library_is_in_the_notice(unpacked: Path) -> None:
    (notice,) = unpacked.glob("despina-*.dist-info/licenses/NOTICE")
    names = [
        match.group(1)
        for path in unpacked.glob("despina.libs/*")
        if (match := re.match(r"lib(\w+)-", path.name))
    ]
    assert [name for name in names if name not in notice.read_text()] == []


def test_the_server_holds_every_module_of_the_control_plane(unpacked: Path, checkout: Path) -> None:
    source = checkout / "core" / "despina"
    modules = {path.relative_to(source) for path in source.rglob("*.py*") if path.suffix != ".pyc"}
    assert {path for path in modules if not (unpacked / "despina" / path).is_file()} == set()


def test_the_server_holds_no_tests_and_no_sources(unpacked: Path) -> None:
    unwanted = re.compile(r"(^|/)(test_\w+|conftest)\.py$|\.(cc|h|map)$")
    names = [path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")]
    assert [name for name in names if unwanted.search(name)] == []


def test_the_engine_exports_nothing_but_its_entry_point(unpacked: Path) -> None:
    (engine,) = unpacked.glob("despina/_engine.*.so")
    lines = run("nm", "--dynamic", "--defined-only", engine).splitlines()
    assert [line.split()[-1] for line in lines] == ["PyInit__engine"]


def test_the_engine_needs_only_what_the_system_has_or_the_wheel_carries(unpacked: Path) -> None:
    bundled = list(unpacked.glob("despina.libs/*"))
    known = SYSTEM_LIBRARIES | {path.name for path in bundled}
    needed = set()
    for library in [*unpacked.glob("despina/*.so"), *bundled]:
        dynamic = run("readelf", "--dynamic", "--wide", library)
        needed |= set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
        for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.+)\]", dynamic):
            assert path.startswith("$ORIGIN"), f"{library.name} looks for libraries in {path}"
    assert needed - known == set()


def test_the_engine_is_stripped(unpacked: Path) -> None:
    (engine,) = unpacked.glob("despina/_engine.*.so")
    assert ".debug_info" not in run("readelf", "--section-headers", "--wide", engine)


@pytest.fixture(scope="module")
def environment(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with our wheels from dist/; only what is not ours is looked up."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install")
    requirements = [r for wheel in dist.glob("*.whl") for r in metadata(wheel)["requires-dist"]]
    others = [r for r in requirements if requirement_name(r) not in OURS and "extra ==" not in r]
    run(*pip, *others)
    run(*pip, "--no-index", "--find-links", dist, *sorted(OURS))
    return folder


def test_the_wheels_install_together(environment: Path) -> None:
    run(environment / "bin" / "python", "-m", "pip", "check")


@pytest.fixture(scope="module")
def server(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an installed server with an identity model; it has to end well, too."""
    folder = tmp_path_factory.mktemp("serve")
    for backend in ("identity", "identity_python"):
        version = folder / "models" / backend / "1"
        version.mkdir(parents=True)
        (version.parent / "config.pbtxt").write_text(IDENTITY % backend)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    command: list[str | Path] = [
        environment / "bin" / "despina",
        "serve",
        "--model-repository",
        folder / "models",
    ]
    command += ["--http-port", str(port), "--grpc-port", "0", "--metrics-port", "0"]
    clean = without_python(os.environ)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=clean, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS_TO_START) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once the server is ready; fails with its output when it ends or takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/v2/health/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(
        f"the server did not become ready (exit status {process.poll()}):\n{log.read_text()}"
    )


def without_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would lead to other packages than those that are installed."""
    return {name: value for name, value in environment.items() if not name.startswith("PYTHON")}


def test_every_object_of_the_engine_was_laid_out_by_counts_of_its_own(checkout: Path) -> None:
    counts = checkout / "build/profile/counts"
    commands = (checkout / "build/wheel/build.ninja").read_text()
    objects = re.findall(
        r"^build (cpp/\S+)\.o: CXX_COMPILER__(?!\w+_verify_interface).*\n"
        r"(?:  .*\n)*?  FLAGS = (.*)$",
        commands,
        re.MULTILINE,
    )
    assert len(objects) > 10
    for name, flags in objects:
        assert f"-fprofile-use={counts}" in flags.split(), name
        file = counts / f"{name.replace('/', '#')}.gcda"
        assert file.is_file(), f"{name} has not been counted: `make profile`"


def test_what_a_request_runs_through_lies_together(checkout: Path) -> None:
    for layer in ("engine", "host", "grpc", "http"):
        file = f"cpp/{layer}/CMakeFiles/{layer}.dir/Unity/unity_0_cxx.cxx.o"
        assert ".text.hot" in run(
            "readelf", "--sections", "--wide", checkout / "build/wheel" / file
        )


def test_the_engine_of_the_wheel_does_not_count(unpacked: Path) -> None:
    (engine,) = unpacked.glob("despina/_engine.*.so")
    assert b".gcda" not in engine.read_bytes()


@pytest.mark.parametrize("model", ["identity", "identity_python"])
def test_the_installed_server_answers(server: str, model: str) -> None:
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, 4], "data": [1.5, -2, 0, 4]}
    request = urllib.request.Request(
        f"{server}/v2/models/{model}/infer", json.dumps({"inputs": [tensor]}).encode()
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        (output,) = json.load(answer)["outputs"]
    assert output == {**tensor, "name": "OUTPUT0"}


def test_its_libraries_get_along_with_those_of_other_packages(
    environment: Path, tmp_path: Path
) -> None:
    python = environment / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install")
    run(*pip, "cryptography", "tritonclient[grpc]")
    serve_beside(python, tmp_path, without_python(os.environ))


def test_the_installed_sdk_builds_the_backend_of_the_readme(
    environment: Path, checkout: Path, tmp_path: Path
) -> None:
    readme = (checkout / "README.md").read_text()
    for language, name in (("cpp", "twice.cc"), ("cmake", "CMakeLists.txt")):
        (text,) = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
        (tmp_path / name).write_text(text)
    where = run(environment / "bin" / "python", "-m", "despina_sdk.cmake").strip()
    assert Path(where).is_relative_to(environment)
    cmake = Path(sys.executable).with_name("cmake")
    build = tmp_path / "build"
    run(cmake, "-S", tmp_path, "-B", build, f"-DDespinaSDK_DIR={where}")
    run(cmake, "--build", build)
    assert (build / "libdespina_twice.so").is_file()
