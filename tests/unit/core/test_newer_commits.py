"""A newer release supersedes, queues, or boards a train."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import gates
from reconciler.core.boarding import FormerPin, boarding
from reconciler.model.actions import Admit
from reconciler.model.env_repo import Pin
from reconciler.model.facts import Cell, FleetSummary
from reconciler.model.fleet import ClusterState
from reconciler.model.fleet_counts import Places
from reconciler.model.groups import Standing, Standings
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    CURRENT,
    DEV,
    HEAD,
    NOW,
    PROD,
    STAGING,
    STARTING,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    planned,
    policy,
    record,
    rejection,
    rollout,
    said,
    view,
)
from tests.fakes.records import revision

API = ServiceName("api")
V4 = revision("4.0.0")
SLOW: dict[str, Any] = {"health": STARTING, "healthy_s": 0.0}


def rolling(*, age_s: float = 10.0, **rules: Any) -> PromotionRecord:
    """Returns the record of a dev that version 2 rolls out to."""
    began = NOW - timedelta(seconds=age_s)
    return record(DEV, V2, rollout=rollout(V2, policy=policy(DEV, **rules), admitted_at=began))


def dev(known: PromotionRecord, wanted: Revision = V3, **member: Any) -> Cell:
    return cell(DEV, known, ask(wanted), members={"dev-1": SLOW | member})


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(dev(rolling()), ["Admit GatesOpen"], id="supersede"),
        pytest.param(dev(rolling(finish_after_s=0.0)), ["Hold Progressing"], id="queue"),
        pytest.param(
            dev(rolling(finish_after_s=11.0)), ["Admit GatesOpen"], id="a train, not stale"
        ),
        pytest.param(dev(rolling(finish_after_s=10.0)), ["Hold Progressing"], id="a stale train"),
        pytest.param(
            dev(rolling(finish_after_s=0.0), V1), ["Admit ProvenHere"], id="back, never queues"
        ),
        pytest.param(dev(rolling(finish_after_s=0.0), V2), ["Hold Progressing"], id="itself"),
        pytest.param(
            dev(rolling(finish_after_s=0.0), waiting_s=600.0), ["Admit GatesOpen"], id="it is late"
        ),
        pytest.param(
            dev(rolling(finish_after_s=0.0), **AWAY, away_s=600.0),
            ["Hold ClusterUnreachable"],
            id="its cluster is away for long: then the gate of that is what holds",
        ),
        pytest.param(
            dev(rolling(finish_after_s=0.0), **UNREAD),
            ["Hold ClusterUnknown"],
            id="a moment in which it is read",
        ),
    ],
)
def test_while_one_rolls_out_a_newer_one(given: Cell, actions: list[str]) -> None:
    assert said(planned(given))[-1:] == actions


BUSY = FleetSummary(places={DEV: Places(1, (WEB,), next_up=API)})
MATE = FleetSummary(
    places=BUSY.places,
    groups={API: Standings(HEAD, {DEV: Standing(rolls_since=HEAD)})},
)
MATE_FAILED = FleetSummary(
    places=BUSY.places,
    groups={API: Standings(HEAD, {DEV: Standing(rejection=rejection(V2, rejected_at=NOW))})},
)


def grouped(**rules: Any) -> PromotionRecord:
    return record(DEV, V2, rollout=rollout(V2, mates=(API,), **rules))


@pytest.mark.parametrize(
    ("given", "fleet", "is_overtaken"),
    [
        pytest.param(dev(rolling()), FleetSummary(), True, id="nobody waits"),
        pytest.param(dev(rolling()), BUSY, False, id="another waits for its place"),
        pytest.param(
            dev(rolling(finish_after_s=100.0)), BUSY, False, id="a train makes no difference"
        ),
        pytest.param(dev(rolling(), V1), BUSY, True, id="back, never queues"),
        pytest.param(
            dev(rolling()),
            FleetSummary(places={DEV: Places(1, (), next_up=API)}),
            True,
            id="it keeps no place that anybody waits for",
        ),
        pytest.param(dev(rolling(), waiting_s=600.0), BUSY, True, id="it is late"),
        pytest.param(dev(rolling(), suspended=SUSPENDED), BUSY, True, id="a cluster is suspended"),
        pytest.param(
            dev(record(DEV, V2, rollout=rollout(V2, irreversible=True)), health=CRASHING),
            *(BUSY, True),
            id="it is bad and cannot come back: whoever mends it is let through",
        ),
        pytest.param(dev(grouped()), MATE, False, id="its group moves with it"),
        pytest.param(dev(grouped()), MATE_FAILED, True, id="one of its group was rejected"),
        pytest.param(
            dev(grouped(), health=CURRENT, healthy_s=60.0),
            *(MATE, True),
            id="it is well, and waits for one of its group that may be stuck",
        ),
        pytest.param(
            dev(grouped(), health=CURRENT, healthy_s=59.0), MATE, False, id="it soaks still"
        ),
    ],
)
def test_while_one_rolls_out_in_the_place_that_another_waits_for(
    given: Cell, fleet: FleetSummary, is_overtaken: bool
) -> None:
    actions = planned(given, fleet=fleet)
    assert any(isinstance(action, Admit) for action in actions) is is_overtaken


def test_the_gate_says_who_waits_for_the_place() -> None:
    here = dev(rolling())
    (gate,) = [g for g in gates.admission(view(here, fleet=BUSY), V3) if g.name == "NotOvertaking"]
    assert gate.reason is Reason.QUEUED
    told = "2.0.0 rolls out, and is finished before 3.0.0 is taken; api waits for its place"
    assert gate.message == told


def prod(known: PromotionRecord, **members: dict[str, Any]) -> tuple[Cell, ...]:
    """Returns a prod that runs version 2, by whatever record, before which version 3 is proven, too."""
    passed = replace(record(STAGING, V3), proofs=record(STAGING, V3).proofs)
    named = {name.replace("_", "-"): SLOW | changes for name, changes in members.items()}
    return (
        cell(DEV, record(DEV, V3)),
        cell(STAGING, passed),
        cell(PROD, known, ask(V3, PROD), members=named),
    )


def queued(**changes: Any) -> PromotionRecord:
    return record(PROD, V2, rollout=rollout(V2, PROD, policy=policy(PROD, finish_after_s=0.0)))


@pytest.mark.parametrize(
    ("members", "is_overtaken"),
    [
        pytest.param({"prod_1": {}}, False, id="it moves"),
        pytest.param({"prod_2": {}, "prod_3": AWAY}, False, id="one has just gone away"),
        pytest.param({"prod_3": AWAY | {"away_s": 600.0}}, True, id="one is away for long"),
        pytest.param({"prod_3": {"waiting_s": 600.0}}, True, id="one is late"),
        pytest.param(
            {f"prod_{n}": {"state": ClusterState.DRAINING} for n in (1, 2, 3)},
            True,
            id="none of its clusters is active",
        ),
    ],
)
def test_what_does_not_move_is_overtaken(
    members: dict[str, dict[str, Any]], is_overtaken: bool
) -> None:
    # Version 2 is proven before, too, so that nothing but what is said holds it.
    cells = prod(queued(), **members)
    before = tuple(
        replace(c, record=replace(c.record, proofs=(*c.record.proofs, *record(DEV, V2).proofs)))
        for c in cells[:2]
        if c.record is not None
    )
    actions = planned(*before, cells[2])
    assert any(isinstance(a, Admit) and a.revision == V3 for a in actions) is is_overtaken


def test_what_a_gate_of_its_own_holds_is_overtaken() -> None:
    """Version 2 is forgotten by the environments before: it would be held before its next wave for ever."""
    cells = prod(queued(), prod_1={})
    assert said(planned(*cells))[-1] == "Admit GatesOpen"


def test_a_rejected_one_is_overtaken() -> None:
    bad = rejection(V2, DEV, rolled_back_at=None)
    known = replace(rolling(finish_after_s=0.0), rejections=(bad,), proofs=())
    assert said(planned(dev(known)))[-1] == "Admit GatesOpen"


def test_a_train_counts_from_the_first_that_was_overtaken() -> None:
    (first,) = planned(dev(rolling(age_s=10.0, finish_after_s=100.0)))
    assert isinstance(first, Admit) and first.rollout is not None
    assert first.rollout.began_at == NOW - timedelta(seconds=10)
    again = replace(first.rollout, admitted_at=NOW, policy=policy(DEV, finish_after_s=100.0))
    (second,) = planned(dev(record(DEV, V3, rollout=again), V4))
    assert isinstance(second, Admit) and second.rollout is not None
    assert second.rollout.began_at == NOW - timedelta(seconds=10)
    began = NOW - timedelta(seconds=100)
    stale = replace(second.rollout, began_at=began, policy=policy(DEV, finish_after_s=100.0))
    assert said(planned(dev(record(DEV, V4, rollout=stale), V2))) == ["Hold Progressing"]


def test_what_is_admitted_in_nobodys_place_begins_then() -> None:
    (admit,) = planned(cell(DEV, record(DEV), ask(V2)))
    assert isinstance(admit, Admit) and admit.rollout is not None
    assert admit.rollout.began_at is None


def staging(boards: Revision | None, *passed: Revision, **asked: Any) -> tuple[Cell, ...]:
    """Returns a staging that HEAD asks for version 4 in, after a dev in which some are proven."""
    proofs = tuple(p for r in passed for p in record(DEV, r).proofs[:1])
    return (
        cell(DEV, replace(record(DEV, V4), admitted=V4, proofs=proofs)),
        cell(STAGING, record(STAGING, V1), ask(V4, STAGING, boarding=boards, **asked)),
    )


@pytest.mark.parametrize(
    ("cells", "version"),
    [
        pytest.param(staging(V3, V3, V1), "3.0.0", id="what is proven before goes ahead"),
        pytest.param(staging(None, V3, V1), None, id="nothing boards"),
        pytest.param(staging(V3, V4, V3), "4.0.0", id="what HEAD asks for is proven"),
        pytest.param(staging(V3, V1), None, id="what boards passes the same gates"),
        pytest.param(staging(V3, V3, paused=True), None, id="paused"),
        pytest.param(staging(V1, V1), None, id="it is admitted already"),
    ],
)
def test_on_a_train_a_later_environment_is_given(
    cells: tuple[Cell, ...], version: str | None
) -> None:
    admits = [a for a in planned(*cells) if isinstance(a, Admit)]
    assert [a.revision.release.version for a in admits] == ([version] if version else [])


# Which release boards.


def former(of: Revision) -> FormerPin:
    release = of.release
    commit = CommitId((of.release.version[0] * 40)[:40])
    given = Pin(
        environment=STAGING,
        service=WEB,
        version=release.version,
        images=release.images,
        source=None,
        values=of.values,
        cluster_values=of.values,
        paused=False,
        adopt_overwrite=False,
    )
    return FormerPin(commit, given)


BY_VERSION = {r.release.version: r for r in (V1, V2, V3, V4)}


def boards(history: list[Revision], admitted: Revision, *proven: Revision) -> Revision | None:
    return boarding(
        map(former, history),
        admitted,
        resolved=lambda one: BY_VERSION.get(one.pin.version),
        is_proven=lambda one: one in proven,
    )


@pytest.mark.parametrize(
    ("history", "admitted", "proven", "found"),
    [
        ([V4, V3, V2, V1], V1, [V2, V3], V3),
        ([V4, V3, V2, V1], V1, [V2], V2),
        ([V4, V3, V2, V1], V1, [], None),
        ([V4, V3, V2, V1], V3, [V2], None),
        ([V4, V1, V3, V2, V1], V1, [V3], None),
        ([V4, V3, V2], V1, [V2, V3], None),
        ([], V1, [V1], None),
    ],
)
def test_the_newest_that_is_proven_before_boards_and_no_train_runs_backwards(
    history: list[Revision], admitted: Revision, proven: list[Revision], found: Revision | None
) -> None:
    assert boards(history, admitted, *proven) == found


@given(
    st.lists(st.sampled_from([V1, V2, V3, V4]), max_size=8),
    st.sampled_from([V1, V2, V3, V4]),
    st.sets(st.sampled_from([V1, V2, V3, V4])),
)
def test_what_boards_is_proven_and_stands_before_what_is_admitted(
    history: list[Revision], admitted: Revision, proven: set[Revision]
) -> None:
    found = boards(history, admitted, *proven)
    if found is None:
        return
    assert found in proven
    assert history.index(found) < history.index(admitted)
