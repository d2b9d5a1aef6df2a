"""Hooks of plugins, by the entry point ``despina.plugins``.

Each plugin is imported guarded: one that is broken is a row with its reason, and the server runs
without it. Hooks are called one plugin at a time, so that an error names the plugin.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pluggy

from despina.errors import DespinaError, reason
from despina.plugins.installed import PLUGINS, entry_points_by_name, offers_of
from despina.plugins.offer import Offer, OfferState
from despina_sdk import Code, ModelSpec
from despina_sdk import hooks as hookspecs

logger = logging.getLogger(__name__)


class Hooks:
    """All plugins. Any thread once it is made."""

    def __init__(self, points: Mapping[str, Sequence[EntryPoint]] | None = None) -> None:
        """Imports plugins, by default all that are installed, and registers their hooks.

        Args:
            points: by name; of a name that several distributions offer none is imported.
        """
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        points = entry_points_by_name(PLUGINS) if points is None else points
        self.offers = [offer for _, same in sorted(points.items()) for offer in self._add(same)]

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Tells plugins the final settings.

        Raises:
            DespinaError: INTERNAL: a plugin raised.
        """
        try:
            self._manager.hook.despina_configure.call_historic(kwargs={"settings": settings})
        except Exception as error:
            raise DespinaError(Code.INTERNAL, f"hook despina_configure: {reason(error)}") from error

    def detect_backend(self, path: Path) -> str | None:
        """The backend that the first plugin knows for a version folder."""
        answers = self._call("despina_detect_backend", path=path)
        return next((answer for _, answer in answers if answer is not None), None)

    def model_options(self, spec: ModelSpec) -> dict[str, str]:
        """Parameters to add to a model, of all plugins.

        Raises:
            DespinaError: INTERNAL: a plugin raised. FAILED_PRECONDITION: two disagree.
        """
        options: dict[str, str] = {}
        origin: dict[str, str] = {}
        for plugin, answer in self._call("despina_model_options", spec=spec):
            for key, value in (answer or {}).items():
                if options.setdefault(key, value) != value:
                    text = (
                        f"plugins '{origin[key]}' and '{plugin}' set parameter '{key}' to"
                        f" '{options[key]}' and to '{value}'"
                    )
                    raise DespinaError(Code.FAILED_PRECONDITION, text)
                origin.setdefault(key, plugin)
        return options

    def may_load(self, spec: ModelSpec) -> None:
        """Asks plugins for objections to a load.

        Raises:
            DespinaError: FAILED_PRECONDITION: a plugin objects. INTERNAL: a plugin raised.
        """
        for plugin, objection in self._call("despina_may_load", spec=spec):
            if objection is not None:
                text = f"plugin '{plugin}' objects: {objection}"
                raise DespinaError(Code.FAILED_PRECONDITION, text)

    def model_state(self, model: str, version: int, old: str, new: str, why: str) -> None:
        """Tells plugins of a change; their errors go to the log."""
        self._tell(
            "despina_model_state", model=model, version=version, old=old, new=new, reason=why
        )

    def shutdown(self) -> None:
        """The last call; errors go to the log."""
        self._tell("despina_shutdown")

    def _tell(self, hook: str, **arguments: Any) -> None:
        for implementation in self._implementations(hook):
            try:
                _run(implementation, arguments)
            except (Exception, SystemExit):
                logger.exception("plugin '%s': %s failed", implementation.plugin_name, hook)

    def _call(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """The answers of the plugins, in the order in which they were registered."""
        for implementation in self._implementations(hook):
            plugin = implementation.plugin_name
            try:
                answer = _run(implementation, arguments)
            except (Exception, SystemExit) as error:
                text = f"plugin '{plugin}': {hook}: {reason(error)}"
                raise DespinaError(Code.INTERNAL, text) from error
            yield plugin, answer

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()

    def _add(self, points: Sequence[EntryPoint]) -> list[Offer]:
        """Those of one name."""
        first, *others = offers = offers_of(points)
        if others:
            logger.warning("plugin '%s' is not used: %s", first.name, first.reason)
            return offers
        try:
            problem, cause = self.register(points[0].load(), first.name), None
        except (Exception, SystemExit) as error:
            problem, cause = f"import failed: {reason(error)}", error
        if problem:
            logger.warning("plugin '%s' is not used: %s", first.name, problem, exc_info=cause)
        state = OfferState.REFUSED if problem else OfferState.LOADED
        return [replace(first, state=state, reason=problem)]

    def register(self, plugin: object, name: str) -> str:
        """Adds one plugin; why it cannot be used, or nothing."""
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            self._refuse_wrappers(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            return reason(error)
        return ""

    def _refuse_wrappers(self, plugin: object, name: str) -> None:
        """No hook changes what the next one gets, so there is nothing to wrap."""
        for caller in self._manager.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                wraps = implementation.wrapper or implementation.hookwrapper
                if wraps and implementation.plugin_name == name:
                    raise ValueError(f"{caller.name}: wrappers of hooks are not supported")


def _run(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    return implementation.function(*(arguments[name] for name in implementation.argnames))
