"""What is seen of each service this turn: pins resolved, records read, clusters asked; nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from reconciler.errors import TransientError
from reconciler.model.facts import Ask, Cell, Member, ServiceFacts, Suspension
from reconciler.model.fleet import ClusterState, Mode
from reconciler.model.names import ClusterName, EnvironmentName, RevisionId, ServiceName
from reconciler.model.outside import NOTHING_ASKED, Outside
from reconciler.model.path import Path
from reconciler.model.promotion import Asked, Followed
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.view import Head
from reconciler.shell import depending
from reconciler.shell.asking import Asker
from reconciler.shell.asks import Asks
from reconciler.shell.bugs import bug
from reconciler.shell.depending import with_depends
from reconciler.shell.executor.orders import CellKey


class Records(Protocol):
    """What is read of the daemon's memory."""

    def is_known(self, key: CellKey) -> bool:
        """Whether what `get` returns may be relied upon, None included."""
        ...

    def get(self, key: CellKey) -> PromotionRecord | None:
        """Returns a record of ours: what another installation has decided says nothing to us."""
        ...

    def is_saved(self, key: CellKey) -> bool:
        """Whether the home has it."""
        ...

    def suspended(self, key: CellKey) -> Suspension | None:
        """Returns by whose word it is suspended, if it is."""
        ...

    def other(self, key: CellKey) -> str:
        """Returns the installation that it belongs to, if that is another; else nothing."""
        ...

    def cells(self) -> tuple[CellKey, ...]:
        """Returns every cell with a record."""
        ...


class Observer(Protocol):
    """What is asked of an executor."""

    def member(self, key: CellKey, wanted: RevisionId | None) -> Member:
        """Returns what is known of a cell on its cluster."""
        ...

    def known_cells(self) -> tuple[CellKey, ...]:
        """Returns the cells of which it has a record, or for which an order waits."""
        ...

    def environments(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which it has a record of a service, without a look at others."""
        ...

    def ordered(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which an order for a service waits to be carried out."""
        ...


See = Callable[[Asker | None, ServiceName, Cell, tuple[PromotionRecord | None, ...]], Outside]
"""Returns what others say of what a cell may admit next, given the records before it."""


@dataclass(frozen=True, slots=True)
class _Where:
    """Clusters that know a service, by environment, in the order in which they joined.

    Attributes:
        recorded: Those with a record of it.
        ordered: Those on which an order for it waits.
    """

    recorded: dict[EnvironmentName, list[ClusterName]] = field(default_factory=dict)
    ordered: dict[EnvironmentName, list[ClusterName]] = field(default_factory=dict)


class Gatherer:
    """Gathers the facts of services; only the coordinator's task calls it.

    Attributes:
        facts: Of each service, as gathered last.

    Args:
        daemon_mode: The daemon's own mode.
        head: HEAD as last accepted; it says why there is no asker.
        records: The promotion records.
        executors: By cluster, as they are now; clusters join.
        outside: Returns what others say of what a cell may admit next.
        asked: What became of asking a person to move a cell's pin.
        followed: What a registry has for a cell.
    """

    def __init__(
        self,
        *,
        daemon_mode: Callable[[], Mode],
        head: Callable[[], Head],
        records: Records,
        executors: Callable[[], Mapping[ClusterName, Observer]],
        outside: See = lambda asker, service, cell, earlier: NOTHING_ASKED,
        asked: Callable[[CellKey], Asked | None] = lambda key: None,
        followed: Callable[[CellKey], Followed | None] = lambda key: None,
    ) -> None:
        self._outside = outside
        self._daemon_mode = daemon_mode
        self._head = head
        self._records = records
        self._executors = executors
        self._asked_of = asked
        self._asker: Asker | None = None
        self._asks = Asks(followed)
        self._states: dict[ClusterName, ClusterState] = {}
        self._unseen: dict[ServiceName, TransientError] = {}
        self.facts: dict[ServiceName, ServiceFacts] = {}

    def use(self, asker: Asker | None) -> None:
        """Asks another snapshot from now on; None while Git cannot be read."""
        self._asker = asker
        self._asks.clear()
        fleet = asker.snapshot.fleet.clusters() if asker is not None else ()
        self._states = {cluster.name: cluster.state for cluster in fleet}

    def services(self) -> set[ServiceName]:
        """Returns every service that Git, the home or a cluster knows."""
        recorded = {service for service, _ in self._records.cells()}
        seen = {s for e in self._executors().values() for s, _ in e.known_cells()}
        asked = set(self._asker.services()) if self._asker is not None else set()
        return recorded | seen | asked

    def seen(self, service: ServiceName) -> ServiceFacts:
        """Returns what was gathered of a service last.

        Raises:
            TransientError: That met a bug of ours: what `facts` says of it is that it is not known.
        """
        error = self._unseen.get(service)
        if error is not None:
            raise error.with_traceback(None)
        return self.facts[service]

    def gather(self, services: Iterable[ServiceName]) -> None:
        """Sees some services anew, and last what they depend on, whatever the order."""
        recorded: dict[ServiceName, set[EnvironmentName]] = {}
        for service, environment in self._records.cells():
            recorded.setdefault(service, set()).add(environment)
        # In order, so that what is rendered first hangs on names alone.
        seen = {name: self._try(name, recorded.get(name, set())) for name in sorted(services)}
        self.facts.update(seen)
        self.facts.update(
            {name: with_depends(self._asker, one, self.facts) for name, one in seen.items()}
        )

    def dependents(self, of: ServiceName) -> set[ServiceName]:
        """Returns the services whose facts rest on another's, as HEAD says."""
        return depending.dependents(self._asker, of)

    def _try(self, service: ServiceName, recorded: set[EnvironmentName]) -> ServiceFacts:
        """Sees a service; a bug of ours that this meets leaves that service unknown, and no other."""
        try:
            facts = self._seen(service, recorded)
        except Exception as error:  # noqa: BLE001  # see above
            self._unseen[service] = bug(f"service {service}", error)
            return self._unknown(service, recorded)
        self._unseen.pop(service, None)
        return facts

    def _unknown(self, service: ServiceName, recorded: set[EnvironmentName]) -> ServiceFacts:
        """Returns what is left of a service: its rejections, which the fuses count, and nothing to rely upon."""
        former = self.facts.get(service) or self._blank(service, recorded)
        cells = tuple(
            replace(
                cell,
                record_known=False,
                members=tuple(replace(member, synced=False) for member in cell.members),
            )
            for cell in former.cells
        )
        return replace(former, cells=cells)

    def _blank(self, service: ServiceName, recorded: set[EnvironmentName]) -> ServiceFacts:
        """Returns a service of which nothing was seen yet, wherever Git or the home names it."""
        pins = self._asker.snapshot.pins if self._asker is not None else ()
        names = sorted(recorded | {environment for environment, name in pins if name == service})
        ask = Ask(None, None, None, reason=Reason.ACTION_FAILED, message="it was not seen yet")
        cells = tuple(
            Cell(name, ask, self._records.get((service, name)), record_known=False, members=())
            for name in names
        )
        return ServiceFacts(service, self._daemon_mode(), Path.line(names), cells)

    def _seen(self, service: ServiceName, recorded: set[EnvironmentName]) -> ServiceFacts:
        where = self._where(service)
        environments = sorted(recorded.union(where.recorded, where.ordered))
        asker = self._asker
        if asker is None:
            path, mode = self._recorded_path(service, environments), self._daemon_mode()
        else:
            path = asker.path(service, environments)
            mode = asker.mode(service, self._daemon_mode())
        records = {name: self._records.get((service, name)) for name in path.names()}
        cells = tuple(
            self._cell((service, name), record, tuple(records[n] for n in path.before(name)), where)
            for name, record in records.items()
        )
        return ServiceFacts(service, mode, path, cells)

    def _recorded_path(self, service: ServiceName, environments: list[EnvironmentName]) -> Path:
        """Returns the path that the newest roll-out was admitted under: Git cannot say it now."""
        records = [self._records.get((service, e)) for e in environments]
        rollouts = [r.rollout for r in records if r is not None and r.rollout is not None]
        newest = max(rollouts, key=lambda rollout: rollout.admitted_at, default=None)
        path = newest.path.only(environments) if newest else Path()
        return path.extended(environments)

    def _cell(
        self,
        key: CellKey,
        record: PromotionRecord | None,
        earlier: tuple[PromotionRecord | None, ...],
        where: _Where,
    ) -> Cell:
        ask = self._ask(key, record, earlier)
        recorded = where.recorded.get(key[1], ())
        names = self._clusters(key, record, recorded)
        wanted = ask.wanted.id if ask.wanted else None
        cell = Cell(
            environment=key[1],
            ask=ask,
            record=record,
            record_known=self._records.is_known(key) and not self._records.other(key),
            record_saved=self._records.is_saved(key),
            members=tuple(self._member(name, key, wanted) for name in names),
            suspended=self._records.suspended(key),
            other=self._records.other(key),
            orphans=self._orphans(record, names, recorded) if self._asker is not None else (),
            # Beside those that it is meant for, an order waits on them.
            leaving=tuple(n for n in where.ordered.get(key[1], ()) if n not in names),
            left=self._head().left,
            asked=self._asked_of(key),
        )
        outside = self._outside(self._asker, key[0], cell, earlier)
        return cell if outside is NOTHING_ASKED else replace(cell, outside=outside)

    def _ask(
        self,
        key: CellKey,
        record: PromotionRecord | None,
        earlier: tuple[PromotionRecord | None, ...],
    ) -> Ask:
        """Returns what is asked for."""
        if self._asker is None:
            message = self._head().error or "the env repo has not been read yet"
            return Ask(None, None, None, reason=Reason.GIT_UNKNOWN, message=message)
        return self._asks.of(self._asker, key, record, earlier)

    def _clusters(
        self, key: CellKey, record: PromotionRecord | None, recorded: Sequence[ClusterName]
    ) -> tuple[ClusterName, ...]:
        if self._asker is None:
            return tuple(recorded)
        placed = self._asker.clusters(*key)
        if placed is not None:
            return tuple(cluster.name for cluster in placed)
        # Its service.yaml cannot be read: it goes nowhere new, and stays where it was meant to be.
        meant = {*_rolls_out_on(record), *_proven_on(record), *recorded}
        named = self._asker.snapshot.fleet.placed((), key[1])
        return tuple(cluster.name for cluster in named if cluster.name in meant)

    def _where(self, service: ServiceName) -> _Where:
        """Asks every cluster once, whatever the number of environments."""
        where = _Where()
        for name, executor in self._executors().items():
            for environment in executor.environments(service):
                where.recorded.setdefault(environment, []).append(name)
            for environment in executor.ordered(service):
                where.ordered.setdefault(environment, []).append(name)
        return where

    def _member(self, name: ClusterName, key: CellKey, wanted: RevisionId | None) -> Member:
        executor = self._executors().get(name)
        if executor is None:
            member = Member(name, reachable=False, synced=False, record=None)
        else:
            member = executor.member(key, wanted)
        state = self._state(name)
        return member if member.state is state else replace(member, state=state)

    def _state(self, name: ClusterName) -> ClusterState:
        """Returns a cluster's state at HEAD, or without Git as the home remembers it."""
        head = self._head()
        if self._asker is None and name in head.joining:
            return ClusterState.JOINING
        if self._asker is None and name in head.draining:
            return ClusterState.DRAINING
        return self._states.get(name, ClusterState.ACTIVE)

    def _orphans(
        self,
        record: PromotionRecord | None,
        names: tuple[ClusterName, ...],
        recorded: Sequence[ClusterName],
    ) -> tuple[ClusterName, ...]:
        """Returns the clusters that run it, or did at its proof, and that HEAD does not mean it for.

        One that drained first has left, and nobody wonders.
        """
        left = self._head().left
        return tuple(sorted({*_proven_on(record), *recorded} - {*names, *left}))


def _proven_on(record: PromotionRecord | None) -> tuple[ClusterName, ...]:
    """Returns the clusters on which what is admitted was proven."""
    proofs = record.proofs if record is not None else ()
    return next((p.members for p in proofs if record and p.revision == record.admitted), ())


def _rolls_out_on(record: PromotionRecord | None) -> tuple[ClusterName, ...]:
    rollout = record.rollout if record is not None else None
    return rollout.policy.clusters() if rollout else ()
