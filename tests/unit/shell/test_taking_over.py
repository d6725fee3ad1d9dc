"""What a person's tool had applied comes over to us, whatever happens on the way."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import AdmissionDenied, Conflict, Denied, Refused
from reconciler.model.objects import KubeObject
from tests.fakes.at_work import AtWork, config_map, workload

KUBECTL = "kubectl-client-side-apply"


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def by_kubectl(work: AtWork, obj: KubeObject) -> None:
    """Leaves an object as `kubectl apply` does; nobody's who knows of us."""
    meta = {key: obj["metadata"][key] for key in ("name", "namespace")}
    work.cluster.store.create({**obj, "metadata": meta}, KUBECTL)


def managers(work: AtWork, obj: KubeObject) -> set[str]:
    found = work.get(obj)
    assert found is not None
    return {entry["manager"] for entry in found["metadata"]["managedFields"]}


def data(work: AtWork) -> Any:
    found = work.get(config_map())
    return found["data"] if found is not None else None


@pytest.mark.parametrize("write", range(9))
def test_an_adoption_that_dies_at_any_write_is_completed(work: AtWork, write: int) -> None:
    adopted = (config_map(x="1", y="1"), workload())
    for obj in adopted:
        by_kubectl(work, obj)
    work.die_at_write(write)
    work.deliver("1", *adopted)
    work.pass_(5)
    work.mend()
    work.start()
    work.delivered("1", *adopted)
    work.delivered("2", config_map(x="2"), workload(image="example.com/web:2"))
    assert data(work) == {"x": "2"}


def test_an_adoption_writes_labels_and_managers_and_nothing_twice(work: AtWork) -> None:
    by_kubectl(work, config_map(x="1"))
    work.delivered("1", config_map(x="1"))
    assert managers(work, config_map()) == {"reconciler"}
    own = [w.verb for w in work.writes("ConfigMap") if w.name == "web"]
    assert own == ["apply", "reassign"]
    work.delivered("2", config_map(x="2"))
    assert [w.verb for w in work.writes("ConfigMap") if w.name == "web"] == [*own, "apply"]


def test_who_applies_at_the_same_moment_is_asked_about_and_not_overruled(work: AtWork) -> None:
    more = config_map("more", x="1")
    work.delivered("1", config_map(x="1"))
    by_kubectl(work, more)
    waiting = ["by hand"]

    def before(verb: str, kind: str) -> None:
        if verb == "reassign" and waiting:
            work.edit(more, KUBECTL, data={"x": waiting.pop()})

    work.cluster.faults.before = before
    work.deliver("2", config_map(x="1"), more)
    work.pass_(20)
    found, record = work.get(more), work.record()
    assert not waiting and found is not None and found["data"] == {"x": "by hand"}
    assert KUBECTL in managers(work, more)
    assert record is not None and record.reason == "FieldConflict"


def test_what_changes_all_the_time_is_tried_again_later(work: AtWork) -> None:
    by_kubectl(work, config_map(x="1"))
    work.refuse(Conflict("x", "y", "z"), ["reassign"])
    order = work.deliver("1", config_map(x="1"))
    work.pass_(2)
    assert not work.member().is_on(order.deliver.revision.id)
    work.mend()
    assert work.until(lambda: work.member().is_on(order.deliver.revision.id))
    assert managers(work, config_map()) == {"reconciler"}


@pytest.mark.parametrize("error", [Denied, AdmissionDenied, Refused])
def test_where_it_is_refused_the_release_is_not_to_blame(
    work: AtWork, error: type[Exception]
) -> None:
    by_kubectl(work, config_map(x="1"))
    work.refuse(error("x", "y", "z"), ["reassign"])
    work.delivered("1", config_map(x="1"))
    work.deliver("2", config_map(x="2"))
    work.pass_(2)
    record = work.record()
    assert record is not None and record.reason == "FieldConflict"


def test_what_stands_as_it_was_adopted_is_kept_to_go_back_to(work: AtWork) -> None:
    adopted = (config_map(x="1"), config_map("more", x="1"))
    for obj in adopted:
        by_kubectl(work, obj)
    work.delivered("2", config_map(x="2"), adopted=("1", adopted))
    assert data(work) == {"x": "2"}
    work.delivered("1", rendered=False, returning=True)
    assert data(work) == {"x": "1"}


@pytest.mark.parametrize("write", range(12))
def test_what_was_adopted_comes_over_whichever_write_dies(work: AtWork, write: int) -> None:
    adopted = (config_map(x="1", y="1"), workload())
    asked = (config_map(x="2"), workload(image="example.com/web:2"))
    for obj in adopted:
        by_kubectl(work, obj)
    work.die_at_write(write)
    work.deliver("2", *asked, adopted=("1", adopted))
    work.pass_(5)
    work.mend()
    work.start()
    work.delivered("2", *asked, adopted=("1", adopted))
    assert data(work) == {"x": "2"}
