"""Break-glass on a cluster: what a suspension stops there, until when, and who is told of a wrong one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.model.objects import KubeObject
from reconciler.model.times import rfc3339
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map, labelled
from tests.fakes.records import revision

RECORD = {
    "apiVersion": "reconciler.dev/v1alpha1",
    "kind": "ServiceRecord",
    "metadata": {"name": "web.dev", "namespace": NAMESPACE},
}
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def suspend(work: AtWork, obj: KubeObject, seconds: float) -> None:
    text = rfc3339(work.clock.now() + timedelta(seconds=seconds))
    notes = {"reconciler.dev/suspend-until": text, "reconciler.dev/suspend-reason": "an incident"}
    work.edit(obj, annotations=notes)


def test_a_suspended_record_stops_its_cell_and_ends_by_time_alone(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    suspend(work, RECORD, 60)
    work.pass_(2)
    assert "an incident" in str(work.member().suspended)
    work.cluster.audit.clear()
    work.deliver("2", config_map(x="2"))
    work.pass_(50)
    assert work.cluster.audit == []
    work.told.clear()
    work.pass_(20)
    assert work.member().suspended is None
    assert KEY in work.told


def test_a_suspended_object_is_not_delivered_to_nor_anything_beside_it(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), config_map("other", x="1"))
    suspend(work, config_map(), 30)
    work.pass_(1)
    work.deliver("2", config_map(x="2"), config_map("other", x="2"))
    work.pass_(20)
    for name in ("web", "other"):
        assert work.get(config_map(name))["data"] == {"x": "1"}  # type: ignore[index]
    assert "an incident" in work.member().health.message
    assert work.until(lambda: work.member().is_on(revision("2").id), 60)


@pytest.mark.parametrize("stands", [True, False])
def test_what_was_adopted_and_is_suspended_holds_a_release_that_leaves_it_out_only_if_it_is_taken_over(
    work: AtWork, stands: bool
) -> None:
    adopted = (config_map(x="1"), config_map("more", x="1"))
    for obj in adopted:
        meta = {"name": obj["metadata"]["name"], "namespace": "web"}
        work.cluster.store.create({**obj, "metadata": meta}, "kubectl-client-side-apply")
    suspend(work, adopted[1], 3600)
    if not stands:
        work.edit(adopted[1], data={"x": "by hand"})
    work.deliver("2", config_map(x="2"), adopted=("1", adopted))
    work.pass_(10)
    assert work.member().is_on(revision("2").id) != stands


def pod(image: str) -> dict[str, Any]:
    """Returns a Pod that the service renders itself, without a workload above it."""
    metadata = {"name": "web", "namespace": "web"}
    spec = {"containers": [{"name": "web", "image": image}]}
    return labelled({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(config_map(x="1"), config_map(x="2"), id="a ConfigMap"),
        pytest.param(pod("example.com/web:1"), pod("example.com/web:2"), id="a Pod of its own"),
    ],
)
def test_a_suspended_object_is_delivered_to_after_four_hours_whatever_it_asks_for(
    one: dict[str, Any], other: dict[str, Any], work: AtWork
) -> None:
    work.delivered("1", one)
    suspend(work, one, 9 * 3600)
    work.clock.advance(4 * 3600 - 60)
    work.deliver("2", other)
    work.pass_(50)
    assert work.record().reason == "Suspended"  # type: ignore[union-attr]
    assert work.until(lambda: work.member().is_on(revision("2").id), 60)


def test_a_suspension_that_is_written_wrongly_is_told_once(work: AtWork) -> None:
    notes = {"reconciler.dev/suspend-until": "for ever"}
    with capture_logs() as told:
        work.delivered("1", config_map(x="1"))
        work.edit(config_map(), annotations=notes)
        for obj in (RECORD, SPACE):
            work.edit(obj, annotations=notes)
        work.pass_(20)
        work.edit(config_map(), data={"x": "by hand"})
        work.pass_(20)
    wrong = [one for one in told if one["event"] == "suspension-wrong"]
    assert sorted(one["error"].partition(": ")[0] for one in wrong) == [
        "ConfigMap/web/web",
        "Namespace/reconciler-system",
        "ServiceRecord/reconciler-system/web.dev",
    ]
    assert {one["cluster"] for one in wrong} == {"dev-1"}
