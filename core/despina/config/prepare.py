"""Makes a configuration as it was read into one that can be served."""

from __future__ import annotations

from pathlib import Path

from despina.config.definition import read_labels
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import normalise
from despina.config.problem import Origin, refuse
from despina.config.support import unsupported
from despina.config.validate import validate


def prepare(
    config: ModelConfig,
    name: str,
    origin: Origin,
    *,
    completing: bool,
    folder: Path | None = None,
) -> None:
    """Fills in defaults, in place, and checks everything that can be checked without the model.

    Args:
        config: as it was read; its backend is known by now, if a file or a plugin tells it.
        name: of the model's folder.
        origin: of the configuration.
        completing: whether the backend may still fill in tensors.
        folder: of the model, for the files that are named; without one they are not looked at.

    Raises:
        ConfigError: something is wrong, or asks for what is not there yet; all of it is named.
    """
    not_there = unsupported(config)  # as it was read: a default asks for nothing
    normalise(config, name)
    problems = validate(config, name, completing=completing)
    if folder is not None:
        problems += read_labels(config, folder)[1]
    refuse(origin, [*problems, *not_there])
