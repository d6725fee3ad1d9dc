"""The gates between a revision and being pinned somewhere."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import gates
from tests.fakes.facts import (
    DEV,
    NOW,
    STAGING,
    V1,
    V2,
    V3,
    ask,
    cell,
    record,
    rejection,
    states,
    view,
)


def test_no_pin_is_moved_while_a_roll_back_is_under_way() -> None:
    first, back = cell(DEV, record(DEV, V2)), rejection(V3, STAGING, rolled_back_at=None)
    for made, shut in (
        (back, {"RollBackComplete": "closed RollingBack"}),
        (replace(back, rolled_back_at=NOW), {}),
    ):
        here = cell(STAGING, record(STAGING, V1, rejections=(made,)), ask(V1, STAGING))
        assert states(gates.moving_the_pin(view(first, here), V2)) == shut
