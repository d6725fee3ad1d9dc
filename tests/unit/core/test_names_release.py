"""Which failures name their release, so that nothing of the platform explains them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.health import assess
from tests.fakes.objects import obj
from tests.unit.core.test_health import BUSY, CRASH, deployment, pod, replica_set, waiting


def going(pod_: dict[str, Any]) -> dict[str, Any]:
    """Returns a Pod that is being deleted."""
    return {**pod_, "metadata": {**pod_["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("container", "old", "names"),
    [
        pytest.param(CRASH, pod("old", name="o-1", ready=True), True, id="old ones live"),
        pytest.param(CRASH, pod("old", name="o-1"), False, id="old ones are not ready either"),
        pytest.param(CRASH, pod("new", name="n-2", ready=True), False, id="another new one lives"),
        pytest.param(CRASH, going(pod("old", name="o-1", ready=True)), False, id="old ones go"),
        pytest.param(waiting("ErrImagePull", "x/y:1: not found"), None, True, id="no such image"),
        pytest.param(
            waiting("ErrImagePull", "403 Forbidden"), None, False, id="an image is denied"
        ),
        pytest.param(
            waiting("ErrImagePull", "403 Forbidden"),
            pod("old", name="o-1", ready=True),
            False,
            id="an image is denied, and old ones had theirs before",
        ),
        pytest.param(
            waiting(
                "ErrImagePull",
                "pull access denied, repository does not exist or may require authorization",
            ),
            None,
            False,
            id="an image is denied in the words of containerd",
        ),
        pytest.param(waiting("InvalidImageName"), None, True, id="its image has no name"),
        pytest.param(
            waiting("CreateContainerConfigError", "couldn't find key a in ConfigMap web/x"),
            None,
            False,
            id="its configuration may be gone for all",
        ),
        pytest.param(
            waiting("Unschedulable"), pod("old", name="o-1", ready=True), False, id="nothing failed"
        ),
    ],
)
def test_a_failure_names_its_release_where_nothing_of_the_platform_explains_it(
    container: dict[str, Any], old: dict[str, Any] | None, names: bool
) -> None:
    others = (old,) if old is not None else ()
    family = (replica_set(1, "old"), replica_set(2, "new"), pod("new", **container), *others)
    assert assess(deployment(**BUSY), family).names_release is names


def test_the_pod_that_names_the_release_speaks_for_those_that_fail() -> None:
    absent = pod("new", name="z-9", **waiting("ErrImagePull", "x/y:1: not found"))
    found = assess(deployment(**BUSY), (replica_set(2, "new"), pod("new", **CRASH), absent))
    assert (found.reason, found.names_release) == ("ErrImagePull", True)


def test_a_stateful_set_names_its_release_while_pods_before_it_are_ready() -> None:
    status = {"replicas": 2, "updateRevision": "a-2"}
    given = obj("StatefulSet", spec={"replicas": 2}, status=status)
    broken, well = pod("u", **CRASH), pod("u", name="a-0", ready=True)
    broken["metadata"]["labels"] = {"controller-revision-hash": "a-2"}
    well["metadata"]["labels"] = {"controller-revision-hash": "a-1"}
    assert assess(given, (broken, well)).names_release
    well["metadata"]["labels"] = {"controller-revision-hash": "a-2"}
    assert not assess(given, (broken, well)).names_release


def test_an_old_pod_speaks_where_a_new_one_ran_and_failed_beside_one_that_is_denied() -> None:
    denied, old = (
        pod("new", name="a-0", **waiting("ErrImagePull", "403 Forbidden")),
        pod("old", name="o-1", ready=True),
    )
    family = (replica_set(1, "old"), replica_set(2, "new"), denied, pod("new", **CRASH), old)
    assert assess(deployment(**BUSY), family).names_release
