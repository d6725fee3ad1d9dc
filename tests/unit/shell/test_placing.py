"""The bids that are kept: of what was planned last, and of nobody who is gone."""

from __future__ import annotations

from reconciler.core.plan import plan_service
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet_counts import Places
from reconciler.model.names import ServiceName
from reconciler.model.view import Planned
from reconciler.shell.placing import Bids
from tests.fakes.facts import DEV, NOW, PROD, STAGING, V1, V2, WEB, ask, cell, in_line, record

FLEET = FleetSummary(places={DEV: Places(1, (ServiceName("api"),))})


def kept() -> Bids:
    """Returns the bid of a service that waits for a place in dev."""
    bids = Bids()
    bids.note(planned(V2), FLEET)
    return bids


def planned(wanted: object = V2) -> Planned:
    here = cell(DEV, record(DEV, V1), ask(wanted, max_rollouts=1))  # type: ignore[arg-type]
    facts = in_line(WEB, (here,))
    return Planned(facts, plan_service(facts, FLEET, NOW), NOW)


def test_what_was_planned_last_counts() -> None:
    bids = kept()
    assert [bid.service for bid in bids.all()] == [WEB]
    bids.note(planned(V1), FLEET)
    assert not list(bids.all())


def test_whoever_is_gone_asks_for_nothing() -> None:
    bids = kept()
    bids.keep_only({WEB})
    assert list(bids.all())
    bids.keep_only(frozenset())
    assert not list(bids.all())


def test_what_a_bug_of_ours_holds_asks_for_nothing() -> None:
    bids = kept()
    bids.forget(WEB)
    assert not list(bids.all())


def test_other_places_concern_who_bids_there() -> None:
    one, other = Places(1), Places(1, (WEB,))
    bids = kept()
    assert bids.concerned({DEV: one}, {DEV: one}) == set()
    assert bids.concerned({DEV: one}, {DEV: other}) == {WEB}
    assert bids.concerned({}, {DEV: other}) == {WEB}
    assert bids.concerned({PROD: one}, {STAGING: other}) == set()
