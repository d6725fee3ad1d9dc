"""What services must know of each other: what was planned last, of nobody who is gone, told to whom it is news."""

from __future__ import annotations

from reconciler.core.plan import plan_service
from reconciler.model.facts import FleetSummary
from reconciler.model.names import ServiceName
from reconciler.model.release import Revision
from reconciler.model.view import Planned
from reconciler.shell.placing import Neighbours
from tests.fakes.facts import DEV, NOW, V1, V2, V3, WEB, ask, cell, in_line, record

API, DB = ServiceName("api"), ServiceName("db")


def planned(wanted: Revision = V2, name: ServiceName = WEB, *mates: ServiceName) -> Planned:
    """Returns a service that waits for a place in dev."""
    here = cell(DEV, record(DEV, V1), ask(wanted, max_rollouts=1, mates=mates))
    facts = in_line(name, (here,))
    return Planned(facts, plan_service(facts, FleetSummary(), NOW), NOW)


def given(neighbours: Neighbours) -> tuple[list[ServiceName], set[ServiceName]]:
    """Returns to whom places are given, and to whom what is told is news."""
    fleet, concerned = neighbours.told(FleetSummary())
    places = fleet.places.get(DEV)
    return sorted(places.given) if places is not None else [], concerned


def test_what_was_planned_last_counts_and_is_news_once() -> None:
    neighbours = Neighbours()
    neighbours.note(planned(), FleetSummary())
    assert given(neighbours) == ([WEB], {WEB})
    assert given(neighbours) == ([WEB], set())
    neighbours.note(planned(V1), FleetSummary())
    assert given(neighbours) == ([], set())


def test_a_place_that_is_free_again_is_news_to_who_waits() -> None:
    neighbours = Neighbours()
    neighbours.note(planned(), FleetSummary())
    neighbours.note(planned(name=API), FleetSummary())
    assert given(neighbours) == ([API], {API, WEB})
    neighbours.note(planned(V1, API), FleetSummary())
    assert given(neighbours) == ([WEB], {WEB})


def test_whoever_is_gone_or_held_by_a_bug_of_ours_says_nothing() -> None:
    neighbours = Neighbours()
    neighbours.note(planned(), FleetSummary())
    neighbours.keep_only({WEB})
    assert given(neighbours)[0] == [WEB]
    neighbours.keep_only(frozenset())
    assert given(neighbours)[0] == []
    neighbours.note(planned(), FleetSummary())
    neighbours.note(planned(V2, DB, API), FleetSummary())
    neighbours.forget(WEB)
    neighbours.forget(DB)
    fleet, _ = neighbours.told(FleetSummary())
    assert (fleet.places, fleet.groups) == ({}, {})


def test_how_one_of_a_group_stands_is_news_to_the_others_and_to_no_one_else() -> None:
    neighbours = Neighbours()
    neighbours.note(planned(V1, WEB, API), FleetSummary())
    neighbours.note(planned(V1, DB), FleetSummary())
    fleet, concerned = neighbours.told(FleetSummary())
    assert set(fleet.groups) == {WEB}
    assert concerned == {API}
    neighbours.note(planned(V1, WEB, API), FleetSummary())
    assert given(neighbours)[1] == set()
    neighbours.note(planned(V3, WEB, API), FleetSummary())
    assert API in given(neighbours)[1]
    # Who plans with what was told before does not see it change.
    assert not fleet.groups[WEB].cells[DEV].asks
