"""Which clusters are given an order, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.delivering import KEPT_MAX, deliveries
from reconciler.core.judging import APPLY_REFUSED
from reconciler.model.actions import Deliver
from reconciler.model.facts import Cell
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, Origin
from reconciler.model.release import Revision
from tests.fakes.facts import (
    AWAY,
    CLUSTERS,
    DEV,
    PROD,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    V3,
    ask,
    cell,
    policy,
    proof,
    record,
    rejection,
    rollout,
    view,
)
from tests.fakes.records import revision


def orders(given: Cell, what: Revision = V1) -> tuple[Deliver, ...]:
    """Returns the orders for every cluster of a cell."""
    return deliveries(view(given), what, given.members)


def asked(**changes: Any) -> Cell:
    """Returns dev on version 1, its cluster's record changed."""
    given = cell(DEV, record(DEV))
    was = given.members[0].record
    assert was is not None
    return replace(given, members=(replace(given.members[0], record=replace(was, **changes)),))


FAILED: dict[str, Any] = {"state": ApplyState.FAILED, "applied": None}


@pytest.mark.parametrize(
    ("given", "count"),
    [
        pytest.param(cell(DEV, record(DEV)), 0, id="not one that has done exactly this"),
        pytest.param(
            cell(DEV, record(DEV), on={"dev-1": None}), 1, id="one that was asked for nothing"
        ),
        pytest.param(
            cell(DEV, record(DEV), on={"dev-1": V2}), 1, id="one that was asked for another"
        ),
        pytest.param(
            cell(DEV, record(DEV), on={"dev-1": V2}, members={"dev-1": AWAY}),
            0,
            id="not one that does not answer",
        ),
        pytest.param(
            cell(DEV, record(DEV), on={"dev-1": V2}, members={"dev-1": UNREAD}),
            0,
            id="not one that was not read",
        ),
        pytest.param(
            cell(DEV, record(DEV), on={"dev-1": V2}, members={"dev-1": {"suspended": SUSPENDED}}),
            0,
            id="not one that is suspended",
        ),
        pytest.param(
            asked(returning=True), 1, id="one that still goes back, when forward is meant"
        ),
        pytest.param(asked(proven=False), 1, id="one that does not know that it is proven"),
        pytest.param(asked(drift=DriftMode.CORRECT), 1, id="one with another drift mode"),
        pytest.param(asked(keep=()), 1, id="one that keeps other revisions"),
        pytest.param(asked(rejection=rejection(V2)), 1, id="one that holds on to an old rejection"),
        pytest.param(asked(state=ApplyState.APPLYING), 1, id="one that is half-way"),
        pytest.param(asked(applied=None), 1, id="one that did not apply it"),
        pytest.param(asked(applied=V2.id), 1, id="one that applied another"),
        pytest.param(asked(observed_generation=0), 1, id="one whose status is of something before"),
        pytest.param(
            asked(**FAILED, reason="FieldConflict"),
            1,
            id="one where another manager was in the way",
        ),
        pytest.param(
            asked(**FAILED, reason=APPLY_REFUSED), 0, id="not one that refused exactly this"
        ),
        pytest.param(
            asked(**FAILED, reason=APPLY_REFUSED, observed_generation=0),
            1,
            id="one that refused something before",
        ),
    ],
)
def test_an_order_goes_to(given: Cell, count: int) -> None:
    assert len(orders(given)) == count


def order(given: Cell, what: Revision = V1) -> Deliver:
    """Returns the only order."""
    (found,) = orders(given, what)
    return found


def test_what_is_proven_here_may_be_pruned_to_and_what_is_not_may_not() -> None:
    empty = cell(DEV, record(DEV), on={"dev-1": None})
    assert order(empty).proven
    assert not order(empty, V2).proven


def test_what_was_adopted_and_not_yet_seen_well_for_its_soak_lets_nothing_be_pruned() -> None:
    adopted = proof(V1, origin=Origin.ADOPTED, opens_gates=False)
    seen = replace(adopted, opens_gates=True)
    first, later = (
        cell(DEV, record(DEV, V1, proofs=(p,)), on={"dev-1": None}) for p in (adopted, seen)
    )
    assert not order(first).proven and order(later).proven


def test_a_way_back_comes_from_what_is_stored_and_prunes_nothing() -> None:
    known = record(DEV, V1, rejections=(rejection(V2, rolled_back_at=None),))
    found = order(cell(DEV, known, on={"dev-1": V2}))
    assert (found.returning, found.proven, found.reason) == (True, False, "RollingBack")


ADOPTED = proof(V1, origin=Origin.ADOPTED)
NEVER_WHOLE: dict[str, Any] = {**FAILED, "render_digest": None}
GOING_BACK = rejection(V3, restore_to=V2, rolled_back_at=None)


@pytest.mark.parametrize(
    ("given", "what", "adopted"),
    [
        pytest.param(
            cell(DEV, record(DEV, proofs=(proof(V3), ADOPTED)), on={"dev-1": None}),
            V2,
            V1,
            id="where nothing was ever delivered, however many releases ago",
        ),
        pytest.param(
            replace(asked(**NEVER_WHOLE), record=record(DEV, proofs=(ADOPTED,))),
            V2,
            V1,
            id="where a delivery failed, and none was ever whole",
        ),
        pytest.param(
            replace(asked(**FAILED), record=record(DEV, proofs=(ADOPTED,))),
            V2,
            None,
            id="not where anything was delivered whole",
        ),
        pytest.param(
            cell(DEV, record(DEV, proofs=(ADOPTED,)), on={"dev-1": None}),
            V1,
            None,
            id="not where it is what is asked for",
        ),
        pytest.param(
            cell(
                DEV,
                record(DEV, proofs=(replace(ADOPTED, members=CLUSTERS[PROD]),)),
                on={"dev-1": None},
            ),
            V2,
            None,
            id="not where nobody looked then",
        ),
        pytest.param(
            cell(DEV, record(DEV, proofs=(proof(V1),)), on={"dev-1": None}),
            V2,
            None,
            id="not where nothing was adopted",
        ),
        pytest.param(
            cell(
                DEV,
                record(DEV, V2, proofs=(proof(V2), ADOPTED), rejections=(GOING_BACK,)),
                on={"dev-1": None},
            ),
            V2,
            None,
            id="not on a way back",
        ),
        pytest.param(
            cell(
                DEV,
                record(DEV, proofs=(ADOPTED,)),
                replace(ask(V2), adopt_overwrite=True),
                on={"dev-1": None},
            ),
            V2,
            None,
            id="not where the pin says that all is written over",
        ),
    ],
)
def test_what_was_adopted_goes_along(given: Cell, what: Revision, adopted: Revision | None) -> None:
    assert order(given, what).adopted == adopted


@pytest.mark.parametrize(
    ("saved", "carried"), [(True, None), (False, rejection(V2))], ids=["saved", "not saved"]
)
def test_a_rejection_goes_along_while_the_home_does_not_have_it(saved: bool, carried: Any) -> None:
    known = record(DEV, V1, rejections=(rejection(V2), rejection(V3)))
    given = cell(DEV, known, on={"dev-1": None}, record_saved=saved)
    assert order(given).rejection == carried


@pytest.mark.parametrize(
    ("given", "drift"),
    [
        pytest.param(
            cell(
                DEV,
                record(DEV),
                ask(V1, policy=policy(drift=DriftMode.CORRECT)),
                on={"dev-1": None},
            ),
            DriftMode.CORRECT,
            id="the policy's",
        ),
        pytest.param(
            replace(asked(drift=DriftMode.CORRECT, keep=()), ask=ask(V1, policy=None)),
            DriftMode.CORRECT,
            id="the cluster's own, while the policy is not known",
        ),
        pytest.param(
            cell(DEV, record(DEV), ask(V1, policy=None), on={"dev-1": None}),
            DriftMode.REPORT,
            id="to report, while nothing is known",
        ),
    ],
)
def test_the_drift_mode_is(given: Cell, drift: DriftMode) -> None:
    assert order(given).drift is drift


@pytest.mark.parametrize(
    ("known", "what", "keep"),
    [
        pytest.param(record(DEV), V1, (V1,), id="what is admitted"),
        pytest.param(
            record(DEV, V2, rollout=rollout(V2)), V2, (V2, V1), id="and what it goes back to"
        ),
        pytest.param(
            record(DEV, V3, proofs=(proof(V3), proof(V2), proof(V1), proof(revision("0.9")))),
            V3,
            (V3, V2, V1),
            id="and two to go back to, the newest",
        ),
        pytest.param(
            record(
                DEV,
                V3,
                proofs=(proof(V3), proof(V2), proof(V1), proof(revision("0.9"))),
                rejections=(rejection(V2),),
            ),
            V3,
            (V3, V1, revision("0.9")),
            id="but none that was rejected",
        ),
    ],
)
def test_a_cluster_keeps_the_objects_of(
    known: Any, what: Revision, keep: tuple[Revision, ...]
) -> None:
    found = order(cell(DEV, known, on={"dev-1": None}), what)
    assert found.keep == tuple(r.id for r in keep)
    assert len(found.keep) <= KEPT_MAX
