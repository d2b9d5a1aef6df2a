"""The decoupled examples in C++ and Python give the same answers."""

from pathlib import Path

import numpy as np
import pytest

despina = pytest.importorskip("despina", reason="the server is not installed")


@pytest.fixture(params=["repeat", "repeat_python"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").write_text(
        f'backend: "{request.param}" model_transaction_policy {{ decoupled: true }}'
    )
    return tmp_path


def inputs(values: list[int], delays: list[int], wait: int = 0) -> dict[str, np.ndarray]:
    return {
        "IN": np.array(values, np.int32),
        "DELAY": np.array(delays, np.uint32),
        "WAIT": np.array([wait], np.uint32),
    }


def test_each_element_is_an_answer_with_its_place(repository: Path):
    with despina.Server(repository) as server:
        parts = list(server.stream("m", inputs([4, -2, 0], [0, 1, 0])))
        assert [int(part["OUT"][0]) for part in parts] == [4, -2, 0]
        assert [int(part["IDX"][0]) for part in parts] == [0, 1, 2]
        assert list(server.stream("m", inputs([], []))) == []


def test_requests_are_answered_side_by_side(repository: Path):
    with despina.Server(repository) as server:
        slow = server.stream("m", inputs([1, 2], [300, 300]))
        assert [int(part["OUT"][0]) for part in server.stream("m", inputs([7], [0]))] == [7]
        assert [int(part["OUT"][0]) for part in slow] == [1, 2]


def test_who_stops_listening_is_not_sent_the_rest(repository: Path):
    with despina.Server(repository) as server:
        parts = server.stream("m", inputs([1] * 1000, [20] * 1000))
        next(parts)
        parts.close()
    # The server has ended without the 20 s that the rest would have taken.


def test_inputs_that_do_not_fit_each_other_are_refused(repository: Path):
    expected = "expected IN and DELAY of the same size, got 2 and 1"
    with despina.Server(repository) as server, pytest.raises(despina.DespinaError, match=expected):
        list(server.stream("m", inputs([1, 2], [0])))


def test_a_model_that_is_not_decoupled_is_told_so(repository: Path):
    config = repository / "m" / "config.pbtxt"
    config.write_text(config.read_text().replace("true", "false"))
    with (
        despina.Server(repository) as server,
        pytest.raises(despina.DespinaError, match="model 'm' is not decoupled"),
    ):
        server.infer("m", inputs([1], [0]))
