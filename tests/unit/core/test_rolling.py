"""A roll-out step by step: in waves, judged first, pre-empted by what is newer, proven last."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.judging import APPLY_REFUSED
from reconciler.core.renders import applied_everywhere
from reconciler.core.rolling import admit
from reconciler.model.actions import Admit, Hold, Prove, Reject
from reconciler.model.facts import Ask, Cell, FleetSummary, MemberHealth
from reconciler.model.health import Cause
from reconciler.model.names import ClusterName, RenderDigest, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, Origin
from reconciler.model.release import Revision
from tests.fakes.facts import (
    AWAY,
    BLOWN_UNTIL,
    CRASHING,
    DEV,
    HEAD,
    NOW,
    PROD,
    STAGING,
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
    member,
    planned,
    policy,
    proof,
    record,
    rejection,
    rollout,
    said,
    view,
)
from tests.fakes.records import revision

BEFORE_PROD = (
    cell(DEV, record(DEV, V2, proofs=(proof(V3), proof(V2), proof(V1)))),
    cell(STAGING, record(STAGING, V2, proofs=tuple(proof(v, STAGING) for v in (V3, V2, V1)))),
)
"""Where all three versions are proven."""

NEW = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
"""The first wave has it."""

RENDER = RenderDigest("sha256:render")
FRESH: dict[str, Any] = {"healthy_s": 10.0}


def prod(
    wanted: Ask | None = None,
    *,
    on: dict[str, Any] | None = None,
    members: dict[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> Cell:
    """Returns prod in the middle of rolling version 2 out."""
    known = record(PROD, V2, rollout=rollout(V2, PROD, **changes))
    return cell(PROD, known, wanted or ask(V2, PROD), on=on or {}, members=members)


def plan(given: Cell, **fleet: Any) -> list[str]:
    """Returns in short what is planned for prod."""
    return said(planned(*BEFORE_PROD, given, fleet=FleetSummary(**fleet)))


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(
            prod(on={"prod-1": V1, "prod-2": V1, "prod-3": V1}),
            ["Deliver prod-1 2.0.0"],
            id="the first wave is given it",
        ),
        pytest.param(
            prod(on=NEW, members={"prod-1": FRESH}),
            ["Hold WaitingForSoak"],
            id="the next wave waits for the soak of the one before",
        ),
        pytest.param(
            prod(on=NEW, members={"prod-1": {"health": STARTING}}),
            ["Hold Progressing"],
            id="it is not current yet",
        ),
        pytest.param(
            prod(on=NEW),
            ["Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"],
            id="a soaked wave lets the next begin, all of it at once",
        ),
        pytest.param(
            prod(on={"prod-1": V2, "prod-2": V2, "prod-3": V1}, members={"prod-2": FRESH}),
            ["Deliver prod-3 2.0.0"],
            id="a wave that has begun goes on",
        ),
        pytest.param(prod(), ["Prove Soaked"], id="every cluster was healthy for the soak"),
        pytest.param(
            prod(members={"prod-3": {"healthy_s": 59.0}}),
            ["Hold WaitingForSoak"],
            id="one cluster was not healthy for long enough",
        ),
        pytest.param(
            prod(members={"prod-3": AWAY}), ["Hold ClusterUnreachable"], id="one does not answer"
        ),
        pytest.param(
            prod(members={"prod-3": UNREAD}), ["Hold ClusterUnknown"], id="one is not read yet"
        ),
        pytest.param(
            prod(members={"prod-3": {"health": STUCK}}),
            ["Hold Progressing"],
            id="one has failed, and nobody knows by whose fault",
        ),
        pytest.param(
            prod(members={"prod-3": {"health": STUCK, "waiting_s": 600.0}}),
            ["Hold ProgressDeadline"],
            id="one is late, without a cause in its Pods",
        ),
        pytest.param(
            prod(members={"prod-3": {"health": CRASHING}}),
            ["Reject CrashLoopBackOff"],
            id="one crashes",
        ),
        pytest.param(
            prod(members={"prod-2": {"suspended": SUSPENDED}, "prod-3": {"health": STARTING}}),
            ["Hold Progressing"],
            id="a suspended cluster that has it already stands in nobody's way",
        ),
        pytest.param(
            prod(on=NEW, members={"prod-2": {"suspended": SUSPENDED}}),
            ["Deliver prod-3 2.0.0"],
            id="a suspended cluster is given nothing",
        ),
        pytest.param(
            prod(on={"prod-2": V1}, members={"prod-2": {"suspended": SUSPENDED}}),
            ["Hold Suspended"],
            id="the proof waits for a suspended cluster",
        ),
        pytest.param(
            prod(ask(V2, PROD, paused=True), on=NEW),
            ["Hold Paused"],
            id="a pause holds the next wave",
        ),
        pytest.param(
            prod(ask(V2, PROD, paused=True), members={"prod-3": FRESH}),
            ["Hold WaitingForSoak"],
            id="a pause does not stop what has begun",
        ),
        pytest.param(
            prod(ask(None, PROD, reason=Reason.ORPHANED, message="the pin is gone"), on=NEW),
            ["Hold Orphaned"],
            id="no further wave while nothing asks for it",
        ),
        pytest.param(
            prod(
                ask(None, PROD, reason=Reason.GIT_UNKNOWN, policy=None), members={"prod-3": FRESH}
            ),
            ["Hold WaitingForSoak"],
            id="what has begun soaks on without Git",
        ),
        pytest.param(
            prod(ask(V1, PROD), on=NEW),
            ["Admit ProvenHere"],
            id="a pin put back takes over at once",
        ),
        pytest.param(
            prod(ask(V3, PROD), on=NEW), ["Admit GatesOpen"], id="a newer release takes over"
        ),
        pytest.param(
            prod(ask(V3, PROD, paused=True), on=NEW),
            ["Hold Paused"],
            id="a newer release that may not come in does not take over",
        ),
        pytest.param(
            prod(ask(V3, PROD), on=NEW, members={"prod-1": {"health": CRASHING}}),
            ["Reject CrashLoopBackOff"],
            id="what failed is judged before a newer one takes over",
        ),
        pytest.param(
            prod(
                on={**NEW, "prod-3": V2}, members={"prod-1": FRESH, "prod-3": {"health": CRASHING}}
            ),
            ["Reject CrashLoopBackOff"],
            id="a cluster that has it ahead of its wave is judged too",
        ),
    ],
)
def test_a_roll_out_goes_on(given: Cell, actions: list[str]) -> None:
    assert plan(given) == actions


def test_several_services_that_turn_bad_together_are_held() -> None:
    given = prod(members={"prod-3": {"health": CRASHING}})
    assert plan(given, platform_incident=frozenset({WEB})) == ["Hold PlatformIncident"]
    assert plan(given, platform_incident=frozenset({ServiceName("api")})) == [
        "Reject CrashLoopBackOff"
    ]
    named = prod(members={"prod-3": {"health": replace(CRASHING, names_release=True)}})
    assert plan(named, platform_incident=frozenset({WEB})) == ["Reject CrashLoopBackOff"]


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        pytest.param(
            {"halted": "x", "halted_reason": Reason.NOT_LEADING}, "NotLeading", id="halted"
        ),
        pytest.param({"fuses_blown": {WEB: BLOWN_UNTIL}}, "FuseBlown", id="a blown fuse"),
        pytest.param(
            {"platform_incident": frozenset({ServiceName("a")})},
            "PlatformIncident",
            id="an incident",
        ),
    ],
)
def test_the_next_wave_is_held_by(fleet: dict[str, Any], reason: str) -> None:
    assert plan(prod(on=NEW), **fleet) == [f"Hold {reason}"]


def test_a_revision_that_is_rejected_before_this_environment_stops_here_at_once() -> None:
    bad = rejection(V2)
    dev = cell(DEV, record(DEV, V1, proofs=(proof(V1), proof(V2)), rejections=(bad,)))
    given = prod(members={"prod-3": FRESH})
    assert said(planned(dev, BEFORE_PROD[1], given)) == ["Reject RejectedBefore"]


def test_and_it_stops_where_nothing_proven_is_there_to_go_back_to_but_for_what_is_newer() -> None:
    dev = cell(DEV, record(DEV, V1, proofs=(proof(V1), proof(V3)), rejections=(rejection(V2),)))
    known = record(PROD, V2, rollout=rollout(V2, PROD), proofs=())
    here = cell(PROD, known, ask(V2, PROD))
    assert said(planned(dev, BEFORE_PROD[1], here)) == ["Hold NothingProven"]
    newer = replace(here, ask=ask(V3, PROD))
    assert said(planned(dev, BEFORE_PROD[1], newer)) == ["Admit GatesOpen"]


def test_a_late_cluster_is_bad_only_with_a_cause_in_its_pods() -> None:
    exited = replace(STARTING, reason="Exited", cause=Cause.RELEASE)
    late = {"health": exited, "waiting_s": 600.0}
    assert plan(prod(members={"prod-3": late})) == ["Reject Exited"]
    assert plan(prod(members={"prod-3": {**late, "waiting_s": 599.0}})) == ["Hold Progressing"]


def test_an_object_that_the_server_calls_wrong_is_the_releases_own_fault() -> None:
    given = prod(on=NEW)
    was = given.members[0].record
    assert was is not None
    failed = replace(was, state=ApplyState.FAILED, applied=None, reason=APPLY_REFUSED)
    refused = replace(given, members=(replace(given.members[0], record=failed), *given.members[1:]))
    assert plan(refused) == [f"Reject {APPLY_REFUSED}"]


# What a policy says meanwhile.


@pytest.mark.parametrize(
    ("own", "now", "actions"),
    [
        pytest.param(
            {"soak_s": 60.0}, {"soak_s": 90.0}, ["Hold WaitingForSoak"], id="a longer soak"
        ),
        pytest.param(
            {"soak_s": 90.0}, {"soak_s": 60.0}, ["Hold WaitingForSoak"], id="not a shorter one"
        ),
        pytest.param({"soak_s": 60.0}, {"soak_s": 60.0}, ["Prove Soaked"], id="nothing new"),
    ],
)
def test_a_stricter_policy_counts_at_once_and_a_looser_one_later(
    own: dict[str, Any], now: dict[str, Any], actions: list[str]
) -> None:
    given = prod(
        ask(V2, PROD, policy=policy(PROD, **now)),
        members={name: {"healthy_s": 80.0} for name in ("prod-1", "prod-2", "prod-3")},
        policy=policy(PROD, **own),
    )
    assert plan(given) == actions


@pytest.mark.parametrize(
    ("own", "now", "watched"),
    [(600.0, 900.0, 900.0), (900.0, 600.0, 900.0), (0.0, 0.0, None)],
    ids=["a longer watch", "not a shorter one", "no watch at all"],
)
def test_a_proof_is_watched_for_the_longer_of_both(
    own: float, now: float, watched: float | None
) -> None:
    given = prod(
        ask(V2, PROD, policy=policy(PROD, watch_for_s=now)), policy=policy(PROD, watch_for_s=own)
    )
    (action,) = planned(*BEFORE_PROD, given)
    assert isinstance(action, Prove)
    until = NOW + timedelta(seconds=watched) if watched is not None else None
    assert action.proof.watch_until == until


@pytest.mark.parametrize(("own", "now"), [(600.0, 300.0), (300.0, 600.0)])
def test_the_sooner_deadline_counts(own: float, now: float) -> None:
    given = prod(
        ask(V2, PROD, policy=policy(PROD, progress_deadline_s=now)),
        members={"prod-3": {"health": STARTING, "waiting_s": 400.0}},
        policy=policy(PROD, progress_deadline_s=own),
    )
    assert plan(given) == ["Hold ProgressDeadline"]


def test_waves_stay_as_they_were_at_admission() -> None:
    one_wave = policy(
        PROD, waves=((ClusterName("prod-1"), ClusterName("prod-2"), ClusterName("prod-3")),)
    )
    given = prod(ask(V2, PROD, policy=one_wave), on=NEW, members={"prod-1": FRESH})
    assert plan(given) == ["Hold WaitingForSoak"]


# Clusters that come and go.


@pytest.mark.parametrize(
    ("on", "known", "actions"),
    [
        pytest.param({**NEW, "prod-3": None}, {}, ["Deliver prod-3 1.0.0"], id="one that joined"),
        pytest.param(
            {**NEW, "prod-3": V3},
            {"rejections": (rejection(V3, PROD),)},
            ["Deliver prod-3 1.0.0"],
            id="one that was away while its revision was rejected",
        ),
        pytest.param(
            {**NEW, "prod-3": V3},
            {"proofs": (proof(V1, PROD), proof(V3, PROD))},
            ["Deliver prod-3 1.0.0"],
            id="one that was away since an older proven revision",
        ),
        pytest.param(
            {**NEW, "prod-3": V3},
            {},
            [],
            id="not one that was pre-empted and is well",
        ),
    ],
)
def test_a_cluster_goes_straight_to_what_is_proven_here(
    on: dict[str, Any], known: dict[str, Any], actions: list[str]
) -> None:
    rolling = record(PROD, V2, rollout=rollout(V2, PROD), **known)
    given = cell(PROD, rolling, ask(V2, PROD), on=on, members={"prod-1": FRESH})
    assert [a for a in plan(given) if a != "Hold WaitingForSoak"] == actions


def test_a_pre_empted_revision_that_fails_is_put_back_and_not_only_waited_for() -> None:
    given = prod(
        on={**NEW, "prod-3": V3}, members={"prod-1": FRESH, "prod-3": {"health": CRASHING}}
    )
    assert plan(given) == ["Deliver prod-3 1.0.0", "Hold WaitingForSoak"]


def test_with_nothing_proven_a_cluster_that_joined_waits_for_its_wave() -> None:
    given = prod(on={**NEW, "prod-3": None}, members={"prod-1": FRESH}, restore_to=None)
    assert plan(given) == ["Hold WaitingForSoak"]


def test_a_cluster_that_was_removed_while_rolling_out_holds_the_proof() -> None:
    given = prod()
    gone = replace(given, members=given.members[:2])
    (hold,) = planned(*BEFORE_PROD, gone)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.ORPHANED, True)
    assert "prod-3" in hold.message


def test_a_cluster_added_to_the_environment_is_no_part_of_a_running_roll_out() -> None:
    given = prod()
    more = replace(given, members=(*given.members, member(ClusterName("prod-4"))))
    assert plan(more) == ["Deliver prod-4 1.0.0", "Prove Soaked"]


# What is written down.


def test_a_proof_says_what_was_proven_where_and_by_which_rules() -> None:
    (action,) = planned(*BEFORE_PROD, prod())
    assert isinstance(action, Prove)
    made = action.proof
    assert (made.revision, made.origin, made.opens_gates) == (V2, Origin.SOAKED, True)
    assert made.members == ("prod-1", "prod-2", "prod-3")
    assert (made.policy_digest, made.proven_at) == ("sha256:p", NOW)


def test_an_admission_freezes_what_it_rests_on() -> None:
    given = cell(PROD, record(PROD), ask(V2, PROD))
    (action,) = planned(*BEFORE_PROD, given)
    assert isinstance(action, Admit)
    begun = action.rollout
    assert begun is not None
    assert (begun.revision, begun.restore_to, begun.commit) == (V2, V1, HEAD)
    assert (begun.policy, begun.policy_digest) == (policy(PROD), "sha256:p")
    assert begun.path.names() == (DEV, STAGING, PROD)
    assert begun.admitted_at == NOW


def test_what_is_proven_here_needs_no_roll_out() -> None:
    known = record(PROD, V1, proofs=(proof(V1, PROD), proof(V2, PROD)))
    made = admit(view(*BEFORE_PROD, cell(PROD, known, ask(V2, PROD))), V2, "back")
    assert (made.rollout, made.reason) == (None, "ProvenHere")


def test_a_wanted_revision_without_its_rules_is_our_bug() -> None:
    broken = cell(PROD, record(PROD), ask(V2, PROD, policy=None))
    with pytest.raises(AssertionError, match="policy"):
        admit(view(broken), V2, "")


def test_a_rejection_names_the_environments_after_this_one() -> None:
    dev = cell(DEV, record(DEV, V2, rollout=rollout(V2)), members={"dev-1": {"health": CRASHING}})
    (action,) = planned(dev, cell(STAGING, record(STAGING)), cell(PROD, record(PROD)), at=0)
    assert isinstance(action, Reject)
    assert action.rejection.environments == (DEV, STAGING, PROD)


@pytest.mark.parametrize(
    ("fleet", "page"),
    [
        ({"fleet_fuse_blown": BLOWN_UNTIL}, True),
        ({"platform_incident": frozenset({ServiceName("a")})}, True),
        ({"halted": "x", "halted_reason": Reason.HISTORY_REWRITTEN}, True),
        ({"halted": "x", "halted_reason": Reason.NOT_LEADING}, False),
    ],
    ids=["a fuse", "an incident", "a rewritten history", "not one that only does not lead"],
)
def test_a_person_is_paged_for(fleet: dict[str, Any], page: bool) -> None:
    (hold,) = planned(*BEFORE_PROD, prod(on=NEW), fleet=FleetSummary(**fleet))
    assert isinstance(hold, Hold)
    assert (hold.page, bool(hold.gates)) == (page, True)


def test_a_proof_says_what_was_applied_on_all_of_the_clusters() -> None:
    given = prod()
    (action,) = planned(*BEFORE_PROD, given)
    assert isinstance(action, Prove)
    assert action.proof.renders == applied_everywhere(given.members)
    assert action.proof.renders is not None


# A renderer that changed.

ANEW = revision("1.0.0", renderer="assembly/2")


def dev_wanting(wanted: Revision, **proven: Any) -> Cell:
    """Returns dev on version 1, its proof changed, that wants a revision of a known render."""
    known = record(DEV, V1, proofs=(proof(V1, **proven),))
    return cell(DEV, known, ask(wanted, renders=RENDER))


def test_what_renders_to_the_same_goes_on_at_once_with_its_proof() -> None:
    (action,) = planned(dev_wanting(ANEW, renders=RENDER))
    assert isinstance(action, Admit)
    assert (action.reason, action.rollout) == (Reason.SAME_RENDER, None)
    assert action.carried == proof(ANEW, renders=RENDER)


def test_what_renders_otherwise_rolls_out_and_says_why() -> None:
    (action,) = planned(dev_wanting(ANEW, renders=RenderDigest("sha256:other")))
    assert isinstance(action, Admit)
    assert action.reason == Reason.RENDER_CHANGED
    assert action.rollout is not None
    assert "assembly/2" in action.message


def test_another_release_by_another_renderer_is_another_release() -> None:
    other = revision("2.0.0", renderer="assembly/2")
    (action,) = planned(dev_wanting(other))
    assert isinstance(action, Admit)
    assert action.reason == "GatesOpen"


@pytest.mark.parametrize(
    ("health", "message"),
    [
        (MemberHealth(), "prod-3 is being read"),
        (CRASHING, "prod-3 is being read"),
        (MemberHealth(message="a bug of ours"), "prod-3 is being read: a bug of ours"),
    ],
    ids=["not looked at yet", "seen before", "it cannot be looked at"],
)
def test_what_cannot_be_looked_at_says_why(health: MemberHealth, message: str) -> None:
    (hold,) = planned(*BEFORE_PROD, prod(members={"prod-3": {**UNREAD, "health": health}}))
    assert isinstance(hold, Hold) and hold.message == message
