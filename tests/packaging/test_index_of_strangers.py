"""The commands that install Despina from wheels take none of it from an index that offers more."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

STRANGERS = "0.1.99"
PAGES = ["docs/first-backend-python.md", "docs/first-backend-cpp.md"]


@pytest.fixture
def index(tmp_path: Path) -> str:
    """The address of one with newer distributions of our names."""
    for name in ("despina", "despina-sdk"):
        folder = tmp_path / "simple" / name
        folder.mkdir(parents=True)
        stem = f"{name.replace('-', '_')}-{STRANGERS}"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {STRANGERS}\n"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
        (folder / "index.html").write_text(f'<a href="{stem}-py3-none-any.whl">{stem}</a>')
    return (tmp_path / "simple").as_uri()


def chosen(index: str, *words: str) -> set[str]:
    """What pip would install of ours, as addresses of files."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"]
    options = ["--upgrade", "--index-url", index]
    done = subprocess.run([*command, *options, *words], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)["install"]
    return {each["download_info"]["url"] for each in found}


def test_the_index_would_be_taken_for_a_name(index: str) -> None:
    (taken,) = chosen(index, "despina-sdk", "--no-deps")
    assert taken.endswith(f"despina_sdk-{STRANGERS}-py3-none-any.whl")


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_take_nothing_from_it(index: str, checkout: Path, page: str) -> None:
    text = (checkout / page).read_text()
    (line,) = [each for each in text.splitlines() if "wheels/despina-*.whl" in each]
    patterns = [word for word in line.split() if word.startswith("wheels/")]
    wheels = [next((checkout / "dist").glob(each.removeprefix("wheels/"))) for each in patterns]
    assert line == f"pip install --quiet {' '.join(patterns)}"
    taken = chosen(index, "--force-reinstall", "--no-deps", *map(str, wheels))
    assert taken == {wheel.as_uri() for wheel in wheels}
    # With what they need, which is installed here: each other's requirements lead nowhere else.
    assert not any(STRANGERS in url for url in chosen(index, *map(str, wheels)))
