"""docs/migrate-from-triton.md says of flags, routes and metrics what the server says itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from harness.pages import codes, rows, section
from harness.repository import add_model, identity
from harness.serve import Serve

from despina.settings.model import Settings, flag_name, setting_fields, value_text

SAME, DIFFERENT = "Flags that are the same", "Flags that are different"
NOT_YET, OURS = "Flags that are not there yet", "Flags that Triton has not"
ALL_METRICS = (
    "--metrics-config=histogram_latencies=true",
    "--metrics-config=summary_latencies=true",
)
DECOUPLED = """backend: "repeat_python"
model_transaction_policy { decoupled: true }
"""


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "migrate-from-triton.md").read_text()


@pytest.fixture(scope="module")
def measuring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A server that measures all that it can."""
    folder = tmp_path_factory.mktemp("migration")
    add_model(folder / "models", "identity", identity())
    add_model(folder / "models", "repeat", DECOUPLED)
    with Serve(folder / "models", folder, *ALL_METRICS) as running:
        yield running


def flags_of(page: str, title: str) -> list[str]:
    """The flags in the first column of a section's table."""
    found = chain.from_iterable(codes(row[0]) for row in rows(section(page, title)))
    return [flag.removeprefix("--") for flag in found]


def declared() -> set[str]:
    return {flag_name(each.name) for each in setting_fields()}


def test_every_flag_stands_in_one_of_the_tables(page: str) -> None:
    there = Counter(chain.from_iterable(flags_of(page, title) for title in (SAME, DIFFERENT, OURS)))
    aliases = {each.metadata["alias"] for each in setting_fields()} - {""}
    assert set(there) == declared() | aliases
    assert set(there.values()) == {1}


def test_flags_that_are_not_there_yet_are_not_known(page: str) -> None:
    missing = flags_of(page, NOT_YET)
    assert len(missing) == len(set(missing)) > 25
    assert set(missing) & declared() == set()


def test_flags_that_are_the_same_have_the_default_that_the_page_says(page: str) -> None:
    for flags, default in rows(section(page, SAME)):
        for flag in codes(flags):
            name = flag.removeprefix("--").replace("-", "_")
            if name == "model_store":
                continue
            expected = codes(default)[0] if default else ""
            assert value_text(Settings.__dataclass_fields__[name].default) == expected, flag


def test_the_routes_are_those_of_the_description(page: str, measuring: Serve) -> None:
    described = {
        (path, method.upper())
        for path, methods in measuring.json("/v2/openapi.json")["paths"].items()
        for method in methods
    }
    listed = set()
    for route, methods, _ in rows(section(page, "Routes")):
        (path,) = codes(route)
        for model in ("", "/versions/{version}") if path.startswith("M") else ("",):
            full = re.sub("^M", f"/v2/models/{{model}}{model}", path)
            listed |= {(full, method) for method in methods.split(", ")}
    assert listed == described


def test_the_metrics_are_those_of_the_page(page: str, measuring: Serve) -> None:
    text = measuring.get("/metrics", metrics=True)[1].decode()
    there = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    listed: dict[bool, set[str]] = {True: set(), False: set()}
    for names, status in rows(section(page, "Metrics")):
        listed[status.startswith("not yet")].update(codes(names))
    assert listed[False] == there
    assert listed[True] & there == set()


def test_each_row_says_which_of_the_three_it_is(page: str) -> None:
    for title in ("Routes", "Metrics"):
        for row in rows(section(page, title)):
            assert re.match("same|different|not yet|only here", row[-1]), row
