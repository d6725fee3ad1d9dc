"""What a cluster's executor does with an order, and what it may say of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from reconciler.errors import AdmissionDenied, Denied, Refused, Throttled, Unreachable
from reconciler.model.events import EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import ObjectRef
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.ports.kube import Propagation
from reconciler.shell.executor.orders import CellKey, Claim, Leadership
from reconciler.simulated.ownership import fields_of
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map, workload
from tests.fakes.records import revision

OTHER: CellKey = (ServiceName("api"), EnvironmentName("dev"))
WRITES = ("create", "update", "apply", "delete")


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def test_every_write_goes_before_what_it_makes_safe(work: AtWork) -> None:
    work.cluster.audit.clear()
    work.delivered("1", config_map(x="1"), workload())
    ours = [(w.verb, w.kind, w.name.partition("-")[0]) for w in work.cluster.audit]
    assert ours == [
        ("create", "ServiceRecord", "web.dev"),
        ("create", "Secret", "stored"),
        ("create", "ConfigMap", "inventory"),
        ("apply", "ConfigMap", "web"),
        ("apply", "Deployment", "web"),
        ("update", "ServiceRecord", "web.dev"),
    ]
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)


WRITES_OF_A_RELEASE = 8
"""From the claim to the last thing that is cleaned up after the proof."""


def test_a_release_takes_so_many_writes(work: AtWork) -> None:
    work.delivered("1", config_map("gone", x="1"), config_map(x="1"), workload())
    work.cluster.audit.clear()
    work.delivered("2", config_map(x="2"), workload(image="example.com/web:2"), proven=True)
    assert work.until(lambda: bool(work.told_of(EventKind.PRUNED)))
    work.pass_(5)
    assert len(work.cluster.audit) == WRITES_OF_A_RELEASE


@pytest.mark.parametrize("number", range(WRITES_OF_A_RELEASE))
def test_a_process_may_die_at_any_write_and_the_next_one_ends_where_it_would_have(
    number: int,
) -> None:
    """The write is made, and the process does not live to hear the answer."""
    work = AtWork()
    gone, kept = config_map("gone", x="1"), config_map(x="1")
    work.delivered("1", gone, kept, workload())
    new = (config_map(x="2"), workload(image="example.com/web:2"))
    work.die_at_write(number)
    work.deliver("2", *new, proven=True)
    work.pass_(10)
    assert not work._alive[0]
    work.mend()
    work.start()
    order = work.deliver("2", *new, proven=True)
    member = work.member()
    if member.is_on(order.deliver.revision.id):
        # As the coordinator, which orders nothing that is carried out.
        work.executor._backlog.done(order)
    assert work.until(lambda: work.member().is_on(order.deliver.revision.id))
    assert work.until(lambda: work.get(gone) is None), "what was left undone is done"
    for obj in new:
        found = work.get(obj)
        assert found is not None
        assert fields_of(dict(obj)) <= fields_of(found)
    assert work.get(kept) is not None
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    record = work.record()
    assert record is not None and record.is_observed
    assert record.state is ApplyState.APPLIED


def test_what_was_seen_of_one_revision_never_speaks_for_the_next(work: AtWork) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().healthy_s > 5)
    work.deliver("2", workload(image="example.com/web:2"))
    seen = []

    def look() -> bool:
        member = work.member()
        record = member.record
        if record is not None and record.revision.id == revision("2").id:
            seen.append((member.healthy_s, member.health.status))
        return member.health.status is HealthStatus.CURRENT and bool(seen)

    assert work.until(look)
    healthy_s, _ = seen[0]
    assert healthy_s == 0
    assert HealthStatus.CURRENT not in {status for _, status in seen[:3]}


def test_an_order_is_replaced_by_the_next_and_kept_by_an_equal_one(work: AtWork) -> None:
    work.refuse(Unreachable("x", "y", "z"), WRITES)
    work.deliver("1", config_map(x="1"))
    work.pass_(3)
    tries = len(work.told_of(EventKind.APPLY_FAILED))
    work.deliver("1", config_map(x="1"))
    work.deliver("2", config_map(x="2"))
    work.mend()
    assert work.until(lambda: work.member().is_on(revision("2").id))
    assert tries == 1
    assert revision("1").id not in {e.revision.id for e in work.told_of(EventKind.APPLIED)}  # type: ignore[union-attr]


def attempts(work: AtWork, error: Exception, seconds: float) -> list[float]:
    """Returns when an order was tried whose first write meets an error."""
    at: list[float] = []

    def before(verb: str, kind: str) -> None:
        if verb == "create" and kind == "ServiceRecord":
            at.append(work.clock.monotonic_s())
            raise error

    work.cluster.faults.before = before
    work.deliver("1", config_map(x="1"))
    work.pass_(seconds)
    return [round(later - sooner, 1) for sooner, later in pairwise(at)]


def test_an_order_that_fails_is_tried_again_less_and_less(work: AtWork) -> None:
    error = Unreachable("x", "y", "z")
    assert attempts(work, error, 150) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_server_that_asks_for_time_is_given_it(work: AtWork) -> None:
    assert attempts(work, Throttled("x", "y", "z", retry_after_s=7), 16) == [7, 7]
    waits = attempts(AtWork(), Throttled("x", "y", "z", retry_after_s=10_000), 65)
    assert waits == [30, 30], "a server that asks for hours is asked again all the same"


def test_one_cell_whose_objects_cannot_be_read_holds_up_no_other(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.delivered("1", config_map("api", key=OTHER), key=OTHER)
    work.refuse(Denied("Secret", "it cannot be read", "forbidden"), ["get"], "Secret")
    work.start()
    work.pass_(5)
    assert not work.member().synced
    assert "forbidden" in work.member().health.message
    # Orders for either are carried out all the same.
    work.deliver("2", config_map("api", key=OTHER, x="2"), key=OTHER, rendered=True)
    work.mend()
    assert work.until(lambda: work.member(OTHER).is_on(revision("2").id))
    assert work.until(lambda: work.member().synced)


# Who may write.


def test_a_record_of_a_higher_term_fences_an_order_off(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), epoch=5)
    work.cluster.audit.clear()
    work.deliver("2", config_map(x="2"), epoch=4)
    work.pass_(20)
    assert work.writes("ConfigMap") == []
    assert work.get(config_map())["data"] == {"x": "1"}  # type: ignore[index]
    # It is not tried without a pause, and a new term of ours is let through.
    asked = len([w for w in work.cluster.audit if w.kind == "ServiceRecord"])
    assert asked == 0
    work.deliver("2", config_map(x="2"), epoch=6)
    assert work.until(lambda: work.member().is_on(revision("2").id), 5)


def test_another_holder_of_the_same_term_is_fenced_off(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.leadership = Leadership(Claim(1, "two", "default"), leads=True)
    work.deliver("2", config_map(x="2"))
    work.pass_(20)
    assert work.get(config_map())["data"] == {"x": "1"}  # type: ignore[index]


def test_orders_of_a_cluster_that_does_not_answer_are_forgotten(work: AtWork) -> None:
    """What was ordered before may have been rejected by the time it is back."""
    work.delivered("1", config_map(x="1"))
    work.cluster.faults.is_down = True
    work.deliver("2", config_map(x="2"))
    work.pass_(20)
    work.told.clear()
    work.cluster.faults.is_down = False
    work.pass_(20)
    assert work.member().known
    assert work.get(config_map())["data"] == {"x": "1"}  # type: ignore[index]
    assert KEY in work.told, "the coordinator is told, so that it orders anew"


def test_what_was_there_before_an_order_that_failed_is_seen_again(work: AtWork) -> None:
    work.delivered("1", workload())
    work.refuse(Unreachable("x", "y", "z"), WRITES)
    work.deliver("2", workload(image="example.com/web:2"))
    assert work.until(lambda: work.executor._backlog.trouble(KEY) is not None)
    assert work.until(lambda: work.member().known, 5)
    assert work.member().is_on(revision("1").id)


def test_an_order_is_forgotten_in_observe_mode(work: AtWork) -> None:
    work.observes = True
    work.cluster.audit.clear()
    work.deliver("1", config_map(x="1"))
    work.pass_(10)
    assert work.cluster.audit == []
    work.observes = False
    work.pass_(10)
    assert work.cluster.audit == []


# What the server refuses.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AdmissionDenied("x", "y", "no pods on Fridays"), "AdmissionDenied"),
        (Denied("x", "y", "forbidden"), "Forbidden"),
        (Refused("x", "y", "invalid"), "ApplyRefused"),
    ],
)
def test_a_refusal_is_written_down_and_tried_again(
    error: Exception, reason: str, work: AtWork
) -> None:
    work.refuse(error, ["apply"], "Deployment")
    work.deliver("1", config_map(x="1"), workload())
    work.pass_(5)
    record = work.record()
    assert record is not None
    assert (record.state, record.reason, record.applied) == (ApplyState.FAILED, reason, None)
    assert len(work.told_of(EventKind.APPLY_FAILED)) == 1
    work.mend()
    assert work.until(lambda: work.member().is_on(revision("1").id), 60)


def test_no_answer_is_not_written_down_and_is_told_all_the_same(work: AtWork) -> None:
    work.refuse(Unreachable("Deployment/web/web", "it cannot be applied", "500"), ["apply"])
    work.deliver("1", workload())
    work.pass_(5)
    record = work.record()
    assert record is not None and record.state is ApplyState.PENDING
    assert "500" in work.member().health.message


def test_another_managers_field_is_left_to_it_but_taken_on_the_way_back(work: AtWork) -> None:
    work.delivered("1", workload(replicas=2))
    live = work.get(workload())
    assert live is not None
    work.edit(workload(), spec={**live["spec"], "replicas": 5})
    work.deliver("2", workload(replicas=3))
    work.pass_(5)
    record = work.record()
    assert record is not None and record.reason == "FieldConflict"
    assert work.get(workload())["spec"]["replicas"] == 5  # type: ignore[index]
    work.delivered("1", workload(replicas=2), returning=True)
    assert work.get(workload())["spec"]["replicas"] == 2  # type: ignore[index]


def test_an_object_of_another_service_is_left_to_it(work: AtWork) -> None:
    work.delivered("1", config_map(key=OTHER, x="theirs"), key=OTHER)
    work.delivered("1", workload())
    work.deliver("2", config_map(x="ours"), workload())
    work.pass_(5)
    record = work.record()
    assert record is not None and record.reason == "OwnedByAnother"
    assert work.get(config_map())["data"] == {"x": "theirs"}  # type: ignore[index]


# What is kept to go back to.


def test_what_is_put_back_needs_no_render(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.delivered("2", config_map(x="2"))
    work.delivered("1", rendered=False, returning=True)
    assert work.get(config_map())["data"] == {"x": "1"}  # type: ignore[index]


def stored_secret(work: AtWork, version: str) -> dict[str, Any]:
    digits = revision(version).id.partition(":")[2][:12]
    ref = ObjectRef("v1", "Secret", NAMESPACE, f"stored-web.dev-{digits}-0")
    found = work.kube.get(ref)
    assert found is not None
    return dict(found)


def test_what_is_stored_of_an_applied_revision_and_lost_is_asked_for_anew(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    secret = stored_secret(work, "1")
    work.cluster.store.delete(
        work.cluster.store.served("v1", "Secret"),  # type: ignore[arg-type]
        NAMESPACE,
        secret["metadata"]["name"],
    )
    work.start()
    assert work.until(lambda: not work.member().is_on(revision("1").id), 10)
    record = work.record()
    assert record is not None and record.reason == "StoredObjectsDamaged"
    assert work.member().known, "the coordinator may order again"
    work.delivered("1", config_map(x="1"))
    assert stored_secret(work, "1")


def test_what_is_stored_and_damaged_is_written_again(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    secret = stored_secret(work, "1")
    work.edit(secret, data={"objects": "bm9uc2Vuc2U="}, annotations={})
    work.start()
    assert work.until(lambda: not work.member().is_on(revision("1").id), 10)
    work.delivered("1", config_map(x="1"))
    assert stored_secret(work, "1")["data"] == secret["data"]


def test_what_is_damaged_is_rendered_instead_where_it_can_be(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.delivered("2", config_map(x="2"))
    work.edit(stored_secret(work, "1"), data={})
    work.deliver("1", rendered=False, returning=True)
    work.pass_(5)
    record = work.record()
    assert record is not None and record.reason == "NothingToApply"
    # The same order, with a render this time.
    work.deliver("1", config_map(x="1"), returning=True)
    assert work.until(lambda: work.member().is_on(revision("1").id), 5)


# What may be said.


def test_nothing_is_known_of_what_nobody_has_looked_at_lately(work: AtWork) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().healthy_s > 3)
    work.refuse(Denied("Pod", "it cannot be watched", "forbidden"), ["list", "watch"], "Pod")
    work.pass_(30)
    member = work.member()
    assert member.reachable and not member.synced
    # It was seen for as long as the watch had something to say, and no longer.
    assert member.healthy_s < 10
    work.mend()
    assert work.until(lambda: work.member().synced, 60)


def test_a_stop_writes_down_how_long_it_was_healthy_and_the_next_process_goes_on(
    work: AtWork,
) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().healthy_s > 10)
    work.executor.flush()
    work.start()
    assert work.until(lambda: work.member().synced)
    assert 10 < work.member().healthy_s < 13


def test_a_stop_of_a_cluster_that_is_away_waits_for_nothing(work: AtWork) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().healthy_s > 5)
    asked: list[str] = []

    def hang(verb: str, kind: str) -> None:
        asked.append(kind)
        raise Unreachable(kind, verb, "no answer in time")

    work.cluster.faults.before = hang
    work.executor.flush()
    assert len(asked) == 1
    work.pass_(20)
    asked.clear()
    work.executor.flush()
    assert asked == []


def test_a_deployment_that_is_gone_is_missing_and_not_healthy(work: AtWork) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    found = work.get(workload())
    assert found is not None
    work.kube.delete(
        ObjectRef.of(found),
        uid=found["metadata"]["uid"],
        resource_version="",
        propagation=Propagation.BACKGROUND,
    )
    assert work.until(lambda: work.member().health.reason == "Missing", 5)


def test_a_recreated_object_is_seen_as_the_new_one_it_is(work: AtWork) -> None:
    work.delivered("1", workload(), drift=DriftMode.REPORT)
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    found = work.get(workload())
    assert found is not None
    work.kube.delete(
        ObjectRef.of(found),
        uid=found["metadata"]["uid"],
        resource_version="",
        propagation=Propagation.BACKGROUND,
    )
    work.cluster.store.create(workload(replicas=1), "somebody")
    assert work.until(lambda: work.member().drift > 0, 5)
    again = work.get(workload())
    assert again is not None and again["metadata"]["uid"] != found["metadata"]["uid"]


def test_a_claim_holds_only_for_its_own_term() -> None:
    leads = Leadership(Claim(3, "me", "default"), leads=True)
    waits = replace(leads, leads=False)

    def of(epoch: int, holder: str) -> ServiceRecord:
        return ServiceRecord(*KEY, revision=revision(), namespace="web", epoch=epoch, holder=holder)

    for who in (leads, waits):
        assert who.holding(of(3, "me")) == of(3, "me")
        assert who.holding(of(3, "another")) is None
        assert who.holding(of(4, "another")) is None
    taken = leads.holding(of(2, "another"))
    assert taken is not None and (taken.epoch, taken.holder) == (3, "me")
    assert waits.holding(of(2, "another")) is None
    assert Leadership(None, leads=True).holding(of(0, "")) is None
