"""The benchmark takes half an hour and runs nowhere by itself; what it is made of is seen to be whole."""

from __future__ import annotations

from datetime import UTC, datetime

from click.testing import CliRunner

from benchmarks import main_job, planner


def test_it_can_be_started_and_says_what_it_takes() -> None:
    told = CliRunner().invoke(main_job.main, ["--help"])
    assert told.exit_code == 0 and "--idle-s" in told.output


def test_its_page_has_the_median_and_the_worst_of_each() -> None:
    page = main_job.report([main_job.Row("a way", (1.0, 2.0, 6.0), "s", "median < 3")])
    assert "| a way | 2.00 | 6.00 | 3 | s | median < 3 |" in page.splitlines()


def test_the_planners_turns_are_measured_and_told() -> None:
    row = planner.measure(7, 2, turns=1)
    assert min(row.unchanged_s, row.one_s, row.everything_s) > 0
    page = planner.report([planner.Row(7, 2, 0.001, 0.002, 0.01)], datetime(2026, 1, 1, tzinfo=UTC))
    assert "| 7 | 2 | 1.00 ms | 2.00 ms | 10.00 ms | 5.00 ms |" in page.splitlines()
