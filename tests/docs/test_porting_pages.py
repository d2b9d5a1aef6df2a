"""docs/from-triton-backend.md and docs/from-model-py.md name nothing of ours that is not there."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from harness.pages import codes, rows
from header_pages import cpp_page

import despina_sdk

OWNERS = ("ModelSpec", "Request", "Batch", "Placement", "Model", "Instance")
OF_THE_AUTHOR = {"Model::signature", "Model::check_ready", "Instance::execute"}
OF_THE_AUTHOR |= {"Instance::cancelled"}


@pytest.fixture(scope="module")
def docs(checkout: Path) -> Path:
    return checkout / "docs"


def test_every_function_of_cpp_is_in_the_headers(docs: Path) -> None:
    page = (docs / "from-triton-backend.md").read_text()
    used = set(chain.from_iterable(map(names_of_cpp, codes(page))))
    headers = cpp_page()
    assert len(used) > 20
    for name in used - OF_THE_AUTHOR:
        owner, _, member = name.partition("::")
        (body,) = re.findall(rf"^(?:class|struct) {owner} .*?^\}};", headers, re.M | re.S)
        assert re.search(rf"\b{member}\b", body), name


def names_of_cpp(code: str) -> list[str]:
    return re.findall(rf"\b(?:{'|'.join(OWNERS)})::\w+", code)


def test_every_function_of_triton_has_one_place(docs: Path) -> None:
    page = (docs / "from-triton-backend.md").read_text()
    found = Counter(
        code for row in rows(page) for code in codes(row[0]) if code.startswith("TRITONBACKEND_")
    )
    assert len(found) > 85
    assert set(found.values()) == {1}


def test_every_name_of_the_sdk_is_there(docs: Path) -> None:
    page = (docs / "from-model-py.md").read_text()
    answers = [code for row in rows(page) for code in codes(row[1])]
    holders = {
        "spec": despina_sdk.ModelSpec,
        "placement": despina_sdk.Placement,
        "batch": despina_sdk.Batch,
        "request": despina_sdk.Request,
        "Model": despina_sdk.Model,
        "Backend": despina_sdk.Backend,
        "Instance": despina_sdk.Instance,
    }
    used = {found for code in answers for found in re.findall(r"\b([A-Za-z]+)\.(\w+)", code)}
    ours = [(holders[name], member) for name, member in used if name in holders]
    assert len(ours) > 15
    for holder, member in ours:
        assert member in {*dir(holder), *holder.__annotations__}, (holder, member)
