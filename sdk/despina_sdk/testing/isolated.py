"""What the kit tries in a process of its own first: native code takes its process along.

``python -m despina_sdk.testing.isolated TASK FOLDER`` is that process.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from despina_sdk.backend import ModelSpec
from despina_sdk.metrics import LocalMetrics
from despina_sdk.tensors import Array
from despina_sdk.testing.host import Host
from despina_sdk.testing.native import LibraryError, backend_class
from despina_sdk.testing.native_table import NoCompilerError
from despina_sdk.testing.trial import Trial

START_SECONDS = 20.0
"""For the process itself."""
CALLS = 8
"""Of the backend that a process may make, each with the time limit of the tests."""
LINES = 20
"""Of what a process has written that are shown."""


@dataclass(frozen=True)
class Case:
    """What a process needs to try the sample.

    Attributes:
        library: the backend's.
        options: the operator's settings for it.
        spec: of the model.
        sample: the inputs of one request.
        device: that the instance is placed on.
        time_limit: seconds that a call may take.
    """

    library: Path
    options: Mapping[str, str]
    spec: ModelSpec
    sample: Mapping[str, Array]
    device: str
    time_limit: float


@dataclass(frozen=True)
class Outcome:
    """How a process has ended.

    Attributes:
        death: what it died of, and what it wrote; empty if it did not die.
        thrown: whether an exception that left the library was the reason.
        result: what its task has given back.
    """

    death: str
    thrown: bool
    result: Any = None


def run(task: str, case: Case) -> Outcome:
    """Runs a task of ``TASKS`` in a process of its own.

    One that does not end is ended, which is not its death: the tests see by themselves which call
    does not return.
    """
    plain = replace(case.spec, metrics=LocalMetrics())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "case").write_bytes(pickle.dumps(replace(case, spec=plain)))
        command = [sys.executable, "-m", "despina_sdk.testing.isolated", task, name]
        # What is freed does not look as if it could still be used.
        environment = {**os.environ, "MALLOC_PERTURB_": "85"}
        timeout = START_SECONDS + CALLS * case.time_limit
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=timeout, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome("", False)
        written = done.stderr.decode(errors="replace").strip()
        if done.returncode == 0:
            return Outcome("", False, pickle.loads((folder / "result").read_bytes()))
    how = f"status {done.returncode}"
    if done.returncode < 0:
        how = signal.Signals(-done.returncode).name
    text = "\n".join([f"the process ended with {how}", *written.splitlines()[-LINES:]])
    return Outcome(text, re.search(r"terminate called .*throwing", written) is not None)


def try_sample(case: Case, folder: Path) -> None:
    """What the tests do first, in the same way."""
    try:
        tested = backend_class(case.library)
    except (LibraryError, NoCompilerError):
        return  # a test says so

    def make_host() -> Host:
        return Host(tested, case.options, case.spec, device=case.device, time_limit=case.time_limit)

    Trial(make_host, case.sample)


def serve_sample(case: Case, folder: Path) -> list[dict[str, Array]] | str:
    """The sample's answer of an installed ``despina``, part by part; or why there is none."""
    from despina import DespinaError, Server

    name = backend_class(case.library).name
    _write_model(case, name, folder / "models")
    options = [f"{name},{key}={value}" for key, value in case.options.items()]
    try:
        with Server(folder / "models", backend_config=options) as server:
            return list(server.stream(case.spec.name, case.sample, timeout=case.time_limit))
    except DespinaError as error:
        return str(error)


def _write_model(case: Case, backend: str, repository: Path) -> None:
    """Makes a repository of the one model."""
    from importlib.metadata import entry_points

    from despina.config.load import config_from_dict, config_to_text

    spec = case.spec
    tensors = {
        kind: [
            {
                "name": each.name,
                "data_type": "TYPE_" + each.datatype.replace("BYTES", "STRING"),
                "dims": list(each.shape),
                **({"optional": True} if each.optional else {}),
            }
            for each in specs
        ]
        for kind, specs in (("input", spec.inputs), ("output", spec.outputs))
    }
    fields: dict[str, Any] = {
        "max_batch_size": spec.max_batch_size,
        "parameters": {key: {"string_value": value} for key, value in spec.parameters.items()},
        **tensors,
        **spec.config,
        "name": spec.name,
        "backend": backend,
    }
    config = config_from_dict(fields, "the model under test")
    folder = repository / spec.name
    folder.mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config_to_text(config))
    if spec.path.is_dir():
        (folder / spec.version).symlink_to(spec.path.resolve())
    else:
        (folder / spec.version).mkdir()
    if not entry_points(group="despina.backends", name=backend):
        (folder / f"libdespina_{backend}.so").symlink_to(case.library.resolve())


TASKS = {"try": try_sample, "serve": serve_sample}


def main() -> None:
    """Runs the task, and ends without waiting for what is stuck."""
    folder = Path(sys.argv[2])
    case = pickle.loads((folder / "case").read_bytes())
    result = TASKS[sys.argv[1]](case, folder)
    (folder / "result").write_bytes(pickle.dumps(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
