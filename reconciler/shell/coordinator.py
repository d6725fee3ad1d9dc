"""One turn for the fleet: gather facts of what changed, plan, act, and publish what was seen and decided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from reconciler.core.fuses import plan_fleet
from reconciler.core.gates import proof_of
from reconciler.core.plan import plan_service
from reconciler.model.actions import Action, Hold
from reconciler.model.facts import Ask, Cell, FleetSummary, Member, ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, EnvironmentName, RevisionId, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.view import Head, Planned, View
from reconciler.ports.clock import Clock
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey, Claim

SWEEP_S = 30.0
"""Everything is planned again this often, since fuses and incidents end by time alone."""

TURNS_AT_ONCE_MAX = 20
"""A service whose plan changes its record is planned again at once, but not without end."""

_log = structlog.get_logger(__name__)


class Records(Protocol):
    """What the coordinator reads of its memory."""

    @property
    def is_known(self) -> bool:
        """Whether it has been read whole."""
        ...

    def get(self, key: CellKey) -> PromotionRecord | None:
        """Returns a record."""
        ...

    def is_saved(self, key: CellKey) -> bool:
        """Whether the home has it."""
        ...

    def cells(self) -> tuple[CellKey, ...]:
        """Returns every cell with a record."""
        ...

    def retry(self) -> bool:
        """Saves what could not be saved before."""
        ...


class Observer(Protocol):
    """What the coordinator asks an executor."""

    def member(self, key: CellKey, wanted: RevisionId | None) -> Member:
        """Returns what is known of a cell on its cluster."""
        ...

    def known_cells(self) -> tuple[CellKey, ...]:
        """Returns the cells of which it has a record."""
        ...


@dataclass(frozen=True, slots=True)
class Leadership:
    """Whether we lead, and in which name we write.

    Attributes:
        claim: None before we ever led.
        leads: Whether forward moves, pruning and Git writes are ours now.
    """

    claim: Claim | None
    leads: bool
    message: str = ""


class Act(Protocol):
    """Carries out one action; returns whether a record changed, so that planning goes on at once."""

    def __call__(self, action: Action, asker: Asker | None) -> bool:
        """Carries out an action; without Git there is no asker."""
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
        executors: By cluster, as they are now; clusters join.
        leadership: Whether we lead.
        fuses: Rejections believed, of one service and of the fleet, in an hour.
        act: Carries out actions.
        observe: Takes the actions of what is only observed: says what would be done.
        unreachable: Clusters that do not answer, and why.
        publish: Given the view after every turn.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        daemon_mode: Callable[[], Mode],
        head: Callable[[], Head],
        asker: Callable[[Head], Asker | None],
        records: Records,
        executors: Callable[[], Mapping[ClusterName, Observer]],
        leadership: Callable[[], Leadership],
        fuses: Callable[[], tuple[int, int]],
        act: Act,
        observe: Observe,
        unreachable: Callable[[], Mapping[ClusterName, str]],
        publish: Callable[[View], None],
    ) -> None:
        self._clock = clock
        self._daemon_mode = daemon_mode
        self._head = head
        self._make_asker = asker
        self._records = records
        self._executors = executors
        self._leadership = leadership
        self._fuses = fuses
        self._act = act
        self._observe = observe
        self._unreachable = unreachable
        self._publish = publish
        self._lock = threading.Lock()
        self._stepping = threading.Lock()
        self._touched: set[ServiceName] = set()
        self._wake: Callable[[], None] = lambda: None
        self._asker: Asker | None = None
        self._asked_of: Head | None = None
        self._planned: dict[ServiceName, Planned] = {}
        self._facts: dict[ServiceName, ServiceFacts] = {}
        self._asks: dict[CellKey, tuple[object, Ask]] = {}
        self._due_s: dict[ServiceName, float] = {}
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

    def step(self) -> float:
        """Makes one turn; returns seconds until something is due by time alone."""
        with self._stepping:
            return self._step()

    def _step(self) -> float:
        began_s = self._clock.monotonic_s()
        self._records.retry()
        dirty = self._dirty()
        self._gather(dirty)
        if self._summarize():
            dirty = set(self._facts)
        for service in sorted(dirty):
            self._turn(service)
        self._publish(
            View(
                self._head(),
                self._daemon_mode(),
                self._summary,
                dict(self._planned),
                self._unreachable(),
                self._clock.monotonic_s() - began_s,
            )
        )
        return self._wait_s()

    def _dirty(self) -> set[ServiceName]:
        """Returns what to look at: what was touched or is due, or everything."""
        now_s = self._clock.monotonic_s()
        head = self._head()
        with self._lock:
            touched, self._touched = self._touched, set()
            sweep = now_s >= self._sweep_due_s
            if sweep:
                self._sweep_due_s = now_s + SWEEP_S
        if head != self._asked_of:
            self._asker = self._make_asker(head)
            self._asked_of = head
            self._asks.clear()
            sweep = True
        due = {service for service, due_s in self._due_s.items() if due_s <= now_s}
        return self._services() if sweep else touched | due

    def _services(self) -> set[ServiceName]:
        recorded = {service for service, _ in self._records.cells()}
        seen = {s for e in self._executors().values() for s, _ in e.known_cells()}
        asked = set(self._asker.services()) if self._asker is not None else set()
        return recorded | seen | asked

    def _gather(self, services: set[ServiceName]) -> None:
        for service in services:
            self._facts[service] = self._facts_of(service)

    def _summarize(self) -> bool:
        """Counts over the fleet; returns whether the answer is another than before."""
        service_an_hour, fleet_an_hour = self._fuses()
        halted, reason = self._halted()
        summary = plan_fleet(
            self._facts.values(),
            self._clock.now(),
            service_an_hour=service_an_hour,
            fleet_an_hour=fleet_an_hour,
            halted=halted,
            halted_reason=reason,
        )
        changed = summary != self._summary
        self._summary = summary
        return changed

    def _halted(self) -> tuple[str, Reason | None]:
        head = self._head()
        if head.halted is not None:
            return head.error, head.halted
        leadership = self._leadership()
        if not leadership.leads:
            return leadership.message or "another daemon leads", Reason.NOT_LEADING
        return "", None

    def _turn(self, service: ServiceName) -> None:
        """Plans a service and acts, again as long as that changes its records."""
        for _ in range(TURNS_AT_ONCE_MAX):
            facts = self._facts[service]
            actions = plan_service(facts, self._summary, self._clock.now())
            planned = Planned(facts, actions, self._clock.now())
            self._planned[service] = planned
            if not self._carry_out(planned):
                break
            self._facts[service] = self._facts_of(service)
        self._note_due(service)

    def _carry_out(self, planned: Planned) -> bool:
        leadership = self._leadership()
        asker = self._asker
        if planned.facts.mode is Mode.OBSERVE:
            for action in planned.actions:
                self._observe(action, asker)
            return False
        if leadership.claim is None:
            return False
        changed = False
        for action in planned.actions:
            changed = self._act(action, asker) or changed
        return changed

    def _note_due(self, service: ServiceName) -> None:
        waits = [
            a.due_in_s
            for a in self._planned[service].actions
            if isinstance(a, Hold) and a.due_in_s is not None
        ]
        if waits:
            self._due_s[service] = self._clock.monotonic_s() + max(0.05, min(waits))
        else:
            self._due_s.pop(service, None)

    def _wait_s(self) -> float:
        now_s = self._clock.monotonic_s()
        nearest_s = min(self._due_s.values(), default=now_s + SWEEP_S)
        with self._lock:
            if self._touched:
                return 0.0
            return max(0.0, min(nearest_s, self._sweep_due_s) - now_s)

    # Facts.

    def _facts_of(self, service: ServiceName) -> ServiceFacts:
        recorded = [e for s, e in self._records.cells() if s == service]
        seen = [e for x in self._executors().values() for s, e in x.known_cells() if s == service]
        environments = sorted({*recorded, *seen})
        asker = self._asker
        if asker is None:
            path = self._recorded_path(service, environments)
            cells = tuple(self._cell(service, e, None, ()) for e in path)
            return ServiceFacts(service, self._daemon_mode(), cells)
        cells_: list[Cell] = []
        for environment in asker.path(service, environments):
            earlier = tuple(cell.record for cell in cells_)
            cells_.append(self._cell(service, environment, asker, earlier))
        return ServiceFacts(service, asker.mode(service, self._daemon_mode()), tuple(cells_))

    def _recorded_path(
        self, service: ServiceName, environments: list[EnvironmentName]
    ) -> tuple[EnvironmentName, ...]:
        """Returns the order that the newest roll-out was admitted under: Git cannot say it now."""
        records = [self._records.get((service, e)) for e in environments]
        rollouts = [r.rollout for r in records if r is not None and r.rollout is not None]
        newest = max(rollouts, key=lambda rollout: rollout.admitted_at, default=None)
        path = tuple(e for e in newest.path if e in environments) if newest else ()
        return (*path, *(e for e in environments if e not in path))

    def _cell(
        self,
        service: ServiceName,
        environment: EnvironmentName,
        asker: Asker | None,
        earlier: tuple[PromotionRecord | None, ...],
    ) -> Cell:
        key = (service, environment)
        ask = self._ask(key, asker, earlier)
        wanted = ask.wanted.id if ask.wanted else None
        return Cell(
            environment=environment,
            ask=ask,
            record=self._records.get(key),
            record_known=self._records.is_known,
            record_saved=self._records.is_saved(key),
            members=self._members(key, asker, wanted),
            depends=self._depends(key, asker),
        )

    def _ask(
        self, key: CellKey, asker: Asker | None, earlier: tuple[PromotionRecord | None, ...]
    ) -> Ask:
        """Returns what is asked for; resolved again only when what it rests on has changed."""
        if asker is None:
            message = self._head().error or "the env repo has not been read yet"
            return Ask(None, None, None, reason=Reason.GIT_UNKNOWN, message=message)
        rests_on = tuple(
            tuple((p.revision.id, p.opens_gates) for p in record.proofs) if record else None
            for record in earlier
        )
        kept = self._asks.get(key)
        if kept is not None and kept[0] == rests_on and not _may_pass(kept[1]):
            return kept[1]
        ask = asker.ask(*key, earlier)
        self._asks[key] = (rests_on, ask)
        return ask

    def _members(
        self, key: CellKey, asker: Asker | None, wanted: RevisionId | None
    ) -> tuple[Member, ...]:
        if asker is None:
            names = [n for n, e in self._executors().items() if key in e.known_cells()]
        else:
            names = [cluster.name for cluster in asker.clusters(key[1])]
        return tuple(
            self._executors()[name].member(key, wanted)
            if name in self._executors()
            else Member(name, reachable=False, synced=False, record=None)
            for name in names
        )

    def _depends(
        self, key: CellKey, asker: Asker | None
    ) -> tuple[tuple[ServiceName, bool | None], ...]:
        """Tells for each service that this one depends on whether what HEAD asks for is proven here."""
        service, environment = key
        found = asker.snapshot.services.get(service) if asker is not None else None
        return tuple(
            (other, self._is_proven(other, environment))
            for other in (found.depends_on if found else ())
        )

    def _is_proven(self, service: ServiceName, environment: EnvironmentName) -> bool | None:
        facts = self._facts.get(service)
        cell = (
            next((c for c in facts.cells if c.environment == environment), None) if facts else None
        )
        if cell is None or cell.ask.wanted is None or not self._records.is_known:
            return None
        proof = proof_of(cell, cell.ask.wanted)
        return proof is not None and proof.opens_gates


def _may_pass(ask: Ask) -> bool:
    """Whether an Ask failed for a reason that may be gone by itself."""
    return ask.reason in (Reason.SOURCE_UNKNOWN, Reason.RENDER_FAILED)
