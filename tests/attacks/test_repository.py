"""Classes 1 to 4 and 20: paths, names and floods through loads and unloads."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness.raw_http import Answer, Connection, request
from harness.repository import add_model, fixture
from harness.serve import Serve

from despina import DespinaError
from despina.settings.check import check_settings
from despina.settings.model import Settings

FLAGS = ("--model-control-mode=explicit", "--load-model=*")
FACTOR = base64.b64encode(b"2").decode()
SCALE = {"backend": "fixture_scale"}


def ask(server: Serve, path: str, body: bytes = b"") -> Answer:
    """Also where the server answers before it has read all of the body."""
    with Connection(server.port, timeout=60) as connection:
        with contextlib.suppress(OSError):
            connection.send(request(path, body))
        return connection.read()


def load(server: Serve, name: str, config: Any = None, **files: str) -> Answer:
    parameters = {} if config is None else {"config": json.dumps(config)}
    parameters |= {f"file:{path}": content for path, content in files.items()}
    body = json.dumps({"parameters": parameters}).encode()
    return ask(server, f"/v2/repository/models/{name}/load", body)


def unload(server: Serve, name: str) -> Answer:
    return ask(server, f"/v2/repository/models/{name}/unload")


def files_below(*folders: Path) -> set[Path]:
    return {each for folder in folders for each in folder.rglob("*")}


PATHS = {
    "one up": "../new/1/factor",
    "up and down": "1/../../x",
    "absolute": "/tmp/x",
    "two slashes": "//tmp/x",
    "NUL": "1/factor\0.txt",
    "nothing": "",
    "the folder": ".",
    "backslashes": "1\\..\\..\\x",
    "a line break": "1/\nx",
    "overlong": "1/" + "x" * 10_000,
    "half a character": "1/\ud800",
}


@pytest.mark.parametrize("what", PATHS)
def test_a_file_is_written_nowhere_else(
    server: Serve, models: Path, tmp_path: Path, what: str
) -> None:
    before = files_below(models, tmp_path)
    for name in ("new", "identity_fp32"):
        answer = load(server, name, SCALE, **{"1/factor": FACTOR, PATHS[what]: FACTOR})
        assert answer.status == 400
        assert "load parameter 'file:" in answer.error
    assert files_below(models, tmp_path) == before


def test_a_link_of_the_repository_is_not_written_through(
    server: Serve, models: Path, tmp_path: Path
) -> None:
    """What a client brings lies in a folder of its own, where there are no links to follow."""
    target = tmp_path / "target"
    target.mkdir()
    add_model(models, "linked", fixture("scale"))
    (models / "linked" / "2").symlink_to(target)
    assert load(server, "linked", SCALE, **{"2/factor": FACTOR}).status == 200
    assert list(target.iterdir()) == []
    assert unload(server, "linked").status == 200


NAMES = {
    "blank": "%20",
    "dot": "%2e",
    "dots": "%2e%2e",
    "dots as they are": "..",
    "dots twice encoded": "%252e%252e",
    "a slash": "a%2fb",
    "dots and a slash": "..%2f..%2fetc",
    "a backslash": "..%5c..%5cetc",
    "NUL": "identity_fp32%00",
    "10 kB": "x" * 10_000,
    "beyond ASCII": "%f0%9f%92%a3",
    "full width dots": "%ef%bc%8e%ef%bc%8e",
    "no UTF-8": "%ff%fe",
    "a command": "$(touch%20x)",
    "two commands": "x;reboot",
    "a pipe": "x|sh",
    "backquotes": "%60id%60",
    "quotes": "%22%27",
    "an option": "--help",
    "a format": "%25n%25s%25n",
    "escapes": "%1b[31m%0d%0a",
    "braces": "{}{0.__class__}",
    "a star": "*",
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_is_only_a_name(server: Serve, models: Path, what: str) -> None:
    """The real Triton is not ready any more after a load of ``..``."""
    name, index = NAMES[what], server.post("/v2/repository/index")
    before = files_below(models)
    loaded = load(server, name)
    assert loaded.status in (400, 404), loaded.body
    assert unload(server, name).status in (200, 400)
    assert server.get(f"/v2/models/{name}/ready")[0] in (400, 404)
    assert server.ready()
    assert server.post("/v2/repository/index") == index
    assert files_below(models) == before
    assert str(models) not in loaded.error


def test_a_model_without_a_name_has_no_route(server: Serve) -> None:
    for path in ("/v2/repository/models//load", "/v2/repository/models//unload"):
        assert ask(server, path).status in (400, 404)


def tensors(**of_output: str) -> dict[str, Any]:
    (each,) = ({"name": name, "data_type": "TYPE_FP32", "dims": [1]} for name in ("X",))
    return {**SCALE, "input": [each], "output": [{**each, "name": "Y", **of_output}]}


ESCAPES: dict[str, dict[str, Any]] = {
    "backend": {"backend": "../../evil"},
    "platform": {"platform": "../../evil"},
    "name": {**SCALE, "name": "../evil"},
    "default_model_filename": {**SCALE, "default_model_filename": "../../evil"},
    "default_model_filename, absolute": {**SCALE, "default_model_filename": "/etc/passwd"},
    "cc_model_filenames": {**SCALE, "cc_model_filenames": {"8.0": "../evil"}},
    "runtime": {**SCALE, "runtime": "../../evil.so"},
    "label_filename": tensors(label_filename="../../../../../etc/passwd"),
    "label_filename, absolute": tensors(label_filename="/etc/passwd"),
    "model_operations": {**SCALE, "model_operations": {"op_library_filename": ["../evil.so"]}},
    "model_repository_agents": {
        **SCALE,
        "model_repository_agents": {"agents": [{"name": "../evil"}]},
    },
    "input_data_file": {
        **SCALE,
        "model_warmup": [
            {
                "name": "w",
                "batch_size": 1,
                "inputs": {
                    "X": {"data_type": "TYPE_FP32", "dims": [1], "input_data_file": "../evil"}
                },
            }
        ],
    },
    "data_file": {
        **SCALE,
        "sequence_batching": {
            "state": [
                {
                    "input_name": "X",
                    "output_name": "Y",
                    "data_type": "TYPE_FP32",
                    "dims": [1],
                    "initial_state": [
                        {"data_type": "TYPE_FP32", "dims": [1], "data_file": "../evil"}
                    ],
                }
            ]
        },
    },
}


@pytest.mark.parametrize("what", ESCAPES)
def test_a_configuration_names_nothing_outside_of_its_folder(server: Serve, what: str) -> None:
    answer = load(server, "new", ESCAPES[what], **{"1/factor": FACTOR})
    assert answer.status == 400
    assert what.partition(",")[0].split("_")[0] in answer.error
    assert "root:" not in answer.error
    assert unload(server, "new").status == 200


def test_labels_are_not_read_through_a_link(server: Serve, models: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret\n")
    output = 'output { name: "CLASSES" data_type: TYPE_FP32 dims: 4 label_filename: "l" }'
    add_model(models, "labelled", fixture("classes", extra=output))
    (models / "labelled" / "l").symlink_to(tmp_path / "secret")
    answer = load(server, "labelled")
    assert answer.status == 400
    assert "'l' leads out of the folder" in answer.error
    assert "a secret" not in answer.error
    assert unload(server, "labelled").status == 200


@pytest.mark.parametrize("key", ["TRITON_BATCH_STRATEGY_PATH", "EXECUTION_ENV_PATH"])
def test_a_parameter_that_is_a_path_to_triton_is_a_text(
    server: Serve, tmp_path: Path, key: str
) -> None:
    """Neither is a library loaded nor an archive unpacked: who opened the pipe would wait."""
    os.mkfifo(tmp_path / "pipe")
    config = {**SCALE, "parameters": {key: {"string_value": str(tmp_path / "pipe")}}}
    assert load(server, "new", config, **{"1/factor": FACTOR}).status == 200
    assert unload(server, "new").status == 200


@pytest.mark.parametrize("name", ["../other", "a/b", "/etc/passwd", "a\nb"])
def test_a_name_of_configurations_is_a_name(models: Path, name: str) -> None:
    with pytest.raises(DespinaError, match="--model-config-name=.*: not the name of a file"):
        check_settings(Settings(model_repository=(models,), model_config_name=name))


WRONG = {
    "instances without number": {**SCALE, "instance_group": [{"count": 10**6}]},
    "a number of instances beyond all": {**SCALE, "instance_group": [{"count": 2**31}]},
    "as many groups": {**SCALE, "instance_group": [{"count": 1}] * 20_000},
    "a batch beyond all": {**SCALE, "max_batch_size": 2**40},
    "tensors beyond all": tensors() | {"input": [{"name": "X", "dims": [2**40, 2**40]}]},
    "a cache of an answer in parts": {
        **SCALE,
        "response_cache": {"enable": True},
        "model_transaction_policy": {"decoupled": True},
    },
    "versions that are not there": {**SCALE, "version_policy": {"specific": {"versions": [9]}}},
    "a text of a megabyte": {"backend": "x" * (1 << 20)},
    "an array": [],
}


@pytest.mark.parametrize("what", WRONG)
def test_a_configuration_that_would_take_everything(server: Serve, what: str) -> None:
    answer = load(server, "new", WRONG[what], **{"1/factor": FACTOR})
    assert answer.status == 400
    assert answer.error
    assert server.ready()


def test_a_configuration_of_a_hundred_megabytes_is_not_read(server: Serve) -> None:
    with Connection(server.port) as connection:
        fields = {"Content-Length": 100 << 20}
        connection.send(request("/v2/repository/models/new/load", b'{"x":"', fields))
        assert connection.read().status == 413
    answer = load(server, "new", {"backend": "x" * (20 << 20)})
    assert (answer.status, answer.error) == (
        400,
        "Unable to parse 'config': it is larger than 1048576 bytes",
    )


MALFORMED = {
    "cut off": "backend: [",
    "nested deep": "parameters {" * 100_000,
    "zeros": "\0" * 1000,
    "fields without end": "a: 1 " * 100_000,
    "an escape": 'backend: "\\377\x1b[31m"',
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_file_is_refused_and_forgotten(server: Serve, models: Path, what: str) -> None:
    name = what.replace(" ", "_")
    add_model(models, name, MALFORMED[what])
    answer = load(server, name)
    assert answer.status == 400
    assert len(answer.body) < 20_000
    assert unload(server, name).status == 200


def test_links_in_a_circle(server: Serve, models: Path) -> None:
    (models / "circle").symlink_to(models / "circle")
    assert load(server, "circle").status == 404
    add_model(models, "inner", fixture("scale"), {"1/factor": b"2"})
    (models / "inner" / "1" / "back").symlink_to(models / "inner")
    (models / "inner" / "2").symlink_to(models / "inner" / "2")
    assert load(server, "inner").status == 200
    assert unload(server, "inner").status == 200


def test_hundreds_of_versions(server: Serve) -> None:
    """Each was looked at again for each that came: a second for every hundred, squared."""
    config = {**SCALE, "version_policy": {"all": {}}}
    files = {f"{version}/factor": FACTOR for version in range(1, 501)}
    assert load(server, "new", config, **files).status == 200
    assert len(json.loads(server.post("/v2/repository/index", {"ready": True})[1])) > 500
    assert unload(server, "new").status == 200
    # A later load waits until the versions that go are gone.
    assert load(server, "new", SCALE, **{"1/factor": FACTOR}).status == 200
    assert unload(server, "new").status == 200


def test_a_flood_of_loads_and_unloads_of_one_model(server: Serve) -> None:
    def one(number: int) -> int:
        if number % 2:
            return unload(server, "flood").status
        return load(server, "flood", SCALE, **{"1/factor": FACTOR}).status

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(one, range(100)))
    assert statuses <= {200, 503}, "503: an unload came before the load had ended"
    assert unload(server, "flood").status == 200
