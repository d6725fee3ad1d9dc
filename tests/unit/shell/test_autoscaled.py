"""Replicas that a release leaves to an autoscaler: handed over as they are, and never fought about."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.events import EventKind
from reconciler.model.policy import DriftMode
from tests.fakes.at_work import AtWork, workload

CORRECT = {"drift": DriftMode.CORRECT}


def autoscaled(**changes: Any) -> dict[str, Any]:
    """Returns a workload as assembly renders one that an autoscaler targets."""
    obj = workload(**changes)
    return {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != "replicas"}}


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def replicas(work: AtWork) -> int:
    live = work.get(workload())
    assert live is not None
    return int(live["spec"]["replicas"])


def scale(work: AtWork, number: int) -> None:
    """Writes as an autoscaler does: by its own manager, the one field."""
    live = work.get(workload())
    assert live is not None
    work.edit(workload(), "kube-controller-manager", spec={**live["spec"], "replicas": number})


def test_they_stay_as_they_are_until_somebody_else_has_written_them(work: AtWork) -> None:
    work.delivered("1", workload(replicas=5))
    work.delivered("2", autoscaled(image="example.com/web:2"))
    assert replicas(work) == 5
    work.delivered("3", autoscaled(image="example.com/web:3"))
    assert replicas(work) == 5


@pytest.mark.parametrize("drift", [DriftMode.REPORT, DriftMode.CORRECT])
def test_what_an_autoscaler_writes_is_no_drift_and_stays(work: AtWork, drift: DriftMode) -> None:
    work.delivered("1", workload(replicas=2), drift=drift)
    work.delivered("2", autoscaled(image="example.com/web:2"), drift=drift)
    scale(work, 7)
    work.pass_(10)
    work.delivered("3", autoscaled(image="example.com/web:3"), drift=drift)
    work.pass_(10)
    assert replicas(work) == 7
    assert not work.told_of(EventKind.DRIFT_SEEN)


def test_a_hand_edit_beside_them_is_put_right_and_they_stay(work: AtWork) -> None:
    work.delivered("1", workload(replicas=5), **CORRECT)
    work.delivered("2", autoscaled(), **CORRECT)
    live = work.get(workload())
    assert live is not None
    template = {**live["spec"]["template"], "spec": {"containers": [{"name": "web", "image": "x"}]}}
    work.edit(workload(), spec={**live["spec"], "template": template})
    assert work.until(lambda: bool(work.told_of(EventKind.DRIFT_CORRECTED)), 10)
    assert replicas(work) == 5


def test_the_way_back_to_a_release_that_sets_them_takes_them_again(work: AtWork) -> None:
    work.delivered("1", workload(replicas=2))
    work.delivered("2", autoscaled(image="example.com/web:2"))
    scale(work, 7)
    work.delivered("1", workload(replicas=2), returning=True)
    assert replicas(work) == 2


def test_a_new_workload_begins_with_what_the_server_gives_it(work: AtWork) -> None:
    work.delivered("1", autoscaled())
    live = work.get(workload())
    assert live is not None
    assert live["spec"].get("replicas", 1) == 1
