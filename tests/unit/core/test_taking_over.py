"""Which claims to fields come over to us, and which stay with whoever has them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.taking_over import taken_over

Fields = dict[str, Any]

IMAGE: Fields = {"f:spec": {"f:image": {}}}
BOTH: Fields = {"f:spec": {"f:image": {}, "f:limit": {}}}
LIMIT: Fields = {"f:spec": {"f:limit": {}}}
NOTE: Fields = {"f:metadata": {"f:annotations": {"f:reconciler.dev/suspend-until": {}}}}
ITEMS: Fields = {
    "f:spec": {
        "f:env": {".": {}, 'k:{"name":"X"}': {".": {}, "f:value": {}}, 'k:{"name":"Y"}': {".": {}}}
    }
}
OUR_ITEM: Fields = {"f:spec": {"f:env": {'k:{"name":"X"}': {".": {}, "f:value": {}}}}}
THEIR_ITEM: Fields = {"f:spec": {"f:env": {".": {}, 'k:{"name":"Y"}': {".": {}}}}}


def entry(
    manager: str, fields: Fields, *, how: str = "Update", subresource: str = ""
) -> dict[str, Any]:
    named = {"subresource": subresource} if subresource else {}
    return {"manager": manager, "operation": how, "fieldsV1": fields, **named}


OURS = entry("reconciler", IMAGE, how="Apply")


def left(*entries: dict[str, Any], agreed: bool) -> tuple[dict[str, Any], ...] | None:
    return taken_over({"metadata": {"managedFields": list(entries)}}, agreed=agreed)


@pytest.mark.parametrize(
    ("theirs", "before", "after"),
    [
        pytest.param(
            entry("kubectl-client-side-apply", BOTH),
            LIMIT,
            None,
            id="with what the server fills in",
        ),
        pytest.param(
            entry("before-first-apply", BOTH), LIMIT, None, id="of a time before managers"
        ),
        pytest.param(entry("kubectl-create", BOTH), LIMIT, None, id="made"),
        pytest.param(entry("kubectl-replace", BOTH), LIMIT, None, id="replaced"),
        pytest.param(entry("helm", BOTH), LIMIT, None, id="installed"),
        pytest.param(entry("kubectl-edit", BOTH), LIMIT, LIMIT, id="edited"),
        pytest.param(entry("kubectl-set", IMAGE), None, None, id="set by hand, and agreed on"),
        pytest.param(entry("kubectl", BOTH, how="Apply"), LIMIT, LIMIT, id="an apply of its own"),
        pytest.param(entry("kubectl-client-side-apply", LIMIT), LIMIT, None, id="nothing of ours"),
        pytest.param(
            entry("kubectl-client-side-apply", {**IMAGE, **NOTE}), NOTE, NOTE, id="a person's note"
        ),
        pytest.param(entry("kubectl-annotate", NOTE), NOTE, NOTE, id="only a person's note"),
    ],
)
def test_what_is_left_to_a_persons_tool(
    theirs: dict[str, Any], before: Fields | None, after: Fields | None
) -> None:
    for agreed, fields in ((False, before), (True, after)):
        found = left(OURS, theirs, agreed=agreed) or (OURS, theirs)
        assert found == ((OURS,) if fields is None else (OURS, {**theirs, "fieldsV1": fields}))


@pytest.mark.parametrize("agreed", [False, True])
@pytest.mark.parametrize(
    "theirs",
    [
        entry("kube-controller-manager", BOTH),
        entry("argocd-controller", BOTH, how="Apply"),
        entry("helm-controller", BOTH),
        entry("kubectlish", BOTH),
        entry("kubectl", IMAGE, subresource="scale"),
        entry("kubectl-client-side-apply", IMAGE, subresource="status"),
    ],
    ids=lambda theirs: f"{theirs['manager']} {theirs.get('subresource', '')}",
)
def test_nothing_is_taken_from_anybody_else(theirs: dict[str, Any], agreed: bool) -> None:
    assert left(OURS, theirs, agreed=agreed) is None


@pytest.mark.parametrize("ours", [(), (entry("reconciler", IMAGE),)], ids=["never", "not applied"])
@pytest.mark.parametrize("agreed", [False, True])
def test_nothing_is_taken_over_before_we_have_applied_anything(
    ours: tuple[dict[str, Any], ...], agreed: bool
) -> None:
    assert left(*ours, entry("kubectl-client-side-apply", IMAGE), agreed=agreed) is None


def test_the_items_of_a_list_are_taken_one_by_one() -> None:
    ours = entry("reconciler", OUR_ITEM, how="Apply")
    theirs = entry("kubectl-client-side-apply", ITEMS)
    assert left(ours, theirs, agreed=False) == (ours, {**theirs, "fieldsV1": THEIR_ITEM})


def test_what_was_applied_by_another_version_of_the_kind_is_ours_as_well() -> None:
    other = {**entry("reconciler", LIMIT, how="Apply"), "apiVersion": "apps/v1beta1"}
    theirs = entry("kubectl-edit", BOTH)
    assert left(OURS, other, theirs, agreed=False) == (OURS, other)


@pytest.mark.parametrize("agreed", [False, True])
def test_an_object_whose_managers_are_not_known_is_left_alone(agreed: bool) -> None:
    assert taken_over({"metadata": {"name": "web"}}, agreed=agreed) is None
