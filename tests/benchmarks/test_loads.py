"""What is made of the reports of the programs that drive load."""

from __future__ import annotations

import pytest
from loads import check_counts, h2load_figures, unanswered, wrk_figures

REPORT = """starting benchmark...
spawning thread #0: 8 total client(s). Timing-based test with 0s of warm-up time and 1s of main \
duration for measurements.
Main benchmark duration is started for thread #0.

finished in 1.04s, 5000.00 req/s, 1.24MB/s
requests: 10000 total, 10008 started, 10000 done, 9997 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 9997 2xx, 0 3xx, 3 4xx, 0 5xx
traffic: 1.24MB (1301265) total, 59.32KB (60741) headers (space savings 93.54%), 1.04MB (1999400) \
data
                     min         max         mean         sd        +/- sd
time for request:       55us     46.98ms      1.02ms      3.68ms    95.31%
"""


def log(*microseconds: int) -> str:
    return "".join(f"1795937209827664\t200\t{each}\n" for each in microseconds)


def test_h2load_counts_rate_and_bytes() -> None:
    figures = h2load_figures(REPORT, log(81))
    assert figures["requests"] == 9997
    assert figures["errors"] == 3
    assert figures["data_bytes"] == 1999400
    assert figures["seconds"] == pytest.approx(9997 / 5000)


def test_percentiles_come_from_the_log_in_any_order() -> None:
    figures = h2load_figures(REPORT, log(*reversed(range(1, 201))))
    assert (figures["p50_us"], figures["p99_us"]) == (101, 199)


def test_percentiles_leave_failed_streams_out() -> None:
    figures = h2load_figures(REPORT, log(10) + "1795937209827664\t-1\t900000\n")
    assert (figures["p50_us"], figures["p99_us"]) == (10, 10)


def test_without_a_log_there_are_no_percentiles() -> None:
    assert "p50_us" not in h2load_figures(REPORT, "")


def test_no_answer_at_all_is_no_rate() -> None:
    report = REPORT.replace("9997 succeeded", "0 succeeded").replace("5000.00 req", "0.00 req")
    figures = h2load_figures(report, "")
    assert figures["requests"] == 0
    assert "seconds" not in figures


@pytest.mark.parametrize("begin", ["finished in", "requests:", "traffic:"])
def test_a_report_that_ends_early_is_refused(begin: str) -> None:
    with pytest.raises(ValueError, match="no report of h2load"):
        h2load_figures(REPORT[: REPORT.index(begin)], "")


def test_wrk_prints_its_figures_among_other_lines() -> None:
    assert wrk_figures('Running 1s test\nBENCH {"requests": 7}\n') == {"requests": 7}
    with pytest.raises(ValueError, match="BENCH"):
        wrk_figures("unable to connect\n")


@pytest.mark.parametrize("counted", [(1000, 0), (1008, 0), (992, 8), (992, 0)])
def test_what_is_under_way_at_the_end_counts_as_either(counted: tuple[int, int]) -> None:
    check_counts("triton", 1000, counted, under_way=8)


@pytest.mark.parametrize("counted", [(1000, 9), (991, 0), (0, 1000)])
def test_failures_behind_a_status_of_200_are_refused(counted: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError, match="triton: 1000 answers, of which"):
        check_counts("triton", 1000, counted, under_way=8)


def test_calls_without_data_are_unanswered() -> None:
    figures = {"requests": 100, "data_bytes": 97 * 200}
    assert unanswered(figures, 200) == 3
    assert unanswered(figures | {"data_bytes": 20100}, 200) == 0
    assert unanswered(figures, 0) == 0, "HTTP has a status for them"
