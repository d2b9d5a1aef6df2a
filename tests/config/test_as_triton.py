"""The configuration route answers what the real Triton 2.51 was seen to answer to such files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from despina.config.definition import define
from despina.config.load import read_config
from despina.config.normalise import normalise
from despina.config.to_json import config_to_dict

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "tests" / "fixtures" / "triton_configurations"
EXAMPLES = ROOT / "examples" / "pose" / "model_repository"


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_a_configuration_is_completed_as_triton_does_it(name: str):
    own = RECORDED / f"{name}.pbtxt"
    config, origin = read_config(own if own.exists() else EXAMPLES / name / "config.pbtxt")
    assert origin.faults == ()
    normalise(config, name)
    assert config_to_dict(config) == expected(name)


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_clients_read_the_message_as_the_json_form(name: str, tmp_path: Path):
    model_config_pb2 = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    own = RECORDED / f"{name}.pbtxt"
    config, origin = read_config(own if own.exists() else EXAMPLES / name / "config.pbtxt")
    normalise(config, name)
    for output in config.output:
        output.ClearField("label_filename")  # it would be read
    definition = define(config, 1, tmp_path, origin)
    read = model_config_pb2.ModelConfig.FromString(definition.config_proto)
    assert config_to_dict(read) == json.loads(definition.config_json)


def expected(name: str) -> dict[str, object]:
    """What was recorded, with the fields that Triton has got since then."""
    answer: dict[str, object] = json.loads((RECORDED / f"{name}.json").read_text())
    ensemble = answer.get("ensemble_scheduling")
    if isinstance(ensemble, dict):
        ensemble["max_inflight_requests"] = 0
        for step in ensemble["step"]:
            step.setdefault("model_namespace", "")
    return answer
