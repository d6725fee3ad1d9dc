"""The gate of approvals: whose word lets which revision in."""

from __future__ import annotations

import pytest

from reconciler.core import gates
from reconciler.model.facts import Approval
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    DEV,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    ask,
    cell,
    planned,
    policy,
    record,
    rollout,
    said,
    view,
)

ADA, BOB = "Ada <ada@example.com>", "Bob <bob@example.com>"
STRICT = policy(PROD, needs_approval=True)
BEFORE_PROD = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))


@pytest.mark.parametrize(
    ("approval", "state", "told"),
    [
        pytest.param(None, "closed", f"nobody has approved {V2.id}", id="nobody's word"),
        pytest.param(Approval(V2.id, ADA, BOB), "open", "", id="somebody else's"),
        pytest.param(Approval(V2.id, ADA, ADA), "closed", "has pinned it and", id="their own"),
        pytest.param(
            Approval(V2.id, ADA, "A. L. <ADA@example.com>"),
            "closed",
            "has pinned it and",
            id="their own under another name",
        ),
        pytest.param(Approval(V2.id, "ada", "bob"), "open", "", id="people without an address"),
        pytest.param(Approval(V3.id, ADA, BOB), "closed", "is approved, and", id="for another"),
        pytest.param(
            Approval(V2.id, ADA, BOB, V2.release.source),
            "closed",
            f"before {V2.release.source} asked for it anew",
            id="it was asked for again since",
        ),
        pytest.param(
            Approval(V2.id, None, BOB), "unknown", "not known", id="it is not known who asked"
        ),
        pytest.param(Approval(V2.id, ADA, None), "unknown", "not known", id="nor who approved"),
    ],
)
def test_a_revision_is_let_in_by(approval: Approval | None, state: str, told: str) -> None:
    wants = cell(PROD, record(PROD), ask(V2, PROD, policy=STRICT, approval=approval))
    gate = next(g for g in gates.admission(view(*BEFORE_PROD, wants), V2) if g.name == "Approved")
    assert gate.state == state
    assert told in gate.message
    held = [] if state == "open" else ["Hold WaitingForApproval"]
    assert [s for s in said(planned(*BEFORE_PROD, wants)) if "Hold" in s] == held
    assert state == "open" or gate.reason is Reason.WAITING_FOR_APPROVAL


def test_nobody_need_approve_where_the_policy_asks_for_nothing_or_what_goes_back() -> None:
    free = cell(PROD, record(PROD), ask(V2, PROD))
    assert said(planned(*BEFORE_PROD, free)) == ["Admit GatesOpen"]
    back = cell(PROD, record(PROD, V2), ask(V1, PROD, policy=STRICT))
    assert said(planned(*BEFORE_PROD, back)) == ["Admit ProvenHere"]


def test_a_roll_out_that_was_admitted_is_not_asked_again_at_each_wave() -> None:
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    going = cell(PROD, out, ask(V3, PROD, policy=STRICT), on=on)
    assert "Deliver prod-2 2.0.0" in said(planned(*BEFORE_PROD, going))
