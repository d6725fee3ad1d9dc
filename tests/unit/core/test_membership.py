"""Clusters that join or drain: nobody waits for them, and each is put where it belongs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.fuses import counts_of, plan_fleet
from reconciler.core.gates import admission
from reconciler.core.phase import Phase, phase_of
from reconciler.core.reach import reach
from reconciler.model.actions import Admit, Hold, Prove
from reconciler.model.believed import Believed
from reconciler.model.facts import Cell, LiveState, Ordered
from reconciler.model.fleet import ClusterState
from reconciler.model.names import ClusterName
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, Origin
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
    comes_back,
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
    given = replace(given, ask=comes_back(ask(V2, PROD, policy=now), known))
    proven = record(STAGING, V2)
    before = (cell(DEV, record(DEV, V2)), cell(STAGING, proven))
    admits = [a for a in planned(*before, given) if isinstance(a, Admit)]
    assert [a.rollout.policy.waves for a in admits if a.rollout] == [((PROD_3,),)]
    # Through the same gates: what is not proven before it does not begin anew either.
    unproven = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING)))
    assert said(planned(*unproven, given))[-1] == "Hold WaitingForProof"
    # What is asked for by now is another: that is for the gates of that one.
    other = replace(given, ask=comes_back(ask(V3, PROD, policy=now), known))
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
            believed=Believed(3, 10, 10),
        ).platform_incident
        for one in given
    ]
    assert found == [frozenset(), frozenset({"web", "api"})]


def test_a_suspended_draining_cluster_does_not_make_its_environment_suspended() -> None:
    given = prod(prod_3=DRAINS | {"suspended": SUSPENDED})
    assert phase_of(given, planned(given)) is Phase.PROVEN
    given = prod(prod_3={"suspended": SUSPENDED})
    assert phase_of(given, planned(given)) is Phase.SUSPENDED
