"""Parameters of a load: what a client gives in place of what is in the repository."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from despina.config.load import MAX_CONFIG_BYTES
from despina.control.json_text import json_object
from despina.errors import DespinaError
from despina.repository.override import Override
from despina_sdk import Code

CONFIG, FILE = "config", "file:"
"""Names of the parameters: of the configuration, and what those of files begin with."""

MAX_FILES = 1000
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
"""Of one folder or file, as file systems have it."""


def read_override(parameters: Mapping[str, Any], max_bytes: int) -> Override | None:
    """Reads and checks the parameters of a load; nothing of it has been touched then.

    Args:
        parameters: ``config``, the text of a configuration in its JSON form, and ``file:PATH``,
            a file's content, or the text of its base64 form.
        max_bytes: of all files together.

    Returns:
        ``None`` without parameters.

    Raises:
        DespinaError: INVALID_ARGUMENT: names the parameter that cannot be.
    """
    unknown = [key for key in parameters if key != CONFIG and not key.startswith(FILE)]
    if unknown:
        raise _invalid(f"unrecognized load parameter '{unknown[0]}'.")
    given = {key: _checked(key, value) for key, value in parameters.items()}
    contents = {_path(key): value for key, value in given.items() if key != CONFIG}
    if contents and CONFIG not in given:
        text = "Load parameter 'config' must be specified for model file override"
        raise _invalid(text)
    if not given:
        return None
    _check_paths(contents, len(given) - 1)
    # As many bytes as there are at most; what was given is bounded by the request's limit.
    if sum(map(_most_bytes, contents.values())) > max_bytes:
        raise _invalid(f"the files have more than {max_bytes} bytes")
    files = {path: _decode(path, content) for path, content in contents.items()}
    return Override(_config(str(given[CONFIG])), files)


def _checked(key: str, value: Any) -> str | bytes:
    if isinstance(value, str) or (isinstance(value, bytes) and key != CONFIG):
        return value
    raise _invalid(f"Unable to parse '{key}': it is not a string")


def _most_bytes(content: str | bytes) -> int:
    return len(content) if isinstance(content, bytes) else len(content) // 4 * 3


def _config(text: str) -> dict[str, Any]:
    if not text or len(text) > MAX_CONFIG_BYTES:
        problem = f"larger than {MAX_CONFIG_BYTES} bytes" if text else "empty"
        raise _invalid(f"Unable to parse '{CONFIG}': it is {problem}")
    return json_object(text.encode("utf-8", "backslashreplace"), f"'{CONFIG}'")


def _path(key: str) -> PurePosixPath:
    """The path of a file, below the model's folder."""
    name = key.removeprefix(FILE)
    path = PurePosixPath(name)
    problem = ""
    if not path.parts:
        problem = "it names no file"
    elif path.is_absolute() or ".." in path.parts:
        problem = "it leads out of the model's folder"
    elif not name.isprintable() or "\\" in name:
        problem = "it has characters that a path cannot have"
    elif len(name.encode()) > MAX_PATH_BYTES or any(
        len(part.encode()) > MAX_NAME_BYTES for part in path.parts
    ):
        problem = "it is too long"
    elif name.endswith("/"):
        problem = "it is a folder"
    if problem:
        raise _invalid(f"load parameter {key[:100]!r}: {problem}")
    return path


def _check_paths(paths: Iterable[PurePosixPath], given: int) -> None:
    """Each file is there once, and none is where others need a folder."""
    paths = set(paths)
    if given > MAX_FILES:
        raise _invalid(f"{given} files, more than {MAX_FILES}")
    if len(paths) < given:
        raise _invalid("a file is given more than once")
    for path in paths:
        for folder in path.parents:
            if folder in paths:
                text = f"load parameter '{FILE}{folder}': '{path}' needs a folder of that name"
                raise _invalid(text)


def _decode(path: PurePosixPath, content: str | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"load parameter '{FILE}{path}' is not base64: {error}") from error


def _invalid(text: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, text)
