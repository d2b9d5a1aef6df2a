"""The site's pages of Python show all that packages offer."""

from __future__ import annotations

from types import ModuleType

import pytest
import python_pages

import despina
import despina_sdk
import despina_sdk.testing


@pytest.mark.parametrize(
    ("package", "text"),
    [
        (despina_sdk, python_pages.sdk_page()),
        (despina_sdk.testing, python_pages.testing_page()),
        # What it has of the SDK is on the SDK's page.
        (despina, python_pages.server_page() + python_pages.sdk_page()),
    ],
    ids=["despina_sdk", "despina_sdk.testing", "despina"],
)
def test_everything_public_is_shown(package: ModuleType, text: str) -> None:
    shown = {line.rpartition(".")[2] for line in text.splitlines() if line.startswith("::: ")}
    assert set(package.__all__) - {"__version__"} - shown == set()
