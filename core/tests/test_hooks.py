import logging
from pathlib import Path

import pytest

from despina.errors import DespinaError
from despina.plugins.hooks import Hooks
from despina_sdk import Code, ModelSpec

SPEC = ModelSpec("m", "1", Path("m/1"))

OBSERVER = """
from despina_sdk.hooks import hookimpl

calls = []

@hookimpl
def despina_configure(settings):
    calls.append(("configure", settings["id"]))

@hookimpl
def despina_model_state(model, new):
    calls.append((model, new))

@hookimpl
def despina_shutdown():
    calls.append("shutdown")
"""


def hooked(name: str, body: str) -> str:
    return f"from despina_sdk.hooks import hookimpl\n@hookimpl\ndef {name}:\n    {body}\n"


def test_a_plugin_hears_of_what_it_asked_for(install_plugin):
    install_plugin("plugin-observer", OBSERVER, plugins={"observer": ""})
    import plugin_observer  # made by the fixture

    hooks = Hooks()
    hooks.configure({"id": "s"})
    hooks.model_state("m", 1, "UNKNOWN", "LOADING", "")
    hooks.shutdown()
    assert plugin_observer.calls == [("configure", "s"), ("m", "LOADING"), "shutdown"]
    (row,) = [row for row in hooks.offers if row.name == "observer"]
    assert (row.distribution, row.version, row.reason) == ("plugin-observer", "1.0", "")


def test_the_first_backend_that_a_plugin_knows_is_taken(install_plugin):
    install_plugin(
        "plugin-a", hooked("despina_detect_backend(path)", "return None"), plugins={"a": ""}
    )
    install_plugin(
        "plugin-b", hooked("despina_detect_backend(path)", "return 'b'"), plugins={"b": ""}
    )
    assert Hooks().detect_backend(Path("m/1")) == "b"


def test_options_of_all_plugins_are_put_together(install_plugin):
    for name, options in (("a", {"x": "1"}), ("b", {"x": "1", "y": "2"})):
        source = hooked("despina_model_options(spec)", f"return {options}")
        install_plugin(f"plugin-{name}", source, plugins={name: ""})
    assert Hooks().model_options(SPEC) == {"x": "1", "y": "2"}


def test_options_that_disagree_name_both_plugins(install_plugin):
    for name in ("a", "b"):
        source = hooked("despina_model_options(spec)", f"return {{'x': '{name}'}}")
        install_plugin(f"plugin-{name}", source, plugins={name: ""})
    with pytest.raises(DespinaError, match="'a' and 'b' set parameter 'x' to 'a' and to 'b'"):
        Hooks().model_options(SPEC)


def test_an_objection_names_the_plugin(install_plugin):
    source = hooked("despina_may_load(spec)", "return f'{spec.name} is too large'")
    install_plugin("plugin-a", source, plugins={"guard": ""})
    with pytest.raises(DespinaError, match="plugin 'guard' objects: m is too large") as raised:
        Hooks().may_load(SPEC)
    assert raised.value.code is Code.FAILED_PRECONDITION


def test_a_plugin_that_raises_is_named(install_plugin):
    install_plugin(
        "plugin-a", hooked("despina_may_load(spec)", "return 1 / 0"), plugins={"guard": ""}
    )
    with pytest.raises(DespinaError, match="plugin 'guard': despina_may_load: ZeroDivisionError"):
        Hooks().may_load(SPEC)


def test_a_plugin_that_raises_does_not_deafen_the_others(install_plugin, caplog):
    install_plugin("plugin-observer", OBSERVER, plugins={"observer": ""})
    source = hooked("despina_model_state(model)", "raise RuntimeError('no')")
    install_plugin("plugin-a", source, plugins={"a": ""})
    install_plugin("plugin-z", source, plugins={"z": ""})
    import plugin_observer  # made by the fixture

    with caplog.at_level(logging.ERROR):
        Hooks().model_state("m", 1, "UNKNOWN", "LOADING", "")
    assert plugin_observer.calls == [("m", "LOADING")]
    assert [record.getMessage() for record in caplog.records] == [
        "plugin 'a': despina_model_state failed",
        "plugin 'z': despina_model_state failed",
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "import failed: ZeroDivisionError"),
        ("raise SystemExit(1)", "import failed: SystemExit: 1"),
        (hooked("despina_modelstate(model)", "pass"), "unknown hook 'despina_modelstate'"),
        (hooked("despina_model_state(modell)", "pass"), "modell"),
        (
            "from despina_sdk.hooks import hookimpl\n@hookimpl(wrapper=True)\n"
            "def despina_may_load(spec):\n    return (yield)\n",
            "wrappers of hooks are not supported",
        ),
    ],
)
def test_a_broken_plugin_is_a_row_with_its_reason(install_plugin, source: str, reason: str):
    install_plugin("plugin-observer", OBSERVER, plugins={"observer": ""})
    install_plugin("plugin-bad", source, plugins={"bad": ""})
    rows = {row.name: row.reason for row in Hooks().offers}
    assert reason in rows["bad"]
    assert rows["observer"] == ""


def test_one_of_two_plugins_of_the_same_name_was_used(install_plugin, caplog):
    for name in ("plugin-a", "plugin-b"):
        source = hooked("despina_may_load(spec)", f"return 'not with {name}'")
        install_plugin(name, source, plugins={"twin": ""})
    hooks = Hooks()
    twins = [row for row in hooks.offers if row.name == "twin"]
    assert [row.state for row in twins] == ["shadowed", "shadowed"]
    reason = "offered by plugin-a 1.0, plugin-b 1.0; uninstall all but one"
    assert f"plugin 'twin' is not used: {reason}" in caplog.text
    hooks.may_load(SPEC)


def test_a_plugin_that_was_refused_was_not_in_the_log(install_plugin, caplog):
    install_plugin("plugin-bad", hooked("despina_modelstate(model)", "pass"), plugins={"bad": ""})
    Hooks()
    assert "plugin 'bad' is not used: " in caplog.text
    assert "unknown hook 'despina_modelstate'" in caplog.text
