"""Loads that bring their own configuration and files: what is accepted, and what is left behind."""

from __future__ import annotations

import base64
import json
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from despina import DespinaError, Server
from despina.control.overrides import MAX_FILES, read_override
from despina.control.repository import Repository
from despina_sdk import Code

MEGABYTE = 1 << 20


def encoded(content: bytes | str) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def refusal(parameters: dict[str, Any], max_bytes: int = MEGABYTE) -> str:
    with pytest.raises(DespinaError) as raised:
        read_override(parameters, max_bytes)
    assert raised.value.code is Code.INVALID_ARGUMENT
    return raised.value.message


def test_without_parameters_there_is_none():
    assert read_override({}, MEGABYTE) is None


def test_configuration_and_files_are_read():
    override = read_override(
        {"config": '{"backend": "b"}', "file:1/deep/w": encoded(b"\0w"), "file:l.txt": ""},
        MEGABYTE,
    )
    assert override is not None
    assert override.config == {"backend": "b"}
    assert override.files == {PurePosixPath("1/deep/w"): b"\0w", PurePosixPath("l.txt"): b""}


def test_a_file_may_come_as_it_is():
    content = b"\0not base64\xff"
    override = read_override({"config": '{"backend": "b"}', "file:w": content}, len(content))
    assert override is not None
    assert override.files == {PurePosixPath("w"): content}
    given = {"config": "{}", "file:w": content}
    assert refusal(given, len(content) - 1) == f"the files have more than {len(content) - 1} bytes"
    assert refusal({"config": b"{}"}) == "Unable to parse 'config': it is not a string"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../x", "it leads out of the model's folder"),
        ("1/../../x", "it leads out of the model's folder"),
        ("1/../x", "it leads out of the model's folder"),
        ("/etc/passwd", "it leads out of the model's folder"),
        ("//etc/passwd", "it leads out of the model's folder"),
        ("", "it names no file"),
        (".", "it names no file"),
        ("./", "it names no file"),
        ("1/", "it is a folder"),
        ("1/x\0.txt", "it has characters that a path cannot have"),
        ("1\\..\\..\\x", "it has characters that a path cannot have"),
        ("1/\nx", "it has characters that a path cannot have"),
        ("1/\ud800", "it has characters that a path cannot have"),
        ("1/" + "x" * 300, "it is too long"),
        ("x/" * 600 + "x", "it is too long"),
    ],
)
def test_a_path_that_cannot_be_is_refused(path: str, problem: str):
    text = refusal({"config": "{}", f"file:{path}": ""})
    assert problem in text
    assert text.startswith("load parameter 'file:")
    assert text.isprintable()
    assert len(text) < 200


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"foo": 1}, "unrecognized load parameter 'foo'"),
        ({"files:1/x": ""}, "unrecognized load parameter 'files:1/x'"),
        (
            {"file:1/x": ""},
            "Load parameter 'config' must be specified for model file override",
        ),
        ({"config": {}}, "Unable to parse 'config': it is not a string"),
        ({"config": "{}", "file:1/x": 5}, "Unable to parse 'file:1/x': it is not a string"),
        ({"config": ""}, "Unable to parse 'config': it is empty"),
        ({"config": "[]"}, "failed to parse 'config': it is not an object"),
        ({"config": "{"}, "failed to parse 'config': JSONDecodeError: "),
        ({"config": '{"a": NaN}'}, "failed to parse 'config': ValueError: NaN is not JSON"),
        ({"config": '{"a":1,"a":2}'}, "failed to parse 'config': ValueError: 'a' is there more"),
        ({"config": "[" * 100_000}, "failed to parse 'config': RecursionError"),
        ({"config": "x" * (5 << 20)}, "Unable to parse 'config': it is larger than 1048576 bytes"),
        ({"config": "{}", "file:1": "", "file:1/x": ""}, "'file:1': '1/x' needs a folder of that"),
        ({"config": "{}", "file:1/x": "", "file:./1//x": ""}, "a file is given more than once"),
        ({"config": "{}", "file:1/x": "!!!"}, "load parameter 'file:1/x' is not base64: "),
        ({"config": "{}", "file:1/x": "AAA"}, "load parameter 'file:1/x' is not base64: "),
        ({"config": "{}", "file:1/x": "AAAé"}, "load parameter 'file:1/x' is not base64: "),
    ],
)
def test_what_makes_no_sense_is_refused(parameters: dict[str, Any], text: str):
    assert text in refusal(parameters)


def test_files_that_are_too_large_are_refused_before_they_are_decoded():
    parameters = {"config": "{}", "file:a": encoded(bytes(30)), "file:b": "not base64" * 4}
    assert refusal(parameters, 59) == "the files have more than 59 bytes"


def test_too_many_files_are_refused():
    files = {f"file:{number}": "" for number in range(MAX_FILES + 1)}
    assert refusal({"config": "{}", **files}) == f"{MAX_FILES + 1} files, more than {MAX_FILES}"


CONFIG = json.dumps({"backend": "scale", "max_batch_size": 4})


class Client:
    """Loads and unloads as the routes do, and looks at what is left in the temporary folder."""

    def __init__(self, server: Server, temporary: Path) -> None:
        self._server = server
        manager = server._runtime.manager
        self._repository = Repository(manager, explicit=True, max_file_bytes=MEGABYTE)
        self._temporary = temporary

    def load(self, name: str, **parameters: str) -> str:
        """What is said of a failure."""
        try:
            self._repository.load(name, parameters).result(30)
        except DespinaError as error:
            return f"{error.code.name}: {error.message}"
        return ""

    def load_files(self, name: str, config: str = CONFIG, **files: str) -> str:
        given = {f"file:{path}": encoded(content) for path, content in files.items()}
        return self.load(name, config=config, **given)

    def unload(self, name: str) -> None:
        self._server.unload(name)  # waits until nothing is left

    def times(self, name: str) -> float:
        return float(self._server.infer(name, {"X": np.ones((1, 4), np.float32)})["Y"][0, 0])

    def folders(self) -> list[Path]:
        return [folder for root in self._temporary.iterdir() for folder in root.iterdir()]

    def rows(self) -> dict[str, str]:
        return {f"{r.name}/{r.version}": f"{r.state} {r.reason}" for r in self._server.models()}


@pytest.fixture
def client(
    write_scale, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A server that serves nothing, with ``double`` in its repository."""
    write_scale("double", 2)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with Server(repository, model_control_mode="explicit") as server:
        yield Client(server, temporary)
    assert list(temporary.iterdir()) == []


def test_a_configuration_stays_until_the_next_load_without_one(client: Client):
    def rows_at_most() -> int:
        with pytest.raises(DespinaError, match="batch-size must be <= ") as raised:
            client._server.infer("double", {"X": np.ones((100, 4), np.float32)})
        return int(raised.value.message.partition("<= ")[2].split()[0])

    assert client.load("double", config=CONFIG) == ""
    assert (rows_at_most(), client.times("double")) == (4, 2)
    assert client.load("double", config=CONFIG.replace("4", "3")) == ""
    assert rows_at_most() == 3
    assert client.load("double") == ""
    assert rows_at_most() == 8
    assert client.folders() == []


def test_files_take_the_place_of_those_of_the_repository(client: Client, repository: Path):
    (repository / "double" / "7").mkdir()
    assert client.load_files("double", **{"3/factor": "30"}) == ""
    assert client.rows()["double/3"] == "READY "
    assert client.times("double") == 30
    (folder,) = client.folders()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "3").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "3" / "factor").stat().st_mode) == 0o600
    (repository / "double" / "7").rmdir()
    assert client.load("double") == ""
    client.unload("double")
    assert client.folders() == []


def test_a_model_that_is_in_no_repository_can_be_loaded(client: Client):
    assert client.load_files("new", **{"1/factor": "5"}) == ""
    assert client.times("new") == 5
    assert client.load("new") == "NOT_FOUND: there is no model 'new'"
    assert client.times("new") == 5
    client.unload("new")
    assert client.rows() == {"new/1": "UNAVAILABLE unloaded"}
    assert client.folders() == []
    assert client._server.ready


def test_a_later_override_takes_the_place_of_an_earlier_one(client: Client):
    for factor in ("5", "6", "7"):
        assert client.load_files("new", **{"1/factor": factor}) == ""
        assert client.times("new") == float(factor)
    client.unload("new")
    assert client.folders() == []


def test_a_load_that_fails_leaves_no_files(client: Client):
    text = client.load_files("new", **{"1/other": "5"})
    assert text == (
        "INVALID_ARGUMENT: load failed for model 'new': version 1 is at UNAVAILABLE state: there is"
        " no factor in version 1;"
    )
    assert client.folders() == []
    assert client.rows() == {"new/1": "UNAVAILABLE there is no factor in version 1"}


def test_one_that_fails_leaves_what_served(client: Client):
    assert client.load_files("new", **{"1/factor": "5"}) == ""
    kept = client.folders()
    assert "there is no factor" in client.load_files("new", **{"1/other": "5"})
    assert client.rows() == {"new/1": "READY there is no factor in version 1"}
    assert client.times("new") == 5
    assert client.folders() == kept
    assert client._server.ready


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"backend": "scale", "max_batchsize": 1}, "ModelConfig has no field 'max_batchsize'"),
        ({"backend": "scale", "max_batch_size": "x"}, "max_batch_size"),
        ({"name": "other"}, "name: 'other' is not the name of the folder, 'new'"),
        ({"backend": "scale", "instance_group": [{"count": 1_000_000}]}, "1000000 instances"),
        ({"version_policy": {"specific": {"versions": [9]}}, "backend": "scale"}, "for 9"),
        ({"name": "\ud800"}, "new"),
    ],
)
def test_a_configuration_that_cannot_be_changes_nothing(
    client: Client, config: dict[str, Any], text: str
):
    for name in ("new", "double"):
        why = client.load_files(name, json.dumps(config), **{"1/factor": "5"})
        assert why.startswith("INVALID_ARGUMENT: ")
        assert text.replace("new", name) in why
    assert client.rows() == {}
    assert client._server.ready
    assert client.folders() == []


def test_an_ensemble_may_consist_of_a_model_that_is_in_no_repository(client: Client, write_model):
    assert client.load_files("new", **{"1/factor": "5"}) == ""
    tensor = "data_type: TYPE_FP32 dims: [ 4 ]"
    maps = 'input_map { key: "X" value: "IN" } output_map { key: "Y" value: "OUT" }'
    write_model(
        "five",
        f"""
        input {{ name: "IN" {tensor} }}
        output {{ name: "OUT" {tensor} }}
        max_batch_size: 4
        ensemble_scheduling {{ step {{ model_name: "new" {maps} }} }}
        """,
    )
    assert client.load("five") == ""
    answer = client._server.infer("five", {"IN": np.ones((1, 4), np.float32)})
    assert answer["OUT"][0, 0] == 5


def test_overrides_of_one_model_at_once_end_with_one_of_them(client: Client):
    factors = [str(number) for number in range(2, 18)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda f: client.load_files("new", **{"1/factor": f}), factors))
    assert set(said) == {""}
    assert str(int(client.times("new"))) in factors
    client.unload("new")
    assert client.folders() == []
