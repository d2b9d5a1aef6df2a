"""Why a backend or a plugin does not load."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, distributions, packages_distributions
from pathlib import Path

from despina.diagnosis.check import Check, Verdict
from despina.diagnosis.loader import missing
from despina.diagnosis.refusals import SHARED_LIBRARIES, UNDEFINED_SYMBOLS, explain
from despina.diagnosis.requirements import described, needs_of, pip_install, unmet
from despina.plugins.installed import (
    BACKENDS,
    PLUGINS,
    entry_points_by_name,
    module_file,
    offers_in_directory,
    offers_of,
)
from despina.plugins.offer import Offer, OfferState
from despina.plugins.trial import Attempt, Target, attempts
from despina.text import did_you_mean, quoted

MARK = "--> "
"""Before the lines of a trace that are the plugin's own."""


def diagnose(name: str, directory: str = "", library: str = "") -> tuple[bool, list[Check]]:
    """Whether it loads, and all that was looked at to know.

    Args:
        name: of a backend, or of a plugin with hooks.
        directory: the operator's folder of libraries.
        library: a file to take instead of what is installed, as a server takes one that lies in
            the folder of a model.

    Raises:
        DespinaError: nothing can be loaded here at all.
    """
    backends, plugins = entry_points_by_name(BACKENDS), entry_points_by_name(PLUGINS)
    found = offers_in_directory(Path(directory) if directory else None, backends)
    group = PLUGINS if name in plugins and name not in backends else BACKENDS
    points = [] if library else (plugins if group == PLUGINS else backends).get(name, [])
    if not (points or library or any(each.name == name for each in found)):
        known = {*backends, *plugins, *(each.name for each in found)}
        return False, [_nobody(name, known, directory)]
    checks = list(_check_points(points))
    if len(points) > 1:
        return False, checks
    (attempt,) = attempts([Target(group, name, library)], directory)
    if attempt.death:
        options = {"--library": library, "--backend-directory": directory}
        given = [each for option in options.items() if option[1] for each in option]
        checks.append(_death(attempt, [name, *given]))
    else:
        checks += _check_attempt(attempt, points)
    return attempt.loaded, checks


def _nobody(name: str, known: set[str], directory: str) -> Check:
    text = f"nothing in this environment ({sys.prefix}) offers '{name}'"
    details = [f"there are {quoted(sorted(known))}"]
    if directory:
        details.append(f"there is no library of that name in {directory}/{name}")
    # What a failed installation has left may have no name.
    named = {each.name: each for each in distributions() if each.name}
    for each in named.values():
        if name.replace("-", "_") in each.name.replace("-", "_"):
            details.append(f"distribution {each.name} {each.version} has no entry point '{name}'")
    remedy = (
        "install the distribution that offers it into this environment; one of your own needs"
        f' {name} = "MODULE:CLASS" below [project.entry-points."{BACKENDS}"] in its pyproject.toml,'
        " and has to be installed again after that"
    )
    hint = did_you_mean(name, known)
    return Check("entry point", Verdict.PROBLEM, text + hint, remedy, tuple(details))


def _check_points(points: list[EntryPoint]) -> Iterator[Check]:
    """Who offers it, and whether what that distribution needs is there."""
    if not points:
        return
    offers = offers_of(points)
    if len(points) > 1:
        _, text, remedy = explain(offers[0].reason)
        details = tuple(
            f"{each.provider}: {point.value} in {each.file}"
            for each, point in zip(offers, points, strict=True)
        )
        remedy += f", such as: python -m pip uninstall {offers[0].distribution}"
        yield Check("entry point", Verdict.PROBLEM, text, remedy, details)
        return
    (offer,), (point,) = offers, points
    text = f"{point.value} of {offer.provider}, in {offer.file or 'no module that is there'}"
    yield Check("entry point", Verdict.OK, text)
    needs = needs_of(offer.distribution)
    for need in (lacking := unmet(needs)):
        text = f"{offer.distribution} {described(need)}"
        yield Check("versions", Verdict.NOTE, text, need.remedy)
    if not lacking:
        there = ", ".join(f"{need.requirement} ({need.here})" for need in needs)
        yield Check("versions", Verdict.OK, f"{offer.distribution} needs {there or 'nothing'}")


def _check_attempt(attempt: Attempt, points: list[EntryPoint]) -> Iterator[Check]:
    """What came of loading it."""
    offer = next(
        (each for each in attempt.offers if each.state is not OfferState.SHADOWED),
        attempt.offers[0],
    )
    for warning in attempt.warnings:
        text, _, remedy = warning.partition("; ")
        yield Check("symbols", Verdict.NOTE, text, remedy)
    for each in attempt.offers:
        if each.state is OfferState.SHADOWED:
            remedy = "remove it, or uninstall the distribution whose backend it is to replace"
            yield Check("entry point", Verdict.NOTE, f"{each.file}: {each.reason}", remedy)
    if not attempt.loaded:
        yield from _refusal(attempt, offer, points)
        return
    if offer.abi:
        text = f"compiled with ABI {offer.abi}, which this server has"
        yield Check("interface", Verdict.OK, text)
    yield Check("load", Verdict.OK, f"it works: {offer.file}")


def _death(attempt: Attempt, arguments: Sequence[str]) -> Check:
    """It took its process along."""
    text = f"loading it ended its process: {attempt.death}"
    command = shlex.join([sys.executable, "-m", "despina", "plugins", "doctor", *arguments])
    remedy = (
        "see above what was being imported or loaded; in a library, look at what runs when it is"
        " loaded (constructors of static objects, the entry, backend_create):"
        f" gdb -ex 'set follow-fork-mode child' -ex run -ex backtrace --args {command}"
    )
    return Check("load", Verdict.PROBLEM, text, remedy, attempt.output)


def _refusal(attempt: Attempt, offer: Offer, points: list[EntryPoint]) -> Iterator[Check]:
    """Why it does not work, and what its loader misses besides."""
    subject, text, remedy = explain(offer.reason.removeprefix("it cannot be made: "))
    details = tuple((MARK if line.own else "    ") + line.text for line in attempt.trace)
    library = attempt.extension or (offer.file if offer.file.endswith(".so") else "")
    lacking = missing(Path(library)) if library else ()
    by_loader = subject in (SHARED_LIBRARIES, UNDEFINED_SYMBOLS)
    check = Check(subject, Verdict.PROBLEM, text, remedy, details + lacking * by_loader)
    (point,) = points or (None,)
    yield _with_better_remedy(check, point) if point else check
    if lacking and not by_loader:
        text = f"the loader does not find all that {library} needs"
        remedy = explain(lacking[0]).remedy
        yield Check(SHARED_LIBRARIES, Verdict.NOTE, text, remedy, lacking)


def _with_better_remedy(check: Check, point: EntryPoint) -> Check:
    """Where the entry point tells more than the reason does."""
    distribution = point.dist.name if point.dist else ""
    if check.text.endswith(f"module '{point.module}' has no attribute '{point.attr}'"):
        remedy = (
            f"define {point.attr} in {module_file(point) or point.module}, or correct the entry"
            " point in pyproject.toml and install it again: what was installed is what counts"
        )
        return replace(check, subject="entry point", remedy=remedy)
    lacking = unmet(needs_of(distribution))
    prefix = "import failed: ModuleNotFoundError: No module named '"
    if not check.text.startswith(prefix):
        return check
    module = check.text.removeprefix(prefix).partition("'")[0].partition(".")[0]
    if module == point.module.partition(".")[0]:
        remedy = f"its own module is not there: install {distribution} again"
        return replace(check, subject="entry point", remedy=remedy)
    if lacking:
        return replace(check, remedy="; ".join(need.remedy for need in lacking))
    if providers := packages_distributions().get(module):
        return replace(
            check, remedy=f"{pip_install(providers[0])} --force-reinstall {providers[0]}"
        )
    return check
