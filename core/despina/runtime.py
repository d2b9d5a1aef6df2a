"""Everything that lives as long as the server does, with front ends or without."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from despina.control.calls import ControlThread, Operation
from despina.control.grpc import grpc_operations
from despina.control.http import http_operations
from despina.control.logging import Logging
from despina.control.repository import Repository
from despina.dev.session import Session
from despina.engine import Engine, FrontEnd
from despina.errors import DespinaError
from despina.front_ends import grpc_options, http_options, metrics_options
from despina.lifecycle.loader import Loader
from despina.lifecycle.manager import Manager
from despina.lifecycle.poller import Poller
from despina.lifecycle.readiness import Readiness
from despina.lifecycle.state import ModelStatus, State
from despina.observe.logging import LogSettings, apply_log_settings
from despina.observe.start import start_tracing
from despina.plugins.hooks import Hooks
from despina.plugins.registry import Registry, check_options
from despina.repository.catalog import Catalog
from despina.repository.layout import Listing
from despina.repository.watch import Watch
from despina.settings import Settings
from despina.settings.check import check_settings
from despina.settings.metrics import metrics_config
from despina.settings.sources import backend_options
from despina.text import quoted
from despina_sdk import Backend

logger = logging.getLogger(__name__)

MODELS_IN_MESSAGE = 5


class Runtime:
    """Engine, front ends, backends, hooks and the manager of the models."""

    def __init__(
        self,
        settings: Settings,
        models: Mapping[str, tuple[type[Backend], Mapping[str, Any]]] | None = None,
        say: Callable[[str], None] = logger.info,
    ) -> None:
        """Makes all parts; nothing is loaded yet.

        Args:
            settings: of the server.
            models: that the program hands over: backend class and configuration, by name.
            say: tells the author of the plugin of ``--dev`` what happens; any thread.

        Raises:
            DespinaError: a repository or a setting that cannot be.
        """
        check_settings(settings)
        options = backend_options(settings)
        self.settings = settings
        models = models or {}
        classes = {backend.name: backend for backend, _ in models.values()}
        self.registry = Registry(options, classes, settings.backend_directory)
        self.dev = self._make_session(say) if settings.dev else None
        if unknown := check_options(options, self.registry):
            logger.warning("--backend-config for backends that nobody offers: %s", quoted(unknown))
        self.hooks = Hooks()
        self.hooks.configure(asdict(settings))
        in_process = {
            name: {**config, "backend": backend.name} for name, (backend, config) in models.items()
        }
        catalog = self._make_catalog(in_process)
        self._names_at_start = catalog.names()
        self.engine = Engine(pool_max_cached_bytes=settings.pinned_memory_pool_byte_size)
        self.front_ends: list[FrontEnd] = []
        self.control: ControlThread | None = None
        self.logging = Logging(log_settings(settings), apply_log_settings, settings.log_file)
        self.tracing, self._traces = start_tracing(settings, self.engine, self._knows)
        self.readiness = Readiness()
        loader = Loader(
            self.engine,
            self.registry,
            self.hooks,
            self.readiness,
            auto_complete=not settings.disable_auto_complete_config,
            metrics_config=metrics_config(settings.metrics_config),
        )
        self.manager = Manager(
            engine=self.engine,
            catalog=catalog,
            loader=loader,
            hooks=self.hooks,
            load_threads=settings.model_load_thread_count,
            load_retries=settings.model_load_retry_count,
            strict_readiness=settings.strict_readiness,
            namespaces=settings.model_namespacing,
        )
        self.poller: Poller | None = None

    def load_initial(self) -> Future[list[ModelStatus]]:
        """Begins to load what the settings say is to be served from the start."""
        if self.dev is not None:
            return self.dev.start(self.manager, self._make_catalog({}), self._make_listing())
        names = self._names_at_start
        match self.settings.model_control_mode:
            case "poll":
                self.poller = self._make_poller()
                self.poller.start()
                return self.poller.first
            case "explicit":
                asked = self.settings.load_model
                names = names if "*" in asked else list(asked)
        return self.manager.load(names, must_exist=False)

    def _make_catalog(self, in_process: Mapping[str, Mapping[str, Any]]) -> Catalog:
        catalog = Catalog(
            repositories=self.settings.model_repository,
            in_process=in_process,
            auto_complete=not self.settings.disable_auto_complete_config,
            detect=self.hooks.detect_backend,
            backend_revision=self.registry.revision,
            namespaces=self.settings.model_namespacing,
            config_name=self.settings.model_config_name,
        )
        catalog.refresh()
        return catalog

    def _make_session(self, say: Callable[[str], None]) -> Session:
        settings = self.settings
        return Session(Path(settings.dev), settings.model_repository, self.registry, say)

    def _make_listing(self) -> Listing:
        settings = self.settings
        return Listing(settings.model_repository, namespaces=settings.model_namespacing)

    def _make_poller(self) -> Poller:
        settings = self.settings
        settle = settings.repository_settle_secs
        return Poller(
            Watch(self._make_listing(), settle_seconds=settle, clock=time.monotonic),
            self.manager.sync,
            poll_seconds=settings.repository_poll_secs,
            settle_seconds=settle,
        )

    def listen(self, server_version: str) -> list[str]:
        """Starts the front ends of the settings; a line about each, with its port.

        Raises:
            DespinaError: UNAVAILABLE: one cannot listen where it is told to. INVALID_ARGUMENT:
                a file that a setting names cannot be used.
        """
        settings, lines = self.settings, []
        self.control = ControlThread(self.engine.next_control_call, self._operations())
        if settings.allow_http:
            options = http_options(settings, server_version)
            with _listening("HTTP", settings.http_address, settings.http_port, "--http-port"):
                server = self.engine.serve_http(options)
            self.front_ends.append(server)
            scheme = "https://" if options.tls else ""
            lines.append(f"Started HTTPService at {scheme}{settings.http_address}:{server.port}")
        if settings.allow_grpc:
            calls = grpc_options(settings, server_version)
            with _listening("gRPC", settings.grpc_address, settings.grpc_port, "--grpc-port"):
                server = self.engine.serve_grpc(calls)
            self.front_ends.append(server)
            lines.append(f"Started GRPCInferenceService at {settings.grpc_address}:{server.port}")
        if settings.allow_metrics:
            metrics = metrics_options(settings)
            address = metrics.address
            with _listening("metrics", address, metrics.port, "--metrics-port"):
                server = self.engine.serve_metrics(metrics)
            self.front_ends.append(server)
            lines.append(f"Started Metrics Service at {address}:{server.port}")
        return lines

    def _operations(self) -> dict[str, Operation]:
        """By the names that the front ends give them."""
        explicit = self.settings.model_control_mode == "explicit"
        repository = Repository(
            self.manager, explicit=explicit, max_file_bytes=self.settings.http_max_input_size
        )
        parts = (repository, self.tracing, self.logging)
        return http_operations(*parts) | grpc_operations(*parts)

    def _knows(self, model: str) -> bool:
        return any(each.name == model for each in self.manager.statuses())

    def finish(self, timeout: float) -> bool:
        """Finishes what was accepted, unloads all models, and ends everything.

        Args:
            timeout: seconds for all of it.

        Returns:
            Whether it was done in time. If not, something still runs.
        """
        deadline = time.monotonic() + timeout
        if self.poller is not None:
            self.poller.stop()
        if self.dev is not None:
            self.dev.stop()
        self.manager.drain()
        self.engine.close_control()
        for front_end in self.front_ends:
            front_end.stop_accepting()
        if not self.engine.wait_idle(timeout):
            return False
        sent = [front_end.close(_left(deadline)) for front_end in self.front_ends]
        if not all(sent) or not self.manager.stop(_left(deadline)):
            return False
        if self.control is not None:
            self.control.join()
        if self.dev is not None and not self.dev.join(_left(deadline)):
            return False
        self.readiness.stop()
        if self._traces:
            self._traces.stop(_left(deadline))
        self.hooks.shutdown()
        self.registry.close()
        self.engine.close()
        return True


def log_settings(settings: Settings) -> LogSettings:
    """What the settings say of the log."""
    return LogSettings(
        log_info=settings.log_info,
        log_warning=settings.log_warning,
        log_error=settings.log_error,
        log_verbose_level=settings.log_verbose,
        log_format=settings.log_format,
    )


@contextmanager
def _listening(what: str, address: str, port: int, flag: str) -> Iterator[None]:
    """Names the front end and the flag in the engine's error."""
    try:
        yield
    except DespinaError as error:
        text = f"{what} cannot listen on {address}:{port} ({flag}): {error.message}"
        raise DespinaError(error.code, text) from error


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def failures(rows: list[ModelStatus]) -> str:
    """What became of the models that are not served, in one text; or nothing."""
    failed = [row for row in rows if row.failed or row.state != State.READY]
    texts = [
        f"model '{row.name}' version {row.version}: {row.reason}"
        if row.version
        else f"model '{row.name}': {row.reason}"
        for row in failed[:MODELS_IN_MESSAGE]
    ]
    if len(failed) > MODELS_IN_MESSAGE:
        texts.append(f"and {len(failed) - MODELS_IN_MESSAGE} more")
    return "; ".join(texts)
