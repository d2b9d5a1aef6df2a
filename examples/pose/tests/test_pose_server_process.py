"""How the demo starts and ends its server when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import server_process
from server_process import ServerError, running_server


def test_a_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    model = tmp_path / "repository/lost"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text('backend: "no_such_backend"')
    with (
        pytest.raises(ServerError, match=r"ended with status 1(.|\n)*no_such_backend"),
        running_server(tmp_path / "repository", tmp_path / "log"),
    ):
        pytest.fail("it is not ready")


def test_the_server_is_stopped_when_its_user_fails(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    with (
        pytest.raises(ZeroDivisionError),
        running_server(tmp_path / "repository", tmp_path / "log") as server,
    ):
        raise ZeroDivisionError
    with pytest.raises(ServerError, match="ended with status 0"):
        server.check_running()


def test_a_server_that_is_not_ready_in_time_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "READY_TIMEOUT_SECONDS", 0.0)
    (tmp_path / "repository").mkdir()
    with (
        pytest.raises(ServerError, match="not ready after 0 s"),
        running_server(tmp_path / "repository", tmp_path / "log"),
    ):
        pytest.fail("it is not ready")


def test_a_server_that_has_to_be_killed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "EXIT_TIMEOUT_SECONDS", 0.0)
    (tmp_path / "repository").mkdir()
    with (
        pytest.raises(ServerError, match="ended with status -9 when asked to; see .*log"),
        running_server(tmp_path / "repository", tmp_path / "log"),
    ):
        pass
