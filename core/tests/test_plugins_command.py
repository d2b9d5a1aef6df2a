"""``despina plugins`` and ``despina plugins doctor``: what works, and why something does not."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from despina.cli import main
from despina_sdk.cmake import include_folder

GOOD = """
from despina_sdk import Backend

class Good(Backend):
    name = "good"
    def load(self, spec):
        raise NotImplementedError
"""
NATIVE = """
from despina_sdk.native import NativeBackend
GOOD = NativeBackend(package="plugin_native", library="libdespina_forged.so")
"""
FORGED = Path(__file__).resolve().parents[2] / "cpp" / "host" / "testing" / "forged.c"
WORKING = r"""
#include <despina/backend.hpp>
struct Model {
  explicit Model(const despina::ModelSpec&) {}
  despina::Signature signature() const {
    return {{{"X", despina::FP32, {-1}}}, {{"Y", despina::FP32, {-1}}}, 8};
  }
};
struct Instance {
  Instance(Model&, const despina::Placement&) {}
  void execute(despina::Batch&) {}
};
template <class T> struct __attribute__((visibility("default"))) Shared {
  static inline int counter = 0;
};
extern "C" __attribute__((visibility("default"))) int* counter() { return &Shared<int>::counter; }
DESPINA_BACKEND(forged, Model, Instance)
"""
Forge = Callable[..., Path]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugins", *arguments])


def doctor(*arguments: str) -> str:
    """What it says of something that does not load."""
    result = invoke("doctor", *arguments)
    assert result.exit_code == 1, result.output
    assert result.output.splitlines()[-1] == f"'{arguments[0]}' does not load"
    return result.output


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """Compiles a library: ``forge(*flags)``, of ``forged.c`` unless a source is given."""

    def compiled(*flags: str, source: str = "", name: str = "libdespina_forged.so") -> Path:
        path = FORGED
        if source:
            path = tmp_path / f"{name}.cc"
            path.write_text(source)
        compiler = "g++" if source else "gcc"
        library = tmp_path / name
        options = ["-shared", "-fPIC", "-fvisibility=hidden", f"-I{include_folder()}"]
        command = [compiler, *options, str(path), "-o", str(library), *flags]
        subprocess.run(command, check=True)
        return library

    return compiled


def test_the_list_says_what_works_what_is_refused_and_what_is_shadowed(
    install_plugin, forge: Forge, tmp_path: Path
):
    install_plugin("plugin-bad", "1 / 0", backends={"broken": "X"}, plugins={"odd": ""})
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    install_plugin("plugin-a", GOOD, backends={"twofold": "Good"})
    install_plugin("plugin-b", GOOD, backends={"twofold": "Good"})
    for name in ("good", "older"):
        (tmp_path / "backends" / name).mkdir(parents=True)
        target = tmp_path / "backends" / name / f"lib{name}.so"
        shutil.copy(forge("-DFORGE_OLDER"), target)
    directory = ("--backend-directory", str(tmp_path / "backends"))
    listed = json.loads(invoke("--json", *directory).output)
    rows = {(row["name"], row["distribution"]): row for row in listed["backends"]}
    assert rows["good", "plugin-good"]["state"] == "loaded"
    assert rows["broken", "plugin-bad"]["state"] == "refused"
    assert "ZeroDivisionError" in rows["broken", "plugin-bad"]["reason"]
    assert (
        rows["twofold", "plugin-a"]["state"] == rows["twofold", "plugin-b"]["state"] == "shadowed"
    )
    assert rows["good", "library"]["state"] == "shadowed"
    assert rows["older", "library"]["state"] == "refused"
    assert rows["older", "library"]["abi"].startswith("0.1 (")
    assert rows["older", "library"]["file"].endswith("/older/libolder.so")
    (odd,) = (row for row in listed["plugins"] if row["name"] == "odd")
    assert "ZeroDivisionError" in odd["reason"]
    (line,) = (each for each in invoke().output.splitlines() if "| broken" in each)
    assert "refused" in line
    assert "ZeroDivisionError" in line


def test_one_that_takes_its_process_along_does_not_hide_the_others(install_plugin):
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    install_plugin("plugin-bad", kill, backends={"a_bad_one": "X"})
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    rows = {row["name"]: row for row in json.loads(invoke("--json").output)["backends"]}
    assert rows["a_bad_one"]["reason"] == "SIGSEGV (Segmentation fault)"
    assert rows["good"]["state"] == "loaded"


def test_one_that_ends_its_process_with_status_0_was_refused_without_a_reason(install_plugin):
    install_plugin("plugin-bad", "import os; os._exit(0)", backends={"bad": "X"})
    (row,) = (r for r in json.loads(invoke("--json").output)["backends"] if r["name"] == "bad")
    assert row["reason"] == "it ended the process with status 0"
    assert "loading it ended its process: it ended the process with status 0" in doctor("bad")


def test_one_that_works_ends_with_status_0(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    result = invoke("doctor", "good", "--json")
    assert result.exit_code == 0
    told = json.loads(result.output)
    assert told["loads"] is True
    subjects = [each["subject"] for each in told["checks"]]
    assert subjects == ["entry point", "versions", "load"]


def test_a_name_that_nobody_offers_is_told_with_the_nearest(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    output = doctor("goood")
    assert "offers 'goood'; did you mean 'good'?" in output
    assert "=> install the distribution that offers it" in output
    assert "distribution plugin-good 1.0 has no entry point 'plugin'" in doctor("plugin")


def test_a_distribution_without_metadata_was_a_traceback(monkeypatch, tmp_path: Path):
    (tmp_path / "left_behind-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "offers 'left_behind'" in doctor("left_behind")


def test_a_distribution_is_told_where_its_name_is_given_for_the_backend(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    assert "distribution plugin-good 1.0 has no entry point 'plugin-good'" in doctor("plugin-good")


@pytest.mark.parametrize("option", ["--json", "--backend-directory=/nowhere"])
def test_options_before_doctor_were_ignored(option: str):
    result = invoke(option, "doctor", "identity")
    assert result.exit_code == 2
    assert f"say {option.partition('=')[0]} after 'doctor'" in result.output


def test_two_providers_are_named_with_their_files(install_plugin):
    one = install_plugin("plugin-a", GOOD, version="0.1", backends={"good": "Good"})
    other = install_plugin("plugin-b", GOOD, version="0.3", backends={"good": "Good"})
    output = doctor("good")
    assert "offered by plugin-a 0.1, plugin-b 0.3" in output
    assert f"plugin-a 0.1: plugin_a:Good in {one / 'plugin_a.py'}" in output
    assert f"plugin-b 0.3: plugin_b:Good in {other / 'plugin_b.py'}" in output
    assert "=> uninstall all but one, such as: python -m pip uninstall plugin-" in output


def test_the_trace_of_an_import_points_at_the_plugins_own_lines(install_plugin):
    source = "import json\ndef read():\n    return json.loads('no json')\nread()\n"
    site = install_plugin("plugin-bad", source, backends={"good": "Good"})
    lines = doctor("good").splitlines()
    own = [line.strip() for line in lines if "--> " in line]
    assert own == [
        f'--> File "{site / "plugin_bad.py"}", line 4, in <module>',
        "-->   read()",
        f'--> File "{site / "plugin_bad.py"}", line 3, in read',
        "-->   return json.loads('no json')",
    ]
    (foreign,) = (line for line in lines if "json/decoder.py" in line and "in raw_decode" in line)
    assert "-->" not in foreign
    assert any("json.decoder.JSONDecodeError: Expecting value" in line for line in lines)


def test_an_exception_that_led_to_another_is_in_the_trace(install_plugin):
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('b') from e"
    install_plugin("plugin-bad", source, backends={"good": "Good"})
    output = doctor("good")
    first, link, last = (
        output.index(t) for t in ("ZeroDivisionError:", "which led", "ValueError: b")
    )
    assert first < link < output.rindex("ValueError: b")
    assert last < first  # the reason comes before the trace


@pytest.mark.parametrize(
    ("source", "subject", "text", "remedy"),
    [
        ("import no_such_module", "import", "No module named 'no_such_module'", "name it in"),
        ("x = (", "import", "SyntaxError: '(' was never closed", "correct the file and line"),
        ("", "entry point", "has no attribute 'Good'", "define Good in"),
        ("import numpy; numpy.int", "import", "AttributeError: module 'numpy'", "correct the line"),
        ("raise SystemExit(3)", "import", "SystemExit: 3", "correct the line"),
        ("Good = 3", "entry point", "3 is neither a subclass of", "let the entry point name"),
        (GOOD.replace('"good"', '"other"'), "name", "calls itself 'other'", "use one name"),
        (GOOD.replace("load", "unload"), "load", "abstract method", "define the methods"),
        (NATIVE, "library", "there is no 'libdespina_forged.so'", "build it: install the plugin"),
        (
            GOOD + "    def __init__(self, options):\n        raise OSError('no key')\n",
            "load", "OSError: no key", "its own code refuses",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_in_python_is_told_with_the_remedy(
    install_plugin, source: str, subject: str, text: str, remedy: str
):
    entry = "GOOD" if source == NATIVE else "Good"
    distribution = "plugin-native" if source == NATIVE else "plugin-bad"
    install_plugin(distribution, source, backends={"good": entry})
    told = json.loads(invoke("doctor", "good", "--json").output)
    (check,) = (each for each in told["checks"] if each["verdict"] == "problem")
    assert check["subject"] == subject
    assert text in check["text"]
    assert remedy in check["remedy"]


def test_a_requirement_that_is_missing_is_what_to_install(install_plugin):
    site = install_plugin("plugin-bad", "import absent", backends={"good": "Good"})
    (metadata,) = site.glob("*.dist-info/METADATA")
    needs = (
        "Requires-Dist: absent>=2\nRequires-Dist: numpy>=999\nRequires-Dist: click; extra == 'x'\n"
    )
    metadata.write_text(metadata.read_text() + needs)
    output = doctor("good")
    assert "plugin-bad needs absent>=2: it is not installed" in output
    assert "plugin-bad needs numpy>=999: numpy " in output
    assert "=> python -m pip install 'absent>=2'" in output
    assert "click" not in output


def test_what_is_ours_is_never_to_come_from_an_index(install_plugin):
    site = install_plugin("plugin-bad", GOOD, backends={"good": "Good"})
    (metadata,) = site.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text() + "Requires-Dist: despina-sdk>=99\n")
    result = invoke("doctor", "good")
    assert result.exit_code == 0  # it works all the same
    assert "note     versions" in result.output
    assert "--no-index --find-links WHEELS 'despina-sdk>=99'" in result.output


@pytest.mark.parametrize(
    ("flag", "subject", "text", "remedy"),
    [
        ("NO_SYMBOL", "symbols", "exports no 'despina_backend_entry'", "DESPINA_BACKEND(...)"),
        ("TRITON", "symbols", "made for Triton's backend interface", "port it to"),
        ("OLDER", "interface", "compiled with version 0.1 (", "compile it again with the"),
        ("NEWER", "interface", "compiled with version 1.1 (", "upgrade the distribution 'despina'"),
        ("SMALL", "interface", "its table has 8 bytes", "fill in every function"),
        ("INCOMPLETE", "interface", "its table has no 'execute'", "fill in every function"),
        ("CAPABILITY", "interface", "declares capabilities", "declare only what"),
        ("REFUSES", "load", "this machine has no abacus", "its own code refuses"),
    ],
)
def test_what_is_wrong_with_a_library_is_told_with_the_remedy(
    forge: Forge, flag: str, subject: str, text: str, remedy: str
):
    library = forge(f"-DFORGE_{flag}")
    told = json.loads(invoke("doctor", "forged", "--library", str(library), "--json").output)
    assert told["loads"] is False
    (check,) = told["checks"]
    assert (check["verdict"], check["subject"]) == ("problem", subject)
    assert text in check["text"]
    assert str(library) in check["text"]
    assert remedy in check["remedy"]


def test_a_library_of_another_name_and_a_file_that_is_none_are_told(forge: Forge, tmp_path: Path):
    library = forge()
    output = doctor("other", "--library", str(library))
    assert "calls itself 'forged', and is to be backend 'other'" in output
    assert "=> use one name" in output
    (tmp_path / "text.so").write_text("no library")
    output = doctor("other", "--library", str(tmp_path / "text.so"))
    assert "it is not a library" in output
    assert "=> build it again" in output


def test_missing_libraries_are_named_with_the_file_that_wants_each(forge: Forge, tmp_path: Path):
    forge(source='extern "C" void deep() {}', name="libdeep.so")
    export = '__attribute__((visibility("default")))'
    middle = f'extern "C" {{ void deep(); {export} void middle() {{ deep(); }} }}'
    beside = [f"-L{tmp_path}", f"-Wl,-rpath,{tmp_path}", "-Wl,--no-as-needed"]
    middle_library = forge(*beside, "-ldeep", "-Wl,--unresolved-symbols=ignore-all",
                           source=middle, name="libmiddle.so")  # fmt: skip
    library = forge(*beside, "-lmiddle", "-Wl,--unresolved-symbols=ignore-all")
    (tmp_path / "libdeep.so").unlink()
    output = doctor("forged", "--library", str(library))
    assert "libdeep.so: cannot open shared object file" in output
    assert f"libdeep.so => not found; needed by {middle_library}" in output
    assert "=> install the package of the system that has the library" in output


def test_symbols_that_nothing_defines_are_named(forge: Forge):
    library = forge(source=WORKING + 'extern "C" void absent(); void call() { absent(); }')
    output = doctor("forged", "--library", str(library))
    assert "problem  undefined symbols" in output
    assert f"undefined symbol: absent ({library})" in output
    assert "=> link the library that has the symbol" in output


def test_symbols_that_are_unique_in_a_process_are_a_note(forge: Forge):
    library = forge("-fgnu-unique", source=WORKING)
    result = invoke("doctor", "forged", "--library", str(library))
    assert result.exit_code == 0, result.output
    assert "note     symbols" in result.output
    assert "unique in a process" in result.output
    assert "=> compile it with -fno-gnu-unique" in result.output


@pytest.mark.parametrize(
    ("code", "death"),
    [
        ("*(volatile int*)nullptr = 1", "SIGSEGV (Segmentation fault)"),
        ("__builtin_trap()", "SIGILL (Illegal instruction)"),
        ("_exit(7)", "it ended the process with status 7"),
    ],
)
def test_a_library_that_crashes_when_it_is_loaded_is_told_by_its_signal(
    forge: Forge, code: str, death: str
):
    constructor = f"#include <unistd.h>\nstatic const int crash = [] {{ {code}; return 1; }}();"
    library = forge(source=constructor + WORKING)
    output = doctor("forged", "--library", str(library))
    assert f"loading it ended its process: {death}" in output
    assert "follow-fork-mode child" in output
    if death.startswith("SIGSEGV"):
        assert "engine/native.py" in output  # where it was


def test_a_plugin_that_never_comes_back_is_ended(install_plugin, monkeypatch):
    monkeypatch.setattr("despina.plugins.trial.attempts.__defaults__", ("", 5.0))
    install_plugin("plugin-bad", "import time; time.sleep(600)", backends={"good": "Good"})
    assert "it did not come back within 5 s" in doctor("good")


@pytest.mark.parametrize("command", [("plugins",), ("plugins", "doctor", "stuck"), ("doctor",)])
def test_sigterm_left_the_process_of_a_trial_and_its_folder(
    install_plugin, tmp_path: Path, monkeypatch, command: tuple[str, ...]
):
    began = tmp_path / "began"
    os.mkfifo(began)
    # Opening it waits for the other end; so does reading, until the process has gone.
    source = f"import time; end = open({str(began)!r}, 'w'); time.sleep(600)"
    site = install_plugin("plugin-stuck", source, backends={"stuck": "X"}, plugins={"stuck": ""})
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(site))
    process = subprocess.Popen([sys.executable, "-m", "despina", *command])
    with began.open() as held:
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
        assert held.read() == ""
    assert not list(folder.glob("despina-*"))


def test_a_plugin_with_hooks_is_diagnosed_as_well(install_plugin):
    install_plugin("plugin-bad", "import no_such_module", plugins={"odd": ""})
    assert "No module named 'no_such_module'" in doctor("odd")
    install_plugin("plugin-good", "", plugins={"even": ""})
    assert invoke("doctor", "even").exit_code == 0


def test_without_an_engine_the_list_says_so(monkeypatch, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['despina._engine'] = None")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = invoke()
    assert result.exit_code == 1
    assert "error: nothing can be loaded: " in result.output
    assert "`despina doctor` tells more" in result.output
