"""What a cluster's executor may say, and when."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.actions import Deliver
from reconciler.model.health import HealthStatus
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.objects import Rendered
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.model.release import Revision
from reconciler.ports.kube import Change, WatchEvent
from reconciler.schema.records import service_record_object, service_record_status
from reconciler.shell.executor.cells import CellState, Look, Objects
from reconciler.shell.executor.cluster import ClusterExecutor
from reconciler.shell.executor.orders import Claim, Order
from reconciler.shell.executor.pulse import Pulse
from reconciler.shell.executor.soaking import Soak
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.records import revision

KEY = (ServiceName("web"), EnvironmentName("dev"))
DEV_1 = ClusterName("dev-1")


class Fresh:
    """A watch that has just been heard of."""

    is_fresh = True


def executor(clock: VirtualClock) -> ClusterExecutor:
    cluster = SimulatedCluster("dev-1", clock=clock)
    api = cluster.client()
    pulse = Pulse(
        DEV_1,
        api,
        clock=clock,
        namespace="reconciler-system",
        on_change=lambda: None,
        on_event=lambda event: None,
    )
    pulse.step()
    return ClusterExecutor(
        DEV_1,
        api,
        clock=clock,
        namespace="reconciler-system",
        start_watch=lambda kind, selector, on: Fresh(),
        pulse=pulse,
        may_write=lambda: True,
        may_prune=lambda: True,
        is_held=lambda key: False,
        on_change=lambda key: None,
        on_event=lambda event: None,
    )


def order(wanted: Revision) -> Order:
    deliver = Deliver(
        *KEY,
        cluster=DEV_1,
        revision=wanted,
        returning=False,
        proven=False,
        drift=DriftMode.REPORT,
        keep=(wanted.id,),
        reason="Deliver",
        message="",
    )
    return Order(deliver, Claim(1, "me", "default"), "web", Rendered((), "sha256:x"))


def test_what_was_seen_of_one_revision_never_speaks_for_the_next() -> None:
    """The watch may tell that a revision was applied before this process has looked at it."""
    clock = VirtualClock()
    tested = executor(clock)
    old, new = revision("1"), revision("2")
    state = CellState(objects=Objects(old.id, ()), is_fresh=True, soak=Soak(500.0))
    healthy = replace(tested.member(KEY, None).health, status=HealthStatus.CURRENT)
    state.seen = Look(healthy, ())
    tested._cells[KEY] = state
    record = ServiceRecord(
        *KEY,
        revision=new,
        namespace="web",
        state=ApplyState.APPLIED,
        applied=new.id,
        observed_generation=1,
        version="7",
    )
    obj = service_record_object(record, namespace="reconciler-system")
    obj["status"] = service_record_status(record)
    obj["metadata"]["generation"] = 1
    tested._note_record(WatchEvent(Change.ADDED, obj))
    member = tested.member(KEY, None)
    assert member.record is not None and member.record.applied == new.id
    assert not member.synced
    assert member.health.status is HealthStatus.UNKNOWN
    assert member.healthy_s == 0


def test_an_order_that_waits_is_replaced_by_the_next_and_kept_by_an_equal_one() -> None:
    tested = executor(VirtualClock())
    tested.order(order(revision("1")))
    first = tested._work[KEY]
    tested.order(order(revision("1")))
    assert tested._work[KEY] is first
    tested.order(order(revision("2")))
    assert tested._work[KEY] is not first


def test_an_order_that_cannot_be_carried_out_is_tried_again_less_and_less() -> None:
    clock = VirtualClock()
    tested = executor(clock)
    # Nothing is installed: no namespace and no definition of our records.
    tested.order(order(revision("1")))
    waits = []
    for _ in range(6):
        tested.step()
        waits.append(tested._work[KEY].due_s - clock.monotonic_s())
        clock.advance(waits[-1])
    assert waits == [0.5, 1, 2, 4, 8, 16]


def test_soak_adds_up_what_was_seen_and_nothing_else() -> None:
    soak = Soak()
    soak.healthy(10)
    assert soak.total_s(15) == 5
    soak.stop(15)
    assert soak.total_s(100) == 5
    soak.healthy(100)
    soak.healthy(101)
    assert soak.total_s(103) == 8
    # Nobody has looked since 102: what is counted ends there.
    soak.stop(102)
    assert soak.total_s(200) == 7
