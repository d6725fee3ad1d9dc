"""What is decided while it is not known for a moment what HEAD asks for."""

from __future__ import annotations

import pytest

from reconciler.core import gates
from reconciler.model.facts import Ask
from reconciler.model.reasons import Reason
from tests.fakes.facts import DEV, PROD, V1, ask, cell, proof, record, view
from tests.fakes.records import revision

NEW_1, NEW_2 = (revision(v, renderer="assembly/2") for v in ("1.0.0", "2.0.0"))


@pytest.mark.parametrize(
    ("dev", "shut"),
    [
        pytest.param(ask(NEW_1), True, id="they are asked for the same"),
        pytest.param(ask(None, reason=Reason.RENDERING), True, id="they may be"),
        pytest.param(ask(NEW_2), False, id="they are asked for something else"),
        pytest.param(ask(None, reason=Reason.ORPHANED), False, id="they are asked for nothing"),
    ],
)
def test_what_may_still_be_proven_before_as_it_renders_now_is_waited_for(
    dev: Ask, shut: bool
) -> None:
    before = cell(DEV, record(DEV, NEW_2, proofs=(proof(NEW_2), proof(V1))), dev)
    here = cell(PROD, record(PROD), ask(NEW_1, PROD))
    found = gates.shut(gates.admission(view(before, here), NEW_1))
    assert [gate.reason for gate in found] == [Reason.RENDER_CHANGED] * shut
