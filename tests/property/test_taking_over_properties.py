"""Managers of an object as no server of ours ever wrote them: every key of an entry may be left out."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.core.diff.managers import OURS
from reconciler.core.taking_over import taken_over

FIELDS: st.SearchStrategy[Any] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from(["f:metadata", "f:spec", "f:x", "."]), inner),
    max_leaves=6,
)
MANAGERS = (OURS, "kubectl-client-side-apply", "kubectl-edit", "helm", "argocd-controller", "")
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "manager": st.none() | st.sampled_from(MANAGERS),
            "operation": st.none() | st.sampled_from(["Apply", "Update", ""]),
            "fieldsV1": st.none() | FIELDS,
            "subresource": st.none() | st.sampled_from(["", "status", "scale"]),
        },
    ),
    max_size=4,
)
WHOLE = {"manager", "operation", "fieldsV1"}
OURS_WHOLE = {"manager": OURS, "operation": "Apply", "fieldsV1": {"f:spec": {}}}
KUBECTL = {**OURS_WHOLE, "manager": "kubectl-edit"}
ODD = [{k: v for k, v in e.items() if k != gone} for e in (OURS_WHOLE, KUBECTL) for gone in WHOLE]


def held(entries: Any) -> list[dict[str, Any]]:
    """Returns the entries that say who holds what."""
    return [entry for entry in entries if all(entry.get(key) for key in WHOLE)]


@given(ENTRIES, st.booleans())
def test_what_an_entry_leaves_out_ends_nothing_and_is_left_as_it_is(
    entries: list[dict[str, Any]], agreed: bool
) -> None:
    found = taken_over({"metadata": {"managedFields": entries}}, agreed=agreed)
    if found is None:
        return
    assert [e for e in found if e not in held(found)] == [
        e for e in entries if e not in held(entries)
    ]
    ours = [e for e in held(entries) if (e["manager"], e["operation"]) == (OURS, "Apply")]
    assert ours and all(entry in found for entry in ours), "what is ours is never given away"


@given(ENTRIES, st.booleans())
@example([OURS_WHOLE, *ODD, {}], True)
@example([OURS_WHOLE, KUBECTL, *ODD, {}], False)
def test_who_is_odd_changes_nothing_for_the_others(
    entries: list[dict[str, Any]], agreed: bool
) -> None:
    whole = taken_over({"metadata": {"managedFields": held(entries)}}, agreed=agreed)
    found = taken_over({"metadata": {"managedFields": entries}}, agreed=agreed)
    assert (whole is None) == (found is None)
    assert whole is None or list(whole) == held(found)
