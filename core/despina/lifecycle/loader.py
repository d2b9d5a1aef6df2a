"""Loads one version of a model: backend, signature, definition, engine. No threads of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from despina.config.complete import complete
from despina.config.connections import check_tensors
from despina.config.definition import Definition, define
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import normalise
from despina.config.observe import model_labels, namespace_label
from despina.config.problem import Problem, refuse
from despina.config.tensors import tensor_specs
from despina.config.to_json import config_to_dict
from despina.config.validate import validate
from despina.engine import Labels, LoadedModel
from despina.errors import DespinaError, reason
from despina.lifecycle.readiness import Readiness, Watch
from despina.plugins.hooks import Hooks
from despina.plugins.registry import Registry, foreign_library
from despina.repository.catalog import Source
from despina.settings.metrics import MetricsConfig
from despina_sdk import Backend, BackendError, Capability, Code, Metrics, Model, ModelSpec

logger = logging.getLogger(__name__)


class ModelMetrics(Metrics, Protocol):
    """The metrics of one version."""

    def close(self) -> None:
        """Takes them from the page."""


class ModelEngine(Protocol):
    """What the life cycle needs of the engine."""

    def load(
        self,
        definition: Definition,
        model: Model | None,
        capabilities: Capability = Capability.NONE,
        members: Sequence[LoadedModel] = (),
    ) -> LoadedModel:
        """Starts the instances; the model takes requests once it is published."""

    def publish(
        self,
        *,
        index: Sequence[tuple[str, int | None, str, str]],
        serving: Sequence[LoadedModel],
        reload_failures: Sequence[tuple[Labels, int]],
        ambiguous: Mapping[str, int],
        namespaces: bool,
        ready: bool,
        live: bool = True,
        exiting: bool = False,
    ) -> None:
        """The state of the server from now on."""

    def metrics(self, labels: Labels) -> ModelMetrics:
        """Makes a version's own metrics."""

    def unload(self, model: LoadedModel, timeout: float | None = None) -> bool:
        """Waits for the requests of a model that is not published any more, and stops it."""

    def collect(self) -> None:
        """Releases results that front ends are done with."""


@dataclass(frozen=True)
class Loaded:
    """A version that was loaded, with all that has to be let go of when it is unloaded.

    Attributes:
        definition: of the version.
        running: the engine's.
        model: the backend's; an ensemble has none, nor what follows.
        metrics: its own.
        watch: of a model that says whether it can serve.
    """

    definition: Definition
    running: LoadedModel
    model: Model | None = None
    metrics: ModelMetrics | None = None
    watch: Watch | None = None


class Loader:
    """Loads and unloads, on any thread."""

    def __init__(
        self,
        engine: ModelEngine,
        registry: Registry,
        hooks: Hooks,
        readiness: Readiness,
        *,
        auto_complete: bool = True,
        metrics_config: MetricsConfig = MetricsConfig(),  # noqa: B008 - it is frozen
    ) -> None:
        """Takes what a load needs.

        Args:
            engine: runs what is loaded.
            registry: knows the backends.
            hooks: are asked before a load.
            readiness: asks the models whether they can serve.
            auto_complete: whether backends may fill in what a configuration leaves out.
            metrics_config: what is measured of all models.
        """
        self._engine, self._registry, self._hooks = engine, registry, hooks
        self._readiness, self._auto_complete = readiness, auto_complete
        self._metrics_config = metrics_config

    def load(self, source: Source, version: int, members: Sequence[Loaded] = ()) -> Loaded:
        """Loads a version. After an error nothing of it stays behind.

        Args:
            source: of the model.
            version: its number.
            members: of an ensemble: the model of each step, to be unloaded after it.

        Raises:
            DespinaError: it cannot be loaded, and why.
        """
        started = time.monotonic()
        if source.is_ensemble:
            loaded = self._load_ensemble(source, version, members)
        else:
            labels = model_labels(source.name, source.namespace)
            metrics = self._engine.metrics((*labels, ("version", str(version))))
            try:
                loaded = self._load(source, version, metrics)
            except BaseException:
                metrics.close()
                raise
        loaded.running.set_load_time(time.monotonic() - started)
        return loaded

    def unload(self, loaded: Loaded) -> None:
        """Waits for the requests of a version, and lets go of it."""
        if loaded.watch is not None:
            self._readiness.forget(loaded.watch)
        try:
            self._engine.unload(loaded.running)
        finally:
            if loaded.model is not None:
                _close(loaded.model, loaded.definition.name)
            if loaded.metrics is not None:
                loaded.metrics.close()

    def _load(self, source: Source, version: int, metrics: ModelMetrics) -> Loaded:
        config = ModelConfig()
        config.CopyFrom(source.config)
        spec = self._spec(config, source, version, metrics)
        self._hooks.may_load(spec)
        backend = self._backend(spec, source)
        model = _make(backend, spec, source)
        try:
            self._complete(config, model, source)
            definition = define(config, version, source.folder, source.origin)
            measured = self._measured(definition, source)
            running = self._engine.load(measured, model, backend.capabilities)
            watch = self._watch(definition, running, model)
        except BaseException:
            _close(model, source.name)
            raise
        return Loaded(definition, running, model, metrics, watch)

    def _watch(self, definition: Definition, running: LoadedModel, model: Model) -> Watch | None:
        label = f"model '{definition.name}' version {definition.version}"
        try:
            return self._readiness.watch(label, model, running.set_ready)
        except BaseException:
            self._engine.unload(running)
            raise

    def _load_ensemble(self, source: Source, version: int, members: Sequence[Loaded]) -> Loaded:
        definition = define(source.config, version, source.folder, source.origin)
        models = {
            (step.model, step.version): member.definition
            for step, member in zip(definition.steps, members, strict=True)
        }
        refuse(source.origin, check_tensors(definition, models))
        running = [member.running for member in members]
        measured = self._measured(definition, source)
        return Loaded(definition, self._engine.load(measured, None, members=running))

    def _measured(self, definition: Definition, source: Source) -> Definition:
        """The definition with what is measured of it, and how that is labelled."""
        bounds = definition.first_response_bounds
        return replace(
            definition,
            latency_summaries=self._metrics_config.summary_latencies,
            first_response_bounds=bounds if self._metrics_config.histogram_latencies else (),
            metric_tags=(*definition.metric_tags, *namespace_label(source.namespace)),
        )

    def _spec(
        self, config: ModelConfig, source: Source, version: int, metrics: Metrics
    ) -> ModelSpec:
        """What the backend is told, with the parameters that plugins add."""
        spec = _spec_of(config, source, version, metrics)
        options = self._hooks.model_options(spec)
        for key, value in options.items():
            config.parameters[key].string_value = value
        return _spec_of(config, source, version, metrics) if options else spec

    def _backend(self, spec: ModelSpec, source: Source) -> Backend:
        """That of a distribution, or else of a library in the model's folders or the operator's."""
        name = source.config.backend
        try:
            return self._registry.backend(name)
        except DespinaError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            folders = spec.path, source.folder
            if backend := self._registry.library_backend(name, *folders):
                return backend
            if (foreign := foreign_library(*folders)) is None:
                raise
            raise DespinaError(Code.UNIMPLEMENTED, f"backend '{name}': {foreign}") from error

    def _complete(self, config: ModelConfig, model: Model, source: Source) -> None:
        problems = complete(config, model.signature, fill=self._auto_complete)
        normalise(config, source.name)
        problems += validate(config, source.name, completing=False)
        refuse(source.origin, problems)


def _make(backend: Backend, spec: ModelSpec, source: Source) -> Model:
    name = source.config.backend
    text = f"backend '{name}' does not use it"
    unused = sorted(source.backend_fields - backend.uses)
    refuse(source.origin, [Problem(field, text) for field in unused])
    model = _load_with(backend, spec)
    if not isinstance(model, Model) or getattr(model, "signature", None) is None:
        what = "no despina_sdk.Model" if not isinstance(model, Model) else "no signature"
        text = f"backend '{name}' gave {what} for model '{spec.name}'"
        raise DespinaError(Code.INTERNAL, text)
    return model


def _spec_of(config: ModelConfig, source: Source, version: int, metrics: Metrics) -> ModelSpec:
    return ModelSpec(
        name=config.name,
        version=str(version),
        path=source.folder / str(version),
        max_batch_size=config.max_batch_size,
        inputs=tensor_specs(config.input),
        outputs=tensor_specs(config.output),
        parameters={key: config.parameters[key].string_value for key in config.parameters},
        config=config_to_dict(config),
        metrics=metrics,
    )


def _load_with(backend: Backend, spec: ModelSpec) -> Model:
    try:
        return backend.load(spec)
    except DespinaError:
        raise  # a library's, or the backend's of one
    except BackendError as error:
        raise DespinaError(error.code, error.message) from error
    except Exception as error:
        logger.exception("backend '%s' failed to load model '%s'", backend.name, spec.name)
        raise DespinaError(Code.INTERNAL, reason(error)) from error


def _close(model: Model, name: str) -> None:
    try:
        model.close()
    except Exception:
        logger.exception("model '%s' failed to close", name)
