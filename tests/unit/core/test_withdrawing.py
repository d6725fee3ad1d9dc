"""An order that its cluster cannot take yet is taken back as soon as nothing asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.actions import Withdraw
from reconciler.model.facts import Cell, Ordered
from reconciler.model.names import ClusterName
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from tests.fakes.facts import (
    AWAY,
    DEV,
    PROD,
    UNREAD,
    V1,
    V2,
    V3,
    ask,
    cell,
    failing,
    planned,
    record,
    rejection,
    rollout,
    said,
)

LEAVING = [ClusterName("prod-9")]

FIRST = record(PROD, V1, rollout=rollout(V1, PROD, restore_to=None), proofs=())
"""Nothing was ever proven here."""

BACK = rejection(V2, PROD, restore_to=V1, rolled_back_at=None)


def waits(given: Cell, revision: Revision, cluster: str = "prod-1") -> Cell:
    """Returns a cell one of whose clusters refuses the claim of a revision, and has no record of it."""
    order = Ordered(revision.id, 5.0, "ServiceRecord: HTTP 403", 0.5)
    members = (replace(m, order=order) if m.cluster == cluster else m for m in given.members)
    return replace(given, members=tuple(members))


def first(**changes: Any) -> Cell:
    nowhere: dict[str, Revision | None] = dict.fromkeys(("prod-1", "prod-2", "prod-3"))
    wanted = changes.pop("wanted", ask(V1, PROD))
    return waits(cell(PROD, FIRST, wanted, on=nowhere, **changes), V1)


def going_back(prod_2: Revision, order: Revision) -> Cell:
    """Returns a cell that goes back from V2, whose second cluster is being read and has an order waiting."""
    on: dict[str, Revision | None] = {"prod-1": V2, "prod-2": prod_2, "prod-3": V1}
    rejected = record(PROD, V1, rejections=(BACK,))
    return waits(cell(PROD, rejected, on=on, members={"prod-2": UNREAD}), order, "prod-2")


def withdrawn(*cells: Cell) -> list[str]:
    return [a.cluster for a in planned(*cells) if isinstance(a, Withdraw)]


@pytest.mark.parametrize(
    ("cells", "clusters"),
    [
        pytest.param((first(),), [], id="it is still wanted"),
        pytest.param((first(wanted=ask(V1, PROD, paused=True)),), ["prod-1"], id="it is paused"),
        pytest.param(
            (first(wanted=ask(None, PROD, reason=Reason.INVALID_PIN)),),
            ["prod-1"],
            id="its pin broke",
        ),
        pytest.param(
            (
                cell(
                    DEV,
                    record(DEV, V1, proofs=(), rejections=(rejection(V1, DEV),)),
                    ask(V1, DEV),
                ),
                first(),
            ),
            ["prod-1"],
            id="it was rejected before, and nothing is there to go back to",
        ),
        pytest.param(
            (waits(cell(PROD, record(PROD, V1)), V3, "prod-2"),),
            [],
            id="another is wanted, whose order takes its place",
        ),
        pytest.param(
            (replace(first(wanted=ask(V1, PROD, paused=True)), record_known=False),),
            [],
            id="it is not known what is wanted",
        ),
        pytest.param(
            (first(wanted=ask(V1, PROD, paused=True), members={"prod-1": AWAY}),),
            [],
            id="the cluster does not answer",
        ),
        pytest.param(
            (first(wanted=ask(V1, PROD, paused=True), members={"prod-1": UNREAD}),),
            ["prod-1"],
            id="it is paused, and the cluster, which is being read, could take it all the same",
        ),
        pytest.param(
            (first(members={"prod-1": UNREAD}),),
            [],
            id="it is wanted, and the cluster is being read, as while it carries something out",
        ),
        pytest.param(
            (going_back(prod_2=V1, order=V2),),
            ["prod-2"],
            id="it was rejected, and the cluster is being read",
        ),
        pytest.param(
            (going_back(prod_2=V2, order=V1),),
            [],
            id="it is a way back to a cluster that is being read",
        ),
        pytest.param(
            (first(wanted=ask(None, PROD, reason=Reason.RENDERING)),),
            [],
            id="what comes next is being rendered",
        ),
        pytest.param(
            (first(wanted=ask(None, PROD, reason=Reason.RENDERING, paused=True)),),
            ["prod-1"],
            id="it is paused, and what comes next is being rendered",
        ),
        pytest.param(
            (replace(cell(PROD, record(PROD, V1)), leaving=tuple(LEAVING)),),
            LEAVING,
            id="it waits for a cluster that it is not meant for any more",
        ),
        pytest.param(
            (replace(cell(PROD, record(PROD, V1)), leaving=tuple(LEAVING), record_known=False),),
            LEAVING,
            id="the same, and it is not known what else is wanted",
        ),
        pytest.param(
            (replace(cell(DEV, record(DEV, V1), ask(V2, DEV)), leaving=tuple(LEAVING)),),
            LEAVING,
            id="the same, and another is admitted at this moment",
        ),
        pytest.param(
            (
                waits(
                    cell(
                        PROD,
                        record(PROD, V1, rejections=(BACK,)),
                        on={"prod-1": V2, "prod-2": V2, "prod-3": V2},
                    ),
                    V1,
                ),
            ),
            [],
            id="it is a way back",
        ),
    ],
)
def test_what_waits_for_a_cluster(cells: tuple[Cell, ...], clusters: list[str]) -> None:
    assert withdrawn(*cells) == clusters


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        pytest.param(record(PROD, V1, rejections=(BACK,)), [], id="on a way back"),
        pytest.param(record(PROD, V1), [], id="of a proven release, where a cluster joined"),
        pytest.param(
            record(PROD, V1, proofs=(), rejections=(rejection(V1, PROD, restore_to=None),)),
            ["prod-1"],
            id="of what was rejected, and nothing is there to go back to",
        ),
    ],
)
def test_what_the_server_has_refused_is_tried_on_while_it_is_proven(
    given: PromotionRecord, taken: list[str]
) -> None:
    refused = failing(cell(PROD, given), "prod-1", "ApplyRefused")
    assert withdrawn(waits(refused, V1)) == taken


def test_nothing_is_taken_back_beside_what_changes_the_record() -> None:
    given = waits(cell(PROD, record(PROD, V2), ask(V1, PROD)), V3)
    found = planned(given)
    assert not [a for a in found if isinstance(a, Withdraw)], said(found)
