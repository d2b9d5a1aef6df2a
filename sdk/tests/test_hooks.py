from pathlib import Path
from typing import Any

import pluggy
import pytest

from despina_sdk import ModelSpec, hooks


@pytest.fixture
def manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


class Onnx:
    """Takes of each hook the arguments that it wants."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.settings: dict[str, Any] | None = None

    @hooks.hookimpl
    def despina_configure(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    @hooks.hookimpl
    def despina_detect_backend(self, path: Path) -> str | None:
        return "onnxruntime" if path.suffix == ".onnx" else None

    @hooks.hookimpl
    def despina_model_options(self, spec: ModelSpec) -> dict[str, str]:
        return {"origin": spec.name}

    @hooks.hookimpl
    def despina_model_state(self, model: str, new: str) -> None:
        self.states.append((model, new))


class Anything:
    @hooks.hookimpl(trylast=True)
    def despina_detect_backend(self) -> str:
        return "python"


def test_hooks_are_called_with_the_arguments_they_take(manager: pluggy.PluginManager) -> None:
    plugin = Onnx()
    manager.register(plugin)
    manager.check_pending()
    manager.hook.despina_model_state(model="m", version=1, old="LOADING", new="READY", reason="")
    assert plugin.states == [("m", "READY")]


def test_the_first_plugin_that_knows_the_backend_decides(manager: pluggy.PluginManager) -> None:
    manager.register(Anything())
    manager.register(Onnx())
    assert manager.hook.despina_detect_backend(path=Path("a.onnx")) == "onnxruntime"
    assert manager.hook.despina_detect_backend(path=Path("a.py")) == "python"


def test_options_of_all_plugins_are_collected(manager: pluggy.PluginManager) -> None:
    manager.register(Onnx())
    manager.register(Onnx())
    spec = ModelSpec("m", "1", Path("m/1"))
    assert manager.hook.despina_model_options(spec=spec) == [{"origin": "m"}] * 2


def test_a_plugin_registered_late_still_gets_the_settings(manager: pluggy.PluginManager) -> None:
    manager.hook.despina_configure.call_historic(kwargs={"settings": {"http_port": 8000}})
    plugin = Onnx()
    manager.register(plugin)
    assert plugin.settings == {"http_port": 8000}


def test_an_argument_that_a_hook_does_not_have_is_refused(manager: pluggy.PluginManager) -> None:
    class Wrong:
        @hooks.hookimpl
        def despina_detect_backend(self, url: str) -> None: ...

    with pytest.raises(pluggy.PluginValidationError, match="url"):
        manager.register(Wrong())


def test_a_hook_that_does_not_exist_is_refused(manager: pluggy.PluginManager) -> None:
    class Misspelt:
        @hooks.hookimpl
        def despina_detect_backends(self) -> None: ...

    manager.register(Misspelt())
    with pytest.raises(pluggy.PluginValidationError, match="despina_detect_backends"):
        manager.check_pending()
