"""Whether a model can be served here, and what is missing if not.

Loads no engine: it may be what is broken.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from despina.diagnosis.check import Check, Verdict
from despina.diagnosis.machine import check_machine
from despina.diagnosis.refusals import SHARED_LIBRARIES, UNDEFINED_SYMBOLS, explain
from despina.diagnosis.requirements import (
    WHEELS,
    described,
    installed_version,
    needs_of,
    pip_install,
    unmet,
)
from despina.errors import DespinaError
from despina.plugins.installed import BACKENDS, PLUGINS, entry_points_by_name
from despina.plugins.offer import Offer, OfferState
from despina.plugins.trial import LINES, all_targets, attempts, isolated
from despina.settings import Settings
from despina_sdk.cmake import include_folder

SERVING_SECONDS = 60.0


def examine(settings: Settings) -> dict[str, list[Check]]:
    """Everything that was looked at, by what it is about.

    A model can be served where no check ends with ``Verdict.PROBLEM``.

    Args:
        settings: that a server would have.
    """
    serving, engine = _serve()
    return {
        "Versions": [*_versions(engine), *_requirements()],
        "Machine": check_machine(settings),
        "Backends and plugins": list(_plugins(settings.backend_directory)),
        "Serving": [serving],
    }


def _serve() -> tuple[Check, Mapping[str, str]]:
    """Serves a model in another process; what its engine says of itself, if there is one."""
    with tempfile.TemporaryDirectory(prefix="despina-") as folder:
        result, output = Path(folder, "result"), Path(folder, "output")
        with output.open("wb") as written:
            arguments = [str(result)]
            how = isolated("despina.diagnosis.serving", arguments, written, SERVING_SECONDS)
        if result.exists():
            text = "a model that gives back its input was served, and answered"
            return Check("CPU model", Verdict.OK, text), json.loads(result.read_text())
        lines = output.read_text(errors="replace").splitlines()[-LINES:]
    why = lines[-1] if lines and how.startswith("it ended the process") else how
    text = f"no model can be served: {why}"
    return Check("CPU model", Verdict.PROBLEM, text, _serving_remedy(why), tuple(lines)), {}


def _serving_remedy(why: str) -> str:
    if "_engine" in why:
        return (
            f"the engine is not there for Python {platform.python_version()} on"
            f" {platform.machine()}: in a checkout run `make build`; otherwise install a wheel of"
            f" despina that was built for it, {WHEELS} --force-reinstall --no-deps despina"
        )
    if missing := re.search(r"(?:No module named '|import of )(\w+)", why):
        module = missing[1].replace("_", "-")
        return f"{pip_install(module)} {module}"
    if "SIGILL" in why:
        return "the engine or numpy was built for another processor: build it on this one"
    refusal = explain(why)
    if refusal.subject in (SHARED_LIBRARIES, UNDEFINED_SYMBOLS):
        return refusal.remedy
    return (
        "where the trace ends in a plugin, `despina plugins` tells more; otherwise install despina"
        f" again: {WHEELS} --force-reinstall despina"
    )


def _versions(engine: Mapping[str, str]) -> Iterator[Check]:
    yield Check("Python", Verdict.OK, f"{platform.python_version()}, {sys.executable}")
    for name in ("despina", "despina-sdk"):
        yield _version(name)
    if not engine:
        yield Check("engine", Verdict.NOTE, "it cannot be asked", "see below: Serving")
    else:
        yield _interface(engine)
    for name in ("numpy", "protobuf", "onnxruntime"):
        yield _version(name)


def _version(name: str) -> Check:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        if name == "onnxruntime":
            remedy = f"for ONNX models: python -m pip install {name}, {WHEELS} despina-{name}"
        else:
            remedy = f"{pip_install(name)} {name}"
        return Check(name, Verdict.NOTE, "not installed", remedy)
    return Check(name, Verdict.OK, f"{found.version}, {found.locate_file('')}")


def _interface(engine: Mapping[str, str]) -> Check:
    """Whether what is compiled with the SDK that is here is taken by the engine that is here."""
    header = (include_folder() / "despina" / "abi.h").read_text()
    numbers = dict(re.findall(r"^#define DESPINA_ABI_(\w+) (?:UINT64_C\()?(\w+)", header, re.M))
    sdk = f"{numbers['MAJOR']}.{numbers['MINOR']} ({numbers['HASH'][2:10]})"
    text = f"ABI {engine['abi']}, {engine['engine']}"
    if sdk == engine["abi"]:
        return Check("engine", Verdict.OK, text)
    remedy = (
        "a backend that is compiled with this SDK is refused by this engine: take both from one"
        " build, in a checkout by `make build`"
    )
    return Check("engine", Verdict.NOTE, f"{text}; despina-sdk has ABI {sdk}", remedy)


def _requirements() -> Iterator[Check]:
    """Whether the versions that are here fit each other."""
    providers = {
        point.dist.name
        for group in (BACKENDS, PLUGINS)
        for points in entry_points_by_name(group).values()
        for point in points
        if point.dist
    }
    names = [*dict.fromkeys(("despina", "despina-sdk", *sorted(providers), "onnxruntime"))]
    names = [name for name in names if installed_version(name)]
    lacking = [(name, need) for name in names for need in unmet(needs_of(name))]
    for name, need in lacking:
        yield Check("requirements", Verdict.NOTE, f"{name} {described(need)}", need.remedy)
    if not lacking:
        text = f"what {', '.join(names)} need is here"
        yield Check("requirements", Verdict.OK, text)


def _plugins(directory: str) -> Iterator[Check]:
    targets = all_targets(directory)
    try:
        tried = attempts(targets, directory)
    except DespinaError as error:
        remedy = "see below: Serving"
        yield Check("backends", Verdict.NOTE, error.message, remedy)
        return
    loaded = False
    for target, attempt in zip(targets, tried, strict=True):
        loaded = loaded or (attempt.loaded and target.group == BACKENDS)
        for offer in attempt.offers:
            yield _offer(offer)
    if not loaded:
        remedy = (
            f"install one: {WHEELS} despina-onnxruntime (ONNX models), despina-identity (to try);"
            " of one that is refused see above"
        )
        yield Check("backends", Verdict.PROBLEM, "none that works is installed", remedy)


def _offer(offer: Offer) -> Check:
    by = offer.provider + (f", ABI {offer.abi}" if offer.abi else "")
    if offer.state is OfferState.LOADED:
        return Check(offer.name, Verdict.OK, by)
    remedy = f"despina plugins doctor {offer.name}"
    return Check(offer.name, Verdict.NOTE, f"{by}: {offer.state}: {offer.reason}", remedy)
