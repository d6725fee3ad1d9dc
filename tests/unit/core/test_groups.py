"""Services that are moved as one: who waits for whom, who was let in together, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import gates
from reconciler.core.grouping import standings_of
from reconciler.core.plan import plan_service
from reconciler.model.actions import Admit, CommitPin, Hold
from reconciler.model.facts import Ask, Cell, FleetSummary, LiveState
from reconciler.model.groups import Standing, Standings
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.promotion import Promotion
from reconciler.model.reasons import Reason
from reconciler.model.view import Planned
from tests.fakes.facts import (
    CRASHING,
    DEV,
    HEAD,
    NOW,
    PROD,
    STAGING,
    SUSPENDED,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    in_line,
    member,
    planned,
    record,
    rejection,
    rollout,
    said,
    states,
    view,
)

API = ServiceName("api")
OTHER_HEAD = CommitId("d" * 40)
WANTS = cell(DEV, record(DEV, V1), ask(V2, mates=(API,)))


def fleet(standing: Standing | None = None, commit: CommitId | None = HEAD) -> FleetSummary:
    """Returns a fleet in which that is said of the other service in dev."""
    cells = {} if standing is None else {DEV: standing}
    return FleetSummary(groups={API: Standings(commit, cells)})


READY = Standing(asks=True, is_ready=True)
WAITS = Standing(asks=True, is_ready=False, why="the pin says `paused: true`")
UNKNOWN = Standing(asks=True, is_ready=None, why="it is being rendered")
SETTLED = Standing()


@pytest.mark.parametrize(
    ("summary", "gate"),
    [
        pytest.param(fleet(READY), None, id="it could be let in, too"),
        pytest.param(fleet(SETTLED), None, id="it asks for nothing new"),
        pytest.param(fleet(), None, id="it does not go there"),
        pytest.param(fleet(WAITS), f"closed {Reason.WAITING_FOR_GROUP}", id="it is held"),
        pytest.param(fleet(UNKNOWN), f"unknown {Reason.WAITING_FOR_GROUP}", id="nobody knows"),
        pytest.param(
            FleetSummary(), f"unknown {Reason.WAITING_FOR_GROUP}", id="it was not looked at yet"
        ),
        pytest.param(
            fleet(READY, OTHER_HEAD),
            f"unknown {Reason.WAITING_FOR_GROUP}",
            id="it was looked at for another HEAD",
        ),
    ],
)
def test_the_gate(summary: FleetSummary, gate: str | None) -> None:
    found = states(gates.admission(view(WANTS, fleet=summary), V2))
    assert found.get("GroupTogether") == gate


def test_the_gate_says_for_whom_it_waits_and_why() -> None:
    (hold,) = planned(WANTS, fleet=fleet(WAITS))
    assert isinstance(hold, Hold)
    assert hold.message == "it is moved as one with api, which waits: the pin says `paused: true`"
    assert hold.gates[0].unblock == "see `reconciler explain api dev`"


def test_what_goes_back_waits_for_nobody() -> None:
    newer = cell(DEV, record(DEV, V2, rollout=rollout(V2)), ask(V1, mates=(API,)))
    assert said(planned(newer, fleet=fleet(WAITS))) == [f"Admit {Reason.PROVEN_HERE}"]


def stands(*cells: Cell, summary: FleetSummary | None = None) -> Standing:
    facts, known = in_line(WEB, cells), summary or fleet(WAITS)
    found = standings_of(Planned(facts, plan_service(facts, known, NOW), NOW), known)
    assert found is not None and found.commit == HEAD
    return found.cells[cells[-1].environment]


def asks(wanted: Any = V2, **changes: Any) -> Ask:
    return ask(wanted, mates=(API,), **changes)


@pytest.mark.parametrize(
    ("here", "standing"),
    [
        pytest.param(cell(DEV, record(DEV, V1), asks()), READY, id="its group alone holds it"),
        pytest.param(
            cell(DEV, record(DEV, V1), asks(max_rollouts=1)), READY, id="its group, and a place"
        ),
        pytest.param(cell(DEV, record(DEV, V1), asks(paused=True)), WAITS, id="a pause"),
        pytest.param(
            cell(DEV, record(DEV, V1), asks(quarantine=None)),
            Standing(True, None, "quarantine/web.yaml could not be read"),
            id="what is not known",
        ),
        pytest.param(cell(DEV, record(DEV, V1), asks(V1)), SETTLED, id="it runs what it asks for"),
        pytest.param(
            cell(DEV, record(DEV, V2), asks(V1)), SETTLED, id="it goes back to what is proven"
        ),
        pytest.param(
            cell(DEV, record(DEV, V2, rollout=rollout(V2)), asks()),
            Standing(rolls_since=HEAD, is_soaked=True),
            id="it was let in, and is well",
        ),
        pytest.param(
            cell(DEV, record(DEV, V1), asks(None, reason=Reason.ORPHANED)),
            Standing(why=""),
            id="absence asks for nothing",
        ),
        pytest.param(
            cell(DEV, record(DEV, V1), asks(None, reason=Reason.RENDERING, message="a moment")),
            Standing(True, None, "a moment"),
            id="what is asked for is not known",
        ),
        pytest.param(
            cell(DEV, record(DEV, V1), asks(), suspended=SUSPENDED),
            Standing(True, False, SUSPENDED.why),
            id="it is suspended",
        ),
        pytest.param(
            replace(cell(DEV, record(DEV, V1), asks()), record_known=False),
            Standing(True, None, "what is proven there could not be read"),
            id="its record is not known",
        ),
        pytest.param(
            replace(
                cell(DEV, None, asks()),
                members=(member("dev-1", live=LiveState.ABSENT, live_for_s=9.0),),  # type: ignore[arg-type]
            ),
            READY,
            id="a first release that nothing stands in the way of",
        ),
    ],
)
def test_how_one_of_a_group_stands(here: Cell, standing: Standing) -> None:
    assert stands(here) == standing


def test_a_first_release_is_not_ready_while_what_is_live_differs() -> None:
    live = member("dev-1", live=LiveState.DIFFERS)  # type: ignore[arg-type]
    found = stands(replace(cell(DEV, None, asks()), members=(live,)))
    assert (found.asks, found.is_ready) == (True, False)
    assert "differs from the pin" in found.why


def test_a_later_environment_is_not_ready_before_the_proof() -> None:
    before = cell(DEV, record(DEV, V1), asks(V1))
    found = stands(before, cell(STAGING, record(STAGING, V1), asks()))
    assert (found.is_ready, found.why) == (False, "2.0.0 is not proven in dev")


def test_only_rejections_that_were_made_there_are_told() -> None:
    own, other = rejection(V2), rejection(V2, environments=(PROD, DEV))
    assert stands(cell(DEV, record(DEV, V1, rejections=(own,)), asks(V1))).rejection == own
    assert stands(cell(DEV, record(DEV, V1, rejections=(other,)), asks(V1))).rejection is None


def test_who_is_in_no_group_says_nothing() -> None:
    facts = in_line(WEB, (cell(DEV, record(DEV, V1), ask(V2)),))
    assert standings_of(Planned(facts, (), NOW), FleetSummary()) is None


@pytest.mark.parametrize(
    ("standing", "mates"),
    [
        pytest.param(READY, (API,), id="it is let in now, too"),
        pytest.param(Standing(rolls_since=HEAD), (API,), id="it was, by the same HEAD"),
        pytest.param(Standing(rolls_since=OTHER_HEAD), (), id="it rolls out since another one"),
        pytest.param(SETTLED, (), id="it stays as it is"),
    ],
)
def test_the_roll_out_remembers_with_whom_it_was_let_in(
    standing: Standing, mates: tuple[ServiceName, ...]
) -> None:
    (admit,) = planned(WANTS, fleet=fleet(standing))
    assert isinstance(admit, Admit) and admit.rollout is not None
    assert admit.rollout.mates == mates


def out(wanted: Ask | None = None, **health: Any) -> Cell:
    """Returns an environment where it rolls out, let in together with the other."""
    known = record(DEV, V2, rollout=rollout(V2, mates=(API,)))
    return cell(DEV, known, wanted or asks(), members={"dev-1": health} if health else {})


SINCE = Standing(rejection=rejection(V3, rejected_at=NOW + timedelta(seconds=1)))
LONG_AGO = Standing(rejection=rejection(V3))


def test_where_the_other_is_rejected_it_goes_no_further_and_is_not_proven() -> None:
    (hold,) = planned(out(), fleet=fleet(SINCE))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.GROUP_FAILED, False)
    assert hold.message == "3.0.0 of api was rejected, and is moved as one with it"
    # HEAD takes it back, as anything that is proven here: at once.
    assert said(planned(out(asks(V1)), fleet=fleet(SINCE))) == [f"Admit {Reason.PROVEN_HERE}"]
    # Its own failure is told as ever.
    bad = out(health=CRASHING, healthy_s=0.0)
    assert said(planned(bad, fleet=fleet(SINCE))) == ["Reject CrashLoopBackOff"]


@pytest.mark.parametrize(
    ("standing", "action"),
    [
        pytest.param(
            Standing(rolls_since=HEAD), f"Hold {Reason.WAITING_FOR_GROUP}", id="it is not as far"
        ),
        pytest.param(Standing(rolls_since=HEAD, is_soaked=True), "Prove Soaked", id="it is"),
        pytest.param(Standing(rolls_since=OTHER_HEAD), "Prove Soaked", id="something newer came"),
        pytest.param(SETTLED, "Prove Soaked", id="it is proven"),
    ],
)
def test_they_are_proven_together(standing: Standing, action: str) -> None:
    assert said(planned(out(), fleet=fleet(standing))) == [action]


def test_who_left_the_group_is_not_waited_for_and_who_is_not_known_is() -> None:
    assert said(planned(out(), fleet=FleetSummary())) == [f"Hold {Reason.WAITING_FOR_GROUP}"]
    assert said(planned(out(ask(V2)), fleet=FleetSummary())) == ["Prove Soaked"]
    unread = ask(None, commit=None, policy=None, reason=Reason.GIT_UNKNOWN)
    assert said(planned(out(unread), fleet=fleet(SETTLED))) == [f"Hold {Reason.WAITING_FOR_GROUP}"]


@pytest.mark.parametrize("standing", [SETTLED, Standing(rolls_since=HEAD)])
def test_whoever_is_as_far_says_so(standing: Standing) -> None:
    found = stands(out(), summary=fleet(standing))
    assert (found.rolls_since, found.is_soaked) == (HEAD, True)
    starts = stands(out(healthy_s=0.0), summary=fleet(standing))
    assert (starts.rolls_since, starts.is_soaked) == (HEAD, False)


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        pytest.param({}, False, id="by a commit"),
        pytest.param({"restore_to": None}, True, id="by a person: nothing is proven"),
        pytest.param({"irreversible": True}, True, id="by a person: it cannot come back"),
    ],
)
def test_who_takes_it_back(changes: dict[str, Any], page: bool) -> None:
    known = record(DEV, V2, rollout=rollout(V2, mates=(API,), **changes))
    (hold,) = planned(cell(DEV, known, asks()), fleet=fleet(SINCE))
    assert isinstance(hold, Hold) and (hold.reason, hold.page) == (Reason.GROUP_FAILED, page)


def test_a_pin_that_moves_by_itself_is_waited_for() -> None:
    facts = in_line(WEB, (cell(DEV, record(DEV, V1), asks(V1)),))
    move = CommitPin(WEB, DEV, V2, V1, HEAD, Promotion.AUTO, "ProvenBefore", "it is proven before")
    found = standings_of(Planned(facts, (move,), NOW), FleetSummary())
    assert found is not None
    assert found.cells[DEV] == Standing(True, False, "its pin is about to move")


def test_what_was_rejected_before_holds_nothing() -> None:
    assert said(planned(out(), fleet=fleet(LONG_AGO))) == ["Prove Soaked"]


def test_who_was_not_let_in_together_goes_on() -> None:
    alone = cell(DEV, record(DEV, V2, rollout=rollout(V2)), asks())
    assert said(planned(alone, fleet=fleet(SINCE))) == ["Prove Soaked"]
