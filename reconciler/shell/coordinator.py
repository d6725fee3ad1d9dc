"""One turn for the fleet: gather facts of what changed, plan, act, and publish what was seen and decided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from reconciler.core.fuses import Counts, counts_of, plan_fleet
from reconciler.core.holding import told
from reconciler.core.places import hand_out
from reconciler.core.plan import plan_service
from reconciler.errors import OperatorError, ReconcilerError
from reconciler.model.actions import Action, Hold
from reconciler.model.believed import Believed
from reconciler.model.env_repo import Snapshot
from reconciler.model.facts import FleetSummary, ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.view import Head, Planned, View
from reconciler.ports.clock import Clock
from reconciler.shell.asking import Asker
from reconciler.shell.bugs import bug
from reconciler.shell.executor.orders import Leadership
from reconciler.shell.gathering import Gatherer
from reconciler.shell.placing import Bids

SWEEP_S = 30.0
"""Everything is planned again this often, since fuses and incidents end by time alone."""

TURNS_AT_ONCE_MAX = 20
"""A service whose plan changes its record is planned again at once, but not without end."""

AGAIN_S = 5.0
"""What the home has not taken is tried again after this: nothing tells when it would, and nothing goes on without."""

PATIENCE_S = 600.0
"""What cannot be done for this long, though nothing is wrong with it, will not be done by waiting alone."""

_log = structlog.get_logger(__name__)


class Memory(Protocol):
    """What is left to be written down."""

    def retry(self) -> bool:
        """Saves what could not be saved before; returns whether nothing is left."""
        ...


class Act(Protocol):
    """Carries out one action; returns whether a record changed, so that planning goes on at once."""

    def __call__(self, action: Action, asker: Asker | None) -> bool:
        """Carries out an action; without Git there is no asker.

        Raises:
            ReconcilerError: It could not be done.
        """
        ...


Observe = Callable[[Action, Asker | None], None]
"""Says what an action would do."""


class Coordinator:
    """Decides for the fleet. Its `step` is one task; `touch` may be called from any thread.

    Args:
        clock: Time.
        daemon_mode: The daemon's own mode.
        head: HEAD as last accepted.
        asker: Makes what turns a head's snapshot into Asks.
        records: The promotion records.
        gather: What is seen of the services.
        leadership: Whether we lead.
        fuses: How many rejections in an hour are believed.
        act: Carries out actions.
        observe: Takes the actions of what is only observed: says what would be done.
        unreachable: Clusters that do not answer, and why.
        denied: Clusters that answer and may not be watched in full, and why.
        home: The cluster that holds the promotion records.
        publish: Given the view after every turn.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        daemon_mode: Callable[[], Mode],
        head: Callable[[], Head],
        asker: Callable[[Head], Asker | None],
        records: Memory,
        gather: Gatherer,
        leadership: Callable[[], Leadership],
        fuses: Callable[[], Believed],
        act: Act,
        observe: Observe,
        unreachable: Callable[[], Mapping[ClusterName, str]],
        denied: Callable[[], Mapping[ClusterName, str]],
        home: ClusterName,
        publish: Callable[[View], None],
    ) -> None:
        self._clock = clock
        self._daemon_mode = daemon_mode
        self._head = head
        self._make_asker = asker
        self._records = records
        self._gather = gather
        self._leadership = leadership
        self._fuses = fuses
        self._act = act
        self._observe = observe
        self._unreachable = unreachable
        self._denied = denied
        self._home = home
        self._publish = publish
        self._lock = threading.Lock()
        self._stepping = threading.Lock()
        self._touched: set[ServiceName] = set()
        self._wake: Callable[[], None] = lambda: None
        self._asker: Asker | None = None
        self._asked_of: Snapshot | None = None
        self._planned: dict[ServiceName, Planned] = {}
        self._due_s: dict[ServiceName, float] = {}
        self._failing_since_s: dict[ServiceName, dict[EnvironmentName, float]] = {}
        self._counts: dict[ServiceName, tuple[ServiceFacts, Counts]] = {}
        self._bids = Bids()
        self._summary = FleetSummary()
        self._sweep_due_s = float("-inf")

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Sets what makes this task run."""
        self._wake = wake

    def touch(self, service: ServiceName | None = None) -> None:
        """Says that something about a service, or about everything, may have changed."""
        with self._lock:
            if service is None:
                self._sweep_due_s = float("-inf")
            else:
                self._touched.add(service)
        self._wake()

    def planned(self, service: ServiceName) -> Planned | None:
        """Returns a service as it was planned last."""
        return self._planned.get(service)

    def step(self) -> float:
        """Makes one turn; returns seconds until something is due by time alone."""
        with self._stepping:
            return self._step()

    def _step(self) -> float:
        began_s = self._clock.monotonic_s()
        is_saved = self._records.retry()
        dirty = self._dirty()
        self._gather.gather(dirty)
        self._turns(dirty | self._summarize())
        self._publish(
            View(
                self._head(),
                self._daemon_mode(),
                self._summary,
                dict(self._planned),
                self._unreachable(),
                self._denied(),
                home=self._home,
                turn_s=self._clock.monotonic_s() - began_s,
            )
        )
        return self._wait_s() if is_saved else min(self._wait_s(), AGAIN_S)

    def _dirty(self) -> set[ServiceName]:
        """Returns what to look at: what was touched or is due, or everything."""
        now_s = self._clock.monotonic_s()
        head = self._head()
        with self._lock:
            touched, self._touched = self._touched, set()
            sweep = now_s >= self._sweep_due_s
            if sweep:
                self._sweep_due_s = now_s + SWEEP_S
        if head.snapshot is not self._asked_of or self._asker is None:
            # A fetch that brought nothing new leaves the snapshot as it was, and all that rests on it.
            self._asker = self._make_asker(head)
            self._asked_of = head.snapshot
            self._gather.use(self._asker)
            sweep = True
        due = {service for service, due_s in self._due_s.items() if due_s <= now_s}
        if not sweep:
            return touched | due
        services = self._gather.services()
        self._bids.keep_only(services)
        return services

    def _turns(self, services: set[ServiceName]) -> None:
        """Takes the turns of some services, and again of those to whom that has given a place, or taken one."""
        for _ in range(TURNS_AT_ONCE_MAX):
            for service in sorted(services):
                self._turn(service)
            was = self._summary.places
            self._summary = replace(self._summary, places=hand_out(self._bids.all()))
            services = self._bids.concerned(was, self._summary.places)
            if not services:
                return
        with self._lock:
            self._touched |= services

    def _summarize(self) -> set[ServiceName]:
        """Counts over the fleet; returns the services for which the answer is another than before."""
        halted, reason = self._halted()
        summary = plan_fleet(
            map(self._counted, self._gather.facts.values()),
            self._clock.now(),
            believed=self._fuses(),
            halted=halted,
            halted_reason=reason,
            keeps_time=self._leadership().claim is not None,
            bids=self._bids.all(),
        )
        was, self._summary = self._summary, summary
        if replace(was, places=summary.places) != summary:
            return set(self._gather.facts)
        return self._bids.concerned(was.places, summary.places)

    def _counted(self, facts: ServiceFacts) -> Counts:
        """Returns what is counted of a service: again only where its facts are others."""
        kept = self._counts.get(facts.service)
        if kept is None or kept[0] is not facts:
            kept = self._counts[facts.service] = facts, counts_of(facts)
        return kept[1]

    def _halted(self) -> tuple[str, Reason | None]:
        head = self._head()
        if head.halted is not None:
            return head.error, head.halted
        leadership = self._leadership()
        if not leadership.leads:
            return leadership.message or "the lease has not been renewed", Reason.NOT_LEADING
        return "", None

    def _note_halt(self) -> None:
        """A request of an earlier turn may have hung past our deadline: what comes next must know."""
        halted, reason = self._halted()
        if (halted, reason) == (self._summary.halted, self._summary.halted_reason):
            return
        self._summary = replace(self._summary, halted=halted, halted_reason=reason)
        with self._lock:
            self._sweep_due_s = float("-inf")

    def _turn(self, service: ServiceName) -> None:
        """Takes a service's turn; a bug of ours that this meets holds that service, and no other."""
        try:
            self._take_turn(service)
        except ReconcilerError as error:
            self._hold(service, error)
        except Exception as error:  # noqa: BLE001  # see above
            self._hold(service, bug(f"service {service}", error))

    def _hold(self, service: ServiceName, error: ReconcilerError) -> None:
        """Holds a whole service, which a person must hear of; it is planned again with all others."""
        facts, why, page = self._gather.facts[service], str(error), self._leadership().leads
        holds = (
            Hold(service, cell.environment, Reason.ACTION_FAILED, why, page=page)
            for cell in facts.cells
        )
        self._planned[service] = planned = Planned(facts, tuple(holds), self._clock.now())
        self._carry_out(planned)
        self._bids.forget(service)
        self._note_due(service)

    def _take_turn(self, service: ServiceName) -> None:
        """Plans a service and acts, again as long as that changes its records."""
        changed, before = False, self._planned.get(service)
        for _ in range(TURNS_AT_ONCE_MAX):
            self._note_halt()
            facts = self._gather.seen(service)
            actions = plan_service(facts, self._summary, self._clock.now())
            planned = Planned(facts, actions, self._clock.now())
            self._planned[service] = planned
            if not self._carry_out(planned):
                break
            changed = True
            self._gather.gather([service])
        self._bids.note(self._planned[service], self._summary)
        self._note_worked(service)
        self._note_due(service)
        if changed or (before and before.wanted != self._planned[service].wanted):
            with self._lock:
                self._touched |= self._gather.dependents(service)

    def _carry_out(self, planned: Planned) -> bool:
        leadership = self._leadership()
        asker = self._asker
        if planned.facts.mode is Mode.OBSERVE:
            for action in planned.actions:
                if not isinstance(action, Hold):
                    self._observe(action, asker)
            self._tell_holds(planned.facts, lambda hold: self._observe(hold, asker))
            return False
        if leadership.claim is None:
            return False
        changed = False
        for action in planned.actions:
            if isinstance(action, Hold):
                continue
            changed = self._done(action, asker) or changed
            if leadership.leads and not self._leadership().leads:
                # What else was planned while we led is planned again.
                return True
        self._tell_holds(planned.facts, lambda hold: self._act(hold, asker))
        return changed

    def _tell_holds(self, facts: ServiceFacts, tell: Callable[[Hold], object]) -> None:
        """Tells of each cell what holds it, now that all was tried: the one reason that pages show, too."""
        planned = self._planned[facts.service]
        for cell in facts.cells:
            first = told(planned.of(cell.environment))
            if isinstance(first, Hold):
                tell(first)

    def _done(self, action: Action, asker: Asker | None) -> bool:
        """Does one thing; what fails holds its cell: the next turn plans it again from what then stands."""
        try:
            return self._act(action, asker)
        except ReconcilerError as error:
            _log.warning(
                "action-failed",
                action=type(action).__name__,
                service=action.service,
                environment=action.environment,
                error=str(error),
            )
            self._not_done(action, error, page=self._pages(action, error))
        except Exception as error:  # noqa: BLE001  # our bug must not end what is done elsewhere
            met = bug(f"service {action.service} in {action.environment}", error)
            self._not_done(action, met, page=self._leadership().leads)
        return False

    def _not_done(self, action: Action, error: ReconcilerError, *, page: bool) -> None:
        hold = Hold(
            action.service,
            action.environment,
            Reason.ACTION_FAILED,
            str(error),
            page=page,
            due_in_s=AGAIN_S,
        )
        planned = self._planned[action.service]
        self._planned[action.service] = replace(planned, actions=(hold, *planned.actions))

    def _pages(self, action: Action, error: ReconcilerError) -> bool:
        """Whether a person must hear of what could not be done; of a daemon that leads no more, nobody."""
        now_s = self._clock.monotonic_s()
        since = self._failing_since_s.setdefault(action.service, {})
        failing_s = now_s - since.setdefault(action.environment, now_s)
        # A home that has just come back may forbid for a moment what it allows.
        patience_s = AGAIN_S if isinstance(error, OperatorError) else PATIENCE_S
        return failing_s >= patience_s and self._leadership().leads

    def _note_worked(self, service: ServiceName) -> None:
        """Forgets since when a cell's actions fail, once none of them does."""
        actions = self._planned[service].actions
        holds = (action for action in actions if isinstance(action, Hold))
        failing = {hold.environment for hold in holds if hold.reason is Reason.ACTION_FAILED}
        since = self._failing_since_s.pop(service, {})
        if left := {environment: s for environment, s in since.items() if environment in failing}:
            self._failing_since_s[service] = left

    def _note_due(self, service: ServiceName) -> None:
        holds = (a for a in self._planned[service].actions if isinstance(a, Hold))
        waits = [wait_s for hold in holds if (wait_s := self._wait_of(hold)) is not None]
        if waits:
            self._due_s[service] = self._clock.monotonic_s() + max(0.05, min(waits))
        else:
            self._due_s.pop(service, None)

    def _wait_of(self, hold: Hold) -> float | None:
        """Returns the seconds until a hold may change by time alone; None: only an event changes it."""
        if hold.due_at is not None:
            left_s = (hold.due_at - self._clock.now()).total_seconds()
        else:
            left_s = hold.due_in_s or 0.0
        # What should have changed by now is waited for as any event is.
        return left_s if left_s > 0.0 else None

    def _wait_s(self) -> float:
        now_s = self._clock.monotonic_s()
        nearest_s = min(self._due_s.values(), default=now_s + SWEEP_S)
        with self._lock:
            if self._touched:
                return 0.0
            return max(0.0, min(nearest_s, self._sweep_due_s) - now_s)
