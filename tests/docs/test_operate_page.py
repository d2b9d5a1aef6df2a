"""docs/operate.md: its commands are run in order, its figures are those of the server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.pages import codes, listings, rows, section
from harness.repository import add_model, identity
from harness.serve import Serve, environment

from despina.settings.model import Settings, flag_name, setting_fields

FOLDERS = {"/srv/models": "models", "/etc/despina": "etc", "/var/log/despina": "log"}
"""Of the page, and what they are called here."""

SECTIONS = (
    "TLS",
    "Restricted routes",
    "Probes",
    "Models in production",
    "Log",
    "Traces",
    "Metrics",
)
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "requests": 1}
DEFAULTS = Settings()


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "operate.md").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine as the page has it."""
    for name in FOLDERS.values():
        (tmp_path / name).mkdir()
    add_model(tmp_path / "models", "my_model", identity())
    return tmp_path


def here(text: str, machine: Path) -> str:
    """A listing, with the folders of this machine."""
    for path, name in FOLDERS.items():
        text = text.replace(path, str(machine / name))
    return text


def serve(words: list[str], machine: Path) -> Serve:
    """Starts what a listing starts, on ports that are free and on the loopback interface."""
    others = ("--model-repository=", "--http-address=")
    flags = [word for word in words if not word.startswith(others)]
    return Serve(machine / "models", machine / "out", *flags)


def run(text: str, server: Serve | None) -> str:
    """Runs a listing in a shell; what it prints. It has to succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {**environment(), "PATH": path, "no_proxy": "localhost,127.0.0.1"}
    if server:
        text = text.replace("localhost:8000", f"localhost:{server.port}")
        text = text.replace("localhost:8002", f"localhost:{server.metrics_port}")
        variables["DESPINA_URL"] = f"http://{server.address}"
    command = ["bash", "-euc", text]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def commands(text: str) -> Iterator[tuple[str, str | None]]:
    """What a section has the reader type, each with the output that it shows."""
    found = [each for each in listings(text) if each.language in ("sh", "text")]
    for at, each in enumerate(found):
        if each.language == "sh":
            after = found[at + 1 : at + 2]
            yield each.text, after[0].text if after and after[0].language == "text" else None


@pytest.mark.parametrize("title", SECTIONS)
def test_the_commands_do_what_the_page_says(page: str, machine: Path, title: str) -> None:
    server: Serve | None = None
    try:
        for text, output in commands(here(section(page, title), machine)):
            words = shlex.split(text.replace("\\\n", " "))
            if words[:2] != ["despina", "serve"]:
                shown = run(text, server)
                assert output is None or shown.strip() == output.strip()
                continue
            assert server is None or server.stop() == 0, server.stderr
            server = serve(words[2:], machine)
        assert server is not None
        assert server.stop() == 0, server.stderr
    finally:
        if server:
            server.__exit__(None, None, None)


def test_no_section_with_commands_is_left_out(page: str) -> None:
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert [title for title in titles if list(commands(section(page, title)))] == list(SECTIONS)


def test_every_flag_is_one(page: str) -> None:
    known = {f"--{flag_name(each.name)}" for each in setting_fields()} | {"--config-file"}
    serving = re.findall(r"despina serve((?:.*\\\n)*.*)", page)
    found = [re.match(r"--[a-z0-9-]+", code) for code in codes(page)]
    used = {each[0] for each in found if each}
    used |= {flag for text in serving for flag in re.findall(r"(?<=[ \"])--[a-z0-9-]+", text)}
    assert len(used) > 20
    assert used - known == set()


def test_the_limits_have_the_defaults_that_the_page_says(page: str) -> None:
    for name, text, *_ in rows(section(page, "Limits")):
        flag = codes(name)[0].removeprefix("--").replace("-", "_")
        if flag == "max_queue_size":
            continue
        number, _, unit = text.partition(" ")
        assert getattr(DEFAULTS, flag) == int(number) * UNITS.get(unit, 1), name


def test_the_probes_are_answered(page: str, machine: Path) -> None:
    text = section(page, "Probes")
    probes = re.findall(r"httpGet: {path: (\S+), port: (\d+)}", text)
    assert len(probes) == 2
    with serve([], machine) as server:
        for path, port in probes:
            assert int(port) == DEFAULTS.http_port
            assert server.get(path)[0] == 200
    (pause,) = re.findall(r'\[sleep, "(\d+)"\]', text)
    (grace,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", text)
    assert int(grace) > int(pause) + DEFAULTS.exit_timeout_secs


def test_the_unit_is_one(page: str, tmp_path: Path) -> None:
    (unit,) = (each.text for each in listings(section(page, "systemd")) if each.language == "ini")
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) > DEFAULTS.exit_timeout_secs
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("there is no systemd-analyze")
    despina = Path(sys.executable).with_name("despina")
    file = tmp_path / "despina.service"
    file.write_text(unit.replace("/opt/despina/bin/despina", str(despina)))
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    told = [line for line in done.stderr.splitlines() if "despina.service" in line]
    assert (done.returncode, told) == (0, []), done.stderr


def test_what_the_container_runs_serves(page: str, machine: Path, checkout: Path) -> None:
    (text,) = (
        each.text for each in listings(section(page, "Containers")) if each.language == "dockerfile"
    )
    words = json.loads(text.partition("ENTRYPOINT ")[2])
    assert words[:2] == ["/opt/despina/bin/despina", "serve"]
    with serve(words[2:], machine) as server:
        assert server.ready()
        assert server.stop() == 0
    ports = f"{DEFAULTS.http_port} {DEFAULTS.grpc_port} {DEFAULTS.metrics_port}"
    assert f"EXPOSE {ports}\n" in text
    # The folder that the wheels are in, and the Python that they are built by.
    assert "source=dist," in text
    assert "--wheel-dir dist" in (checkout / "scripts" / "build_wheels.sh").read_text()
    assert "PYTHON ?= python3.11\n" in (checkout / "Makefile").read_text()
    assert "python:3.11-" in text


def test_the_queries_ask_for_metrics_that_there_are(page: str, machine: Path) -> None:
    text = section(page, "Metrics")
    with serve(["--metrics-config=summary_latencies=true"], machine) as server:
        served = server.get("/metrics", metrics=True)[1].decode()
    queries = [codes(query)[0] for _, query in rows(text)]
    assert len(queries) > 5
    for query in queries:
        for name, labels in re.findall(r"\b(nv_\w+)({[^}]*})?", query):
            wanted = labels.strip("{}")
            assert re.search(rf"^{name}(?={{| )(?=.*{re.escape(wanted)})", served, re.MULTILINE), (
                name,
                labels,
            )
