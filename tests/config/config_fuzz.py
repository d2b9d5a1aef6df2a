"""Any bytes as a configuration, under libFuzzer: read and checked, or refused with a place.

Run by ``scripts/fuzz.sh``; the arguments are those of libFuzzer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

# The finders of editable installations load modules in a way that cannot be instrumented.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "core"))

with atheris.instrument_imports(include=["despina.config"]):
    from google.protobuf import text_format

    from despina.config.definition import outline
    from despina.config.load import config_from_json, config_to_text, parse_config, read_text
    from despina.config.model_config_pb2 import ModelConfig
    from despina.config.prepare import prepare
    from despina.config.problem import Origin
    from despina.config.to_json import config_to_dict
    from despina.errors import ConfigError


def check_error(error: ConfigError, text: str) -> None:
    """All that is wrong is told, where it stands."""
    assert error.problems
    lines = text.count("\n") + 1
    for each in error.problems:
        assert each.file == "fuzz", each
        assert 0 <= each.line <= lines, each
        assert each.text, each


def check_same_as_protobuf(config: ModelConfig, text: str) -> None:
    """What both take means the same."""
    try:
        theirs = text_format.Parse(text, ModelConfig())
    except text_format.ParseError:
        return
    assert theirs.SerializeToString(deterministic=True) == config.SerializeToString(
        deterministic=True
    )


def read(text: str) -> tuple[ModelConfig, Origin]:
    """The JSON form if it begins like one, else the text form."""
    if text.startswith("{"):
        return config_from_json(text, "fuzz"), Origin("fuzz")
    config, origin = read_text(text, "fuzz")
    if not origin.faults:
        check_same_as_protobuf(config, text)
    return config, origin


def check(data: bytes) -> None:
    """One input."""
    text = data.decode(errors="replace")
    for completing in (True, False):
        try:
            config, origin = read(text)
            prepare(config, "m", origin, completing=completing)
        except ConfigError as error:
            check_error(error, text)
            continue
        config_to_dict(config)
        outline(config, 1)
        again = parse_config(config_to_text(config), "again")
        assert again.SerializeToString(deterministic=True) == config.SerializeToString(
            deterministic=True
        )


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
