"""The backend with a memory: running sums of sequences, told apart by their correlation ids."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from despina_sdk import Array, Code

despina = pytest.importorskip("despina", reason="the server is not installed")

# Large enough for a batch to fill on a busy machine, and no time at all once it is full.
BATCHING = "max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 2000000 }"
LARGEST, SMALLEST = 2**31 - 1, -(2**31)


def write(repository: Path, extra: str = "max_batch_size: 8") -> None:
    (repository / "m" / "1").mkdir(parents=True)
    (repository / "m" / "config.pbtxt").write_text(f'backend: "sequence"\n{extra}\n')


def rows(*values: int, ids: int | list[int] = 1, **flags: int | list[int]) -> dict[str, Array]:
    """One request with a row for each value; what is one number is so in all rows."""

    def column(given: int | list[int], dtype: type) -> Array:
        return np.broadcast_to(np.array(given, dtype).reshape(-1, 1), (len(values), 1)).copy()

    controls = {name.upper(): column(flag, np.int32) for name, flag in flags.items()}
    return {
        "INPUT": column(list(values), np.int32),
        "CORRID": column(ids, np.uint64),
        **controls,
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator["despina.Server"]:
    write(tmp_path)
    with despina.Server(tmp_path) as running:
        yield running


def ask(server: "despina.Server", *values: int, **inputs: int | list[int]) -> list[int]:
    """The answers to one request."""
    output = server.infer("m", rows(*values, **inputs))["OUTPUT"]
    assert output.dtype == np.int32
    assert output.shape == (len(values), 1)
    return [int(each) for each in output[:, 0]]


def refusal(server: "despina.Server", *values: int, **inputs: int | list[int]) -> tuple[Code, str]:
    """Code and text of a request that is refused."""
    with pytest.raises(despina.DespinaError) as caught:
        ask(server, *values, **inputs)
    return caught.value.code, caught.value.message


def test_the_answer_is_the_sum_since_the_start(server: "despina.Server"):
    assert ask(server, 5, start=1) == [5]
    assert ask(server, 7) == [12]
    assert ask(server, -20, end=1) == [-8]


def test_sequences_are_told_apart_by_their_correlation_ids(server: "despina.Server"):
    largest_id = 2**64 - 1
    assert ask(server, 1, ids=3, start=1) == [1]
    assert ask(server, 10, ids=largest_id, start=1) == [10]
    assert ask(server, 1, ids=3) == [2]
    assert ask(server, 10, ids=largest_id) == [20]


def test_a_start_begins_anew(server: "despina.Server"):
    assert ask(server, 5, start=1) == [5]
    assert ask(server, 7, start=1) == [7]
    assert ask(server, 1) == [8]


def test_an_end_forgets(server: "despina.Server"):
    unknown = "model 'm': sequence 1 is not known: its first request needs START"
    assert ask(server, 5, start=1, end=1) == [5]
    assert refusal(server, 1) == (Code.INVALID_ARGUMENT, unknown)


def test_a_sequence_that_was_not_started_is_refused_by_its_name(server: "despina.Server"):
    unknown = "model 'm': sequence 18446744073709551615 is not known: its first request needs START"
    assert refusal(server, 1, ids=2**64 - 1) == (Code.INVALID_ARGUMENT, unknown)
    assert refusal(server, 1, ids=2**64 - 1, start=0) == (Code.INVALID_ARGUMENT, unknown)


def test_rows_that_are_not_ready_are_answered_0_and_left_alone(server: "despina.Server"):
    assert ask(server, 5, start=1, ready=1) == [5]
    assert ask(server, 100, ready=0) == [0]
    assert ask(server, 100, ready=0, end=1) == [0]
    assert ask(server, 100, ids=77, ready=0, start=1) == [0]
    assert ask(server, 2) == [7]
    assert refusal(server, 1, ids=77)[0] is Code.INVALID_ARGUMENT


def test_sums_go_around_at_the_ends_of_int32(server: "despina.Server"):
    assert ask(server, LARGEST, start=1) == [LARGEST]
    assert ask(server, 1) == [SMALLEST]
    assert ask(server, -1) == [LARGEST]


def test_rows_of_one_request_follow_each_other(server: "despina.Server"):
    answers = ask(
        server, 1, 2, 3, 4, 5, ids=[1, 2, 1, 1, 2], start=[1, 1, 0, 0, 0], ready=[1, 1, 1, 0, 1]
    )
    assert answers == [1, 2, 4, 0, 7]


def test_a_request_of_which_one_row_is_refused_changes_nothing(server: "despina.Server"):
    assert ask(server, 1, start=1) == [1]
    code, text = refusal(server, 10, 10, ids=[1, 9])
    assert code is Code.INVALID_ARGUMENT
    assert "sequence 9 " in text
    assert ask(server, 1) == [2]
    # A row that ends its sequence is the end for those behind it.
    assert refusal(server, 1, 1, end=[1, 0])[0] is Code.INVALID_ARGUMENT
    assert ask(server, 1) == [3]


def test_requests_of_different_sequences_are_one_batch_and_fail_alone(tmp_path: Path):
    write(tmp_path, BATCHING)
    started = [1, 1, 0, 1, 1, 0, 1, 1]

    async def together(server: "despina.Server") -> list[int | str]:
        requests = (
            server.infer_async("m", rows(10 * id_, ids=id_, start=start))
            for id_, start in enumerate(started)
        )
        answers = await asyncio.gather(*requests, return_exceptions=True)
        return [str(a) if isinstance(a, Exception) else int(a["OUTPUT"][0, 0]) for a in answers]

    with despina.Server(tmp_path) as server:
        answers = asyncio.run(together(server))
        (statistics,) = server.statistics("m")["model_stats"]
    unknown = "model 'm': sequence {} is not known: its first request needs START"
    assert answers == [0, 10, unknown.format(2), 30, 40, unknown.format(5), 60, 70]
    assert statistics["execution_count"] == 1
    assert statistics["inference_stats"]["success"]["count"] == 6
    assert statistics["inference_stats"]["fail"]["count"] == 2


def test_a_model_without_a_batch_axis_takes_one_value_at_a_time(tmp_path: Path):
    write(tmp_path, "max_batch_size: 0")
    value = {"INPUT": np.array([4], np.int32), "CORRID": np.array([1], np.uint64)}
    with despina.Server(tmp_path) as server:
        started = server.infer("m", {**value, "START": np.array([1], np.int32)})
        assert started["OUTPUT"].tolist() == [4]
        assert server.infer("m", value)["OUTPUT"].tolist() == [8]


def test_there_are_at_most_so_many_sequences(tmp_path: Path):
    limit = 'parameters { key: "max_sequences" value { string_value: "2" } }'
    write(tmp_path, f"max_batch_size: 8 {limit}")
    full = "model 'm': sequence 3 is one more than the 2 of 'max_sequences'"
    with despina.Server(tmp_path) as server:
        assert ask(server, 1, 1, ids=[1, 2], start=1) == [1, 1]
        assert refusal(server, 1, ids=3, start=1) == (Code.RESOURCE_EXHAUSTED, full)
        # What needs no place has one, and so has what follows an end.
        assert ask(server, 5, ids=3, start=1, end=1) == [5]
        assert ask(server, 7, ids=1, start=1) == [7]
        assert ask(server, 1, 9, ids=[2, 3], start=[0, 1], end=[1, 0]) == [2, 9]


@pytest.mark.parametrize("most", ["0", "-1", "many", "", "1.5", "99999999999999999999999"])
def test_a_limit_that_is_none_is_refused(most: str, tmp_path: Path):
    write(tmp_path, f'parameters {{ key: "max_sequences" value {{ string_value: "{most}" }} }}')
    reason = f"model 'm': parameter 'max_sequences' is '{most}', no whole number above 0"
    with pytest.raises(despina.DespinaError, match=reason):
        despina.Server(tmp_path)
