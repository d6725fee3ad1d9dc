"""Who leads, judged by our own clock alone."""

from __future__ import annotations

from reconciler.errors import Unreachable
from reconciler.model.events import Event, EventKind
from reconciler.shell.lease import Lease
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster


class Two:
    """Two daemons and the cluster they both want."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.cluster = SimulatedCluster("home", clock=self.clock)
        self.cluster.client().create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "reconciler-system"}}
        )
        self.events: list[Event] = []
        self.one, self.two = self.lease("one"), self.lease("two")

    def lease(self, holder: str) -> Lease:
        return Lease(
            self.cluster.client(),
            "reconciler-system",
            holder,
            clock=self.clock,
            duration_s=15,
            renew_deadline_s=10,
            retry_s=2,
            on_change=lambda: None,
            on_event=self.events.append,
        )

    def pass_(self, seconds: int, *leases: Lease) -> None:
        for _ in range(seconds // 2):
            self.clock.advance(2)
            for lease in leases:
                lease.step()


def leads(lease: Lease) -> bool:
    """Asks again each time: time has passed since."""
    return lease.leads


def test_the_first_leads_and_the_second_waits() -> None:
    two = Two()
    two.one.step()
    two.two.step()
    two.pass_(60, two.one, two.two)
    assert leads(two.one) and not leads(two.two)
    assert two.two.message == "one leads"
    assert two.one.epoch == 1


def test_a_dead_leader_is_followed_by_a_higher_epoch_after_the_whole_duration() -> None:
    two = Two()
    two.one.step()
    two.two.step()
    two.pass_(12, two.two)
    assert not leads(two.two)
    two.pass_(10, two.two)
    assert leads(two.two)
    assert two.two.epoch == 2
    assert not leads(two.one)


def test_two_never_lead_at_once_even_when_one_is_paused_and_comes_back() -> None:
    two = Two()
    two.one.step()
    two.two.step()
    for _ in range(60):
        two.clock.advance(1)
        two.two.step()
        assert not (leads(two.one) and leads(two.two))
    two.one.step()
    assert leads(two.two) and not leads(two.one)


def test_a_home_that_does_not_answer_ends_leading_at_the_deadline() -> None:
    two = Two()
    two.one.step()
    two.cluster.faults.is_down = True
    two.pass_(8, two.one)
    assert leads(two.one)
    two.pass_(4, two.one)
    assert not leads(two.one)
    # The term stays known: a roll-back may still be carried out in its name.
    assert two.one.epoch == 1


def test_a_leader_that_comes_back_late_begins_a_new_term() -> None:
    two = Two()
    two.one.step()
    two.clock.advance(100)
    two.one.step()
    assert leads(two.one) and two.one.epoch == 2
    # Who waited since the deadline has nothing else to wake them.
    assert [event.kind for event in two.events] == [EventKind.LEADING, EventKind.LEADING]


def test_two_of_one_name_are_never_of_one_term() -> None:
    two = Two()
    twin = two.lease("one")
    two.one.step()
    twin.step()
    terms = [two.one.epoch, twin.epoch]
    for _ in range(5):
        two.clock.advance(2)
        two.one.step()
        terms.append(two.one.epoch)
        twin.step()
        terms.append(twin.epoch)
    # Each renewal by one is a new term to the other, so that records let only the last writer in.
    assert len(set(terms)) == len(terms)


def test_a_lease_given_up_is_taken_over_soon() -> None:
    two = Two()
    two.one.step()
    two.two.step()
    two.one.release()
    assert not leads(two.one)
    two.two.step()
    assert leads(two.two)
    kinds = [event.kind for event in two.events]
    assert kinds.count(EventKind.LEADING) == 2


def test_a_renewal_counts_from_before_its_request() -> None:
    two = Two()
    api = two.cluster.faults

    def slow(verb: str, kind: str) -> None:
        if verb == "update" and kind == "Lease":
            two.clock.advance(9)

    two.one.step()
    api.before = slow
    two.one.step()
    two.clock.advance(2)
    assert not leads(two.one)


def test_a_write_that_loses_a_race_does_not_lead() -> None:
    two = Two()
    two.one.step()
    two.clock.advance(100)
    two.two.step()
    two.clock.advance(20)
    raced: list[int] = []

    def race(verb: str, kind: str) -> None:
        if verb == "update" and kind == "Lease" and not raced:
            raced.append(1)
            two.one.step()

    two.cluster.faults.before = race
    two.two.step()
    assert leads(two.one) and not leads(two.two)


def test_an_error_is_told_and_nothing_more() -> None:
    two = Two()

    def fail(verb: str, kind: str) -> None:
        raise Unreachable(kind, verb, "no")

    two.cluster.faults.before = fail
    assert two.one.step() == 2
    assert not leads(two.one)
