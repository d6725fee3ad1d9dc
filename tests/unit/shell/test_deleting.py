"""What is deleted is what was seen: an object that was replaced or changed since then stays."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model.events import EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.names import RevisionId
from reconciler.model.objects import Rendered
from reconciler.model.times import rfc3339
from reconciler.shell.executor.keeping import FREE_AGAIN_S
from reconciler.shell.executor.stored import REVISION, StoredObjects
from reconciler.shell.executor.unsticking import delete_stuck
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map, workload

Object = dict[str, Any]
Change = Callable[[AtWork, Object], None]

EXTRA = config_map("extra", x="1")


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def replaced(work: AtWork, obj: Object) -> None:
    """Another object under the name and at the version of this one, as after a backup was restored."""
    kind = work.cluster.store.served(obj["apiVersion"], obj["kind"])
    assert kind is not None
    meta = obj["metadata"]
    for stored in work.cluster.store.peek(kind, meta["namespace"]):
        if stored["metadata"]["name"] == meta["name"]:
            stored["metadata"]["uid"] = "another"


def suspended(work: AtWork, obj: Object) -> None:
    """A person asks for it to be left alone."""
    until = rfc3339(work.clock.now() + timedelta(hours=1))
    note(work, obj, "reconciler.dev/suspend-until", until)


def note(work: AtWork, obj: Object, name: str, text: str) -> None:
    found = work.get(obj)
    assert found is not None
    meta = {**found["metadata"]}
    meta["annotations"] = {**(meta.get("annotations") or {}), name: text}
    work.cluster.store.replace({**found, "metadata": meta}, "kubectl-edit")


def before_delete(work: AtWork, kind: str, change: Callable[[], None]) -> list[str]:
    """Lets a change happen between the last look and the first request to delete; returns the requests."""
    asked: list[str] = []

    def before(verb: str, what: str) -> None:
        if verb == "delete" and what == kind:
            asked.append(what)
            if len(asked) == 1:
                change()

    work.cluster.faults.before = before
    return asked


@pytest.mark.parametrize(
    "change", [replaced, suspended], ids=["another has its name", "a person suspends it"]
)
def test_what_changes_between_the_look_and_the_pruning_stays(change: Change, work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), EXTRA)
    asked = before_delete(work, "ConfigMap", lambda: change(work, EXTRA))
    work.delivered("2", config_map(x="2"), proven=True)
    assert work.until(lambda: bool(asked))
    work.pass_(60)
    assert work.get(EXTRA) is not None
    assert not work.told_of(EventKind.PRUNED)


def test_what_changes_between_the_look_and_the_pruning_is_looked_at_again(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), EXTRA)
    before_delete(work, "ConfigMap", lambda: work.edit(EXTRA, data={"x": "by hand"}))
    work.delivered("2", config_map(x="2"), proven=True)
    assert work.until(lambda: work.get(EXTRA) is None), "it is not rendered all the same"


def test_a_stuck_pod_that_was_made_anew_since_the_look_is_not_deleted(work: AtWork) -> None:
    work.delivered("1", workload("StatefulSet"))
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    work.delivered("2", workload("StatefulSet", image=f"example.com/web@{digest_for(Fate.CRASH)}"))
    assert work.until(lambda: work.member().health.status is HealthStatus.FAILED)
    (broken,) = [pod for pod in pods(work) if "@" in pod["spec"]["containers"][0]["image"]]
    asked = before_delete(work, "Pod", lambda: replaced(work, broken))
    work.deliver("1", rendered=False, returning=True)
    assert work.until(lambda: bool(asked))
    work.pass_(FREE_AGAIN_S / 2)
    assert "another" in {pod["metadata"]["uid"] for pod in pods(work)}
    assert len(asked) == 1, "what is there now is for the next look to decide"


def pods(work: AtWork) -> list[Object]:
    found = work.kube.list("v1", "Pod", namespace="web", label_selector="")
    return [{"apiVersion": "v1", "kind": "Pod", **dict(pod)} for pod in found.items]


def becomes_ready(work: AtWork, pod: Object) -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    work.cluster.store.replace({**pod, "status": status}, "kubelet", subresource="status")


@pytest.mark.parametrize(
    "change", [replaced, becomes_ready], ids=["another has its name", "it became ready"]
)
def test_a_stuck_pod_is_deleted_only_as_it_was_seen(change: Change, work: AtWork) -> None:
    work.delivered("1", workload("StatefulSet"))
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    seen = copy.deepcopy(pods(work))
    change(work, seen[0])
    delete_stuck(work.kube, seen)
    left = {pod["metadata"]["name"] for pod in pods(work)}
    assert len(seen) == 2 and left == {seen[0]["metadata"]["name"]}


def written_again(work: AtWork, secret: Object) -> None:
    """It holds a revision that is wanted now."""
    note(work, secret, REVISION, "sha256:wanted")


@pytest.mark.parametrize(
    "change", [replaced, written_again], ids=["another has its name", "it was written again"]
)
def test_what_is_stored_is_collected_only_as_it_was_listed(change: Change, work: AtWork) -> None:
    stored = StoredObjects(work.kube, NAMESPACE)
    stored.save(KEY, RevisionId("sha256:old"), Rendered((config_map(x="1"),), ""))
    (secret,) = work.kube.list("v1", "Secret", namespace=NAMESPACE, label_selector="").items
    found = {"apiVersion": "v1", "kind": "Secret", **dict(secret)}
    asked = before_delete(work, "Secret", lambda: change(work, found))
    stored.collect(KEY, (), before=lambda: None)
    assert asked and work.get(found) is not None
    stored.collect(KEY, (), before=lambda: None)
    assert work.get(found) is None, "as it is now"
