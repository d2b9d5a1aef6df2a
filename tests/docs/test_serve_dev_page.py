"""docs/serve-dev.md: what its reader types is typed in order, and answered as it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from harness.pages import listings
from harness.serve import START_SECONDS, Serve, environment

DURATION = re.compile(r"\b[\d.]+ (ms|s)\b")


def run(text: str, folder: Path, server: Serve | None) -> str:
    """Runs a listing in a shell; what it prints."""
    if server:
        text = text.replace("localhost:8000", server.address)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env={**environment(), "PATH": path, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def steps(page: str) -> Iterator[tuple[str, str | None]]:
    """What is typed, each with what is shown below it."""
    found = listings(page)
    for each, after in zip(found, [*found[1:], None], strict=True):
        if each.language == "sh":
            yield each.text, after.text if after and after.language == "text" else None


def wait_for_output(server: Serve, expected: str) -> None:
    """Waits until the last that the server has printed is this, but for times."""
    wanted = DURATION.sub("TIME", expected)
    deadline = time.monotonic() + START_SECONDS
    while not (shown := DURATION.sub("TIME", server.stdout)).endswith(wanted):
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)


def test_the_commands_do_what_the_page_says(checkout: Path, tmp_path: Path) -> None:
    page = (checkout / "docs" / "serve-dev.md").read_text()
    server: Serve | None = None
    saved = 0
    try:
        for text, shown in steps(page):
            words = shlex.split(text)
            if words[:2] == ["despina", "serve"]:
                flags = [word.replace("scale", str(tmp_path / "scale")) for word in words[2:]]
                server = Serve([], tmp_path / "out", *flags)
                continue
            printed = run(text, tmp_path, server)
            if server and words[0] == "sed":
                assert shown
                wait_for_output(server, shown)
                saved += 1
            elif shown:
                assert printed.strip() == shown.strip()
        assert saved > 1
        assert server
        assert server.stop() == 0, server.stderr
    finally:
        if server:
            server.__exit__(None, None, None)
