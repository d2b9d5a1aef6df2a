"""Everything that is wrong with models, and what only loading them would tell."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from despina.config.ensemble import check_ensemble, check_flow, doubtful_names, members
from despina.config.load import load_json, read_config
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import normalise
from despina.config.problem import Origin, Problem, refuse
from despina.config.support import unsupported
from despina.config.tensors import TensorMessage, is_complete
from despina.config.validate import validate
from despina.errors import ConfigError, DespinaError, Diagnostic
from despina.plugins.hooks import Hooks
from despina.plugins.installed import backend_names, libraries
from despina.repository.catalog import Catalog, Source
from despina.repository.layout import CONFIG_FILE, ModelFolder
from despina.repository.versions import version_number
from despina.text import did_you_mean
from despina_sdk import Code


@dataclass(frozen=True)
class Review:
    """One model.

    Attributes:
        name: of the model.
        path: of its folder, or of the file that was looked at.
        config: normalised; nothing if something is wrong with it.
        versions: those that would be served.
        problems: everything that was found.
        notes: what was not looked at, and what only loading the model tells.
    """

    name: str
    path: Path
    config: ModelConfig | None = None
    versions: tuple[int, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    notes: tuple[str, ...] = ()


def review(path: Path, *, completing: bool = True, config_name: str = "") -> list[Review]:
    """Looks at a configuration, at a model with the members that it has, or at a repository.

    Args:
        path: a file, in the text form or ``.json``; the folder of a model; or a repository.
        completing: whether backends may fill in what configurations leave out.
        config_name: that of the configuration to take where a model has several.

    Raises:
        DespinaError: NOT_FOUND: a folder has no model. UNAVAILABLE: it cannot be read.
    """
    if path.name == CONFIG_FILE:
        path = path.parent
    if not path.is_dir():
        return [_review_file(path, completing)]
    names: list[str] = []
    if is_model(path, config_name):
        path = named(path)
        path, names = path.parent, [path.name]
    return review_models(path, names, completing=completing, config_name=config_name)


def named(folder: Path) -> Path:
    """The folder of a model by a path that has its name, as ``.`` does not."""
    return folder.resolve() if folder.name in ("", "..") else folder


def is_model(folder: Path, config_name: str = "") -> bool:
    """Whether a folder is a model's: it has a configuration, or versions."""
    if os.path.lexists(ModelFolder(folder.name, folder).config_file(config_name)):
        return True
    try:
        return any(each.is_dir() and version_number(each.name) for each in folder.iterdir())
    except OSError as error:
        raise DespinaError(Code.UNAVAILABLE, f"'{folder}': {error.strerror}") from error


def review_models(
    repository: Path,
    names: Sequence[str] = (),
    *,
    completing: bool = True,
    config_name: str = "",
) -> list[Review]:
    """Looks at models of a repository, all unless some are named, and at members of ensembles.

    Raises:
        DespinaError: NOT_FOUND: there is no model, or none of a name. UNAVAILABLE: the repository
            cannot be read.
    """
    catalog = Catalog(
        [repository], auto_complete=completing, detect=_Detect(), config_name=config_name
    )
    catalog.refresh()
    known = catalog.names()
    if not known:
        text = f"there is no model in '{repository}': models are folders with a {CONFIG_FILE}"
        raise DespinaError(Code.NOT_FOUND, f"{text}, or with versions such as '1'")
    for name in names:
        if not catalog.find(name):
            raise catalog.unknown(name)
    reviews: dict[str, Review] = {}
    sources: dict[str, Source] = {}
    pending = list(names or known)
    while pending:
        name = pending.pop()
        if name in reviews:
            continue
        folder = repository / name
        try:
            source = sources[name] = catalog.read(name)
        except DespinaError as error:
            reviews[name] = Review(name, folder, problems=_found(error, folder))
            continue
        reviews[name] = _review_source(source, completing)
        if source.is_ensemble:
            pending += [member for member in members(source.config) if member in known]
    for name, source in sources.items():
        if source.is_ensemble:
            reviews[name] = _with_members(reviews[name], sources, known, completing)
    return [reviews[name] for name in sorted(reviews)]


class _Detect:
    """Asks plugins for a backend, and imports them when one is first needed."""

    def __init__(self) -> None:
        self._hooks: Hooks | None = None

    def __call__(self, folder: Path) -> str | None:
        self._hooks = self._hooks or Hooks()
        return self._hooks.detect_backend(folder)


def _found(error: DespinaError, path: Path) -> tuple[Diagnostic, ...]:
    if isinstance(error, ConfigError):
        return error.problems
    return (Diagnostic(str(path), error.message),)


def _review_source(source: Source, completing: bool) -> Review:
    notes = () if source.is_ensemble else tuple(_notes(source, completing))
    return Review(source.name, source.folder, source.config, source.versions, notes=notes)


def _notes(source: Source, completing: bool) -> Iterator[str]:
    config, backend, offered = source.config, source.config.backend, backend_names()
    folders = [source.folder / str(version) for version in source.versions]
    if backend not in offered and not any(libraries(backend, (*folders, source.folder))):
        hint = did_you_mean(backend, offered)
        yield f"no distribution that is installed here offers backend '{backend}'{hint}"
    tensors: list[TensorMessage] = [*config.input, *config.output]
    listed = config.input and config.output and all(map(is_complete, tensors))
    if completing and not listed:
        yield "inputs and outputs are not all given: the backend has to fill them in"
    if name := config.default_model_filename:
        for version in source.versions:
            folder = source.folder / str(version)
            if folder.is_dir() and not (folder / name).exists():
                yield f"version {version} has no file '{name}'"


def _with_members(
    review: Review, sources: dict[str, Source], known: Sequence[str], completing: bool
) -> Review:
    """Adds what an ensemble and its members together tell."""
    source = sources[review.name]
    configs = {name: each.config for name, each in sources.items()}
    try:
        problems = check_ensemble(review.name, configs, known, completing=completing)
        refuse(source.origin, problems)
    except ConfigError as error:
        return replace(review, config=None, problems=error.problems)
    unread = [each for each in members(source.config) if each not in sources]
    notes = [f"its model '{each}' has problems" for each in unread]
    return replace(review, notes=(*notes, *doubtful_names(source.config, configs)))


def _review_file(path: Path, completing: bool) -> Review:
    """Looks at a configuration that is not the one of the folder that it is in, if of any."""
    in_configs = path.parent.name == "configs"
    name = path.parent.parent.name if in_configs else path.stem
    try:
        if path.suffix == ".json":
            config, origin = load_json(path), Origin(str(path))
        else:
            config, origin = read_config(path)
        name = name if in_configs else config.name or name
        not_there = unsupported(config)
        normalise(config, name)
        problems = [*_alone(config, name, completing), *not_there]
        refuse(origin, problems)
    except ConfigError as error:
        return Review(name, path, problems=error.problems)
    note = "the model's folder is not looked at: files, versions, and the models of an ensemble"
    return Review(name, path, config, notes=(note,))


def _alone(config: ModelConfig, name: str, completing: bool) -> Iterator[Problem]:
    """The problems of a configuration without a folder, whose files might tell the backend."""
    for problem in validate(config, name, completing=completing):
        if problem.field != "backend" or config.HasField("ensemble_scheduling"):
            yield problem
    if config.HasField("ensemble_scheduling"):
        yield from check_flow(config)
