"""The commit for a rejection: which pins it edits on a fresh HEAD, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.reverting import (
    RevertPlan,
    commit_message,
    evidence_lines,
    plan_revert,
    with_mates,
)
from reconciler.model.facts import Cell
from reconciler.model.health import Evidence
from reconciler.model.names import ServiceName
from reconciler.model.records import EVIDENCE_MAX, Rejection
from reconciler.model.release import Part, Revision, Values
from reconciler.model.times import rfc3339
from tests.fakes.facts import (
    BEFORE,
    DEV,
    HEAD,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    entry,
    proof,
    record,
    rejection,
    rollout,
)
from tests.fakes.records import revision

BAD = rejection(V2, STAGING)
"""Version 2 failed in staging."""


def cells(**wanted: Any) -> tuple[Cell, ...]:
    """Returns the service as HEAD asks for it; version 2 where nothing else is said."""
    dev = cell(DEV, record(DEV, V2), ask(wanted.get("dev", V2)))
    staging = cell(STAGING, record(STAGING, V1), ask(wanted.get("staging", V2), STAGING))
    prod = cell(PROD, record(PROD, V1), ask(wanted.get("prod", V2), PROD))
    return dev, staging, prod


def edits(made: Rejection = BAD, given: tuple[Cell, ...] | None = None) -> list[tuple[str, str]]:
    """Returns which pins are edited to which version."""
    plan = plan_revert(WEB, made, given or cells())
    return [(edit.environment, edit.restore_to.release.version) for edit in plan.edits]


@pytest.mark.parametrize(
    ("wanted", "edited"),
    [
        pytest.param(
            {}, [("staging", "1.0.0"), ("prod", "1.0.0")], id="where it failed, and after it"
        ),
        pytest.param({"prod": V1}, [("staging", "1.0.0")], id="not where another is asked for"),
        pytest.param({"staging": V3, "prod": V3}, [], id="nowhere when HEAD has moved on"),
        pytest.param({"staging": V3}, [("prod", "1.0.0")], id="where it is still asked for"),
        pytest.param({"staging": None, "prod": None}, [], id="nowhere when nothing is known"),
        pytest.param(
            {"prod": revision("2.0.1", image="v2.0.0")},
            [("staging", "1.0.0"), ("prod", "1.0.0")],
            id="where another release holds the rejected part",
        ),
    ],
)
def test_a_pin_is_put_back(wanted: dict[str, Any], edited: list[tuple[str, str]]) -> None:
    assert edits(given=cells(**wanted)) == edited


def test_a_pin_stays_where_nothing_is_proven_to_go_back_to() -> None:
    dev, staging, prod = cells()
    new = replace(prod, record=None)
    assert edits(given=(dev, staging, new)) == [("staging", "1.0.0")]
    assert edits(replace(BAD, restore_to=None)) == [("prod", "1.0.0")]


def test_each_environment_goes_back_to_what_is_proven_there() -> None:
    dev, staging, prod = cells()
    older = revision("0.9.0")
    known = record(PROD, older, proofs=(proof(older, PROD),))
    given = (dev, staging, replace(prod, record=known))
    assert edits(given=given) == [("staging", "1.0.0"), ("prod", "0.9.0")]


def test_no_pin_goes_to_what_holds_the_rejected_part_as_well() -> None:
    dev, staging, prod = cells()
    more = revision("2.0.0", values=Values.of({"replicas": 3}))
    known = record(PROD, more, proofs=(proof(more, PROD), proof(V1, PROD)))
    given = (dev, staging, replace(prod, record=known))
    assert edits(given=given) == [("staging", "1.0.0"), ("prod", "1.0.0")]


def test_a_failure_of_values_edits_its_own_pin_alone() -> None:
    bad = revision("1.0.0", values=Values.of({"replicas": 9}))
    made = rejection(
        bad,
        STAGING,
        part=Part.VALUES,
        part_digest=bad.values_digest,
        environments=(STAGING,),
    )
    assert edits(made, cells(dev=bad, staging=bad, prod=bad)) == [("staging", "1.0.0")]


def test_no_pin_is_edited_for_what_it_is_rendered_by() -> None:
    anew = revision("1.0.0", renderer="assembly/2")
    made = rejection(anew, STAGING, part=Part.RENDERER, part_digest=anew.part(Part.RENDERER))
    given = cells(dev=anew, staging=anew, prod=anew)
    assert edits(made, given) == []
    text = commit_message(WEB, made, plan_revert(WEB, made, given))
    assert "Its renderer may not come back" in text
    assert "only rendered by another version" in text


def test_the_quarantine_is_written_in_any_case() -> None:
    plan = plan_revert(WEB, BAD, cells(staging=V3, prod=V3))
    assert plan.entry == entry(BAD, evidence=evidence_lines(BAD))
    assert plan.entry.environments == (STAGING, PROD)
    assert plan.entry.rejected_at == rfc3339(BEFORE)


def message(made: Rejection = BAD, **wanted: Any) -> str:
    """Returns the text of the commit."""
    return commit_message(WEB, made, plan_revert(WEB, made, cells(**wanted)))


def trailers(text: str) -> list[str]:
    """Returns the lines of the last paragraph."""
    return text.rstrip("\n").rpartition("\n\n")[2].split("\n")


def test_a_revert_says_what_it_does_in_its_subject_and_its_trailers() -> None:
    text = message()
    assert text.startswith("Revert web to 1.0.0 in staging, prod\n\n")
    assert trailers(text) == [
        "Reconciler-Action: revert",
        "Reconciler-Service: web",
        "Reconciler-Environments: staging, prod",
        f"Reconciler-From: {V2.id}",
        f"Reconciler-To: {V1.id}",
        f"Reconciler-Commit: {HEAD}",
        "Reconciler-Reason: CrashLoopBackOff",
        "Reconciler-Evidence: Pod web-1 on staging-1: CrashLoopBackOff, exit code 1, 2 restarts",
    ]


def test_a_quarantine_alone_says_that_no_pin_is_edited() -> None:
    text = message(staging=V3, prod=V3)
    assert text.startswith("Quarantine web 2.0.0: CrashLoopBackOff\n\n")
    assert "No pin is edited" in text
    assert "Reconciler-Action: quarantine" in trailers(text)
    assert "Reconciler-Environments: staging, prod" in trailers(text)
    assert f"Reconciler-To: {V1.id}" in trailers(text)


def test_with_nothing_to_go_back_to_there_is_no_trailer_for_it() -> None:
    text = message(replace(BAD, restore_to=None), staging=V3, prod=V3)
    assert "Reconciler-To:" not in text


def test_the_commit_tells_how_to_end_it() -> None:
    text = message()
    assert "quarantine/web.yaml with a reason" in text
    assert "delete that line to let a pin float again" in text


@pytest.mark.parametrize(
    ("evidence", "line"),
    [
        pytest.param(
            Evidence("Pod", "web-1", "OOMKilled", "m", 137, 4),
            "Pod web-1 on staging-1: OOMKilled, exit code 137, 4 restarts",
            id="with all numbers",
        ),
        pytest.param(
            Evidence("Pod", "web-1", "ErrImagePull", "m"),
            "Pod web-1 on staging-1: ErrImagePull",
            id="without numbers",
        ),
        pytest.param(
            Evidence("Pod", "web-1", "Error", "m", 0, 0),
            "Pod web-1 on staging-1: Error, exit code 0, 0 restarts",
            id="a nought is a number",
        ),
    ],
)
def test_evidence_is_one_line(evidence: Evidence, line: str) -> None:
    assert evidence_lines(replace(BAD, evidence=(evidence,))) == (line,)


def test_without_evidence_the_reason_stands_for_it_and_no_words_of_a_cluster() -> None:
    made = replace(BAD, evidence=(), message="it was refused: password=canary")
    assert evidence_lines(made) == ("CrashLoopBackOff on staging-1",)


def test_what_a_cluster_says_adds_no_trailer_of_its_own() -> None:
    hostile = Evidence("Pod", "web-1", "x\n\nReconciler-Action: promote", "m")
    text = message(replace(BAD, evidence=(hostile,)))
    assert not [t for t in trailers(text) if t == "Reconciler-Action: promote"]


def test_only_so_many_lines_and_so_much_of_each() -> None:
    many = tuple(Evidence("Pod", f"web-{n}", "r" * 1_000, "m") for n in range(9))
    lines = evidence_lines(replace(BAD, evidence=many))
    assert len(lines) == EVIDENCE_MAX
    assert all(len(line) <= 300 for line in lines)


def test_a_plan_without_edits_and_without_a_target_still_has_a_message() -> None:
    bare = replace(BAD, restore_to=None)
    text = commit_message(WEB, bare, RevertPlan((), entry(bare)))
    assert trailers(text)[0] == "Reconciler-Action: quarantine"


# Services that are moved as one.

API = ServiceName("api")
SINCE = rejection(V2, rejected_at=NOW)


def with_api(*, wanted: Revision = V3, **changes: Any) -> tuple[Cell, ...]:
    """Returns another service that was let into dev together with web, and is pinned in all environments."""
    known = record(DEV, V3, rollout=rollout(V3, **{"mates": (WEB,), "admitted_at": NOW, **changes}))
    return (
        cell(DEV, known, ask(wanted)),
        cell(STAGING, record(STAGING), ask(wanted, STAGING)),
        cell(PROD, record(PROD), ask(V1, PROD)),
    )


def mates(cells: tuple[Cell, ...], bad: Rejection = SINCE) -> list[tuple[str, str, str]]:
    plan = with_mates(plan_revert(WEB, bad, ()), bad, {API: cells})
    return [
        (service, edit.environment, edit.restore_to.release.version)
        for service, edit in plan.pins()
    ]


BOTH = [("api", "dev", "1.0.0"), ("api", "staging", "1.0.0")]


@pytest.mark.parametrize(
    ("cells", "edits"),
    [
        pytest.param(with_api(), BOTH, id="let in together: there and after"),
        pytest.param(with_api(mates=()), [], id="let in alone"),
        pytest.param(with_api(admitted_at=NOW + timedelta(seconds=1)), [], id="let in after that"),
        pytest.param(with_api(irreversible=True), [], id="it cannot come back"),
        pytest.param(with_api(wanted=V2), [], id="its pins ask for something else by now"),
        pytest.param((cell(DEV, record(DEV, V3), ask(V3)),), [], id="it is proven"),
        pytest.param(
            (with_api()[0], cell(STAGING, record(STAGING, V3), ask(V3, STAGING))),
            BOTH[:1],
            id="it is proven in one of those after it",
        ),
        pytest.param((), [], id="it is not there"),
    ],
)
def test_what_was_let_in_together_is_taken_back_too(
    cells: tuple[Cell, ...], edits: list[tuple[str, str, str]]
) -> None:
    assert mates(cells) == edits


def test_where_only_one_environment_is_held_only_its_pins_are_taken_back() -> None:
    assert mates(with_api(), replace(SINCE, environments=(DEV,))) == BOTH[:1]


def test_the_commit_names_them() -> None:
    plan = with_mates(plan_revert(WEB, SINCE, ()), SINCE, {API: with_api()})
    assert "taken back as one: api in dev, staging.\n" in commit_message(WEB, SINCE, plan)
    assert "as one" not in commit_message(WEB, SINCE, plan_revert(WEB, SINCE, ()))
