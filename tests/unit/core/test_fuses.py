"""What the whole fleet says: fuses that blow and heal, and failures that come together."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.fuses import counts_of, plan_fleet
from reconciler.core.gates import admission, next_wave
from reconciler.core.recording import recorded
from reconciler.model.actions import CommitRevert, Reject
from reconciler.model.believed import Believed
from reconciler.model.facts import FleetSummary, ServiceFacts
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import RevertProgress
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    DEV,
    NOW,
    STAGING,
    STUCK,
    V1,
    V2,
    V3,
    ask,
    cell,
    in_line,
    planned,
    record,
    rejection,
    rollout,
    said,
    states,
    view,
)
from tests.fakes.records import COMMIT

API, DB = ServiceName("api"), ServiceName("db")
CAUSE, OTHER = CommitId("e" * 40), CommitId("f" * 40)


def ago(**how_long: float) -> datetime:
    """Returns a time so long ago."""
    return NOW - timedelta(**how_long)


def rejected(at: datetime, **changes: Any) -> Any:
    """Returns a rejection in dev of that time."""
    return rejection(V2, rejected_at=at, first_failure_at=at, **changes)


def service(
    name: str, *rejections: Any, failing_since: datetime | None = None, **changes: Any
) -> ServiceFacts:
    """Returns a service with rejections in dev, perhaps failing there now."""
    known = record(DEV, V3, rejections=rejections)
    health = replace(CRASHING, first_failure_at=failing_since)
    members = {"dev-1": {"health": health, **changes}} if failing_since else {}
    return in_line(ServiceName(name), (cell(DEV, known, members=members),))


def summary(
    *services: ServiceFacts,
    service_an_hour: int = 1,
    commit_an_hour: int = 99,
    fleet_an_hour: int = 3,
) -> FleetSummary:
    """Returns what a fleet of some services says."""
    return plan_fleet(
        map(counts_of, services),
        NOW,
        believed=Believed(service_an_hour, commit_an_hour, fleet_an_hour),
    )


@pytest.mark.parametrize(
    ("rejections", "blown"),
    [
        pytest.param((), False, id="none"),
        pytest.param((rejected(ago(minutes=1)),), False, id="the first is believed"),
        pytest.param(
            (rejected(ago(minutes=1)), rejected(ago(minutes=59))), True, id="the second is not"
        ),
        pytest.param(
            (rejected(ago(minutes=1)), rejected(ago(minutes=60))),
            False,
            id="one of an hour ago is old",
        ),
        pytest.param(
            (rejected(ago(minutes=1)), rejected(ago(minutes=2), environments=(STAGING, DEV))),
            False,
            id="one that was taken over from elsewhere counts there",
        ),
    ],
)
def test_a_services_own_fuse(rejections: tuple[Any, ...], blown: bool) -> None:
    assert (API in summary(service("api", *rejections)).fuses_blown) is blown


@pytest.mark.parametrize(
    ("minutes_ago", "an_hour", "whole_in_min"),
    [
        pytest.param((1, 59), 1, 1, id="when the oldest is an hour old"),
        pytest.param((1, 20, 59), 1, 40, id="when all but one are"),
        pytest.param((59, 1, 20), 2, 1, id="whichever of them was written first"),
        pytest.param((1,), 0, 59, id="when the last is, where none is believed"),
    ],
)
def test_a_blown_fuse_says_until_when(
    minutes_ago: tuple[int, ...], an_hour: int, whole_in_min: int
) -> None:
    facts = service("api", *(rejected(ago(minutes=n)) for n in minutes_ago))
    until = NOW + timedelta(minutes=whole_in_min)
    found = summary(facts, service_an_hour=an_hour, fleet_an_hour=an_hour)
    assert (found.fuses_blown, found.fleet_fuse_blown) == ({API: until}, until)
    healed = plan_fleet((counts_of(facts),), until, believed=Believed(an_hour, 99, an_hour))
    assert healed == FleetSummary()


@pytest.mark.parametrize(("made", "blown"), [(5, False), (6, True)])
def test_a_higher_limit_is_reached_by_one_environment_alone(made: int, blown: bool) -> None:
    known = record(DEV)
    for minutes in range(made, 0, -1):
        bad = rejected(ago(minutes=9 * minutes))
        known = recorded(known, Reject(API, DEV, bad, "", ""))
    found = summary(in_line(API, (cell(DEV, known),)), service_an_hour=5, fleet_an_hour=9)
    assert (API in found.fuses_blown) is blown


def test_rejections_of_a_service_count_together_over_its_environments() -> None:
    cells = (
        cell(DEV, record(DEV, rejections=(rejected(ago(minutes=1)),))),
        cell(
            STAGING,
            record(STAGING, rejections=(rejection(V3, STAGING, rejected_at=ago(minutes=2)),)),
        ),
    )
    found = summary(in_line(API, cells))
    assert set(found.fuses_blown) == {API}


def test_the_fleets_fuse_counts_all_services() -> None:
    three = [service(f"s{n}", rejected(ago(minutes=n))) for n in (1, 2, 3)]
    assert not summary(*three).fleet_fuse_blown
    four = [*three, service("s4", rejected(ago(minutes=4)))]
    found = summary(*four)
    assert found.fleet_fuse_blown
    assert not found.fuses_blown


def test_one_commit_has_a_fuse_of_its_own_with_whatever_took_it_back() -> None:
    taken_back = RevertProgress(CommitId("d" * 40), None, NOW)
    two = [
        service("s1", rejected(ago(minutes=1), commit=CAUSE, revert=taken_back)),
        service("s2", rejected(ago(minutes=9), commit=CAUSE, revert=RevertProgress())),
    ]
    assert summary(*two, commit_an_hour=2, fleet_an_hour=9).commits_blown == {}
    elsewhere = service("s3", rejected(ago(minutes=2), commit=OTHER))
    assert summary(*two, elsewhere, commit_an_hour=2, fleet_an_hour=9).commits_blown == {}
    three = [*two, service("s3", rejected(ago(minutes=2), commit=CAUSE))]
    found = summary(*three, commit_an_hour=2, fleet_an_hour=9)
    until = ago(minutes=9) + timedelta(hours=1)
    assert set(found.commits_blown) == {CAUSE, taken_back.commit, COMMIT}
    assert set(found.commits_blown.values()) == {until}
    assert found.fleet_fuse_blown is None and found.fuses_blown == {}
    old = service("s2", rejected(ago(minutes=60), commit=CAUSE))
    assert summary(*three[::2], old, commit_an_hour=2, fleet_an_hour=9).commits_blown == {}


def test_what_a_blown_commit_asks_for_goes_no_further_and_nothing_else_is_held() -> None:
    fleet = FleetSummary(commits_blown={CAUSE: NOW + timedelta(minutes=9)})
    rolls = cell(DEV, record(DEV, V2, rollout=rollout(V2, commit=CAUSE)), ask(V2))
    (gate,) = [g for g in next_wave(view(rolls, fleet=fleet), V2) if g.name == "FuseIntact"]
    assert gate.state == "closed" and gate.due_at == NOW + timedelta(minutes=9)
    assert CAUSE[:12] in gate.message
    asked = cell(DEV, record(DEV), ask(V2, commit=CAUSE))
    assert states(admission(view(asked, fleet=fleet), V2)) == {"FuseIntact": "closed FuseBlown"}
    elsewhere = cell(DEV, record(DEV), ask(V2, commit=OTHER))
    assert states(admission(view(elsewhere, fleet=fleet), V2)) == {}
    under_way = cell(DEV, record(DEV, V2, rollout=rollout(V2, commit=OTHER)), ask(V2, commit=CAUSE))
    assert states(next_wave(view(under_way, fleet=fleet), V2)) == {}


def test_what_takes_a_blown_commit_back_waits_for_a_person_and_the_roll_back_does_not() -> None:
    fleet = FleetSummary(commits_blown={CAUSE: NOW + timedelta(minutes=9)})
    owed = rejection(V2, commit=CAUSE, revert=RevertProgress())
    for commit, direct in ((CAUSE, False), (OTHER, True)):
        known = record(DEV, V1, rejections=(replace(owed, commit=commit),))
        (found,) = [
            a for a in planned(cell(DEV, known), fleet=fleet) if isinstance(a, CommitRevert)
        ]
        assert found.direct is direct
    rolling = record(DEV, V2, rollout=rollout(V2, commit=CAUSE))
    crashing = cell(DEV, rolling, members={"dev-1": {"health": CRASHING}})
    assert said(planned(crashing, fleet=fleet)) == ["Reject CrashLoopBackOff"]


def test_a_limit_of_none_lets_no_rejection_be_believed() -> None:
    found = summary(service("api", rejected(ago(minutes=1))), service_an_hour=0, fleet_an_hour=0)
    assert set(found.fuses_blown) == {API}
    assert found.fleet_fuse_blown


def test_a_service_without_a_record_counts_for_nothing() -> None:
    new = in_line(API, (cell(DEV, None),))
    assert summary(new) == FleetSummary()


@pytest.mark.parametrize(
    ("services", "together"),
    [
        pytest.param((service("api", failing_since=ago(seconds=9)),), set(), id="one alone"),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=9)),
                service("db", failing_since=ago(seconds=9 + 119)),
            ),
            {API, DB},
            id="two within two minutes",
        ),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=9)),
                service("db", failing_since=ago(seconds=9 + 121)),
            ),
            set(),
            id="two further apart",
        ),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=9)),
                service("db", rejected(ago(seconds=60), rolled_back_at=ago(seconds=58))),
            ),
            {API},
            id="another was taken back a moment ago",
        ),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=60)),
                service("db", rejected(ago(seconds=160), rolled_back_at=None)),
            ),
            {API},
            id="another is still being taken back",
        ),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=60)),
                service("db", rejected(ago(seconds=160), rolled_back_at=ago(seconds=120))),
            ),
            set(),
            id="another has been back for two minutes",
        ),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=60)),
                service("db", rejected(ago(seconds=160), rolled_back_at=None, restore_to=None)),
            ),
            set(),
            id="another could not go back, and fails no more",
        ),
        pytest.param(
            (
                service("api", rejected(ago(seconds=9))),
                service("db", rejected(ago(seconds=60))),
            ),
            set(),
            id="none fails any more",
        ),
        pytest.param(
            (
                service("api", failing_since=ago(seconds=9)),
                service("db", failing_since=ago(seconds=9), **AWAY),
            ),
            set(),
            id="of the other nobody knows now",
        ),
    ],
)
def test_services_that_turn_bad_together(
    services: tuple[ServiceFacts, ...], together: set[str]
) -> None:
    assert summary(*services).platform_incident == together


def test_failures_that_are_nobodys_fault_make_no_incident() -> None:
    stuck = cell(DEV, record(DEV, V3), members={"dev-1": {"health": STUCK}})
    others = [in_line(n, (stuck,)) for n in (API, DB)]
    assert summary(*others).platform_incident == set()


def test_failures_that_name_their_release_say_nothing_of_the_platform() -> None:
    health = replace(CRASHING, names_release=True, first_failure_at=ago(seconds=9))
    named = cell(DEV, record(DEV, V3), members={"dev-1": {"health": health}})
    db = service("db", failing_since=ago(seconds=9))
    assert summary(in_line(API, (named,)), db).platform_incident == set()
    going_back = rejected(ago(seconds=60), names_release=True, rolled_back_at=None, restore_to=V3)
    before = service("api", going_back)
    assert summary(before, db).platform_incident == set()


def test_any_of_a_services_failures_may_be_the_one_that_came_together() -> None:
    def failing(environment: Any, since: datetime) -> Any:
        (name,) = [c.cluster for c in cell(environment, record(environment)).members]
        health = replace(CRASHING, first_failure_at=since)
        return cell(environment, record(environment, V2), members={name: {"health": health}})

    api = in_line(API, (failing(DEV, ago(seconds=30)), failing(STAGING, ago(hours=2))))
    found = summary(api, service("db", failing_since=ago(seconds=20)))
    assert found.platform_incident == {API, DB}


def test_a_failure_without_a_time_is_of_now() -> None:
    health = replace(CRASHING, first_failure_at=None)
    api = in_line(API, (cell(DEV, record(DEV, V2), members={"dev-1": {"health": health}}),))
    found = summary(api, service("db", failing_since=ago(seconds=20)))
    assert found.platform_incident == {API, DB}


def test_why_the_fleet_is_halted_is_passed_on() -> None:
    found = plan_fleet(
        (),
        NOW,
        believed=Believed(1, 3, 3),
        halted="another daemon leads",
        halted_reason=Reason.NOT_LEADING,
    )
    assert (found.halted, found.halted_reason) == ("another daemon leads", Reason.NOT_LEADING)
