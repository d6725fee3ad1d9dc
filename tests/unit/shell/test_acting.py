"""One action at a time: what may be done in whose name, what goes on without the lease, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.errors import Conflict, ReconcilerError, Unreachable
from reconciler.model.actions import (
    Action,
    Admit,
    Adopt,
    CommitPin,
    CommitRevert,
    Deliver,
    Examine,
    FinishRollBack,
    Hold,
    Prove,
    Reject,
)
from reconciler.model.events import Event, EventKind
from reconciler.model.names import ClusterName, RevisionId, ServiceName
from reconciler.model.policy import DriftMode
from reconciler.model.promotion import Promotion
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.acting import Actor
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import Adopted, CellKey, Claim, Examination, Leadership, Order
from reconciler.shell.rendering import Renderer
from reconciler.shell.runner import VirtualClock
from reconciler.shell.sources import Sources
from tests.fakes.facts import DEV, V1, V2, WEB, proof, record, rejection, rollout
from tests.fakes.memory_git import MemoryGit
from tests.fakes.records import COMMIT
from tests.fakes.world import env_repo, pins

CLAIM = Claim(7, "me", "default")
DEADLINE_S = 10.0
DEV_1 = ClusterName("dev-1")
KEY = (WEB, DEV)


class Memory:
    """The promotion records; the home may answer late, or not at all.

    Attributes:
        meet: Runs before each write; raises what is to be met.
        waiting: What could not be written and must count all the same.
    """

    def __init__(self) -> None:
        self.records: dict[CellKey, PromotionRecord] = {KEY: record(DEV, V1)}
        self.waiting: list[PromotionRecord] = []
        self.meet: Callable[[], None] = lambda: None

    def get(self, key: CellKey) -> PromotionRecord | None:
        return self.records.get(key)

    def save(self, written: PromotionRecord) -> PromotionRecord:
        self.meet()
        self.records[(written.service, written.environment)] = written
        return written

    def keep(self, kept: PromotionRecord) -> None:
        try:
            self.save(kept)
        except ReconcilerError:
            self.waiting.append(kept)


class Ear:
    """An executor that only listens."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.examinations: list[Examination] = []
        self.lacks = False

    def order(self, order: Order) -> None:
        self.orders.append(order)

    def forget(self, key: CellKey, *, unless: RevisionId | None = None) -> None:
        self.orders = [o for o in self.orders if o.key != key or o.revision == unless]

    def examine(self, examination: Examination) -> None:
        self.examinations.append(examination)

    def lacks_objects(self, key: CellKey) -> bool:
        return self.lacks


class Acting:
    """An actor whose lease was renewed at the start and is not renewed any more."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.memory = Memory()
        self.ear = Ear()
        self.claim: Claim | None = CLAIM
        self.reverts: list[CommitRevert] = []
        self.pins: list[CommitPin] = []
        self.events: list[Event] = []
        self.actor = Actor(
            clock=self.clock,
            records=self.memory,
            executors=lambda: {DEV_1: self.ear},
            leadership=self.leadership,
            revert=self.reverts.append,
            move_pin=self.pins.append,
            on_event=self.events.append,
        )

    def leadership(self) -> Leadership:
        return Leadership(self.claim, leads=self.clock.monotonic_s() < DEADLINE_S)

    def hang(self, seconds: float) -> None:
        """Lets each answer of the home take so long."""
        self.memory.meet = lambda: self.clock.advance(seconds)

    def act(self, *actions: Action, asker: Asker | None = None) -> list[bool]:
        return [self.actor.act(action, asker) for action in actions]

    def begin(self, action: Action) -> Action:
        """Has the home hold a record that an action is planned from; returns the action."""
        match action:
            case Adopt():
                del self.memory.records[KEY]
            case Prove():
                self.memory.records[KEY] = record(DEV, V2, rollout=rollout(V2))
            case FinishRollBack():
                bad = replace(action.rejection, rolled_back_at=None)
                self.memory.records[KEY] = record(DEV, V1, rejections=(bad,))
        return action

    def told(self) -> list[EventKind]:
        return [event.kind for event in self.events]


@pytest.fixture
def acting() -> Acting:
    return Acting()


ADOPT = Adopt(WEB, DEV, proof(V1, opens_gates=False), "Adopted", "")
ADMIT = Admit(WEB, DEV, V2, rollout(V2), "GatesOpen", "")
PROVE = Prove(WEB, DEV, proof(V2), "Soaked", "")
REJECT = Reject(WEB, DEV, rejection(V1, restore_to=V2, rolled_back_at=None), "CrashLoopBackOff", "")
FINISHED = FinishRollBack(WEB, DEV, rejection(V2), "RolledBack", "")
REVERT = CommitRevert(WEB, DEV, rejection(V2), True, "CrashLoopBackOff", "")
MOVE = CommitPin(WEB, DEV, V2, V1, COMMIT, Promotion.AUTO, "ProvenBefore", "")
AS_IT_IS = {"returning": False, "proven": False, "drift": DriftMode.REPORT, "keep": (V2.id,)}
DELIVER = Deliver(WEB, DEV, DEV_1, V2, **AS_IT_IS, reason="Deliver", message="")  # type: ignore[arg-type]
GO_BACK = replace(DELIVER, revision=V1, returning=True)
EXAMINE = Examine(WEB, DEV, DEV_1, V1, "AdoptionPending", "")

FORWARD = {"an adoption": ADOPT, "an admission": ADMIT, "a proof": PROVE}
BACKWARD = {"a rejection": REJECT, "the end of a roll-back": FINISHED}


def asker() -> Asker:
    """Returns what asks for version 1.0.0 everywhere, as a commit does."""
    clock = VirtualClock()
    git = MemoryGit(clock)
    commit = git.merge({**env_repo(), **pins("1.0.0")})
    renderer = Renderer(git, ServiceBuilder(), clock=clock, key=lambda: b"k" * 32)
    return Asker(read_snapshot(git, commit), Sources(git, ""), renderer)


def delivering(ask: Asker, **changes: object) -> Deliver:
    """Returns the order for what a commit asks for, which can be rendered."""
    wanted = ask.ask(WEB, DEV, None, ()).wanted
    assert wanted is not None
    return replace(DELIVER, revision=wanted, **changes)  # type: ignore[arg-type]


# In whose name.


@pytest.mark.parametrize("action", [*FORWARD.values(), *BACKWARD.values()], ids=lambda a: a.reason)
def test_a_record_is_written_in_our_own_name(action: Action, acting: Acting) -> None:
    assert acting.act(acting.begin(action)) == [True]
    written = acting.memory.records[KEY]
    assert (written.epoch, written.holder, written.installation) == (7, "me", "default")


@pytest.mark.parametrize(
    "action", [ADMIT, REJECT, DELIVER, REVERT, EXAMINE], ids=lambda a: type(a).__name__
)
def test_one_who_never_led_does_nothing(action: Action, acting: Acting) -> None:
    acting.claim = None
    was = dict(acting.memory.records)
    assert acting.act(action, asker=asker()) == [False]
    assert acting.memory.records == was
    assert not (acting.ear.orders or acting.ear.examinations or acting.reverts or acting.events)
    assert not acting.pins


# Past the deadline.


@pytest.mark.parametrize("action", FORWARD.values(), ids=FORWARD.keys())
def test_what_moves_forward_is_not_done_after_a_request_that_hung_past_our_deadline(
    action: Action, acting: Acting
) -> None:
    acting.hang(DEADLINE_S)
    assert acting.act(REJECT) == [True]
    after_the_hang = acting.memory.records[KEY]
    assert acting.act(action) == [False]
    assert acting.memory.records[KEY] == after_the_hang
    assert acting.told() == [EventKind.REJECTED]


@pytest.mark.parametrize("action", FORWARD.values(), ids=FORWARD.keys())
def test_what_moves_forward_is_done_up_to_the_deadline(action: Action, acting: Acting) -> None:
    acting.clock.advance(DEADLINE_S - 0.1)
    assert acting.act(acting.begin(action)) == [True]


@pytest.mark.parametrize("action", BACKWARD.values(), ids=BACKWARD.keys())
def test_what_goes_back_is_written_down_without_the_lease(action: Action, acting: Acting) -> None:
    acting.clock.advance(DEADLINE_S)
    assert acting.act(acting.begin(action)) == [True]
    assert acting.memory.records[KEY].epoch == 7


def test_a_cluster_is_put_back_without_the_lease_and_without_git(acting: Acting) -> None:
    acting.clock.advance(DEADLINE_S)
    acting.act(GO_BACK, asker=None)
    (order,) = acting.ear.orders
    assert (order.deliver, order.claim, order.rendered) == (GO_BACK, CLAIM, None)


# The home.


@pytest.mark.parametrize("action", BACKWARD.values(), ids=BACKWARD.keys())
def test_what_goes_back_counts_even_where_the_home_does_not_take_it(
    action: Action, acting: Acting
) -> None:
    acting.memory.meet = _refuse(Unreachable("home", "cannot be written", "no answer"))
    assert acting.act(acting.begin(action)) == [True]
    assert [kept.epoch for kept in acting.memory.waiting] == [7]


@pytest.mark.parametrize("action", FORWARD.values(), ids=FORWARD.keys())
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unreachable("home", "cannot be written", "no answer"), id="no answer"),
        pytest.param(
            Conflict("record", "cannot be written", "it was changed"), id="another was first"
        ),
    ],
)
def test_what_moves_forward_needs_the_home_and_is_told_of_only_once_it_is_written(
    error: ReconcilerError, action: Action, acting: Acting
) -> None:
    acting.memory.meet = _refuse(error)
    with pytest.raises(type(error)):
        acting.act(acting.begin(action))
    assert not acting.memory.waiting and not acting.events


def _refuse(error: ReconcilerError) -> Callable[[], None]:
    def meet() -> None:
        raise error

    return meet


# Orders.


def test_an_order_carries_what_it_renders_to_and_the_services_namespace(acting: Acting) -> None:
    ask = asker()
    acting.act(delivering(ask), asker=ask)
    (order,) = acting.ear.orders
    assert order.rendered is not None and order.rendered.objects
    assert (order.namespace, order.claim) == ("web", CLAIM)


def test_an_order_carries_what_was_adopted_there_as_well(acting: Acting) -> None:
    ask = asker()
    wanted = delivering(ask)
    acting.act(replace(wanted, revision=V1, adopted=wanted.revision), asker=ask)
    acting.act(wanted, asker=ask)
    adopted, usual = acting.ear.orders
    assert usual.rendered is not None and usual.adopted is None
    assert adopted.adopted == Adopted(wanted.revision.id, usual.rendered)


def test_a_way_back_is_rendered_only_where_the_cluster_lacks_the_objects(acting: Acting) -> None:
    ask = asker()
    for acting.ear.lacks in (False, True):
        acting.act(delivering(ask, returning=True), asker=ask)
    stored, lost = acting.ear.orders
    assert stored.rendered is None
    assert lost.rendered is not None


def test_what_cannot_be_rendered_is_ordered_from_what_is_stored(acting: Acting) -> None:
    acting.act(DELIVER, asker=asker())
    (order,) = acting.ear.orders
    assert order.rendered is None


def test_an_order_to_a_cluster_that_nobody_knows_is_dropped(acting: Acting) -> None:
    acting.act(replace(DELIVER, cluster=ClusterName("gone")), asker=asker())
    assert not acting.ear.orders


def test_an_examination_compares_with_what_the_pin_renders_to(acting: Acting) -> None:
    ask = asker()
    wanted = ask.ask(WEB, DEV, None, ()).wanted
    assert wanted is not None
    acting.act(replace(EXAMINE, revision=wanted), asker=ask)
    (examination,) = acting.ear.examinations
    assert (examination.key, examination.revision) == (KEY, wanted.id)
    acting.act(EXAMINE, asker=None)
    assert len(acting.ear.examinations) == 1


def test_a_commit_that_git_is_owed_is_handed_on(acting: Acting) -> None:
    assert acting.act(REVERT, MOVE) == [False, False]
    assert (acting.reverts, acting.pins) == ([REVERT], [MOVE])


# What is told.


def test_each_change_of_a_record_is_told_with_the_revision_it_is_about(acting: Acting) -> None:
    acting.act(ADMIT, PROVE, replace(REJECT, rejection=rejection(V2)))
    told = [(e.kind, e.revision and e.revision.release.version) for e in acting.events]
    assert told == [
        (EventKind.ADMITTED, "2.0.0"),
        (EventKind.PROVEN, "2.0.0"),
        (EventKind.REJECTED, "2.0.0"),
    ]


def test_the_end_of_a_roll_back_says_how_long_it_took(acting: Acting) -> None:
    began = acting.clock.now()
    acting.clock.advance(4)
    finished = replace(FINISHED, rejection=rejection(V2, first_failure_at=began))
    acting.act(acting.begin(finished))
    assert acting.events[0].seconds == 4


def test_a_hold_is_told_when_it_begins_and_when_its_reason_changes(acting: Acting) -> None:
    def hold(reason: Reason, message: str, *, page: bool = False) -> Hold:
        return Hold(WEB, DEV, reason, message, page=page)

    acting.act(
        hold(Reason.WAITING_FOR_SOAK, "9 s are left"),
        hold(Reason.WAITING_FOR_SOAK, "8 s are left"),
        hold(Reason.PROGRESS_DEADLINE, "late"),
        hold(Reason.PROGRESS_DEADLINE, "late", page=True),
        replace(hold(Reason.PROGRESS_DEADLINE, "late", page=True), service=ServiceName("api")),
        hold(Reason.WAITING_FOR_SOAK, "7 s are left"),
    )
    told = [(e.service, e.reason, bool(e.detail)) for e in acting.events]
    assert told == [
        ("web", "WaitingForSoak", False),
        ("web", "ProgressDeadline", False),
        ("web", "ProgressDeadline", True),
        ("api", "ProgressDeadline", True),
        ("web", "WaitingForSoak", False),
    ]


# Observing.


def test_what_would_be_done_is_said_once_and_nothing_is_written(acting: Acting) -> None:
    was = dict(acting.memory.records)
    ask = asker()
    for _ in range(2):
        for action in (ADMIT, delivering(ask), REVERT, Hold(WEB, DEV, Reason.SETTLED, "")):
            acting.actor.observe(action, ask)
    assert [e.reason for e in acting.events] == [*["ModeObserve"] * 3, "Settled"]
    assert acting.events[0].message.startswith("would Admit")
    assert acting.memory.records == was
    assert not (acting.ear.orders or acting.reverts)


def test_what_is_live_is_compared_even_where_it_is_only_observed(acting: Acting) -> None:
    ask = asker()
    wanted = ask.ask(WEB, DEV, None, ()).wanted
    assert wanted is not None
    acting.actor.observe(replace(EXAMINE, revision=wanted), ask)
    assert len(acting.ear.examinations) == 1
