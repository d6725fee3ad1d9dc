"""What the metrics say at their edges: before anything is known, and when there is too much."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from reconciler.adapters import metrics as module
from reconciler.adapters.metrics import Metrics
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import Ask, Cell, FleetSummary, Member
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.records import ServiceRecord
from reconciler.model.view import Head, Planned, View
from tests.fakes.facts import in_line
from tests.fakes.records import revision
from tests.fakes.scraped import Scraped

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEB, DEV = ServiceName("web"), EnvironmentName("dev")


def measured(
    fetched_s: Callable[[], float | None] = lambda: None,
    skews_s: Mapping[str, float | None] = MappingProxyType({}),
) -> Metrics:
    return Metrics(fetched_s=fetched_s, skews_s=lambda: skews_s)


def view(cell: Cell) -> View:
    planned = Planned(in_line(WEB, (cell,)), (), NOW)
    return View(Head(), Mode.ENFORCE, FleetSummary(), {WEB: planned})


def cell(*members: Member, record_known: bool = True) -> Cell:
    return Cell(DEV, Ask(None, None, None), None, record_known, members)


def drift(kind: EventKind, *, manager: str = "kubectl", name: str = "web") -> Event:
    detail = (("object", f"Deployment/web/{name}"), ("field", "spec.replicas"))
    return Event(
        NOW,
        kind,
        service=WEB,
        environment=DEV,
        cluster=ClusterName("dev-1"),
        detail=(*detail, ("manager", manager)),
    )


def test_the_skew_of_a_clock_is_told_while_its_cluster_answers() -> None:
    metrics = measured(skews_s={"dev-1": -3.5, "prod-1": None, "prod-2": 60.0})
    metrics.on_view(replace(view(cell()), unreachable={ClusterName("prod-2"): "refused"}))
    seen = Scraped(metrics)
    assert seen.value("reconciler_cluster_clock_skew_seconds", cluster="dev-1") == -3.5
    assert len(seen.of("reconciler_cluster_clock_skew_seconds")) == 1


def test_before_the_first_turn_nothing_is_said_of_the_fleet() -> None:
    seen = Scraped(measured(skews_s={"dev-1": 0.0}))
    assert seen.of("reconciler_halted") == []
    assert seen.of("reconciler_cluster_reachable") == []
    assert seen.value("reconciler_turn_seconds_count") == 0


def test_a_fetch_that_never_succeeded_is_as_old_as_the_process() -> None:
    metrics = measured()
    assert Scraped(metrics).value("reconciler_fetch_age_seconds") > 0


def test_the_age_of_a_fetch_grows_between_turns_too() -> None:
    metrics = measured(lambda: time.monotonic() - 90)
    assert Scraped(metrics).value("reconciler_fetch_age_seconds") == pytest.approx(90, abs=1)


BEGUN = ServiceRecord(WEB, DEV, revision(), "web")
RECORD = replace(BEGUN, applied=BEGUN.revision.id)


@pytest.mark.parametrize(
    "member",
    [
        Member(ClusterName("dev-1"), reachable=False, synced=True, record=RECORD),
        Member(ClusterName("dev-1"), reachable=True, synced=False, record=RECORD),
        Member(ClusterName("dev-1"), reachable=True, synced=True, record=None),
        Member(ClusterName("dev-1"), reachable=True, synced=True, record=BEGUN),
    ],
    ids=[
        "it does not answer",
        "it has not been read",
        "it was given nothing",
        "it is being given something",
    ],
)
def test_drift_that_is_not_known_has_no_sample(member: Member) -> None:
    metrics = measured()
    metrics.on_view(view(cell(member)))
    assert Scraped(metrics).of("reconciler_drift_objects") == []
    known = Member(ClusterName("dev-1"), True, True, RECORD, drifted_objects=2)
    metrics.on_view(view(cell(known)))
    assert Scraped(metrics).value("reconciler_drift_objects", cluster="dev-1") == 2


def test_records_that_could_not_be_read_are_not_told_as_nothing_pending() -> None:
    metrics = measured()
    metrics.on_view(view(cell(record_known=False)))
    assert Scraped(metrics).of("reconciler_revert_pending") == []
    metrics.on_view(view(cell()))
    assert Scraped(metrics).value("reconciler_revert_pending", service="web") == 0


def test_field_managers_that_somebody_makes_up_do_not_make_series_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CORRECTED_SERIES_MAX", 3)
    metrics = measured()
    for number in range(10):
        metrics.on_event(drift(EventKind.DRIFT_CORRECTED, manager=f"made-up-{number}"))
    name = "reconciler_drift_corrected_total"
    seen = Scraped(metrics)
    assert len(seen.of(name)) == 4
    assert seen.value(name, manager="other") == 7


def test_differences_that_nobody_corrects_are_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SEEN_MAX", 2)
    metrics = measured()
    for name in ("first", "second", "third"):
        metrics.on_event(drift(EventKind.DRIFT_SEEN, name=name))
    for name in ("first", "second", "third"):
        metrics.on_event(drift(EventKind.DRIFT_CORRECTED, name=name))
    assert Scraped(metrics).value("reconciler_drift_latency_seconds_count") == 2


def test_no_series_says_when_it_was_made() -> None:
    assert not [name for name in Scraped(measured()).names() if name.endswith("_created")]


def test_a_cluster_that_drains_or_has_left_may_be_switched_off_and_the_home_may_not() -> None:
    drains, left, other, home = (ClusterName(name) for name in ("a-1", "a-2", "a-3", "home"))
    metrics = measured(skews_s=dict.fromkeys(("a-1", "a-2", "a-3", "home"), 0.0))
    head = Head(draining=(drains, home), left=(left,))
    away = dict.fromkeys((drains, other, home), "refused")
    metrics.on_view(replace(view(cell()), head=head, unreachable=away, home=home))
    seen = Scraped(metrics)
    assert seen.value("reconciler_cluster_reachable", cluster="a-3") == 0
    assert seen.value("reconciler_cluster_reachable", cluster="home") == 0
    assert len(seen.of("reconciler_cluster_reachable")) == 2
