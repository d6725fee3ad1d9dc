"""What a person's tool had applied comes over to us, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.errors import AdmissionDenied, Conflict, Denied, Refused, Unreachable
from reconciler.model.events import EventKind
from reconciler.model.objects import KubeObject
from reconciler.model.policy import DriftMode
from reconciler.shell.executor.orders import Order
from tests.fakes.at_work import AtWork, config_map, workload

KUBECTL = "kubectl-client-side-apply"
RIVAL = "argocd-controller"


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


def test_what_changes_all_the_time_comes_over_later_and_holds_no_delivery(work: AtWork) -> None:
    by_kubectl(work, config_map(x="1", y="1"))
    work.refuse(Conflict("x", "y", "z"), ["reassign"])
    work.delivered("1", config_map(x="1", y="1"))
    work.delivered("2", config_map(x="2", y="1"), drift=DriftMode.CORRECT)
    work.delivered("1", rendered=False, returning=True)
    assert KUBECTL in managers(work, config_map()) and not work.told_of(EventKind.APPLY_FAILED)
    work.mend()
    work.delivered("3", config_map(x="3"))
    assert managers(work, config_map()) == {"reconciler"} and data(work) == {"x": "3"}


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


def test_what_may_not_be_read_again_is_left_as_it_was_found(work: AtWork) -> None:
    """It is known from a watch, and asked for only after a conflict."""
    by_kubectl(work, workload())
    work.refuse(Conflict("x", "y", "z"), ["reassign"])
    work.delivered("1", workload())

    def before(verb: str, kind: str) -> None:
        if verb == "reassign":
            raise Conflict("x", "y", "z")
        if (verb, kind) == ("get", "Deployment"):
            raise Denied("x", "y", "z")

    work.cluster.faults.before = before
    work.delivered("2", workload(replicas=3), drift=DriftMode.CORRECT)
    assert not work.told_of(EventKind.APPLY_FAILED)


def test_what_stands_as_it_was_adopted_is_kept_to_go_back_to(work: AtWork) -> None:
    adopted = (config_map(x="1"), config_map("more", x="1"))
    for obj in adopted:
        by_kubectl(work, obj)
    work.delivered("2", config_map(x="2"), adopted=("1", adopted))
    assert data(work) == {"x": "2"}
    work.delivered("1", rendered=False, returning=True)
    assert data(work) == {"x": "1"}


ADOPTED = (config_map(x="1", y="1"), workload())
NEXT = (config_map(x="2"), workload(image="example.com/web:2"))


def with_a_rival(work: AtWork) -> None:
    """Leaves what is to be adopted, of which a controller has written one field."""
    by_kubectl(work, config_map(x="0", y="1"))
    work.edit(config_map(), RIVAL, data={"x": "1", "y": "1"})
    by_kubectl(work, workload())


@pytest.mark.parametrize("write", range(12))
def test_what_was_adopted_comes_over_whichever_write_dies(work: AtWork, write: int) -> None:
    for obj in ADOPTED:
        by_kubectl(work, obj)
    work.die_at_write(write)
    work.deliver("2", *NEXT, adopted=("1", ADOPTED))
    work.pass_(5)
    work.mend()
    work.start()
    work.delivered("2", *NEXT, adopted=("1", ADOPTED))
    assert data(work) == {"x": "2"}


@pytest.mark.parametrize("write", range(12))
def test_what_a_controller_wrote_is_never_taken_whichever_write_dies(
    work: AtWork, write: int
) -> None:
    with_a_rival(work)
    work.die_at_write(write)
    work.deliver("2", *NEXT, adopted=("1", ADOPTED))
    work.pass_(5)
    work.mend()
    work.start()
    work.deliver("2", *NEXT, adopted=("1", ADOPTED))
    work.pass_(20)
    record = work.record()
    assert record is not None and record.reason == "FieldConflict" and RIVAL in record.message
    assert data(work) == {"x": "1", "y": "1"}


def half_of_ours(work: AtWork, **changes: Any) -> None:
    """Nothing was ever applied whole, and a controller has written to what was."""
    work.refuse(Unreachable("x", "y", "z"), ["apply"], "Deployment")
    work.deliver("1", *ADOPTED, **changes)
    assert work.until(lambda: data(work) is not None)
    work.edit(config_map(), RIVAL, data={"x": "theirs", "y": "1"})
    work.mend()


@pytest.mark.parametrize(
    ("changes", "is_taken"),
    [
        ({}, False),
        ({"drift": DriftMode.CORRECT}, True),
        ({"overwrite": True}, True),
    ],
    ids=["report", "correct", "overwrite"],
)
def test_what_a_controller_wrote_to_a_half_of_ours_is_taken_only_where_a_person_says_so(
    work: AtWork, changes: dict[str, Any], is_taken: bool
) -> None:
    half_of_ours(work, **changes)
    work.deliver("2", *NEXT, **changes)
    work.pass_(20)
    assert data(work) == ({"x": "2"} if is_taken else {"x": "theirs", "y": "1"})
    record = work.record()
    assert record is not None and record.reason == ("" if is_taken else "FieldConflict")


def test_a_way_back_takes_what_is_ours_from_whoever_has_it(work: AtWork) -> None:
    half_of_ours(work)
    work.delivered("1", rendered=False, returning=True)
    assert data(work) == {"x": "1", "y": "1"}


def test_what_is_refused_as_it_was_adopted_is_not_laid_on_the_release(work: AtWork) -> None:
    """A server that refuses it has accepted it from a tool that checks less, as kubectl does for lists."""
    for obj in ADOPTED:
        by_kubectl(work, obj)
    work.refuse(Refused("x", "y", "twice the same key"), ["apply"], "Deployment")
    work.deliver("2", *NEXT, adopted=("1", ADOPTED))
    work.pass_(5)
    record = work.record()
    assert record is not None and record.reason == "AdoptionDiffers"
    assert "image" in record.message and "twice the same key" in record.message
    assert data(work) == {"x": "1", "y": "1"}, "all of a revision, or nothing"
    work.cluster.audit.clear()
    work.pass_(60)
    assert not work.writes(), "it is tried again, and says so once"
    work.mend()
    assert work.until(lambda: data(work) == {"x": "2"})


def test_what_the_release_leaves_as_it_is_or_out_needs_not_be_taken_over(work: AtWork) -> None:
    same = config_map("same", x="1")
    for obj in (same, *ADOPTED):
        by_kubectl(work, obj)
    tries = {"Deployment": 99, "ConfigMap": 1}

    def before(verb: str, kind: str) -> None:
        if verb == "apply":
            tries[kind] -= 1
            if tries[kind] >= 0:
                raise Refused(kind, "y", "z")

    work.cluster.faults.before = before
    work.delivered("2", same, NEXT[0], adopted=("1", (same, *ADOPTED)), proven=True)
    assert data(work) == {"x": "2"} and managers(work, same) == {"reconciler"}
    work.pass_(20)
    assert "reconciler" not in managers(work, workload()), "what is nobody's is not pruned"


def held_for_what_was_adopted(work: AtWork) -> Order:
    """Has an order wait that came without what was adopted; returns the whole one, to come in its place."""
    for obj in ADOPTED:
        by_kubectl(work, obj)
    order = work.deliver("2", *NEXT, adopted=("1", ADOPTED))
    work.executor.forget(order.key)
    work.executor.order(replace(order, adopted=None))
    work.pass_(5)
    return order


def test_an_order_without_what_was_adopted_gives_way_to_one_with_it(work: AtWork) -> None:
    """It could not be rendered for a moment."""
    order = held_for_what_was_adopted(work)
    record = work.record()
    assert record is not None and record.reason == "AdoptionDiffers"
    work.executor.order(order)
    assert work.until(lambda: data(work) == {"x": "2"})


def test_a_cluster_is_untouched_only_until_something_of_what_was_adopted_is_ours(
    work: AtWork,
) -> None:
    order = held_for_what_was_adopted(work)
    assert work.member().is_untouched
    work.refuse(Unreachable("x", "y", "z"), ["apply"], "Deployment")
    work.executor.order(order)
    assert work.until(lambda: "reconciler.dev/service" in str(work.get(config_map())))
    work.pass_(5)
    assert not work.member().is_untouched
    work.start()
    assert work.until(lambda: work.member().record is not None)
    assert not work.member().is_untouched
