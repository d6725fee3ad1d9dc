"""The benchmark takes half an hour and runs nowhere by itself; what it is made of is seen to be whole."""

from __future__ import annotations

from click.testing import CliRunner

from benchmarks import main_job


def test_it_can_be_started_and_says_what_it_takes() -> None:
    told = CliRunner().invoke(main_job.main, ["--help"])
    assert told.exit_code == 0 and "--idle-s" in told.output


def test_its_page_has_the_median_and_the_worst_of_each() -> None:
    page = main_job.report([main_job.Row("a way", (1.0, 2.0, 6.0), "s", "median < 3")])
    assert "| a way | 2.00 | 6.00 | 3 | s | median < 3 |" in page.splitlines()
