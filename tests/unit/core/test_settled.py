"""An environment with nothing on its way: kept, watched, put back, or open for what is new."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.judging import APPLY_REFUSED
from reconciler.model.actions import Admit, FinishRollBack, Hold, Prove, Reject
from reconciler.model.facts import Ask, Cell, FleetSummary
from reconciler.model.names import ClusterName, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, Origin
from reconciler.model.release import Values
from tests.fakes.facts import (
    AWAY,
    BLOWN_UNTIL,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STARTING,
    STUCK,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    comes_back,
    member,
    planned,
    proof,
    record,
    rejection,
    said,
)
from tests.fakes.records import revision

WATCHED = NOW + timedelta(seconds=1)
STOPPED: dict[str, Any] = {"suspended": SUSPENDED}


def plan(given: Cell, **fleet: Any) -> list[str]:
    """Returns in short what is planned for a cell alone."""
    return said(planned(given, fleet=FleetSummary(**fleet)))


# Kept as admitted.


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(cell(PROD, record(PROD)), ["Hold Settled"], id="all is as it should be"),
        pytest.param(
            cell(PROD, record(PROD), on={"prod-2": None}),
            ["Deliver prod-2 1.0.0"],
            id="a cluster that joined is given what is proven",
        ),
        pytest.param(
            cell(PROD, record(PROD), on={"prod-2": V2}),
            ["Deliver prod-2 1.0.0"],
            id="a cluster that comes back with something else is given what is proven",
        ),
        pytest.param(
            cell(PROD, record(PROD), on={"prod-2": V2}, members={"prod-2": AWAY}),
            ["Hold Settled"],
            id="a cluster that is away is given nothing, and is told of by itself",
        ),
        pytest.param(
            cell(PROD, record(PROD), on={"prod-2": V2}, members={"prod-2": UNREAD}),
            ["Hold ClusterUnknown"],
            id="a cluster that was not read is given nothing, and is waited for",
        ),
        pytest.param(
            cell(PROD, record(PROD), on={"prod-2": V2}, members={"prod-2": STOPPED}),
            ["Hold Suspended"],
            id="a suspended cluster is given nothing, and is waited for",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(V2, PROD)),
            ["Admit GatesOpen"],
            id="something new comes in",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(V2, PROD), on={"prod-2": None}),
            ["Admit GatesOpen"],
            id="what is new goes before what is missing",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(V2, PROD, paused=True)),
            ["Hold Paused"],
            id="a gate is closed",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(V2, PROD, paused=True), on={"prod-2": None}),
            ["Deliver prod-2 1.0.0"],
            id="a closed gate keeps nothing from what is missing",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(None, PROD, reason=Reason.ORPHANED, message="gone")),
            ["Hold Orphaned"],
            id="nothing is asked for any more",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(None, PROD, policy=None)),
            ["Hold GitUnknown"],
            id="what is asked for is not known",
        ),
        pytest.param(
            cell(DEV, record(DEV, V1, proofs=(proof(V1), proof(V2))), ask(V2)),
            ["Admit ProvenHere"],
            id="a pin put back to what is proven here goes at once",
        ),
    ],
)
def test_a_settled_environment(given: Cell, actions: list[str]) -> None:
    assert plan(given) == actions


@pytest.mark.parametrize("on", [{}, {"prod-2": None, "prod-3": V2}], ids=["whole", "half-way"])
def test_what_failed_with_nothing_proven_stops_where_it_stands(on: dict[str, Any]) -> None:
    known = record(PROD, V1, proofs=(), rejections=(rejection(V1, PROD, restore_to=None),))
    given = cell(PROD, known, ask(V1, PROD), on=on, members={"prod-1": {"health": CRASHING}})
    (hold,) = planned(given)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.NOTHING_PROVEN, True)


def test_another_release_may_follow_one_that_failed_with_nothing_proven() -> None:
    known = record(PROD, V1, proofs=(), rejections=(rejection(V1, PROD, restore_to=None),))
    assert plan(cell(PROD, known, ask(V2, PROD))) == ["Admit GatesOpen"]


# Going back.


def returning(
    *, on: dict[str, Any] | None = None, members: dict[str, dict[str, Any]] | None = None
) -> Cell:
    """Returns prod on its way back from version 2 to version 1."""
    bad = rejection(V2, PROD, rolled_back_at=None)
    return cell(PROD, record(PROD, V1, rejections=(bad,)), ask(V1, PROD), on=on, members=members)


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(
            returning(on={"prod-1": V2, "prod-2": V2, "prod-3": V2}),
            ["Deliver prod-1 1.0.0 back", "Deliver prod-2 1.0.0 back", "Deliver prod-3 1.0.0 back"],
            id="every cluster at once, whatever its wave",
        ),
        pytest.param(
            returning(on={"prod-1": V2}, members={"prod-1": AWAY}),
            ["FinishRollBack RolledBack"],
            id="one that is away is not waited for",
        ),
        pytest.param(
            returning(on={"prod-1": V2}, members={"prod-1": UNREAD}),
            ["Hold RollingBack"],
            id="one that answers and was not read is waited for",
        ),
        pytest.param(
            returning(on={"prod-1": V2}, members={"prod-1": STOPPED}),
            ["FinishRollBack RolledBack"],
            id="a suspended one is not waited for",
        ),
        pytest.param(
            returning(members={name: AWAY for name in ("prod-1", "prod-2", "prod-3")}),
            ["Hold RollingBack"],
            id="with no cluster left nothing is complete",
        ),
        pytest.param(
            returning(members={name: UNREAD for name in ("prod-1", "prod-2", "prod-3")}),
            ["Hold RollingBack"],
            id="with no cluster read nothing is complete",
        ),
        pytest.param(
            returning(members={"prod-3": {"health": STARTING}}),
            ["Hold RollingBack"],
            id="one is not current yet",
        ),
        pytest.param(
            returning(members={"prod-3": {"healthy_s": 0.0}}),
            ["FinishRollBack RolledBack"],
            id="going back needs no soak",
        ),
    ],
)
def test_a_roll_back(given: Cell, actions: list[str]) -> None:
    assert plan(given) == actions


def test_a_complete_roll_back_is_written_down_with_its_time() -> None:
    (action,) = planned(returning())
    assert isinstance(action, FinishRollBack)
    assert action.rejection == rejection(V2, PROD, rolled_back_at=NOW)


def test_a_roll_back_takes_no_heed_of_a_halt_or_a_fuse_or_an_incident() -> None:
    fleet: dict[str, Any] = {"halted": "x", "platform_incident": frozenset({WEB})}
    fleet |= {"fuses_blown": {WEB: BLOWN_UNTIL}, "fleet_fuse_blown": BLOWN_UNTIL}
    given = returning(on={"prod-1": V2})
    assert plan(given, **fleet) == ["Deliver prod-1 1.0.0 back"]
    assert plan(returning(), **fleet) == ["FinishRollBack RolledBack"]


def test_a_newer_commit_waits_until_a_roll_back_is_complete() -> None:
    given = returning(members={"prod-3": {"health": STARTING}})
    assert plan(replace(given, ask=ask(V3, PROD))) == ["Hold RollingBack"]


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        pytest.param(
            {"health": STARTING, "waiting_s": 30.0}, False, id="not one that is on its way"
        ),
        pytest.param({"health": STARTING, "waiting_s": 600.0}, True, id="one that takes too long"),
        pytest.param({"health": STUCK}, True, id="one that fails"),
    ],
)
def test_a_roll_back_that_does_not_heal_by_waiting_pages(
    changes: dict[str, Any], page: bool
) -> None:
    (hold,) = planned(returning(members={"prod-3": changes}))
    assert isinstance(hold, Hold)
    assert hold.page is page


def test_a_roll_back_that_no_cluster_hears_of_pages() -> None:
    away = {name: AWAY for name in ("prod-1", "prod-2", "prod-3")}
    (hold,) = planned(returning(members=away))
    assert isinstance(hold, Hold)
    assert (hold.page, hold.message) == (True, "going back to 1.0.0; no cluster answers")


def test_what_is_admitted_without_any_proof_pages() -> None:
    (hold,) = planned(cell(DEV, record(DEV, V1, proofs=())))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.NOTHING_PROVEN, True)


def test_a_roll_back_that_the_server_refuses_pages() -> None:
    given = returning()
    was = given.members[0].record
    assert was is not None
    failed = replace(was, state=ApplyState.FAILED, applied=None, reason=APPLY_REFUSED)
    refused = replace(given.members[0], record=failed, health=STARTING)
    (hold,) = planned(replace(given, members=(refused, *given.members[1:])))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.ROLLING_BACK, True)


# Failing after a proof.


def failing(
    *,
    watch_until: Any = WATCHED,
    wanted: Ask | None = None,
    proofs: tuple[Any, ...] = (),
    **changes: Any,
) -> Cell:
    """Returns dev, where version 2 was proven and now crashes."""
    newest = proof(V2, watch_until=watch_until)
    known = record(DEV, V2, proofs=(newest, *(proofs or (proof(V1),))))
    return cell(DEV, known, wanted, members={"dev-1": {"health": CRASHING}}, **changes)


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(
            failing(), ["Reject CrashLoopBackOff"], id="within its watch it is taken back"
        ),
        pytest.param(
            failing(watch_until=NOW),
            ["Hold FailingAfterProof"],
            id="when the watch is over it is told",
        ),
        pytest.param(
            failing(watch_until=None),
            ["Hold FailingAfterProof"],
            id="what is never watched is told",
        ),
        pytest.param(
            failing(proofs=(proof(V2),)),
            ["Hold FailingAfterProof"],
            id="with nothing before it it is told",
        ),
        pytest.param(
            failing(watch_until=NOW, wanted=ask(V3)),
            ["Admit GatesOpen"],
            id="something newer may come in",
        ),
        pytest.param(
            failing(watch_until=NOW, wanted=ask(V3, paused=True)),
            ["Hold FailingAfterProof"],
            id="something newer that may not come in helps nobody",
        ),
    ],
)
def test_what_fails_after_its_proof(given: Cell, actions: list[str]) -> None:
    assert plan(given) == actions


def test_several_services_that_fail_after_their_proof_are_held_together() -> None:
    fleet = {"platform_incident": frozenset({WEB, ServiceName("api")})}
    assert plan(failing(), **fleet) == ["Hold PlatformIncident"]


def test_a_failure_after_proof_keeps_nothing_from_a_cluster_that_comes_back() -> None:
    known = record(PROD, V2)
    given = cell(PROD, known, on={"prod-3": V1}, members={"prod-1": {"health": CRASHING}})
    assert plan(given) == ["Deliver prod-3 2.0.0", "Hold FailingAfterProof"]


def test_a_cluster_that_joined_cannot_undo_a_proof() -> None:
    known = record(PROD, V2, proofs=(proof(V2, PROD, watch_until=WATCHED), proof(V1, PROD)))
    given = cell(PROD, known)
    joined = member(ClusterName("prod-4"), record=given.members[0].record, health=CRASHING)
    (hold,) = planned(replace(given, members=(*given.members, joined)))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.FAILING_AFTER_PROOF, True)
    assert "prod-4" in hold.message


def test_what_an_environment_before_rejects_goes_back_here_as_well() -> None:
    dev = cell(DEV, record(DEV, V1, rejections=(rejection(V2),)))
    (action,) = planned(dev, cell(PROD, record(PROD, V2)))
    assert isinstance(action, Reject)
    assert (action.reason, action.rejection.restore_to) == ("RejectedBefore", V1)


def test_what_an_environment_before_rejects_is_kept_from_further_clusters_until_something_newer() -> (
    None
):
    dev = cell(DEV, record(DEV, V1, proofs=(proof(V1), proof(V3)), rejections=(rejection(V2),)))
    known = record(PROD, V2, proofs=(proof(V2, PROD),))
    here = cell(PROD, known, on={"prod-3": None})
    (hold,) = planned(dev, here)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.NOTHING_PROVEN, True)
    newer = comes_back(ask(V3, PROD), known)
    assert said(planned(dev, replace(here, ask=newer))) == ["Admit GatesOpen"]


# Values that do not wait.

MORE = revision("1.0.0", values=Values.of({"replicas": 3}))


@pytest.mark.parametrize(
    ("wanted", "actions"),
    [
        pytest.param(
            ask(V2, paused=False, immediate=MORE),
            ["Admit GatesOpen"],
            id="they go with an open release",
        ),
        pytest.param(
            ask(V2, quarantine=None, immediate=MORE),
            ["Hold QuarantineUnreadable"],
            id="what holds both holds them",
        ),
        pytest.param(ask(V1, immediate=MORE), ["Hold Settled"], id="nothing waits"),
    ],
)
def test_immediate_values_of_a_pending_release(wanted: Ask, actions: list[str]) -> None:
    assert plan(cell(DEV, record(DEV), wanted)) == actions


def test_immediate_values_do_not_wait_for_a_release_that_is_held() -> None:
    dev = cell(DEV, record(DEV))
    (action,) = planned(dev, cell(PROD, record(PROD), ask(V2, PROD, immediate=MORE)))
    assert isinstance(action, Admit)
    assert (action.revision, action.rollout is not None) == (MORE, True)
    (hold,) = planned(dev, cell(PROD, record(PROD, MORE), ask(V2, PROD, immediate=MORE)))
    assert isinstance(hold, Hold)
    assert hold.reason is Reason.WAITING_FOR_PROOF


# Adopted, and not yet observed.


def adopted(wanted: Ask | None = None, **changes: Any) -> Cell:
    """Returns dev with an adopted version 1."""
    taken = proof(V1, origin=Origin.ADOPTED, opens_gates=False)
    return cell(DEV, record(DEV, V1, proofs=(taken,)), wanted, members={"dev-1": changes})


def test_an_adopted_revision_opens_gates_after_a_whole_soak() -> None:
    (action,) = planned(adopted(healthy_s=60.0))
    assert isinstance(action, Prove)
    assert (action.proof.opens_gates, action.proof.origin) == (True, Origin.ADOPTED)
    assert action.proof.proven_at == NOW


@pytest.mark.parametrize(
    ("given", "reason", "due_in_s"),
    [
        pytest.param(adopted(healthy_s=20.0), Reason.WAITING_FOR_SOAK, 40.0, id="its soak goes on"),
        pytest.param(
            adopted(healthy_s=20.0, health=STARTING),
            Reason.PROGRESSING,
            600.0,
            id="it is not well",
        ),
        pytest.param(
            adopted(healthy_s=20.0, **AWAY), Reason.CLUSTER_UNREACHABLE, None, id="nobody looks"
        ),
        pytest.param(
            adopted(ask(V1, policy=None)), Reason.GIT_UNKNOWN, None, id="its soak is not known"
        ),
    ],
)
def test_an_adopted_revision_is_observed_first(
    given: Cell, reason: Reason, due_in_s: float | None
) -> None:
    (hold,) = planned(given)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.due_in_s) == (reason, due_in_s)
