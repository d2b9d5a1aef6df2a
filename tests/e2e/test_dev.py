"""A plugin that is edited while it is served: clients see its answers change, and nothing fail."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.authoring import CMAKE, Plugin
from harness.hammer import ONE, Hammer
from harness.raw_http import Connection
from harness.serve import Serve
from harness.tensors import infer
from harness.waiting import wait_until

EDITS = 50
NATIVE_EDITS = 5
"""Of them, in C++: each is a build of its own, of about a second."""

CLIENTS = 2
"""Of each model."""

ENDLESS = (
    CMAKE
    + """
file(WRITE "${CMAKE_BINARY_DIR}/wait.sh" "echo $$ > ../../pid\\nexec sleep 600\\n")
add_custom_target(endless ALL COMMAND sh wait.sh WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
"""
)
"""A build that does not end by itself, and says which process it is."""


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path / "plugin")


@pytest.fixture
def server(plugin: Plugin, tmp_path: Path) -> Iterator[Serve]:
    with Serve([], tmp_path / "out", f"--dev={plugin.folder}") as running:
        yield running
        assert running.stop() == 0, running.stderr


class Client(Hammer):
    """Notes each answer that is another than the one before."""

    def __init__(self, port: int, model: str) -> None:
        self.seen = [0.0]
        super().__init__(port, model, self._note)

    def _note(self, answer: float) -> None:
        if answer != self.seen[-1]:
            self.seen.append(answer)


def test_fifty_edits_are_served_and_no_request_fails(server: Serve, plugin: Plugin) -> None:
    clients = {
        model: [Client(server.port, model) for _ in range(CLIENTS)]
        for model in ("python", "native")
    }
    everyone = [client for each in clients.values() for client in each]
    saved = {"python": [1.0], "native": [1.0]}

    def edit(model: str, save: Callable[[object], None]) -> None:
        factor = len(saved[model]) + 1
        saved[model].append(factor)
        save(factor)
        # A client that has ended is told of below.
        wait_until(lambda: all(each.seen[-1] == factor or each.error for each in clients[model]))

    try:
        for number in range(1, EDITS + 1):
            if number == EDITS // 3:
                plugin.save_python("(")
                server.wait_for(
                    re.compile(r"^import failed: edited_plugin/backend.py:7: Syn", re.M)
                )
            if number == EDITS // 2:
                plugin.save_native("none")
                server.wait_for(re.compile(r"^\| src/edited.cc:15:\d+: error: .none", re.M))
            if number % (EDITS // NATIVE_EDITS) == 0:
                edit("native", plugin.save_native)
            else:
                edit("python", plugin.save_python)
    finally:
        for client in everyone:
            client.stop()
    assert [client.error for client in everyone if client.error] == []
    for model, each in clients.items():
        for client in each:
            assert client.seen == [0.0, *saved[model]]
            assert client.answers > EDITS
    assert (len(saved["python"]), len(saved["native"])) == (
        EDITS - NATIVE_EDITS + 1,
        NATIVE_EDITS + 1,
    )
    assert server.ready()


def answer(server: Serve, model: str) -> float:
    with Connection(server.port) as connection:
        return float(infer(connection, model, X=ONE)["Y"][0, 0])


def wait_for_endless_build(plugin: Plugin) -> int:
    """The process that it is."""
    file = plugin.folder / "pid"
    wait_until(lambda: file.exists() and file.read_text() != "")
    return int(file.read_text())


def has_ended(process: int) -> bool:
    """Whether it runs no more, though whoever inherits it may not have taken notice."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() == b""
    except FileNotFoundError:
        return True


def test_a_build_is_given_up_when_its_sources_change_again(server: Serve, plugin: Plugin) -> None:
    plugin.save("CMakeLists.txt", ENDLESS)
    process = wait_for_endless_build(plugin)
    assert answer(server, "native") == 1
    plugin.save("CMakeLists.txt", CMAKE)
    plugin.save_native(3)
    wait_until(lambda: answer(server, "native") == 3)
    assert has_ended(process)
    assert "the build was stopped: its sources have changed again" in server.stdout


def test_an_interrupt_ends_the_compilers_too(plugin: Plugin, tmp_path: Path) -> None:
    plugin.save("CMakeLists.txt", ENDLESS)
    with Serve([], tmp_path / "out", f"--dev={plugin.folder}", wait=False) as server:
        process = wait_for_endless_build(plugin)
        assert server.stop(signal.SIGINT) == 0, server.stderr
    assert has_ended(process)


def test_a_server_begins_with_a_plugin_that_cannot_be_built_yet(
    plugin: Plugin, tmp_path: Path
) -> None:
    plugin.save_native("none")
    with Serve([], tmp_path / "out", f"--dev={plugin.folder}") as server:
        assert "backend 'edited_native': its library could not be built" in server.stdout
        assert answer(server, "python") == 1
        assert not server.ready()
        plugin.save_native(2)
        wait_until(server.ready)
        assert answer(server, "native") == 2
        assert server.stop() == 0, server.stderr


def test_a_flag_that_contradicts_is_refused(plugin: Plugin, tmp_path: Path) -> None:
    flags = f"--dev={plugin.folder}", "--model-control-mode=poll"
    with Serve([], tmp_path / "out", *flags, wait=False) as server:
        assert server.wait() == 1
        assert "error: --dev follows the files of all models itself: leave out" in server.stderr
