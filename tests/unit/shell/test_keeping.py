"""What an executor does unasked, in whose name, and what it leaves alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.errors import AdmissionDenied, Denied, ReconcilerError, Unreachable
from reconciler.model.events import EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.objects import ObjectRef
from reconciler.model.policy import DriftMode
from reconciler.model.times import rfc3339
from reconciler.ports.kube import Propagation
from reconciler.shell.executor.orders import Claim, Leadership
from reconciler.shell.executor.repairing import CORRECTIONS_MAX
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.at_work import AtWork, config_map, workload

ANOTHER = Leadership(Claim(2, "two", "default"), leads=False)


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def data(work: AtWork, name: str = "web") -> object:
    found = work.get(config_map(name))
    return found and found["data"]


def drifted(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.edit(config_map(), data={"x": "by hand"})


def test_drift_is_told_and_put_right(work: AtWork) -> None:
    drifted(work)
    assert work.until(lambda: data(work) == {"x": "1"}, 2)
    (event,) = work.told_of(EventKind.DRIFT_CORRECTED)
    assert dict(event.detail)["manager"] == "kubectl-edit"
    assert work.until(lambda: work.member().drift == 0, 2)


def test_drift_is_only_told_where_policy_says_report(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.edit(config_map(), data={"x": "by hand"})
    work.pass_(30)
    assert data(work) == {"x": "by hand"}
    assert len(work.told_of(EventKind.DRIFT_SEEN)) == 1


def test_nothing_is_asked_or_put_right_in_observe_mode(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.observes = True
    asked: list[str] = []
    work.cluster.faults.before = lambda verb, kind: asked.append(verb)
    work.edit(config_map(), data={"x": "by hand"})
    work.pass_(10)
    assert data(work) == {"x": "by hand"}
    assert not {"dry-run", "apply", "update", "create"} & set(asked)
    assert work.told_of(EventKind.DRIFT_SEEN)


def test_drift_goes_on_being_put_right_without_the_lease_while_the_record_shows_our_term(
    work: AtWork,
) -> None:
    drifted_by = Leadership(Claim(1, "one", "default"), leads=False)
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.leadership = drifted_by
    work.edit(config_map(), data={"x": "by hand"})
    assert work.until(lambda: data(work) == {"x": "1"}, 2)


def test_a_standby_puts_nothing_right(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    for standby in (ANOTHER, Leadership(None, leads=False)):
        work.leadership = standby
        work.edit(config_map(), data={"x": f"by hand {standby.message}"})
        work.pass_(30)
        assert data(work) != {"x": "1"}
    assert work.told_of(EventKind.APPLY_FAILED) == [], "that it may not is nobody's trouble"


def test_whoever_leads_next_takes_the_record_over_before_it_puts_right(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.leadership = Leadership(Claim(2, "two", "default"), leads=True)
    work.edit(config_map(), data={"x": "by hand"})
    assert work.until(lambda: data(work) == {"x": "1"}, 5)
    record = work.record()
    assert record is not None and (record.epoch, record.holder) == (2, "two")
    assert record.is_observed, "only the name changed, and what is applied is what it was"


def test_a_rival_is_not_fought_for_ever(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)

    def rival() -> float:
        if data(work) == {"x": "1"}:
            work.edit(config_map(), data={"x": "mine"})
        return 0.1

    work.runner.spawn("a rival", rival)
    work.pass_(55)
    assert len(work.told_of(EventKind.DRIFT_CORRECTED)) == CORRECTIONS_MAX


def test_an_object_that_a_webhook_denies_keeps_no_other_from_being_put_right(work: AtWork) -> None:
    objects = (config_map("a", x="1"), config_map("b", x="1"))
    work.delivered("1", *objects, drift=DriftMode.CORRECT)

    def deny(verb: str, kind: str) -> None:
        if verb == "apply" and not tried:
            tried.append(kind)
            raise AdmissionDenied(kind, "it cannot be applied", "denied the request")

    tried: list[str] = []
    work.cluster.faults.before = deny
    for obj in objects:
        work.edit(obj, data={"x": "by hand"})
    assert work.until(lambda: data(work, "b") == {"x": "1"}, 2)
    assert work.until(lambda: data(work, "a") == {"x": "1"}, 5), "it is tried again"


def test_drift_that_may_not_be_put_right_is_told_with_why_and_once(work: AtWork) -> None:
    answers: list[ReconcilerError] = [Denied("ServiceRecord", "it cannot be replaced", "HTTP 403")]

    def refuse(verb: str, kind: str) -> None:
        if answers and (verb, kind) == ("update", "ServiceRecord"):
            raise answers[0]

    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.leadership = Leadership(
        Claim(2, "two", "default"), leads=True
    )  # It claims the record first.
    work.cluster.faults.before = refuse
    work.edit(config_map(), data={"x": "by hand"})
    work.pass_(60)
    assert [event.reason for event in work.told_of(EventKind.APPLY_FAILED)] == ["Denied"]
    answers[0] = Denied("ServiceRecord/web", "it cannot be replaced", "HTTP 403")
    work.pass_(60)
    answers[0] = Unreachable("ServiceRecord/web", "it cannot be replaced", "HTTP 500")
    work.pass_(60)
    told = [(e.reason, dict(e.detail)["object"]) for e in work.told_of(EventKind.APPLY_FAILED)]
    assert told == [
        ("Denied", "ServiceRecord"),
        ("Denied", "ServiceRecord/web"),
        ("Unreachable", "ServiceRecord/web"),
    ]
    work.edit(config_map(), data={"x": "1"})
    work.pass_(60)
    work.edit(config_map(), data={"x": "by hand, once more"})
    work.pass_(60)
    assert len(work.told_of(EventKind.APPLY_FAILED)) == 4, "another drift is told with why, too"
    answers.clear()
    assert work.until(lambda: data(work) == {"x": "1"}, 60)


def test_a_suspended_object_is_left_as_it_is_until_the_time_is_over(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    until = rfc3339(work.clock.now() + timedelta(seconds=20))
    notes = {"reconciler.dev/suspend-until": until}
    work.edit(config_map(), data={"x": "by hand"}, annotations=notes)
    work.pass_(15)
    assert data(work) == {"x": "by hand"}
    assert work.until(lambda: data(work) == {"x": "1"}, 40)


# Freeing.


def test_a_stuck_stateful_set_is_freed_only_in_our_own_name(work: AtWork) -> None:
    good, bad = workload("StatefulSet"), workload("StatefulSet", image=crashing())
    work.delivered("1", good)
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    work.delivered("2", bad)
    assert work.until(lambda: work.member().health.status is HealthStatus.FAILED)
    work.delivered("1", rendered=False, returning=True)
    work.leadership = ANOTHER
    work.cluster.audit.clear()
    work.pass_(10)
    assert not work.writes("Pod")
    work.leadership = Leadership(Claim(1, "one", "default"), leads=False)
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT, 60)
    assert {w.verb for w in work.writes("Pod")} == {"delete"}


def crashing() -> str:
    return f"example.com/web@{digest_for(Fate.CRASH)}"


# Pruning.


def pruned(work: AtWork, count: int = 1, *, proven: bool = False) -> list[str]:
    """Delivers a release without some of its objects and returns which of them are still there."""
    extra = [config_map(f"extra-{n}", x="1") for n in range(count)]
    kept = [config_map(f"kept-{n}", x="1") for n in range(count)]
    work.delivered("1", *kept, *extra)
    work.deliver("2", *[config_map(f"kept-{n}", x="2") for n in range(count)], proven=proven)
    work.pass_(10)
    return [str(o["metadata"]["name"]) for o in extra if work.get(o) is not None]


def test_what_is_rendered_no_more_goes_after_the_proof_and_not_before(work: AtWork) -> None:
    assert pruned(work) == ["extra-0"]
    assert pruned(AtWork(), proven=True) == []


def test_nothing_is_pruned_without_the_lease_and_all_of_it_once_it_is_back(work: AtWork) -> None:
    ours = work.leadership
    work.leadership = Leadership(ours.claim, leads=False)
    assert pruned(work, proven=True) == ["extra-0"]
    work.leadership = ours
    work.pass_(40)
    assert work.get(config_map("extra-0")) is None


def test_more_than_the_guard_allows_stays(work: AtWork) -> None:
    assert len(pruned(work, 21, proven=True)) == 21
    held = work.told_of(EventKind.PRUNE_HELD)
    assert "21 objects" in held[0].message


def test_many_small_steps_in_an_hour_are_one_large_one(work: AtWork) -> None:
    names = [f"map-{n:02}" for n in range(40)]
    work.delivered("1", *(config_map(n, x="1") for n in names))
    left = list(names)
    for step in range(6):
        left = left[4:]
        objects = [config_map(n, x=str(step)) for n in left]
        work.delivered(f"2.{step}", *objects, proven=True)
        work.pass_(5)
        # A restart does not begin the hour anew.
        work.start()
    there = [n for n in names if work.get(config_map(n)) is not None]
    assert len(names) - len(there) == 20
    assert work.told_of(EventKind.PRUNE_HELD)


def test_an_object_that_was_made_again_by_somebody_else_is_not_pruned(work: AtWork) -> None:
    extra = config_map("extra-0", x="1")
    work.delivered("1", config_map(x="1"), extra)
    live = work.get(extra)
    assert live is not None
    work.kube.delete(
        ObjectRef.of(extra),
        uid=live["metadata"]["uid"],
        resource_version="",
        propagation=Propagation.BACKGROUND,
    )
    theirs = {**extra, "metadata": {"name": "extra-0", "namespace": "web"}}
    work.cluster.store.create(theirs, "somebody")
    work.delivered("2", config_map(x="2"), proven=True)
    work.pass_(10)
    assert work.get(extra) is not None


def test_an_error_of_the_server_deletes_nothing_and_is_tried_again(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), config_map("extra-0", x="1"))
    work.delivered("2", config_map(x="2"))
    work.refuse(Unreachable("x", "y", "z"), ["delete"])
    work.delivered("2", config_map(x="2"), proven=True)
    work.pass_(10)
    assert work.get(config_map("extra-0")) is not None
    work.mend()
    assert work.until(lambda: work.get(config_map("extra-0")) is None, 60)
