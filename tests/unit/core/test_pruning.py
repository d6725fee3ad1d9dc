"""What of the objects that are rendered no more is deleted, kept or forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.pruning import NUMBER_MAX, PRUNE_ANNOTATION, plan_prune
from reconciler.model.objects import ObjectRef
from tests.fakes.facts import SUSPENDED

LET_GO = {PRUNE_ANNOTATION: "true"}
NAMED: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{PRUNE_ANNOTATION}": {}}}}
OURS = {"manager": "reconciler", "operation": "Apply", "fieldsV1": NAMED}
BY_HAND = {"manager": "kubectl-annotate", "operation": "Update", "fieldsV1": NAMED}
KEPT = ObjectRef("v1", "ConfigMap", "web", "kept")
GUARDED = (
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "StatefulSet"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
)


def gone(kind: str = "ConfigMap", *, api_version: str = "v1", name: str = "gone") -> ObjectRef:
    """Returns an object that is owned and rendered no more."""
    return ObjectRef(api_version, kind, "web", name)


def plan(*refs: ObjectRef, live: Any = None, others: int = 9, ours: bool = True) -> Any:
    """Plans the pruning of some objects beside others that stay."""
    stay = {ObjectRef("v1", "ConfigMap", "web", f"stays-{n}") for n in range(others)}
    seen = live if live is not None else {ref: {"metadata": {}} for ref in refs}
    return plan_prune({*refs, *stay}, stay, live=seen.get, is_ours=lambda obj: ours)


def annotated(annotations: Any, *managers: Any) -> dict[str, Any]:
    """Returns a live object of which some managers hold the annotation."""
    return {"metadata": {"annotations": annotations, "managedFields": list(managers)}}


def test_what_is_rendered_no_more_is_deleted() -> None:
    assert plan(gone()).delete == (gone(),)


def test_what_is_rendered_is_left_alone() -> None:
    found = plan_prune({KEPT}, {KEPT}, live=lambda ref: None, is_ours=lambda obj: True)
    assert (found.delete, found.kept, found.given_up) == ((), (), ())


def test_what_is_gone_already_is_forgotten() -> None:
    found = plan(gone(), live={})
    assert (found.delete, found.given_up) == ((), (gone(),))


def test_what_is_not_ours_any_more_is_forgotten_and_stays() -> None:
    found = plan(gone(), ours=False)
    assert (found.delete, found.given_up) == ((), (gone(),))


@pytest.mark.parametrize(("api_version", "kind"), GUARDED)
def test_a_guarded_kind_stays(api_version: str, kind: str) -> None:
    ref = gone(kind, api_version=api_version)
    found = plan(ref)
    assert found.delete == ()
    assert [kept for kept, _ in found.kept] == [ref]
    assert PRUNE_ANNOTATION in found.kept[0][1]


@pytest.mark.parametrize(("api_version", "kind"), GUARDED)
def test_a_guarded_kind_goes_when_the_env_repo_let_it_go(api_version: str, kind: str) -> None:
    ref = gone(kind, api_version=api_version)
    assert plan(ref, live={ref: annotated(LET_GO, OURS)}).delete == (ref,)


@pytest.mark.parametrize(
    ("case", "managers", "goes"),
    [
        ("we, and a person beside us", [BY_HAND, OURS], True),
        ("a person alone", [BY_HAND], False),
        ("a person, and we hold the rest", [BY_HAND, {**OURS, "fieldsV1": {"f:data": {}}}], False),
        ("our name without an apply of ours", [{**OURS, "operation": "Update"}], False),
        ("another who applies", [{**OURS, "manager": "kubectl"}], False),
        ("nobody", [], False),
        ("an entry that says nothing", [{}], False),
    ],
)
def test_only_the_annotation_that_we_applied_lets_it_go(
    case: str, managers: list[Any], goes: bool
) -> None:
    ref = gone("PersistentVolumeClaim")
    found = plan(ref, live={ref: annotated(LET_GO, *managers)})
    assert bool(found.delete) is goes, case
    assert bool(found.kept) is not goes, case


@pytest.mark.parametrize(
    "annotations", [None, {}, {PRUNE_ANNOTATION: "yes"}, {PRUNE_ANNOTATION: True}]
)
def test_only_the_exact_word_lets_it_go(annotations: Any) -> None:
    ref = gone("PersistentVolumeClaim")
    assert plan(ref, live={ref: annotated(annotations, OURS)}).delete == ()


def test_a_statefulset_of_another_group_is_no_guarded_kind() -> None:
    ref = gone("StatefulSet", api_version="example.com/v1")
    assert plan(ref).delete == (ref,)


@pytest.mark.parametrize(
    ("count", "others", "deleted"),
    [
        pytest.param(3, 0, 3, id="a few may always go, even all"),
        pytest.param(4, 4, 4, id="half of them may go"),
        pytest.param(4, 1, 0, id="from four on the share counts"),
        pytest.param(5, 4, 0, id="more than half may not"),
        pytest.param(NUMBER_MAX, 100, NUMBER_MAX, id="as many as are allowed"),
        pytest.param(NUMBER_MAX + 1, 100, 0, id="one more than is allowed"),
    ],
)
def test_only_so_many_go_at_once(count: int, others: int, deleted: int) -> None:
    refs = [gone(name=f"gone-{n:02}") for n in range(count)]
    found = plan(*refs, others=others)
    assert len(found.delete) == deleted
    assert len(found.kept) == count - deleted
    assert list(found.kept) == sorted(found.kept)


def test_what_a_guard_keeps_does_not_count_as_going() -> None:
    claims = [gone("PersistentVolumeClaim", name=f"data-{n}") for n in range(5)]
    found = plan(gone(), *claims, others=0)
    assert found.delete == (gone(),)


def test_what_a_person_has_suspended_stays_until_that_ends() -> None:
    found = plan_prune(
        {gone()},
        set(),
        live=lambda ref: {"metadata": {}},
        is_ours=lambda obj: True,
        suspended=lambda ref: SUSPENDED,
    )
    assert (found.delete, found.kept) == ((), ((gone(), SUSPENDED.why),))
