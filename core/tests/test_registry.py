import sys
from dataclasses import replace
from pathlib import Path

import pytest

from despina.errors import DespinaError
from despina.plugins.offer import Offer, OfferState
from despina.plugins.registry import Registry, check_options, foreign_library
from despina_sdk import Code

GOOD = """
from despina_sdk import Backend

made = []

class Good(Backend):
    name = "good"
    def __init__(self, options):
        super().__init__(options)
        made.append(self)
    def load(self, spec):
        raise NotImplementedError
    def close(self):
        made.remove(self)
"""


def offer(registry: Registry, name: str):
    return next(each for each in registry.offers() if each.name == name)


def test_looking_around_imports_nothing(install_plugin):
    site = install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    found = offer(Registry(), "good")
    assert (found.distribution, found.version) == ("plugin-good", "1.0")
    assert found.file == str(site / "plugin_good.py")
    assert (found.state, found.reason) == (OfferState.FOUND, "")
    assert "plugin_good" not in sys.modules


def test_a_backend_is_made_once_with_its_options(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    registry = Registry({"good": {"key": "value"}})
    backend = registry.backend("good")
    assert backend.options == {"key": "value"}
    assert registry.backend("good") is backend
    assert offer(registry, "good").state is OfferState.LOADED


def test_closing_closes_the_backends_that_were_made(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    registry = Registry()
    registry.backend("good")
    made = sys.modules["plugin_good"].made
    assert len(made) == 1
    registry.close()
    registry.close()
    assert made == []
    with pytest.raises(DespinaError, match="has been closed"):
        registry.backend("good")


def test_two_distributions_with_one_name_shadow_each_other(install_plugin):
    install_plugin("plugin-a", GOOD, version="0.1", backends={"good": "Good"})
    install_plugin("plugin-b", GOOD, version="0.3", backends={"good": "Good"})
    registry = Registry()
    found = [each for each in registry.offers() if each.name == "good"]
    assert {each.distribution for each in found} == {"plugin-a", "plugin-b"}
    assert {each.state for each in found} == {OfferState.SHADOWED}
    with pytest.raises(DespinaError, match="offered by plugin-a 0.1, plugin-b 0.3; uninstall"):
        registry.backend("good")


def test_one_distribution_that_is_seen_twice_is_not_shadowed(install_plugin, monkeypatch):
    site = install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    monkeypatch.syspath_prepend(str(site.parent / "." / site.name))
    assert offer(Registry(), "good").state is OfferState.FOUND


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "import failed: ModuleNotFoundError: No module named"),
        ("1 / 0", "import failed: ZeroDivisionError"),
        ("raise SystemExit(3)", "import failed: SystemExit: 3"),
        ("", "import failed: AttributeError: module 'plugin_bad' has no attribute 'Good'"),
        ("Good = 3", "3 is neither a subclass of despina_sdk.Backend nor a NativeBackend"),
        ("class Good: pass", "is neither a subclass of despina_sdk.Backend"),
        (GOOD.replace('"good"', '"other"'), "its class calls itself 'other'"),
        (GOOD.replace("made.append", "made.missing"), "cannot be made: AttributeError"),
        (GOOD.replace("def load", "def unload"), "cannot be made: TypeError"),
    ],
)
def test_a_broken_backend_is_refused_with_its_reason(install_plugin, source: str, reason: str):
    install_plugin("plugin-bad", source, backends={"good": "Good"})
    registry = Registry()
    for _ in range(2):
        with pytest.raises(DespinaError) as raised:
            registry.backend("good")
        found = offer(registry, "good")
        assert found.state is OfferState.REFUSED
        assert reason in found.reason
        assert raised.value.code is Code.FAILED_PRECONDITION
        assert raised.value.message == f"backend 'good': {found.reason}"


def test_the_exception_of_a_broken_backend_is_the_cause_once_and_not_kept(install_plugin):
    install_plugin("plugin-bad", "1 / 0", backends={"good": "Good"})
    registry = Registry()
    for cause in (ZeroDivisionError, type(None)):
        with pytest.raises(DespinaError) as raised:
            registry.backend("good")
        assert type(raised.value.__cause__) is cause


def test_libraries_in_the_operators_folder_are_found_unless_a_distribution_comes_first(
    install_plugin, tmp_path: Path
):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    for name in ("good", "other"):
        (tmp_path / "backends" / name).mkdir(parents=True)
        (tmp_path / "backends" / name / f"lib{name}.so").touch()
    offers = Registry(directory=str(tmp_path / "backends")).offers()
    states = {each.name: each.state for each in offers if each.distribution == "library"}
    assert states == {"good": OfferState.SHADOWED, "other": OfferState.FOUND}


def test_a_backend_that_nobody_offers_is_not_found(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    registry = Registry()
    with pytest.raises(DespinaError, match="backend 'god'; did you mean 'good'") as raised:
        registry.backend("god")
    assert raised.value.code is Code.NOT_FOUND
    with pytest.raises(DespinaError, match=r"backend 'xyz' \(installed: .*'good'"):
        registry.backend("xyz")


def test_what_is_offered_later_takes_the_place_of_what_was_there(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    registry = Registry()
    before = registry.backend("good")
    namespace: dict[str, object] = {"__name__": "sources"}
    exec(GOOD, namespace)
    offered = replace(offer(registry, "good"), distribution="sources", state=OfferState.FOUND)
    registry.offer(offered, namespace["Good"], "second")
    assert type(registry.backend("good")) is namespace["Good"]
    assert offer(registry, "good").distribution == "sources"
    assert sys.modules["plugin_good"].made == [before]
    registry.close()
    assert sys.modules["plugin_good"].made == namespace["made"] == []


def test_what_is_offered_may_be_why_there_is_nothing():
    registry = Registry()
    offered = Offer("good", "sources", "", "", OfferState.REFUSED, "no line is finished")
    registry.offer(offered, None, "")
    with pytest.raises(DespinaError, match="backend 'good': no line is finished"):
        registry.backend("good")


def test_a_backend_has_another_revision_whenever_it_is_another(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    registry = Registry()
    assert registry.revision("good") == registry.revision("nothing") == ""
    registry.offer(offer(registry, "good"), None, "second")
    assert registry.revision("good") == "second"


def test_a_class_of_the_program_comes_first(install_plugin):
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    namespace: dict[str, object] = {"__name__": "notebook"}
    exec(GOOD, namespace)
    registry = Registry(in_process={"good": namespace["Good"]})
    assert type(registry.backend("good")) is namespace["Good"]
    assert offer(registry, "good").distribution == "in process"
    assert "plugin_good" not in sys.modules


def test_options_for_a_backend_that_nobody_offers_are_noticed():
    assert check_options({"xyz": {"a": "b"}}, Registry()) == ["xyz"]


def test_a_library_for_the_incumbent_is_named_with_what_to_do(tmp_path: Path):
    version = tmp_path / "1"
    version.mkdir()
    assert foreign_library(version, tmp_path) is None
    (tmp_path / "libtriton_twice.so").touch()
    text = foreign_library(version, tmp_path)
    assert text is not None
    assert text.startswith("'libtriton_twice.so' was made for Triton's backend interface")
    assert "port it to the headers of despina-sdk" in text


@pytest.mark.parametrize("error", ["RuntimeError('stuck')", "SystemExit(1)"])
def test_a_backend_that_fails_to_close_does_not_keep_the_others_open(
    install_plugin, caplog, error: str
):
    bad = GOOD.replace("good", "bad").replace("made.remove(self)", f"raise {error}")
    install_plugin("plugin-bad", bad, backends={"bad": "Good"})
    install_plugin("plugin-good", GOOD, backends={"good": "Good"})
    registry = Registry()
    registry.backend("bad")
    registry.backend("good")
    import plugin_good  # made by the fixture

    registry.close()
    assert plugin_good.made == []
    assert "backend 'bad' failed to close" in caplog.text
