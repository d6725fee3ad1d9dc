"""What a daemon at work tells over its two ports: of what it has in fact done, and to nobody but this machine."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import CRASHES_IN_STAGING
from tests.processes import listens_at
from tests.system.envrepo import policy
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("measured")]

GOOD, BAD = "1.0.0", "1.1.0"

AWAY_S = 4.0
"""The remote is fetched every second."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    """A daemon that has brought one release everywhere, and taken the next one back from staging."""
    with simulated(tmp_path_factory.mktemp("measured")) as installation:
        installation.start_with(GOOD, policy(soak_s=0.3))
        installation.merge(installation.pins(BAD, marker=CRASHES_IN_STAGING))
        installation.daemon.until(lambda: is_taken_back(installation), "it is taken back")
        yield installation


def is_taken_back(made: Simulated) -> bool:
    rejection = made.rejection("staging", BAD)
    return (
        rejection is not None
        and rejection.rolled_back_at is not None
        and rejection.revert.commit is not None
    )


@pytest.mark.parametrize(
    ("environment", "steps"),
    [
        ("dev", {"Admitted": 2, "Proven": 2, "RolledBack": 0}),
        ("staging", {"Admitted": 2, "Proven": 1, "RolledBack": 1}),
        ("prod", {"Admitted": 1, "Proven": 1, "RolledBack": 0}),
    ],
)
def test_every_step_that_was_made_is_counted(
    environment: str, steps: dict[str, int], made: Simulated
) -> None:
    where = {"service": SERVICE, "environment": environment}
    for step, count in steps.items():
        name = "reconciler_promotions_total"
        assert made.daemon.metric(name, **where, step=step) == count, step


def test_the_revert_is_counted_where_it_failed_and_took_as_long_as_the_record_says(
    made: Simulated,
) -> None:
    rejection = made.rejection("staging", BAD)
    assert rejection is not None and rejection.revert.pushed_at is not None
    for environment, count in (("dev", 0), ("staging", 1), ("prod", 0)):
        where = {"service": SERVICE, "environment": environment}
        name = "reconciler_reverts_total"
        assert made.daemon.metric(name, **where, outcome="pushed") == count
        assert made.daemon.metric(name, **where, outcome="branch") == 0
    assert made.daemon.metric("reconciler_revert_seconds_count") == 1
    taken_s = (rejection.revert.pushed_at - rejection.first_failure_at).total_seconds()
    told_s = made.daemon.metric("reconciler_revert_seconds_sum")
    assert told_s == pytest.approx(taken_s, abs=1)
    assert made.daemon.metric("reconciler_revert_pending", service=SERVICE) == 0


def test_every_turn_is_timed(made: Simulated) -> None:
    count = made.daemon.metric("reconciler_turn_seconds_count")
    assert count is not None and count > 0
    assert made.daemon.metric("reconciler_turn_seconds_bucket", le="+Inf") == count
    made.merge({"README.md": b"somebody's own business"})
    made.daemon.until(
        lambda: (made.daemon.metric("reconciler_turn_seconds_count") or 0) > count, "a turn more"
    )
    assert (made.daemon.metric("reconciler_turn_seconds_sum") or 0) > 0


def test_the_age_of_the_last_fetch_grows_while_the_remote_is_away_and_falls_when_it_is_back(
    made: Simulated,
) -> None:
    def age_s() -> float:
        found = made.daemon.metric("reconciler_fetch_age_seconds")
        assert found is not None
        return found

    made.daemon.until(lambda: age_s() < AWAY_S, "it was fetched lately")
    http = made.served.http
    assert http is not None
    http.status = 503
    try:
        made.daemon.until(lambda: age_s() > AWAY_S, "nothing was fetched for long")
    finally:
        http.status = None
    made.daemon.until(lambda: age_s() < AWAY_S, "it is fetched again")


def test_it_listens_at_two_ports_of_the_loopback_and_nowhere_else(made: Simulated) -> None:
    urls = (made.daemon.page_url, made.daemon.probes_url)
    assert listens_at(made.daemon.pid) == {url.removeprefix("http://") for url in urls}
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_the_port_of_the_board_tells_nothing_of_the_probes(path: str, made: Simulated) -> None:
    assert httpx.get(f"{made.daemon.probes_url}{path}").status_code == 200
    assert httpx.get(f"{made.daemon.page_url}{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/table", "/api/status", f"/services/{SERVICE}", "/board.js"]
)
def test_the_port_of_the_probes_shows_nothing_of_the_board(path: str, made: Simulated) -> None:
    assert httpx.get(f"{made.daemon.page_url}{path}").status_code == 200
    assert httpx.get(f"{made.daemon.probes_url}{path}").status_code == 404


def test_the_port_of_the_probes_has_no_events(made: Simulated) -> None:
    assert httpx.get(f"{made.daemon.probes_url}/events").status_code == 404
