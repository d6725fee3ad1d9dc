"""A cell that the home knows nothing of: first install, adoption, or a record that was lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.plan import plan_service
from reconciler.core.renders import applied_everywhere
from reconciler.model.actions import Admit, Adopt, Examine, Hold
from reconciler.model.facts import Ask, Cell, FleetSummary, LiveState
from reconciler.model.fleet import Mode
from reconciler.model.names import RenderDigest
from reconciler.model.reasons import Reason
from reconciler.model.records import Origin
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STARTING,
    UNREAD,
    V1,
    V2,
    WEB,
    ask,
    cell,
    in_line,
    planned,
    record,
    said,
)

DEV_HAS_1 = cell(DEV, record(DEV))
NOWHERE: dict[str, Any] = {"live": LiveState.ABSENT, "live_for_s": 9.0}
SAME: dict[str, Any] = {"live": LiveState.EQUAL, "live_for_s": 9.0}
OLD = {"live_for_s": 0.0}
OTHER: dict[str, Any] = {"live": LiveState.DIFFERS}


Members = dict[str, dict[str, Any]]


def new(members: Members | None = None, wanted: Ask | None = None) -> Cell:
    """Returns prod as the home does not know it."""
    return cell(PROD, None, wanted or ask(V1, PROD), members=members)


def everywhere(**changes: Any) -> Members:
    """Returns the same changes for each cluster of prod."""
    return dict.fromkeys(("prod-1", "prod-2", "prod-3"), changes)


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(
            new(),
            ["Examine AdoptionPending"] * 3,
            id="nothing is known of what is live: it is compared",
        ),
        pytest.param(
            new({**everywhere(**NOWHERE), "prod-2": {}}),
            ["Examine AdoptionPending"],
            id="only what was not compared yet is",
        ),
        pytest.param(
            new(everywhere(**NOWHERE)), ["Admit GatesOpen"], id="nothing is live: a first install"
        ),
        pytest.param(new(everywhere(**SAME)), ["Adopt Adopted"], id="all is live as the pin says"),
        pytest.param(
            new({**everywhere(**SAME), "prod-3": NOWHERE}),
            ["Adopt Adopted"],
            id="a cluster that has nothing of it yet",
        ),
        pytest.param(
            new({**everywhere(**SAME), "prod-3": OTHER}),
            ["Examine AdoptionPending", "Hold AdoptionDiffers"],
            id="one differs, and is compared again",
        ),
        pytest.param(
            new(everywhere(**OTHER), ask(V1, PROD, adopt_overwrite=True)),
            ["Admit GatesOpen"],
            id="the pin says to overwrite",
        ),
        pytest.param(
            new({**everywhere(**SAME), "prod-3": {**SAME, "health": STARTING}}),
            ["Examine AdoptionPending", "Hold AdoptionPending"],
            id="it equals the pin and is not healthy, and is looked at again",
        ),
        pytest.param(
            new({"prod-3": AWAY}), ["Hold ClusterUnreachable"], id="one cluster does not answer"
        ),
        pytest.param(
            new({"prod-3": UNREAD}), ["Hold ClusterUnknown"], id="one cluster was not read"
        ),
        pytest.param(
            new(wanted=ask(None, PROD, reason=Reason.INVALID_PIN, message="it is broken")),
            ["Hold InvalidPin"],
            id="nothing is asked for, for a reason",
        ),
        pytest.param(
            new(wanted=ask(None, PROD, policy=None)),
            ["Hold GitUnknown"],
            id="what is asked for is not known",
        ),
        pytest.param(
            new(everywhere(**NOWHERE), ask(V1, PROD, paused=True)),
            ["Hold Paused"],
            id="a first install waits for its gates too",
        ),
        pytest.param(
            new(everywhere(**OTHER), ask(V1, PROD, paused=True, adopt_overwrite=True)),
            ["Hold Paused"],
            id="overwriting waits for its gates too",
        ),
    ],
)
def test_a_cell_without_a_record(given: Cell, actions: list[str]) -> None:
    assert said(planned(DEV_HAS_1, given)) == actions


@pytest.mark.parametrize(
    ("given", "fleet", "due_in_s"),
    [
        pytest.param({"prod-2": {**OTHER, "live_for_s": 9.0}}, {}, 9.0, id="differs"),
        pytest.param(
            {
                "prod-2": {**OTHER, "live_for_s": 9.0},
                "prod-3": {**OTHER, "live_for_s": 4.0},
            },
            {},
            4.0,
            id="the first of them",
        ),
        pytest.param({"prod-2": {**OTHER, "live_for_s": 0.0}}, {}, None, id="it is being compared"),
        pytest.param(
            {"prod-2": {**SAME, "health": STARTING, "live_for_s": 9.0}},
            {},
            9.0,
            id="is not healthy",
        ),
        pytest.param(
            {"prod-2": {**OTHER, "live_for_s": 9.0}},
            {"keeps_time": False},
            None,
            id="a command compares only once",
        ),
    ],
)
def test_what_holds_an_adoption_says_when_it_is_compared_again(
    given: dict[str, Any], fleet: dict[str, Any], due_in_s: float | None
) -> None:
    here = new({**everywhere(**SAME), **given})
    *_, hold = planned(DEV_HAS_1, here, fleet=FleetSummary(**fleet))
    assert isinstance(hold, Hold)
    assert hold.due_in_s == due_in_s


@pytest.mark.parametrize("found", [NOWHERE, SAME], ids=["nothing", "the same"])
def test_what_was_compared_too_long_ago_is_compared_again_before_it_is_acted_on(
    found: dict[str, Any],
) -> None:
    """It waited for the lease, or for `mode: enforce`; somebody may have made or changed it since."""
    given = new({**everywhere(**found), "prod-2": found | OLD})
    (again,) = planned(DEV_HAS_1, given)
    assert isinstance(again, Examine) and again.cluster == "prod-2"


def test_what_waits_for_its_gates_is_compared_again_only_once_they_are_open() -> None:
    given = new(everywhere(**(NOWHERE | OLD)), ask(V2, PROD))
    assert said(planned(DEV_HAS_1, given)) == ["Hold WaitingForProof"]


@pytest.mark.parametrize(
    ("fleet", "mode"),
    [({"keeps_time": False}, Mode.ENFORCE), ({}, Mode.OBSERVE)],
    ids=["a command", "observed"],
)
def test_who_does_nothing_says_what_it_would_by_what_was_compared_once(
    fleet: dict[str, Any], mode: Mode
) -> None:
    facts = replace(in_line(WEB, (new(everywhere(**(SAME | OLD))),)), mode=mode)
    assert said(plan_service(facts, FleetSummary(**fleet), NOW)) == ["Adopt Adopted"]


def test_a_first_install_waits_for_the_environments_before() -> None:
    given = new(everywhere(**NOWHERE), ask(V2, PROD))
    assert said(planned(DEV_HAS_1, given)) == ["Hold WaitingForProof"]


def test_a_first_install_has_nothing_to_go_back_to() -> None:
    (action,) = planned(DEV_HAS_1, new(everywhere(**NOWHERE)))
    assert isinstance(action, Admit)
    assert action.rollout is not None and action.rollout.restore_to is None


def test_what_is_adopted_opens_no_gate_yet_and_is_never_taken_back_by_itself() -> None:
    (action,) = planned(DEV_HAS_1, new(everywhere(**SAME)))
    assert isinstance(action, Adopt)
    made = action.proof
    assert (made.revision, made.origin, made.opens_gates) == (V1, Origin.ADOPTED, False)
    assert (made.watch_until, made.proven_at) == (None, NOW)
    assert made.members == ("prod-1", "prod-2", "prod-3")


def test_the_examination_is_of_what_the_pin_asks_for() -> None:
    actions = planned(DEV_HAS_1, new())
    assert all(isinstance(a, Examine) and a.revision == V1 for a in actions)
    assert [a.cluster for a in actions if isinstance(a, Examine)] == ["prod-1", "prod-2", "prod-3"]


def test_a_difference_names_the_clusters_and_the_way_out() -> None:
    given = new({**everywhere(**SAME), "prod-3": OTHER})
    _, hold = planned(DEV_HAS_1, given)
    assert isinstance(hold, Hold)
    assert hold.page
    assert "prod-3" in hold.message and "adopt: overwrite" in hold.message


# The record was lost, and the clusters' own are there.


def lost(wanted: Ask | None = None, *, on: dict[str, Any], **members: dict[str, Any]) -> Cell:
    """Returns prod without its record, where clusters run what they were once given."""
    return cell(
        PROD,
        None,
        wanted or ask(V1, PROD),
        on=on,
        members={name.replace("_", "-"): given for name, given in members.items()},
    )


EVERYWHERE_2 = {"prod-1": V2, "prod-2": V2, "prod-3": V2}


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(lost(on=EVERYWHERE_2), ["Adopt Adopted"], id="they agree"),
        pytest.param(
            lost(on=EVERYWHERE_2, prod_2={"health": CRASHING}),
            ["Hold AdoptionPending"],
            id="they agree on what fails: it is nothing to go back to",
        ),
        pytest.param(
            lost(ask(V1, PROD, adopt_overwrite=True), on=EVERYWHERE_2, prod_2={"health": CRASHING}),
            ["Admit GatesOpen"],
            id="they agree on what fails, and the pin says to overwrite",
        ),
        pytest.param(
            lost(on={"prod-1": V2, "prod-2": V2}),
            ["Adopt Adopted"],
            id="one has nothing, the others agree",
        ),
        pytest.param(
            lost(on={**EVERYWHERE_2, "prod-3": V1}), ["Hold AdoptionDiffers"], id="they differ"
        ),
        pytest.param(
            lost(ask(V1, PROD, adopt_overwrite=True), on={**EVERYWHERE_2, "prod-3": V1}),
            ["Admit GatesOpen"],
            id="they differ and the pin says to overwrite",
        ),
        pytest.param(
            lost(ask(None, PROD, adopt_overwrite=True), on={**EVERYWHERE_2, "prod-3": V1}),
            ["Hold AdoptionDiffers"],
            id="the pin says to overwrite with nothing",
        ),
        pytest.param(
            lost(on=EVERYWHERE_2, prod_3=AWAY),
            ["Hold ClusterUnreachable"],
            id="one of them does not answer",
        ),
        pytest.param(
            lost(ask(None, PROD, reason=Reason.GIT_UNKNOWN), on=EVERYWHERE_2),
            ["Adopt Adopted"],
            id="they agree, and Git is not needed for that",
        ),
    ],
)
def test_a_lost_record(given: Cell, actions: list[str]) -> None:
    assert said(planned(DEV_HAS_1, given)) == actions


def test_what_is_live_is_adopted_and_not_what_the_pin_asks_for() -> None:
    (action,) = planned(DEV_HAS_1, lost(on=EVERYWHERE_2))
    assert isinstance(action, Adopt)
    assert action.proof.revision == V2


def test_what_is_adopted_says_what_it_renders_to_as_far_as_that_is_known() -> None:
    asked = ask(V1, PROD, renders=RenderDigest("sha256:asked"))
    (equal,) = planned(DEV_HAS_1, new(everywhere(**SAME), asked))
    assert isinstance(equal, Adopt)
    assert equal.proof.renders == "sha256:asked"
    given = lost(asked, on=EVERYWHERE_2)
    (agreed,) = planned(DEV_HAS_1, given)
    assert isinstance(agreed, Adopt)
    assert agreed.proof.renders == applied_everywhere(given.members)
    (partly,) = planned(DEV_HAS_1, lost(on={"prod-1": V2, "prod-2": V2}))
    assert isinstance(partly, Adopt)
    assert partly.proof.renders is None


def test_what_was_begun_and_not_applied_is_not_adopted() -> None:
    given = lost(on=EVERYWHERE_2)
    was = given.members[2].record
    assert was is not None
    half = replace(given.members[2], record=replace(was, applied=None))
    (hold,) = planned(DEV_HAS_1, replace(given, members=(*given.members[:2], half)))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.ADOPTION_DIFFERS, True)


def test_nothing_is_adopted_by_one_who_does_not_lead() -> None:
    fleet = FleetSummary(halted="another daemon leads", halted_reason=Reason.NOT_LEADING)
    for given in (lost(on=EVERYWHERE_2), new(everywhere(**SAME)), new()):
        assert said(planned(DEV_HAS_1, given, fleet=fleet)) == ["Hold NotLeading"]


def test_a_halt_without_a_reason_is_that_of_one_who_does_not_lead() -> None:
    fleet = FleetSummary(halted="another daemon leads")
    assert said(planned(DEV_HAS_1, new(), fleet=fleet)) == ["Hold NotLeading"]


def test_a_record_in_which_nothing_is_admitted_is_like_none() -> None:
    given = replace(new(everywhere(**NOWHERE)), record=record(PROD, None, proofs=()))
    assert said(planned(DEV_HAS_1, given)) == ["Admit GatesOpen"]


def test_an_environment_without_clusters_asks_for_nothing() -> None:
    given = replace(new(wanted=ask(None, PROD, reason=Reason.ORPHANED)), members=())
    assert said(planned(DEV_HAS_1, given)) == ["Hold Orphaned"]
