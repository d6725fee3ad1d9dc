"""Places to roll out at once: who has one, who asks for one, and who is next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import gates
from reconciler.core.bidding import bids_of
from reconciler.core.places import Bid, hand_out
from reconciler.core.plan import plan_service
from reconciler.model.actions import Admit, Hold
from reconciler.model.facts import Cell, FleetSummary, LiveState
from reconciler.model.fleet import Mode
from reconciler.model.fleet_counts import Places
from reconciler.model.names import EnvironmentName, RenderDigest, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.view import Planned
from tests.fakes.facts import (
    AWAY,
    BEFORE,
    DEV,
    NOW,
    PROD,
    STARTING,
    SUSPENDED,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    in_line,
    member,
    proof,
    record,
    rejection,
    rollout,
    said,
    states,
    view,
)

API = ServiceName("api")
FULL = {DEV: Places(1, (API,), frozenset())}
GIVEN = {DEV: Places(1, (), frozenset({WEB}))}


def bid(name: str, waited_s: float = 0.0, **changes: Any) -> Bid:
    """Returns the bid of a service that has waited for so long."""
    since = NOW - timedelta(seconds=waited_s)
    given = Bid(ServiceName(name), DEV, 1, has_place=False, is_observed=False, since=since)
    return replace(given, **changes)


@pytest.mark.parametrize(
    ("bids", "taken", "given"),
    [
        pytest.param([bid("a"), bid("b", 5)], "", "b", id="who has waited the longest"),
        pytest.param(
            [bid("a", 1, served_at=BEFORE), bid("b", 5, served_at=NOW)],
            *("", "b"),
            id="whoever was served when",
        ),
        pytest.param([bid("b", 5), bid("a", 5)], "", "a", id="as long: by name"),
        pytest.param(
            [bid("a", served_at=NOW), bid("b", served_at=BEFORE)],
            *("", "b"),
            id="as long: who was served the longest ago",
        ),
        pytest.param(
            [bid("a", served_at=BEFORE), bid("b")], "", "b", id="as long: who never was served"
        ),
        pytest.param(
            [bid("a", 9, is_observed=True), bid("b")], "", "b", id="whoever would take it"
        ),
        pytest.param([bid("a", 9), bid("b", has_place=True)], "b", "", id="none is free"),
        pytest.param(
            [bid(n, most=3, has_place=n == "c") for n in "abcd"],
            "c",
            "ab",
            id="as many as are free",
        ),
        pytest.param(
            [bid(n, most=1, has_place=n != "c") for n in "abc"],
            *("ab", ""),
            id="more than may: one went on again",
        ),
    ],
)
def test_places_are_handed_out_to(bids: list[Bid], taken: str, given: str) -> None:
    (places,) = hand_out(bids).values()
    assert places.taken == tuple(map(ServiceName, taken))
    assert places.given == frozenset(map(ServiceName, given))


@pytest.mark.parametrize(
    ("bids", "next_up"),
    [
        pytest.param([bid("a", has_place=True), bid("b"), bid("c", 5)], "c", id="the longest"),
        pytest.param([bid("a"), bid("b", 5)], "a", id="who is left once the free ones are given"),
        pytest.param([bid("a", has_place=True)], None, id="nobody waits"),
        pytest.param(
            [bid("a", has_place=True), bid("b", is_observed=True)],
            None,
            id="who is only observed would not take it",
        ),
    ],
)
def test_the_next_place_is_waited_for_by(bids: list[Bid], next_up: str | None) -> None:
    (places,) = hand_out(bids).values()
    assert places.next_up == next_up


def test_each_environment_has_its_own_places() -> None:
    found = hand_out([bid("a"), bid("b"), bid("b", environment=PROD)])
    assert {name: sorted(places.given) for name, places in found.items()} == {
        DEV: ["a"],
        PROD: ["b"],
    }


WANTS: dict[str, Any] = {"max_rollouts": 1}


def limited(**changes: Any) -> Cell:
    """Returns a first environment that runs version 1, asks for version 2 and has one place."""
    return cell(DEV, record(DEV, V1), ask(V2, **{**WANTS, **changes}))


@pytest.mark.parametrize(
    ("here", "places", "gate"),
    [
        pytest.param(limited(), GIVEN, None, id="one was given to it"),
        pytest.param(limited(), FULL, f"closed {Reason.WAITING_FOR_PLACE}", id="another has it"),
        pytest.param(
            limited(), {}, f"closed {Reason.WAITING_FOR_PLACE}", id="nobody has asked yet"
        ),
        pytest.param(limited(max_rollouts=None), {}, None, id="there is no limit"),
        pytest.param(
            cell(DEV, record(DEV, V2, rollout=rollout(V2)), ask(V3, **WANTS)),
            *(FULL, None),
            id="it has one already, whatever is newer",
        ),
        pytest.param(
            cell(
                DEV,
                record(DEV, V1, proofs=(proof(V1, renders=RenderDigest("sha256:r")),)),
                ask(V2, renders=RenderDigest("sha256:r"), **WANTS),
            ),
            *(FULL, None),
            id="it renders to what is proven here, and rolls nothing out",
        ),
    ],
)
def test_the_gate_is_open_once(
    here: Cell, places: dict[EnvironmentName, Places], gate: Any
) -> None:
    wanted = here.ask.wanted
    assert wanted is not None
    found = states(gates.admission(view(here, fleet=FleetSummary(places=places)), wanted))
    assert found.get("BelowMaxRollouts") == gate


@pytest.mark.parametrize(
    ("places", "message"),
    [
        pytest.param(FULL, "before it: api", id="who has the place"),
        pytest.param({}, "it asks once all else is open", id="nobody has"),
    ],
)
def test_the_gate_says(places: dict[EnvironmentName, Places], message: str) -> None:
    (hold,) = plan_service(in_line(WEB, (limited(),)), FleetSummary(places=places), NOW)
    assert isinstance(hold, Hold)
    assert hold.message == f"dev lets 1 roll out at once; {message}"


def test_what_goes_back_waits_for_no_place() -> None:
    newer = cell(DEV, record(DEV, V2, rollout=rollout(V2)), ask(V1, **WANTS))
    assert said(plan_service(in_line(WEB, (newer,)), FleetSummary(places=FULL), NOW)) == [
        f"Admit {Reason.PROVEN_HERE}"
    ]


def bids(here: Cell, fleet: FleetSummary, mode: Mode = Mode.ENFORCE) -> tuple[Bid, ...]:
    facts = replace(in_line(WEB, (here,)), mode=mode)
    return bids_of(Planned(facts, plan_service(facts, fleet, NOW), NOW), fleet)


ROLLING = record(DEV, V2, rollout=rollout(V2))


@pytest.mark.parametrize(
    ("here", "has_place"),
    [
        pytest.param(limited(), False, id="a place is all that is missing: it asks"),
        pytest.param(limited(paused=True), None, id="a pause holds it, too: it asks for none"),
        pytest.param(cell(DEV, record(DEV, V1), ask(V1, **WANTS)), None, id="there is nothing new"),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, **WANTS), members={"dev-1": {"health": STARTING}}),
            *(True,),
            id="it rolls out: it has one",
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, paused=True, **WANTS)),
            None,
            id="a pause holds what rolls out",
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, **WANTS), suspended=SUSPENDED), None, id="it is suspended"
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, **WANTS), members={"dev-1": {**AWAY, "away_s": 599.0}}),
            *(True,),
            id="a cluster is away for a moment",
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, **WANTS), members={"dev-1": {**AWAY, "away_s": 600.0}}),
            *(None,),
            id="a cluster is away for longer than the deadline",
        ),
        pytest.param(
            cell(
                DEV,
                ROLLING,
                ask(V2, **WANTS),
                members={"dev-1": {"health": STARTING, "healthy_s": 0.0, "waiting_s": 600.0}},
            ),
            *(None,),
            id="it is late",
        ),
        pytest.param(
            cell(
                DEV,
                record(DEV, V1, rejections=(rejection(V2, rolled_back_at=None),)),
                ask(V3, **WANTS),
            ),
            *(None,),
            id="it goes back",
        ),
    ],
)
def test_who_asks_and_who_has_one(here: Cell, has_place: bool | None) -> None:
    assert [b.has_place for b in bids(here, FleetSummary(places=FULL))] == (
        [] if has_place is None else [has_place]
    )


def test_whoever_was_given_a_place_asks_on_until_it_rolls_out() -> None:
    (asks,) = bids(limited(), FleetSummary(places=GIVEN))
    assert not asks.has_place


def test_who_is_only_observed_says_so_and_keeps_no_place() -> None:
    (asks,) = bids(limited(), FleetSummary(places=FULL), Mode.OBSERVE)
    assert asks.is_observed
    assert bids(cell(DEV, ROLLING, ask(V2, **WANTS)), FleetSummary(), Mode.OBSERVE) == ()


def test_without_a_limit_there_is_no_bid() -> None:
    assert bids(limited(max_rollouts=None), FleetSummary()) == ()


@pytest.mark.parametrize(
    ("live", "asks"),
    [
        pytest.param({"live": LiveState.ABSENT}, True, id="nothing is live, as was seen just now"),
        pytest.param(
            {"live": LiveState.ABSENT, "live_for_s": 9.0}, True, id="as was seen a moment ago"
        ),
        pytest.param({"live": LiveState.UNKNOWN}, False, id="what is live is not known yet"),
        pytest.param({"live": LiveState.DIFFERS}, False, id="what is live differs"),
    ],
)
def test_a_first_release_asks_once_it_could_be_admitted(live: dict[str, Any], asks: bool) -> None:
    here = replace(cell(DEV, None, ask(V1, **WANTS)), members=(member("dev-1", **live),))  # type: ignore[arg-type]
    assert bool(bids(here, FleetSummary(places=FULL))) is asks
    # Who was given one asks on while it is compared once more.
    assert bool(bids(here, FleetSummary(places=GIVEN))) is asks


def test_who_waits_goes_on_waiting_since_then() -> None:
    facts, fleet = in_line(WEB, (limited(),)), FleetSummary(places=FULL)
    planned = Planned(facts, plan_service(facts, fleet, NOW), NOW)
    former = bid("web", 500.0)
    (asks,) = bids_of(planned, fleet, (former,))
    assert asks.since == former.since
    # What had a place begins to wait anew.
    (anew,) = bids_of(planned, fleet, (replace(former, has_place=True),))
    assert anew.since == NOW
    assert anew.served_at == BEFORE


def test_a_hold_of_something_else_asks_for_nothing() -> None:
    facts, fleet = in_line(WEB, (limited(),)), FleetSummary(places=FULL)
    (hold,) = plan_service(facts, fleet, NOW)
    failed = Hold(WEB, DEV, Reason.ACTION_FAILED, "the home refuses it")
    assert bids_of(Planned(facts, (failed, hold), NOW), fleet) == ()


def test_one_that_is_given_a_place_is_admitted() -> None:
    (admit,) = plan_service(in_line(WEB, (limited(),)), FleetSummary(places=GIVEN), NOW)
    assert isinstance(admit, Admit)
