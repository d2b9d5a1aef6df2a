"""Goes the way of a new author, and takes the time: from an empty environment to an answer.

What is ours comes from the wheels in dist/ (`make wheel`), everything else from the index that pip
is configured for. The backend, its CMakeLists.txt and its tests are the texts of the READMEs.
"""

from __future__ import annotations

import argparse
import email
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
# What an author needs besides a C++ compiler.
TOOLS = ["cmake", "ninja"]
OURS = ["despina", "despina-sdk"]
KIT = "extra == 'testing'"
REQUEST = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 3], "data": [1, -2.5, 0]}]}
ANSWER = [2, -5, 0]
SECONDS_TO_START = 60


class Author:
    """Works in a folder, with nothing but an environment of his own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = folder / "environment"
        self.times: list[tuple[str, float]] = []
        system = [p for p in os.get_exec_path() if not Path(p).is_relative_to(CHECKOUT)]
        self.variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.variables["PATH"] = os.pathsep.join([str(self.environment / "bin"), *system])

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Counts what is done within as one step."""
        print(f"== {name}", flush=True)
        start = time.monotonic()
        yield
        self.times.append((name, time.monotonic() - start))

    def run(self, *command: str) -> str:
        """What a command prints; ends the script when it fails."""
        print("$", shlex.join(command), flush=True)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\nfirst_backend: exit status {done.returncode}")
        return done.stdout

    def write(self, name: str, text: str) -> None:
        """A file of the author's."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def report(self) -> str:
        """A line for each step, and their sum."""
        rows = [*self.times, ("in all", sum(seconds for _, seconds in self.times))]
        return "\n".join(f"{seconds:8.1f} s  {name}" for name, seconds in rows)


def text_of(readme: str, language: str, containing: str) -> str:
    """The one block of a README in this language that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (CHECKOUT / readme).read_text(), re.DOTALL)
    (block,) = (block for block in blocks if containing in block)
    return str(block)


def requirements_of_others(dist: Path) -> list[str]:
    """What our wheels need that is not ours, the kit's needs included."""
    needed = []
    for name in OURS:
        (wheel,) = dist.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (path,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            metadata = email.message_from_bytes(archive.read(path))
        for line in metadata.get_all("Requires-Dist", []):
            requirement, _, marker = line.partition(";")
            if not requirement.startswith("despina") and marker.strip() in ("", KIT):
                needed.append(requirement.strip())
    return needed


@contextmanager
def serving(author: Author, port: int) -> Iterator[None]:
    """A server that is ready, until the end, when it has to stop well."""
    command = ["despina", "serve", "--model-repository", "models"]
    command += ["--http-port", str(port), "--metrics-port", "0"]
    print("$", shlex.join(command), "&", flush=True)
    log = author.folder / "serve.log"
    program = str(author.environment / "bin" / "despina")
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=author.folder,
            env=author.variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{log.read_text()}\nfirst_backend: the server does not become ready")
            time.sleep(0.05)
        yield
        process.send_signal(signal.SIGTERM)
        if process.wait(SECONDS_TO_START) != 0:
            sys.exit(f"{log.read_text()}\nfirst_backend: the server did not stop well")
    finally:
        process.kill()
        process.wait()


def is_ready(port: int) -> bool:
    """Whether the server can answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def install(author: Author, dist: Path) -> None:
    """An environment with what is ours, and with what it and the author need."""
    pip = ("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    with author.step("an empty environment"):
        venv.create(author.environment, with_pip=True, symlinks=True)
    with author.step("what is not ours, from the index"):
        author.run(*pip, *TOOLS, *requirements_of_others(dist))
    with author.step("our wheels"):
        author.run(*pip, "--no-index", "--find-links", str(dist), "despina", "despina-sdk[testing]")


def build(author: Author) -> None:
    """The backend of the README."""
    author.write("twice.cc", text_of("README.md", "cpp", "DESPINA_BACKEND(twice"))
    author.write("CMakeLists.txt", text_of("README.md", "cmake", "despina_add_backend(twice"))
    with author.step("the backend is built"):
        where = author.run("python", "-m", "despina_sdk.cmake").strip()
        generator = ("-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DDespinaSDK_DIR={where}")
        author.run("cmake", "-B", "build", *generator)
        author.run("cmake", "--build", "build")


def test(author: Author) -> None:
    """The kit's tests, as the SDK's README has them: of a package that holds the library."""
    author.write("my_plugin/__init__.py", "")
    author.write("tests/test_twice.py", text_of("sdk/README.md", "python", "class TestTwice"))
    with author.step("the kit's tests"):
        author.run("cp", "build/libdespina_twice.so", "my_plugin/")
        print(author.run("python", "-m", "pytest", "-q", "tests").strip().splitlines()[-1])


def serve(author: Author) -> None:
    """One answer from a server, by curl."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    author.write("models/twice/config.pbtxt", 'backend: "twice"\n')
    url = f"http://127.0.0.1:{port}/v2/models/twice/infer"
    with ExitStack() as running:
        with author.step("the server has loaded it"):
            author.run("cp", "build/libdespina_twice.so", "models/twice/")
            running.enter_context(serving(author, port))
        with author.step("one request"):
            answer = author.run("curl", "--silent", "--fail", "--data", json.dumps(REQUEST), url)
    print(answer)
    if json.loads(answer)["outputs"][0]["data"] != ANSWER:
        sys.exit("first_backend: the answer is wrong")


def main() -> None:
    """Goes the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=Path, default=CHECKOUT / "dist", help="folder of our wheels")
    options = parser.parse_args()
    dist = options.dist.resolve()
    if not any(dist.glob("despina_sdk-*.whl")):
        sys.exit(f"first_backend: there are no wheels in {dist}: `make wheel` builds them")
    with tempfile.TemporaryDirectory(prefix="first_backend_") as folder:
        author = Author(Path(folder).resolve())
        install(author, dist)
        build(author)
        test(author)
        serve(author)
        print(f"== Times\n{author.report()}")


if __name__ == "__main__":
    main()
