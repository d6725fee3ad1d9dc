"""Each metric is moved by the daemon itself when what it speaks of happens, and by nothing else."""

from __future__ import annotations

import pytest

from reconciler.adapters.metrics import Metrics
from reconciler.model.events import EventKind
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet import Mode
from reconciler.model.view import View
from reconciler.simulated.behaviour import Fate
from tests.fakes.scraped import Scraped
from tests.fakes.world import CLUSTERS, World, pins

GOOD, BAD = "1.0.0", "1.1.0"


class Measured:
    """A world whose daemon is measured.

    Args:
        drift: What its policy says of drift.
        mode: The daemon's.
    """

    def __init__(self, *, drift: str = "report", mode: Mode = Mode.ENFORCE) -> None:
        self.views: list[View] = []
        self.world = World(drift=drift, mode=mode, on_view=self._view)
        self.metrics = Metrics(
            fetched_s=lambda: None,
            skews_s=lambda: {
                str(n): p.skew_s for n, p in self.world.engine.clusters.pulses.items()
            },
        )
        self._told = 0
        self.world.git.merge(pins(GOOD))

    def _view(self, view: View) -> None:
        self.views.append(view)

    def proven(self) -> Measured:
        assert self.world.until(lambda: self.world.proven("prod", GOOD))
        return self

    def scrape(self) -> Scraped:
        """Gives the metrics what happened since the last time, and reads them."""
        for event in self.world.events[self._told :]:
            self.metrics.on_event(event)
        self._told = len(self.world.events)
        self.world.engine.turn()
        for view in self.views:
            self.metrics.on_view(view)
        self.views.clear()
        return Scraped(self.metrics)

    def bad_release(self) -> None:
        self.world.git.merge(pins(BAD, Fate.CRASH), "a bad release")


@pytest.fixture(name="measured")
def fixture_measured() -> Measured:
    """A fleet on which a first release is proven everywhere."""
    return Measured().proven()


def test_a_release_that_goes_out_is_counted_once_a_step_and_environment(measured: Measured) -> None:
    seen = measured.scrape()
    for environment in CLUSTERS:
        for step in ("Admitted", "Proven"):
            where = {"service": "web", "environment": environment, "step": step}
            assert seen.value("reconciler_promotions_total", **where) == 1
    assert seen.value("reconciler_turn_seconds_count") > 10
    phases = seen.labels("reconciler_cell_phase")
    assert {p["phase"] for p in phases} == {"Proven"}
    assert {p["mode"] for p in phases} == {"enforce"}
    assert {p["environment"] for p in phases} == set(CLUSTERS)


def test_what_never_happened_stands_at_zero_so_that_the_first_time_is_an_increase(
    measured: Measured,
) -> None:
    seen = measured.scrape()
    for environment in CLUSTERS:
        where = {"service": "web", "environment": environment}
        assert seen.value("reconciler_promotions_total", step="RolledBack", **where) == 0
        assert seen.value("reconciler_reverts_total", outcome="pushed", **where) == 0
        assert seen.value("reconciler_reverts_total", outcome="branch", **where) == 0


def test_a_revert_is_counted_and_timed(measured: Measured) -> None:
    measured.bad_release()
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.REVERT_PUSHED)))
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.ROLLED_BACK)))
    seen = measured.scrape()
    where = {"service": "web", "environment": "dev"}
    assert seen.value("reconciler_reverts_total", outcome="pushed", **where) == 1
    assert seen.value("reconciler_reverts_total", outcome="branch", **where) == 0
    assert seen.value("reconciler_promotions_total", step="RolledBack", **where) == 1
    assert seen.value("reconciler_revert_seconds_count") == 1
    assert seen.value("reconciler_revert_pending", service="web") == 0


def test_a_revert_that_git_does_not_take_is_pending_until_it_does(measured: Measured) -> None:
    measured.bad_release()
    assert measured.world.until(lambda: _is_admitted(measured.world, BAD))
    measured.world.git.is_down = True
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.ROLLED_BACK)))
    assert measured.scrape().value("reconciler_revert_pending", service="web") == 1
    measured.world.pass_(20)
    measured.world.git.is_down = False
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.REVERT_PUSHED)))
    seen = measured.scrape()
    assert seen.value("reconciler_revert_pending", service="web") == 0
    assert seen.value("reconciler_revert_seconds_sum") > 20


def test_a_revert_that_is_left_on_a_branch_stays_pending(measured: Measured) -> None:
    measured.world.git.refuse = lambda branch: "protected" if branch == "main" else ""
    measured.bad_release()
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.REVERT_REFUSED)))
    seen = measured.scrape()
    assert seen.value("reconciler_reverts_total", environment="dev", outcome="branch") == 1
    assert seen.value("reconciler_reverts_total", environment="dev", outcome="pushed") == 0
    assert seen.value("reconciler_revert_pending", service="web") == 1
    assert seen.value("reconciler_revert_seconds_count") == 0


def test_drift_is_counted_by_object_and_its_correction_by_field_and_manager() -> None:
    measured = Measured(drift="correct").proven()
    assert measured.scrape().value("reconciler_drift_objects", cluster="dev-1") == 0
    _edit(measured.world)
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.DRIFT_CORRECTED)), 10)
    seen = measured.scrape()
    where = {"service": "web", "environment": "dev", "cluster": "dev-1"}
    what = {"field": "spec.replicas", "manager": "kubectl-edit"}
    assert seen.value("reconciler_drift_corrected_total", **where, **what) == 1
    assert seen.value("reconciler_drift_latency_seconds_count") == 1


def test_two_fields_of_one_object_are_one_object_in_drift(measured: Measured) -> None:
    _edit(measured.world, port=8081)
    assert measured.world.until(lambda: bool(measured.world.told(EventKind.DRIFT_SEEN)), 10)
    seen = measured.scrape()
    assert seen.value("reconciler_drift_objects", cluster="dev-1") == 1
    assert seen.value("reconciler_drift_objects", cluster="prod-1") == 0
    assert len(measured.world.told(EventKind.DRIFT_SEEN)) == 2


def test_a_cluster_that_does_not_answer_is_down_and_its_drift_unknown(measured: Measured) -> None:
    measured.world.clusters["prod-2"].faults.is_down = True
    measured.world.pass_(30)
    seen = measured.scrape()
    assert seen.value("reconciler_cluster_reachable", cluster="prod-2") == 0
    assert seen.value("reconciler_cluster_reachable", cluster="prod-1") == 1
    assert seen.of("reconciler_drift_objects", cluster="prod-2") == []
    assert seen.value("reconciler_drift_objects", cluster="prod-1") == 0


def test_a_fuse_that_blows_is_shown(measured: Measured) -> None:
    assert measured.scrape().value("reconciler_fuse_blown", service="web", scope="service") == 0
    for version in ("1.1.0", "1.2.0"):
        told = len(measured.world.told(EventKind.ROLLED_BACK))
        measured.world.git.merge(pins(version, Fate.CRASH))
        assert measured.world.until(
            lambda told=told: len(measured.world.told(EventKind.ROLLED_BACK)) > told  # type: ignore[misc]
        )
    seen = measured.scrape()
    assert seen.value("reconciler_fuse_blown", service="web", scope="service") == 1
    assert seen.value("reconciler_fuse_blown", service="", scope="fleet") == 0


def test_a_rewritten_history_halts(measured: Measured) -> None:
    assert measured.scrape().value("reconciler_halted") == 0
    measured.world.git.branches["main"] = measured.world.git.orphan()
    measured.world.pass_(30)
    assert measured.scrape().value("reconciler_halted") == 1


def test_a_service_that_is_gone_leaves_no_series_that_would_alert_for_ever(
    measured: Measured,
) -> None:
    assert measured.scrape().of("reconciler_cell_phase")
    measured.metrics.on_view(View(measured.world.engine.heads.head, Mode.ENFORCE, FleetSummary()))
    seen = Scraped(measured.metrics)
    for name in ("reconciler_cell_phase", "reconciler_drift_objects", "reconciler_revert_pending"):
        assert seen.of(name) == []


def test_observe_mode_is_told_apart() -> None:
    measured = Measured(mode=Mode.OBSERVE)
    measured.world.pass_(60)
    assert {p["mode"] for p in measured.scrape().labels("reconciler_cell_phase")} == {"observe"}


def _is_admitted(world: World, version: str) -> bool:
    told = world.told(EventKind.ADMITTED)
    return any(e.revision is not None and e.revision.release.version == version for e in told)


def _edit(world: World, *, port: int = 8080) -> None:
    store = world.clusters["dev-1"].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    found = store.get(kind, "web", "web")
    found["spec"]["replicas"] = 5
    found["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
    store.replace(found, "kubectl-edit")
