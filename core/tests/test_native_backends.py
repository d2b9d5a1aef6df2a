"""Backends in shared libraries: the one of the README, where it may lie, and what is refused."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from despina import DespinaError, Server
from despina_sdk.cmake import folder
from despina_sdk.native import NativeBackend

README = Path(__file__).resolve().parents[2] / "README.md"
X = {"X": np.arange(6, dtype=np.float32).reshape(2, 3)}
CONFIG = 'backend: "twice"'


def text_of(language: str) -> str:
    """The one piece of the README in that language."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return text


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of the README's text, built as it says."""
    source = tmp_path_factory.mktemp("twice")
    (source / "twice.cc").write_text(text_of("cpp"))
    (source / "CMakeLists.txt").write_text(text_of("cmake"))
    cmake = str(Path(sys.executable).with_name("cmake"))
    for command in (
        [cmake, "-B", "build", "-DCMAKE_BUILD_TYPE=Release", f"-DDespinaSDK_DIR={folder()}"],
        [cmake, "--build", "build"],
    ):
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return source / "build" / "libdespina_twice.so"


def test_the_readme_keeps_its_promise_of_a_small_backend():
    assert len(text_of("cpp").splitlines()) <= 30
    assert len(text_of("cmake").splitlines()) <= 8


def test_its_library_exports_one_symbol_and_needs_nothing_of_ours(twice: Path):
    def run(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    symbols = run("nm", "--dynamic", "--defined-only", str(twice)).split("\n")
    assert [line.split()[-1] for line in symbols if line] == ["despina_backend_entry"]
    assert "despina" not in run("readelf", "--dynamic", str(twice)).replace("libdespina_twice", "")


@pytest.mark.parametrize("place", ["m/1/libdespina_twice.so", "m/1/libtwice.so", "m/libtwice.so"])
def test_a_library_is_found_in_the_folders_of_the_model(
    place: str, twice: Path, write_model, repository: Path
):
    write_model("m", CONFIG)
    shutil.copy(twice, repository / place)
    with Server(repository) as server:
        np.testing.assert_array_equal(server.infer("m", X)["Y"], 2 * X["X"])


def test_a_library_is_found_in_the_operators_folder(
    twice: Path, write_model, repository: Path, tmp_path: Path
):
    write_model("m", CONFIG)
    (tmp_path / "backends" / "twice").mkdir(parents=True)
    shutil.copy(twice, tmp_path / "backends" / "twice")
    with Server(repository, backend_directory=str(tmp_path / "backends")) as server:
        np.testing.assert_array_equal(server.infer("m", X)["Y"], 2 * X["X"])


def test_the_version_folder_comes_before_that_of_the_model(
    twice: Path, write_model, repository: Path
):
    write_model("m", CONFIG)
    shutil.copy(twice, repository / "m" / "1")
    (repository / "m" / "libdespina_twice.so").write_text("no library")
    with Server(repository) as server:
        np.testing.assert_array_equal(server.infer("m", X)["Y"], 2 * X["X"])


def test_what_is_wrong_with_a_library_is_the_reason_of_the_failed_load(
    twice: Path, write_model, repository: Path
):
    write_model("m", CONFIG)
    library = repository / "m" / "libdespina_twice.so"
    library.write_text("no library")
    with pytest.raises(DespinaError) as caught:
        Server(repository)
    assert f"library '{library}': it is not a library" in str(caught.value)
    other = 'backend: "thrice"'
    (repository / "m" / "config.pbtxt").write_text(other)
    library.unlink()
    shutil.copy(twice, repository / "m" / "libdespina_thrice.so")
    with pytest.raises(
        DespinaError, match="it calls itself 'twice', and is to be backend 'thrice'"
    ):
        Server(repository)


def test_a_backend_in_an_installed_package_is_found(twice: Path, install_plugin, write_model):
    source = """
from despina_sdk.native import NativeBackend
TWICE = NativeBackend(package="plugin_native", library="libdespina_twice.so")
"""
    install_plugin("plugin-native", source, backends={"twice": "TWICE"})
    folder = write_model("m", CONFIG)
    with pytest.raises(DespinaError, match=r"no 'libdespina_twice.so' in .*was it built\?"):
        Server(folder.parent)


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="package 'no_such_package_of_ours'"):
        NativeBackend(package="no_such_package_of_ours", library="x.so").path()


def test_a_configuration_that_does_not_fit_the_backend_is_refused(
    twice: Path, write_model, repository: Path
):
    write_model("m", 'backend: "twice" input [ { name: "Z" data_type: TYPE_FP32 dims: [ 1 ] } ]')
    shutil.copy(twice, repository / "m")
    with pytest.raises(DespinaError, match=r"config.pbtxt:1:28: .*the model has no 'Z'"):
        Server(repository)
