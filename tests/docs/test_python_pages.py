"""The site's pages of Python show all that packages offer."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
import python_pages

import despina
import despina_sdk
import despina_sdk.testing
from despina_sdk import backend, errors, functional, metrics, native, tensors


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


@pytest.mark.parametrize(
    "module",
    [backend, errors, functional, metrics, native, tensors],
    ids=lambda module: module.__name__,
)
def test_every_class_and_function_of_the_sdk_is_shown(module: ModuleType) -> None:
    page = python_pages.sdk_page()
    for name, member in inspect.getmembers(module, lambda each: hasattr(each, "__qualname__")):
        if member.__module__ == module.__name__ and not name.startswith("_"):
            assert f"::: {module.__name__}.{name}\n" in page, name
