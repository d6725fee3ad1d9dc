"""Whatever an object holds, its health is an answer and never a crash."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.diff import differences
from reconciler.core.health import assess
from reconciler.core.health.assessing import RULES
from reconciler.model.health import HealthStatus

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "conditions",
                    "containerStatuses",
                    "exitCode",
                    "labels",
                    "lastState",
                    "message",
                    "name",
                    "ownerReferences",
                    "reason",
                    "replicas",
                    "restartCount",
                    "state",
                    "status",
                    "terminated",
                    "type",
                    "waiting",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
KINDS = sorted(RULES)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    group, kind = draw(st.sampled_from(KINDS))
    meta = {"name": "a", "uid": "u", "annotations": draw(JSON), "labels": draw(JSON)}
    version = f"{group}/v1" if group else "v1"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": meta,
        "spec": draw(JSON),
        "status": draw(JSON),
    }


@given(JSON)
def test_any_tree_has_a_health(tree: Any) -> None:
    assert assess(tree, ()).status is HealthStatus.UNKNOWN


@given(objects(), st.lists(objects(), max_size=3))
def test_any_object_of_a_known_kind_has_a_health(
    obj: dict[str, Any], family: list[dict[str, Any]]
) -> None:
    assert assess(obj, tuple(family)).status in HealthStatus


@given(objects())
def test_an_object_does_not_differ_from_itself(obj: dict[str, Any]) -> None:
    assert differences(obj, obj) == ()
