"""What may be promoted to an environment: what all before it have proven, and nothing that failed here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.promoting import hotfixes, promotable
from reconciler.model.facts import Cell
from reconciler.model.records import in_short
from tests.fakes.facts import (
    BEFORE,
    DEV,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    ask,
    cell,
    entry,
    proof,
    record,
    rejection,
    rollout,
    view,
)

LATER = BEFORE + timedelta(hours=1)
IN_DEV = cell(DEV, record(DEV, V3, proofs=(proof(V3), proof(V2), proof(V1))))
IN_STAGING = cell(
    STAGING, record(STAGING, V2, proofs=(proof(V1, STAGING), proof(V2, STAGING, proven_at=LATER)))
)
IN_PROD = cell(PROD, record(PROD), ask(V1, PROD))
UNSEEN = replace(proof(V2, STAGING, proven_at=NOW), opens_gates=False)
BAD = rejection(V2, PROD)


@pytest.mark.parametrize(
    ("cells", "versions"),
    [
        pytest.param(
            (IN_DEV, IN_STAGING, IN_PROD), ["2.0.0", "1.0.0"], id="the newest proof first"
        ),
        pytest.param(
            (IN_DEV, IN_STAGING), ["3.0.0", "2.0.0", "1.0.0"], id="of the one just before"
        ),
        pytest.param((IN_DEV,), [], id="nothing comes before the first"),
        pytest.param(
            (cell(DEV, record(DEV)), IN_STAGING, IN_PROD), ["1.0.0"], id="all before must have it"
        ),
        pytest.param((cell(DEV, None), IN_STAGING, IN_PROD), [], id="one before has no record"),
        pytest.param(
            (cell(DEV, record(DEV, passed=(in_short(V2.identity),))), IN_STAGING, IN_PROD),
            ["2.0.0", "1.0.0"],
            id="long ago is long enough",
        ),
        pytest.param(
            (IN_DEV, cell(STAGING, record(STAGING, proofs=(UNSEEN,))), IN_PROD),
            [],
            id="what was adopted and not seen for a soak opens nothing",
        ),
        pytest.param(
            (IN_DEV, IN_STAGING, cell(PROD, record(PROD, rejections=(BAD,)), ask(V1, PROD))),
            ["1.0.0"],
            id="not what was rejected here",
        ),
        pytest.param(
            (IN_DEV, IN_STAGING, cell(PROD, record(PROD), ask(V1, PROD, quarantine=(entry(BAD),)))),
            ["1.0.0"],
            id="not what is quarantined here",
        ),
    ],
)
def test_what_may_be_promoted(cells: tuple[Cell, ...], versions: list[str]) -> None:
    assert [r.release.version for r in promotable(view(*cells))] == versions


ROLLS_OUT = cell(STAGING, record(STAGING, V3, rollout=rollout(V3, STAGING)))


@pytest.mark.parametrize(
    ("cells", "versions"),
    [
        pytest.param((IN_DEV, ROLLS_OUT, IN_PROD), ["3.0.0", "1.0.0"], id="what rolls out first"),
        pytest.param(
            (cell(DEV, record(DEV, V3, rollout=rollout(V3))), ROLLS_OUT, IN_PROD),
            ["3.0.0", "1.0.0"],
            id="in all before",
        ),
        pytest.param(
            (cell(DEV, record(DEV)), ROLLS_OUT, IN_PROD),
            ["1.0.0"],
            id="never what one before lacks",
        ),
        pytest.param(
            (
                cell(DEV, record(DEV, V3, rejections=(rejection(V3, DEV),))),
                ROLLS_OUT,
                IN_PROD,
            ),
            ["1.0.0"],
            id="never what is rejected",
        ),
        pytest.param((IN_DEV, IN_STAGING, IN_PROD), ["2.0.0", "1.0.0"], id="nothing rolls out"),
    ],
)
def test_a_hotfix_may_be(cells: tuple[Cell, ...], versions: list[str]) -> None:
    assert [r.release.version for r in hotfixes(view(*cells))] == versions
