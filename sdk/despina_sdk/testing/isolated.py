"""What the kit tries in a process of its own first: native code takes its process along.

``python -m despina_sdk.testing.isolated TASK FOLDER`` is that process.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from despina_sdk.backend import ModelSpec
from despina_sdk.isolation import ending, run_module
from despina_sdk.metrics import LocalMetrics
from despina_sdk.native import NativeBackend
from despina_sdk.tensors import Array
from despina_sdk.testing.host import Host
from despina_sdk.testing.native import LibraryError, backend_class
from despina_sdk.testing.native_table import NoCompilerError
from despina_sdk.testing.trial import Trial

MODULE = "despina_sdk.testing.isolated"
START_SECONDS = 20.0
"""For the process itself."""
CALLS = 8
"""Of the backend that a process may make, each with the time limit of the tests."""
LINES = 20
"""Of what a process has written that are shown."""
LOADED = "loaded"
"""The file that a process makes when the library is loaded."""
RESULT = "result"
"""The file of what it gives back, if it gets to the end."""


class NotTriedError(Exception):
    """A task cannot be done here, for a reason that is not the library's."""


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
        stuck: that it had to be ended, and its task did not get far enough for the tests to go on;
            empty if not so.
        not_tried: why its task was not done; empty if it was.
        result: what its task has given back.
    """

    death: str = ""
    thrown: bool = False
    stuck: str = ""
    not_tried: str = ""
    result: Any = None


def run(task: str, case: Case) -> Outcome:
    """Runs a task of ``TASKS`` in a process of its own.

    One that does not end is ended, which is not its death: once the library is loaded, the tests
    see by themselves which call does not return.
    """
    with tempfile.TemporaryDirectory(prefix="despina-") as name:
        folder = Path(name)
        (folder / "case").write_bytes(pickle.dumps(_plain(case)))
        environment = {
            "TMPDIR": name,  # the process ends without tidying up
            "MALLOC_PERTURB_": "85",  # what is freed does not look as if it could still be used
        }
        timeout = START_SECONDS + CALLS * case.time_limit
        with (folder / "output").open("wb") as output:
            status = run_module(MODULE, [task, name], output, timeout, environment)
        if status is None:
            if (folder / LOADED).exists():
                return Outcome()
            return Outcome(stuck=f"the process has not ended after {timeout:g} s")
        if status == 0 and (folder / RESULT).exists():
            not_tried, result = pickle.loads((folder / RESULT).read_bytes())
            return Outcome(not_tried=not_tried, result=result)
        written = (folder / "output").read_text(errors="replace").strip()
    how = f"the process ended with {ending(status)}"
    text = "\n".join([how, *written.splitlines()[-LINES:]])
    return Outcome(text, re.search(r"terminate called .*throwing", written) is not None)


def _plain(case: Case) -> Case:
    """The same, of what can be pickled."""
    spec = replace(
        case.spec,
        parameters=dict(case.spec.parameters),
        config=dict(case.spec.config),
        metrics=LocalMetrics(),
    )
    return replace(case, options=dict(case.options), spec=spec, sample=dict(case.sample))


def try_sample(case: Case, folder: Path) -> None:
    """What the tests do first, in the same way."""
    try:
        tested = backend_class(case.library)
    except NoCompilerError as error:
        raise NotTriedError(str(error)) from None
    except LibraryError:
        return  # a test says so
    finally:
        (folder / LOADED).touch()

    def make_host() -> Host:
        return Host(tested, case.options, case.spec, device=case.device, time_limit=case.time_limit)

    Trial(make_host, case.sample)


def serve_sample(case: Case, folder: Path) -> list[dict[str, Array]] | str:
    """The sample's answer of an installed ``despina``, part by part; or why there is none."""
    from despina import DespinaError, Server

    name = backend_class(case.library).name
    installed = _require_this_one(name, case.library)
    _write_model(case, name, folder / "models", installed)
    options = [f"{name},{key}={value}" for key, value in case.options.items()]
    try:
        with Server(folder / "models", backend_config=options) as server:
            return list(server.stream(case.spec.name, case.sample, timeout=case.time_limit))
    except DespinaError as error:
        return str(error)


def _require_this_one(backend: str, library: Path) -> bool:
    """Whether an installed distribution offers the backend.

    Raises:
        NotTriedError: it is another file: the server would take that one.
    """
    for point in entry_points(group="despina.backends", name=backend):
        named = point.load()
        file = named.path().resolve() if isinstance(named, NativeBackend) else point.value
        if file != library.resolve():
            text = f"the server's backend '{backend}' is '{file}', under test is '{library}'"
            raise NotTriedError(text)
        return True
    return False


def _write_model(case: Case, backend: str, repository: Path, installed: bool) -> None:
    """Makes a repository of the one model, with the library where it is not installed."""
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
    if not installed:
        (folder / f"libdespina_{backend}.so").symlink_to(case.library.resolve())


TASKS = {"try": try_sample, "serve": serve_sample}


def main() -> None:
    """Runs the task, and ends without waiting for what is stuck."""
    folder = Path(sys.argv[2])
    case = pickle.loads((folder / "case").read_bytes())
    not_tried, result = "", None
    try:
        result = TASKS[sys.argv[1]](case, folder)
    except NotTriedError as error:
        not_tried = str(error)
    (folder / RESULT).write_bytes(pickle.dumps((not_tried, result)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
