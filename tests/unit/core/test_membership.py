"""Clusters that join or drain: nobody waits for them, and each is put where it belongs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.fuses import counts_of, plan_fleet
from reconciler.core.gates import admission
from reconciler.core.judging import APPLY_REFUSED
from reconciler.core.phase import Phase, phase_of
from reconciler.core.reach import reach
from reconciler.model.actions import Admit, Hold, Prove
from reconciler.model.facts import Cell, LiveState, Ordered
from reconciler.model.fleet import ClusterState
from reconciler.model.names import ClusterName
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, Origin
from reconciler.model.release import Values
from tests.fakes.facts import (
    AWAY,
    CLUSTERS,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    STARTING,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    V3,
    ask,
    cell,
    in_line,
    planned,
    policy,
    proof,
    record,
    rejection,
    rollout,
    said,
    states,
    view,
)
from tests.fakes.records import revision

V4 = revision("4.0.0")
PROD_1, PROD_2, PROD_3 = CLUSTERS[PROD]
JOINS: dict[str, Any] = {"state": ClusterState.JOINING}
DRAINS: dict[str, Any] = {"state": ClusterState.DRAINING}
ROLLING = record(PROD, V2, rollout=rollout(V2, PROD))
BACK = rejection(V2, PROD, rolled_back_at=None)
RETURNING = record(PROD, V1, rejections=(BACK,))
RETURNED = record(PROD, V1, rejections=(rejection(V2, PROD),))
WATCHED = (proof(V2, PROD, watch_until=NOW + timedelta(seconds=1)), proof(V1, PROD))


def prod(known: Any = None, *, on: Any = None, **members: dict[str, Any]) -> Cell:
    """Returns a cell of three clusters, some of them changed; `prod_3` names prod-3."""
    named = {name.replace("_", "-"): changes for name, changes in members.items()}
    return cell(PROD, known or record(PROD), on=on, members=named)


def with_record(given: Cell, cluster: str, **changes: Any) -> Cell:
    members = (
        replace(m, record=replace(m.record, **changes)) if m.cluster == cluster and m.record else m
        for m in given.members
    )
    return replace(given, members=tuple(members))


NO_JOINING_IS_WAITED_FOR = [
    pytest.param(prod(ROLLING, prod_3=DRAINS), ["Prove Soaked"], id="draining, with the release"),
    pytest.param(
        prod(ROLLING, on={"prod-3": V1}, prod_3=DRAINS), ["Prove Soaked"], id="draining, without it"
    ),
    pytest.param(
        prod(ROLLING, on={"prod-3": V1}, prod_3=JOINS), ["Prove Soaked"], id="joining, without it"
    ),
    pytest.param(
        prod(ROLLING, on={"prod-3": None}, prod_3=JOINS),
        ["Deliver prod-3 1.0.0"],
        id="joining, with nothing: it is given what is proven",
    ),
    pytest.param(
        prod(ROLLING, on={"prod-3": None}, prod_3=DRAINS),
        ["Prove Soaked"],
        id="draining, with nothing: it is given nothing",
    ),
    pytest.param(prod(ROLLING, prod_3=DRAINS | AWAY), ["Prove Soaked"], id="draining, away"),
    pytest.param(
        prod(ROLLING, prod_3=DRAINS | {"health": CRASHING}),
        ["Prove Soaked"],
        id="draining, failing",
    ),
    pytest.param(
        prod(ROLLING, prod_1=DRAINS | {"healthy_s": 0.0}), ["Prove Soaked"], id="of the first wave"
    ),
]


@pytest.mark.parametrize(("given", "actions"), NO_JOINING_IS_WAITED_FOR)
def test_a_roll_out_waits_for_active_clusters_alone(given: Cell, actions: list[str]) -> None:
    found = said(planned(given))
    assert [a for a in found if a.startswith("Deliver")] or found[-1:] == ["Prove Soaked"]
    assert [a for a in found if a in actions] == actions


def test_a_proof_names_the_active_clusters_alone_and_what_they_run() -> None:
    (prove,) = (a for a in planned(prod(ROLLING, prod_3=DRAINS)) if isinstance(a, Prove))
    assert prove.proof.members == ("prod-1", "prod-2")
    (of_two,) = (a for a in planned(prod(ROLLING, prod_3=JOINS)) if isinstance(a, Prove))
    assert prove.proof.renders == of_two.proof.renders
    (whole,) = (a for a in planned(prod(ROLLING)) if isinstance(a, Prove))
    assert prove.proof.renders != whole.proof.renders


def test_a_draining_cluster_is_no_spare_of_a_quorum() -> None:
    """Of three, 60 % are two and one can be spared; of two, both are needed."""
    rules = rollout(V2, PROD, policy=policy(PROD, quorum=60, skip_after_s=1.0))
    known = record(PROD, V2, rollout=rules)
    away = AWAY | {"away_s": 100.0}
    assert reach(prod(known, prod_2=away), rules).left_out
    assert not reach(prod(known, prod_2=away, prod_3=DRAINS), rules).left_out


ALL_DRAIN = {f"prod_{n}": DRAINS for n in (1, 2, 3)}


def test_a_roll_out_without_an_active_cluster_proves_nothing() -> None:
    (hold,) = planned(prod(ROLLING, **ALL_DRAIN))
    assert isinstance(hold, Hold) and not hold.page
    assert said((hold,)) == ["Hold Orphaned"] and "active" in hold.message


def test_a_roll_out_that_lost_all_its_clusters_begins_anew_where_others_are_active() -> None:
    rules = replace(policy(PROD), waves=((PROD_1,), (PROD_2,)))
    known = record(PROD, V2, rollout=rollout(V2, PROD, policy=rules))
    given = prod(known, on={"prod-3": V1}, prod_1=DRAINS, prod_2=DRAINS)
    now = replace(policy(PROD), waves=((PROD_3,),))
    given = replace(given, ask=ask(V2, PROD, policy=now))
    proven = record(STAGING, V2)
    before = (cell(DEV, record(DEV, V2)), cell(STAGING, proven))
    admits = [a for a in planned(*before, given) if isinstance(a, Admit)]
    assert [a.rollout.policy.waves for a in admits if a.rollout] == [((PROD_3,),)]
    # Through the same gates: what is not proven before it does not begin anew either.
    unproven = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING)))
    assert said(planned(*unproven, given))[-1] == "Hold WaitingForProof"
    # What is asked for by now is another: that is for the gates of that one.
    other = replace(given, ask=ask(V3, PROD, policy=now))
    assert said(planned(*before, other))[-1] == "Hold WaitingForProof"
    # A cluster that is gone without a word is still asked after.
    gone = replace(given, members=given.members[1:])
    assert said(planned(*before, gone))[-1] == "Hold Orphaned"
    # Meanwhile one that joins has what is proven, and one that drains goes on with what it has.
    joins = replace(given.members[2], cluster=ClusterName("prod-4"), record=None, **JOINS)
    whole = replace(given, members=(*given.members, joins))
    assert "Deliver prod-4 1.0.0" in said(planned(*before, whole))


def test_one_that_drained_and_left_is_missed_by_no_roll_out() -> None:
    without = prod(ROLLING)
    without = replace(without, members=without.members[:2])
    assert said(planned(without))[-1] == "Hold Orphaned"
    assert said(planned(replace(without, left=(PROD_3,)))) == ["Prove Soaked"]
    none = replace(without, members=(), left=(PROD_1, PROD_2, PROD_3))
    assert said(planned(none)) == ["Hold Orphaned"]


def test_a_release_is_not_rejected_by_a_cluster_that_joins_or_drains() -> None:
    failing = {"health": CRASHING, "healthy_s": 0.0}
    for state in (JOINS, DRAINS):
        given = prod(ROLLING, prod_3=state | failing)
        assert not [a for a in said(planned(given)) if a.startswith("Reject")]
        watched = prod(record(PROD, V2, proofs=WATCHED), prod_3=state | failing)
        assert not [a for a in said(planned(watched)) if a.startswith("Reject")]
    assert said(planned(prod(ROLLING, prod_3=failing)))[0].startswith("Reject")
    assert said(planned(prod(record(PROD, V2, proofs=WATCHED), prod_3=failing)))[0] == (
        "Reject CrashLoopBackOff"
    )


def test_with_none_active_the_word_of_all_counts() -> None:
    failing = {"health": CRASHING, "healthy_s": 0.0}
    given = prod(ROLLING, **{**ALL_DRAIN, "prod_3": DRAINS | failing})
    assert said(planned(given))[0] == "Reject CrashLoopBackOff"


SETTLED_CASES = [
    pytest.param(prod(on={"prod-3": None}, prod_3=JOINS), ["Deliver prod-3 1.0.0"], id="joins"),
    pytest.param(
        prod(record(PROD, V2), on={"prod-3": V1}, prod_3=JOINS),
        ["Deliver prod-3 2.0.0"],
        id="joins with what is older",
    ),
    pytest.param(
        prod(record(PROD, V2), on={"prod-3": V1}, prod_3=DRAINS),
        ["Hold Settled"],
        id="drains with what is older",
    ),
    pytest.param(prod(on={"prod-3": None}, prod_3=DRAINS), ["Hold Settled"], id="drains, empty"),
    pytest.param(
        with_record(prod(prod_3=DRAINS), "prod-3", keep=()),
        ["Hold Settled"],
        id="what is kept for it moves no draining one",
    ),
    pytest.param(
        with_record(prod(prod_3=DRAINS), "prod-3", drift=DriftMode.CORRECT),
        ["Deliver prod-3 1.0.0"],
        id="what becomes of its drift is the policy's, too",
    ),
    pytest.param(
        with_record(prod(RETURNED, prod_3=DRAINS), "prod-3", rejection=RETURNED.rejections[0]),
        ["Deliver prod-3 1.0.0"],
        id="a rejection that was brought home is cleared",
    ),
    pytest.param(
        with_record(prod(prod_3=DRAINS), "prod-3", state=ApplyState.APPLYING, applied=None),
        ["Deliver prod-3 1.0.0"],
        id="drains half changed: what it was given is finished",
    ),
    pytest.param(
        prod(prod_3=DRAINS | {"order": Ordered(V1.id)}),
        ["Hold Settled", "Withdraw NotWanted"],
        id="drains, and what waits is there already",
    ),
    pytest.param(
        prod(on={"prod-3": V2}, prod_3=DRAINS | {"order": Ordered(V1.id)}),
        ["Deliver prod-3 2.0.0"],
        id="drains, and what was ordered before is taken back",
    ),
    pytest.param(
        prod(record(PROD, V2, proofs=()), on={"prod-3": None}, prod_3=JOINS),
        ["Hold NothingProven"],
        id="nothing proven: a joining one is given nothing",
    ),
    pytest.param(
        prod(prod_3=DRAINS | AWAY | {"health": CRASHING}),
        ["Hold Settled"],
        id="drains, switched off",
    ),
    pytest.param(
        prod(prod_3=DRAINS | {"health": CRASHING}), ["Hold Settled"], id="drains, and fails"
    ),
    pytest.param(
        prod(prod_3=JOINS | {"health": CRASHING}),
        ["Hold FailingAfterProof"],
        id="joins, and fails with what is proven",
    ),
    pytest.param(
        prod(prod_3=JOINS | {"health": STARTING, "healthy_s": 0.0}), ["Hold Joining"], id="starts"
    ),
    pytest.param(prod(prod_3=JOINS | UNREAD), ["Hold Settled"], id="joins, being read"),
    pytest.param(prod(prod_3=JOINS | AWAY), ["Hold Settled"], id="joins, away"),
    pytest.param(
        prod(prod_3=JOINS | {"suspended": SUSPENDED, "health": STARTING, "healthy_s": 0.0}),
        ["Hold Settled"],
        id="joins, suspended",
    ),
    pytest.param(prod(prod_3=DRAINS | {"other": "them"}), ["Hold Settled"], id="another's drains"),
]


@pytest.mark.parametrize(("given", "actions"), SETTLED_CASES)
def test_a_settled_environment(given: Cell, actions: list[str]) -> None:
    assert said(planned(given)) == actions


def test_a_joining_cluster_that_takes_too_long_pages_and_the_environment_is_still_proven() -> None:
    late = {"health": STARTING, "healthy_s": 0.0, "waiting_s": 700.0}
    given = prod(prod_3=JOINS | late)
    (hold,) = planned(given)
    assert isinstance(hold, Hold) and hold.page
    assert phase_of(given, (hold,)) is Phase.PROVEN


# Going back.


def test_every_cluster_with_the_bad_release_goes_back_and_the_active_ones_are_waited_for() -> None:
    given = prod(RETURNING, on=dict.fromkeys(("prod-1", "prod-2", "prod-3"), V2), prod_2=DRAINS)
    assert said(planned(given)) == [f"Deliver prod-{n} 1.0.0 back" for n in (1, 2, 3)]
    slow = prod(RETURNING, on={"prod-2": V2}, prod_2=DRAINS)
    assert said(planned(slow)) == ["Deliver prod-2 1.0.0 back", "FinishRollBack RolledBack"]
    away = prod(RETURNING, on={"prod-2": V2}, prod_2=DRAINS | AWAY)
    assert said(planned(away)) == ["FinishRollBack RolledBack"]
    unread = prod(RETURNING, on={"prod-2": V2}, prod_2=JOINS | UNREAD)
    assert said(planned(unread)) == ["FinishRollBack RolledBack"]


def test_one_that_drains_with_something_else_stays_on_a_way_back() -> None:
    given = prod(RETURNING, on={"prod-3": V3}, prod_3=DRAINS)
    assert said(planned(given)) == ["FinishRollBack RolledBack"]


def test_after_the_way_back_one_that_drains_with_the_bad_release_is_put_back_all_the_same() -> None:
    given = prod(RETURNED, on={"prod-3": V2}, prod_3=DRAINS)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0 back"]


@pytest.mark.parametrize(
    ("changes", "pages"),
    [
        pytest.param({"health": STARTING}, False, id="on its way"),
        pytest.param({"health": STARTING, "waiting_s": 700.0}, True, id="late"),
        pytest.param({"health": CRASHING}, True, id="failing"),
    ],
)
@pytest.mark.parametrize("state", [JOINS, DRAINS])
def test_a_way_back_that_nobody_waits_for_pages_when_it_does_not_heal(
    state: dict[str, Any], changes: dict[str, Any], pages: bool
) -> None:
    given = prod(RETURNED, prod_3=state | {"healthy_s": 0.0} | changes)
    given = with_record(given, "prod-3", returning=True, proven=False)
    hold = planned(given)[-1]
    assert isinstance(hold, Hold) and hold.page is pages
    if not (state is JOINS and changes["health"] is CRASHING):
        assert hold.reason == "RollingBack"


def test_once_it_is_well_it_counts_as_returning_no_more() -> None:
    given = with_record(prod(RETURNED, prod_3=DRAINS), "prod-3", returning=True)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0"]


def test_whom_a_person_must_help_is_told_first() -> None:
    given = prod(
        RETURNED,
        prod_2=JOINS | {"health": STARTING, "healthy_s": 0.0},
        prod_3=DRAINS | {"health": STARTING, "healthy_s": 0.0, "waiting_s": 700.0},
    )
    hold = planned(with_record(given, "prod-3", returning=True, proven=False))[-1]
    assert isinstance(hold, Hold) and hold.page and "prod-3" in hold.message


BAD_BEFORE = rejection(V2, DEV)
"""Made in dev; its images may run nowhere."""
V2_AGAIN = revision("2.0.0", values=Values.of({"replicas": 2}))


def test_nobody_goes_back_to_what_was_rejected_before_here() -> None:
    """Two revisions of one bad release gave way to each other at every turn."""
    known = record(PROD, V3, proofs=(proof(V3, PROD), proof(V2_AGAIN, PROD), proof(V1, PROD)))
    before = (
        cell(DEV, record(DEV, V3, rejections=(BAD_BEFORE,))),
        cell(STAGING, record(STAGING, V3)),
    )
    given = prod(known, on={"prod-3": V2}, prod_3=DRAINS)
    assert said(planned(*before, given)) == ["Deliver prod-3 3.0.0 back"]
    given = prod(known, on={"prod-3": V2_AGAIN}, prod_3=DRAINS)
    assert said(planned(*before, given)) == ["Deliver prod-3 3.0.0 back"]
    rolls = replace(known, admitted=V4, rollout=rollout(V4, PROD, restore_to=V2_AGAIN))
    rolls = replace(rolls, proofs=known.proofs[1:])
    before = (
        cell(DEV, record(DEV, V4, rejections=(BAD_BEFORE,))),
        cell(STAGING, record(STAGING, V4)),
    )
    given = prod(rolls, on={"prod-3": None}, prod_3=JOINS)
    assert "Deliver prod-3 1.0.0" in said(planned(*before, given))


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(replace(RETURNED, rollout=None), id="settled"),
        pytest.param(
            record(
                PROD,
                V3,
                rollout=rollout(V3, PROD),
                rejections=RETURNED.rejections,
                proofs=(proof(V1, PROD),),
            ),
            id="something else rolls out",
        ),
    ],
)
def test_one_that_cannot_go_back_pages_whatever_its_environment_does(known: Any) -> None:
    late = {"health": STARTING, "healthy_s": 0.0, "waiting_s": 700.0}
    given = prod(known, on={"prod-3": V1}, prod_3=DRAINS | late)
    given = replace(
        given,
        members=tuple(
            replace(m, healthy_s=1.0) if m.cluster != "prod-3" else m for m in given.members
        ),
    )
    given = with_record(given, "prod-3", returning=True, proven=False)
    paged = [a for a in planned(given) if isinstance(a, Hold) and a.page]
    assert [hold.reason for hold in paged] == ["RollingBack"]
    early = tuple(replace(m, waiting_s=1.0) for m in given.members)
    refused = with_record(
        replace(given, members=early), "prod-3", state=ApplyState.FAILED, reason=APPLY_REFUSED
    )
    assert any(isinstance(a, Hold) and a.page for a in planned(refused))


def test_one_that_is_away_with_what_was_rejected_says_nothing() -> None:
    given = prod(RETURNED, on={"prod-3": V2}, prod_3=DRAINS | AWAY)
    assert said(planned(given)) == ["Hold Settled"]


def test_with_the_active_ones_away_those_that_drain_end_a_way_back() -> None:
    away = prod(RETURNING, prod_1=AWAY, prod_2=DRAINS, prod_3=DRAINS)
    assert said(planned(away)) == ["FinishRollBack RolledBack"]
    nobody = prod(RETURNING, prod_1=AWAY, prod_2=AWAY, prod_3=AWAY)
    (hold,) = planned(nobody)
    assert isinstance(hold, Hold) and "no answer from prod-1, prod-2, prod-3" in hold.message


def test_what_fails_on_a_joining_cluster_is_not_said_of_the_environment() -> None:
    failing = {"health": CRASHING, "healthy_s": 0.0}
    (hold,) = planned(prod(prod_1=JOINS | failing))
    assert isinstance(hold, Hold) and "a cluster that joins" in hold.message
    both = prod(prod_1=JOINS | failing, prod_2=failing)
    (hold,) = planned(both)
    assert isinstance(hold, Hold) and "prod-2" in hold.message and "joins" not in hold.message


def test_with_none_active_a_way_back_waits_for_those_that_go_back_alone() -> None:
    given = prod(RETURNING, on={"prod-1": V3, "prod-2": V2}, **ALL_DRAIN)
    assert said(planned(given)) == ["Deliver prod-2 1.0.0 back"]
    back = prod(RETURNING, on={"prod-1": V3}, **ALL_DRAIN)
    assert said(planned(back)) == ["FinishRollBack RolledBack"]
    unread = prod(RETURNING, **{**ALL_DRAIN, "prod_2": DRAINS | UNREAD})
    assert said(planned(unread)) == ["Hold RollingBack"]


def test_the_commit_waits_for_the_active_clusters() -> None:
    owed = rejection(V2, PROD, rolled_back_at=None, revert=replace(BACK.revert, commit=None))
    known = record(PROD, V1, rejections=(owed,))
    before = prod(known, on={"prod-1": V2}, prod_3=DRAINS)
    assert not any(a.startswith("CommitRevert") for a in said(planned(before)))
    after = prod(known, on={"prod-3": V2}, prod_3=DRAINS)
    assert said(planned(after))[0].startswith("CommitRevert")


# What else looks at clusters.


def test_adoption_compares_the_active_clusters_alone() -> None:
    equal = {"live": LiveState.EQUAL, "live_for_s": 5.0}
    given = cell(
        PROD,
        None,
        ask(V1, PROD),
        members={
            "prod-1": equal,
            "prod-2": equal,
            "prod-3": DRAINS | AWAY,
        },
    )
    (adopt,) = planned(given)
    assert said((adopt,)) == ["Adopt Adopted"]
    assert adopt.proof.members == ("prod-1", "prod-2")  # type: ignore[union-attr]


def test_an_adopted_release_is_observed_on_the_active_clusters() -> None:
    adopted = proof(V1, PROD, origin=Origin.ADOPTED, opens_gates=False)
    given = prod(record(PROD, V1, proofs=(adopted,)), prod_3=JOINS | {"healthy_s": 0.0})
    assert said(planned(given)) == ["Prove Soaked"]


def test_the_gate_ahead_looks_at_the_active_clusters() -> None:
    failing = {"health": CRASHING, "healthy_s": 0.0}
    for state, told in ((DRAINS, {}), ({}, {"ProvenBefore": "closed FailingBefore"})):
        before = cell(STAGING, record(STAGING, V2))
        extra = replace(before.members[0], cluster=ClusterName("staging-2"), **{**failing, **state})
        before = replace(before, members=(*before.members, extra))
        asked = view(cell(DEV, record(DEV, V2)), before, cell(PROD, record(PROD), ask(V2, PROD)))
        assert states(admission(asked, V2)) == told


def test_an_incident_of_the_platform_is_not_made_of_draining_clusters() -> None:
    failing = {"health": CRASHING, "healthy_s": 0.0}
    given = [prod(prod_3=DRAINS | failing), prod(prod_3=failing)]
    found = [
        plan_fleet(
            [counts_of(in_line(name, (one,))) for name in ("web", "api")],  # type: ignore[arg-type]
            NOW,
            service_an_hour=3,
            fleet_an_hour=10,
        ).platform_incident
        for one in given
    ]
    assert found == [frozenset(), frozenset({"web", "api"})]


def test_a_suspended_draining_cluster_does_not_make_its_environment_suspended() -> None:
    given = prod(prod_3=DRAINS | {"suspended": SUSPENDED})
    assert phase_of(given, planned(given)) is Phase.PROVEN
    given = prod(prod_3={"suspended": SUSPENDED})
    assert phase_of(given, planned(given)) is Phase.SUSPENDED
