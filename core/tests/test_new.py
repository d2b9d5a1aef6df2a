"""What ``despina new`` makes: plugins that work as they are, and nothing where it cannot."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from despina.cli import main
from despina.cli.new import KINDS
from despina_sdk.cmake import folder as sdk_cmake_folder

LANGUAGES = ["python", "cpp"]

ANSWERS = {
    "model": {"Y": [[4, 6]]},
    "preprocess": {"TENSOR": [[round(byte / 255, 6) for byte in b"0123456789abcdef"]]},
    "postprocess": {"INDEX": [[1]], "SCORE": [[0.5]]},
}
"""To the request that lies in the plugin."""

ASK = """
import json, despina, numpy
(tensor,) = json.load(open("request.json"))["inputs"]
dtype = {"FP32": "f4", "BYTES": object}[tensor["datatype"]]
data = [each.encode() if isinstance(each, str) else each for each in tensor["data"]]
array = numpy.array(data, dtype).reshape(tensor["shape"])
with despina.Server("model_repository") as server:
    answer = server.infer("row_sum", {tensor["name"]: array})
print(json.dumps({name: output.round(6).tolist() for name, output in answer.items()}))
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


def made(desk: Path, lang: str, kind: str = "model") -> Path:
    result = new("row-sum", "--lang", lang, "--kind", kind)
    assert result.exit_code == 0, result.output
    return desk / "row-sum"


def code_lines(path: Path) -> int:
    """Neither blank nor a comment."""
    lines = map(str.strip, path.read_text().splitlines())
    return sum(bool(line) and not line.startswith(("#", "//")) for line in lines)


def seem_installed(plugin: Path) -> None:
    """What pip leaves beside a package, so that its entry point is found."""
    info = plugin / "row_sum-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: row-sum\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[despina.backends]\nrow_sum = row_sum:row_sum\n")


def run(plugin: Path, *arguments: str) -> str:
    """What Python prints, with the plugin seeming installed."""
    environment = os.environ | {"PYTHONPATH": str(plugin)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=plugin, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def holds(plugin: Path, kind: str, *options: str) -> None:
    """The plugin passes its own tests, and its model answers its request."""
    seem_installed(plugin)
    assert " passed" in run(plugin, "-m", "pytest", "-q", *options, "tests")
    answer = json.loads(run(plugin, "-c", ASK).splitlines()[-1])
    assert {name: np.round(each, 6).tolist() for name, each in answer.items()} == ANSWERS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_in_python_works_as_it_is(desk: Path, kind: str):
    plugin = made(desk, "python", kind)
    holds(plugin, kind)
    assert code_lines(plugin / "row_sum" / "__init__.py") <= 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_in_cpp_works_as_it_is(desk: Path, kind: str):
    plugin = made(desk, "cpp", kind)
    cmake = str(Path(sys.executable).with_name("cmake"))
    for step in (
        [
            cmake,
            "-B",
            "build",
            "-DCMAKE_BUILD_TYPE=Debug",
            f"-DDespinaSDK_DIR={sdk_cmake_folder()}",
        ],
        [cmake, "--build", "build"],
    ):
        subprocess.run(step, cwd=plugin, check=True, capture_output=True)
    # The sanitizers' run builds it once more; the kit's own tests see that it works.
    holds(plugin, kind, "-k", "not sanitizer")
    assert code_lines(plugin / "src" / "row_sum.cc") <= 30
    assert code_lines(plugin / "CMakeLists.txt") <= 8


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_templates_name_is_left(desk: Path, lang: str, kind: str):
    plugin = made(desk, lang, kind)
    files = [path for path in plugin.rglob("*") if path.is_file()]
    assert {"pyproject.toml", "README.md", "request.json", ".gitignore"} <= {f.name for f in files}
    for path in files:
        for text in (str(path.relative_to(plugin)), path.read_text()):
            assert "my_backend" not in text.replace("-", "_"), path


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_commands_that_are_printed_are_those_of_its_readme(desk: Path, lang: str):
    printed = new("row-sum", "--lang", lang, "--wheels", str(desk)).output
    readme = (desk / "row-sum" / "README.md").read_text()
    workflow = (desk / "row-sum" / ".github" / "workflows" / "test.yml").read_text()
    (tools,) = [line for line in printed.splitlines() if line.startswith("  pip install pytest ")]
    tools = tools.removeprefix("  pip install ")
    wheels = "pip install wheels/despina-*.whl wheels/despina_sdk-*.whl"
    for text in (readme, workflow):
        assert f"{wheels} {tools}\n" in text
        assert "pip install --no-build-isolation --no-deps --editable .\n" in text
    assert f"pip install {desk}/despina-*.whl {desk}/despina_sdk-*.whl" in printed


@pytest.mark.parametrize("lang", LANGUAGES)
def test_nothing_of_ours_comes_from_an_index(desk: Path, lang: str):
    """The installation asks no index, also where one offers a newer SDK."""
    plugin = made(desk, lang)
    index = desk / "simple" / "despina-sdk"
    index.mkdir(parents=True)
    (index / "index.html").write_text('<a href="despina_sdk-0.1.9-py3-none-any.whl">it</a>')
    (index / "despina_sdk-0.1.9-py3-none-any.whl").write_text("no wheel")
    (index.parent / "index.html").write_text('<a href="despina-sdk/">despina-sdk</a>')
    for line in (plugin / "README.md").read_text().splitlines():
        if line.startswith("pip install --no-build-isolation") and lang == "python":
            command = [sys.executable, "-m", *line.split(), "--index-url", index.parent.as_uri()]
            command += ["--upgrade", "--target", str(desk / "site"), "--quiet"]
            command.remove("--editable")
            subprocess.run(command, cwd=plugin, check=True, capture_output=True)
            assert not list((desk / "site").glob("despina*"))
        elif line.startswith("pip install"):
            ours = [word for word in line.split() if "despina" in word]
            assert all(word.startswith("wheels/") and word.endswith(".whl") for word in ours)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Row", "is no name for a backend"),
        ("1row", "is no name for a backend"),
        ("row--sum", "is no name for a backend"),
        ("../row", "is no name for a backend"),
        ("r" * 65, "is no name for a backend"),
        ("class", "means something else"),
        ("json", "means something else"),
        ("numpy", "there is a distribution 'numpy' already"),
        ("install", "means something else"),
        ("tests", "means something else"),
        ("model_repository", "means something else"),
        ("despina-vision", "there is a distribution 'despina-vision' already"),
        ("despina_vision", "there is a distribution 'despina-vision' already"),
        ("identity", "there is a backend 'identity' already, of despina-identity"),
    ],
)
def test_a_name_that_cannot_be_is_refused(desk: Path, name: str, reason: str):
    result = new(name, "--lang", "python")
    assert result.exit_code == 2
    assert reason in result.output
    assert not list(desk.iterdir())


def test_a_folder_that_exists_is_left_alone(desk: Path):
    (desk / "row-sum").mkdir()
    result = new("row-sum", "--lang", "python")
    assert result.exit_code == 2
    assert "'row-sum' exists already" in result.output
    assert not list((desk / "row-sum").iterdir())


def test_a_distribution_of_another_package_was_removed_by_the_printed_commands(desk: Path):
    """The package of protobuf is google."""
    result = new("protobuf", "--lang", "python")
    assert result.exit_code == 2
    assert "there is a distribution 'protobuf' already" in result.output
    assert not list(desk.iterdir())


def test_a_link_that_leads_nowhere_is_left_alone(desk: Path):
    (desk / "row-sum").symlink_to("nowhere")
    result = new("row-sum", "--lang", "python")
    assert result.exit_code == 2
    assert "'row-sum' exists already" in result.output


def test_what_cannot_be_written_leaves_nothing_behind(desk: Path):
    script = textwrap.dedent("""
        import resource, sys
        from despina.cli import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        main(["new", "row-sum", "--lang", "python"])
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=desk, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: cannot make row-sum: File too large\n"
    assert not list(desk.iterdir())
