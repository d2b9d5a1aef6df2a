"""docs/bench.md: its commands succeed as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness.pages import codes, listings, rows, section
from harness.repository import add_model, identity
from harness.serve import Serve, environment

from despina.cli import main

SECTIONS = (
    "A first load",
    "How many clients does it bear?",
    "How does it answer at so many requests a second?",
    "Inputs of one's own",
    "Over gRPC",
    "Without HTTP",
)


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "bench.md").read_text()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "models"
    add_model(folder, "my_model", identity())
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Serve]:
    with Serve(models, models.parent / "out") as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, models: Path) -> Path:
    """A folder as the page has it."""
    (tmp_path / "models").symlink_to(models)
    return tmp_path


SHORT = " --warm-up 0.1 --duration 0.3"


def run(text: str, server: Serve, folder: Path) -> str:
    """Runs a listing in a shell, with loads that are short; what it prints."""
    text = text.replace("\\\n", " ").replace(":8001", f":{server.grpc_port}")
    text = re.sub(r"^(despina bench .*)$", rf"\1{SHORT}", text, flags=re.MULTILINE)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    url = f"http://{server.address}"
    variables = {**environment(), "PATH": path, "DESPINA_URL": url}
    command = ["bash", "-euc", text]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("title", SECTIONS)
def test_the_commands_succeed(page: str, server: Serve, here: Path, title: str) -> None:
    (listing,) = (each.text for each in listings(section(page, title)) if each.language == "sh")
    output = run(listing, server, here)
    assert "| Load" in output
    for file in re.findall(r"--(?:csv|json|plot) (\S+)", listing):
        assert (here / file).stat().st_size > 0


def test_no_section_with_commands_is_left_out(page: str) -> None:
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    found = [title for title in titles if listings(section(page, title))]
    assert found == list(SECTIONS)


def test_every_flag_is_one(page: str) -> None:
    text = CliRunner().invoke(main, ["bench", "--help"]).stdout
    known = set(re.findall(r"--[a-z-]+", text))
    table = [codes(ours) for _, ours in rows(section(page, "From Triton's perf_analyzer"))]
    said = [flag for cell in table for code in cell for flag in re.findall(r"--[a-z-]+", code)]
    for code in codes(page.partition("## From Triton's")[0]):
        said += re.findall(r"(?:^| )(--[a-z-]+)", code)
    assert len(said) > 10
    assert set(said) - known == set()
