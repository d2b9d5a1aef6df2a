"""docs/debugging.md: a debugger that attaches as the page says stops where it is to."""

from __future__ import annotations

import json
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from harness.debug_adapter import DebugClient
from harness.desk import DEBUGGER
from harness.pages import Listing, listings, section
from harness.walk import Walk


@pytest.fixture
def steps(checkout: Path) -> list[Listing]:
    page = (checkout / "docs" / "debugging.md").read_text()
    return listings(section(page, "A backend in Python: debugpy"))


@pytest.mark.skipif(not find_spec("debugpy"), reason="debugpy is not installed")
def test_an_editor_stops_in_a_backend_in_python(steps: list[Listing], tmp_path: Path) -> None:
    *before, request, answer = steps
    with Walk(tmp_path) as walk:
        for step in before:
            walk.step(step)
        source = walk.desk.folder / "row_sum.py"
        lines = source.read_text().splitlines()
        line = next(i for i, text in enumerate(lines, 1) if text.startswith('    return {"Y"'))
        with DebugClient(walk.desk.ports[DEBUGGER]) as editor:
            editor.break_at(source, line)
            asking = threading.Thread(target=walk.step, args=[request])
            asking.start()
            thread = editor.event("stopped")["threadId"]
            frame = editor.call("stackTrace", threadId=thread)["stackFrames"][0]
            assert (frame["name"], frame["line"]) == ("row_sum", line)
            total = editor.call("evaluate", expression="total.tolist()", frameId=frame["id"])
            assert total["result"] == "[[-1.5]]"
            editor.call("continue", threadId=thread)
            asking.join()
        walk.step(answer)


def test_the_editor_is_told_the_port_that_the_debugger_listens_on(steps: list[Listing]) -> None:
    (launch,) = (each for each in steps if each.language == "json")
    (configuration,) = json.loads(launch.text)["configurations"]
    listening = [each.text for each in steps if "--listen" in each.text]
    assert configuration["connect"] == {"host": "localhost", "port": DEBUGGER}
    assert all(f"--listen localhost:{DEBUGGER} " in text for text in listening)
    assert listening
