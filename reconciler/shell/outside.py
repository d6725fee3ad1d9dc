"""What others say of what may be admitted: looked up behind the scenes, and handed in with the facts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from typing import Any

from reconciler.core.condition_facts import condition_facts
from reconciler.core.outside import FRESH_S
from reconciler.core.resolution import is_proven
from reconciler.errors import ReconcilerError
from reconciler.model.answers import NotKnown
from reconciler.model.facts import Ask, Cell
from reconciler.model.forge import Statuses, StatusState
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.outside import (
    NOBODY,
    NOTHING_ASKED,
    AskedCondition,
    AskedGate,
    CheckedCommit,
    CommitOrigin,
    ConditionQuestion,
    GateAnswer,
    GateQuestion,
    Outside,
    OutsideRules,
)
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from reconciler.ports.clock import Clock
from reconciler.ports.conditions import Conditions
from reconciler.ports.forge import Forge
from reconciler.ports.gates import AdmissionGate
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.inquiry import Inquiry
from reconciler.shell.origins import Origins
from reconciler.shell.runner import IDLE_MAX_S, Runner
from reconciler.shell.sources import Sources
from reconciler.shell.world import Ports

PENDING_S = 10.0
"""Between two looks at checks that are still running: they take minutes, and a person waits."""

FINAL_S = 30.0
"""The same once all have ended: so an answer that lets something through is never too old while it waits."""

ORIGINS_KEPT = 2_000
"""Each a line of text; found anew for every HEAD."""

_UNFINISHED = frozenset({StatusState.PENDING, StatusState.UNKNOWN})

_Key = tuple[CommitId, CellKey, Revision]


class Outsiders:
    """Those whose word policies ask for.

    Args:
        forge: Serves the env repo; None: the settings name none.
        gates: By name, and seconds between two questions to each.
        conditions: Evaluates conditions; None: nothing does.
        origins: Where revisions come from.
        clock: Time.
        on_answer: Told of each service of which something else is said than before.
    """

    def __init__(
        self,
        forge: Forge | None,
        gates: Mapping[str, tuple[AdmissionGate, float]],
        conditions: Conditions | None,
        origins: Origins,
        *,
        clock: Clock,
        on_answer: Callable[[ServiceName], None],
    ) -> None:
        self._forge = forge
        self._clock = clock
        self._origins = origins
        self._kept: OrderedDict[_Key, tuple[CommitId, ...]] = OrderedDict()
        self._statuses: Inquiry[CommitId, Statuses] = Inquiry(
            partial(_statuses, forge), again_s=_again_s, clock=clock, on_answer=on_answer
        )
        # Each by a task of its own: one that hangs keeps no other waiting.
        self._gates: dict[str, Inquiry[GateQuestion, GateAnswer]] = {
            name: Inquiry(
                gate.ask, again_s=partial(_every, poll_s), clock=clock, on_answer=on_answer
            )
            for name, (gate, poll_s) in gates.items()
        }

        # Nobody is asked, and the same question has the same answer for ever.
        self._conditions: Inquiry[ConditionQuestion, bool] = Inquiry(
            partial(_holds, conditions),
            again_s=partial(_every, IDLE_MAX_S),
            clock=clock,
            on_answer=on_answer,
            pace_s=0.0,
        )

    @classmethod
    def over(
        cls, ports: Ports, sources: Sources, on_answer: Callable[[ServiceName], None]
    ) -> Outsiders:
        """Makes them over the world."""
        origins = Origins(sources)
        asked = (ports.forge, ports.gates, ports.conditions)
        return cls(*asked, origins, clock=ports.clock, on_answer=on_answer)

    def start(self, runner: Runner) -> None:
        """Hands its tasks to a runner."""
        if self._forge is not None:
            self._statuses.start("commit statuses", runner)
        for name, gate in self._gates.items():
            gate.start(f"gate {name}", runner)
        self._conditions.start("conditions", runner)

    @property
    def _inquiries(self) -> tuple[Inquiry[Any, Any], ...]:
        return (self._statuses, *self._gates.values(), self._conditions)

    @property
    def are_asked(self) -> bool:
        """Whether all have answered, or it is known why not."""
        return all(one.is_answered for one in self._inquiries)

    def catch_up(self) -> bool:
        """Asks what was never asked, in the caller's own thread; returns whether there was anything."""
        is_news = not self.are_asked
        for one in self._inquiries:
            one.catch_up()
        return is_news

    def see(
        self,
        asker: Asker | None,
        service: ServiceName,
        cell: Cell,
        earlier: tuple[PromotionRecord | None, ...],
    ) -> Outside:
        """Returns what is said of whatever a cell may admit next; what is not known yet is asked for.

        Args:
            asker: HEAD's; None while Git cannot be read.
            service: Whose cell.
            cell: What else is seen of it.
            earlier: The records of the environments before it.
        """
        key = (service, cell.environment)
        rules = _rules(asker, key)
        if asker is None or rules == NOBODY:
            return NOTHING_ASKED
        next_ones = tuple(_candidates(cell.ask, cell.record))
        origins = {one.id: self._commits(asker, key, one) for one in next_ones}
        commits = dict.fromkeys(commit for found in origins.values() for commit in found)
        checked = commits if rules.commit_statuses else ()
        return Outside(
            rules,
            tuple(CommitOrigin(revision, found) for revision, found in origins.items()),
            tuple(self._checked(commit, key[0]) for commit in checked),
            has_forge=self._forge is not None,
            gates=tuple(
                self._asked(
                    gate, key, one, origins[one.id], is_due=is_proven(one.identity, earlier)
                )
                for gate in rules.http_gates
                for one in next_ones
            ),
            conditions=tuple(self._evaluated(asker, service, cell, rules, next_ones)),
        )

    def _evaluated(
        self,
        asker: Asker,
        service: ServiceName,
        cell: Cell,
        rules: OutsideRules,
        next_ones: tuple[Revision, ...],
    ) -> Iterator[AskedCondition]:
        for revision in next_ones if rules.conditions else ():
            clusters = asker.clusters(service, cell.environment) or ()
            facts = condition_facts(service, cell, revision, clusters, self._clock.now())
            for one in rules.conditions:
                question = ConditionQuestion(one.expression, facts)
                heard = self._conditions.of(question, service, fresh_s=inf)
                yield AskedCondition(one.name, revision.id, heard.answer)

    def _asked(
        self,
        gate: str,
        key: CellKey,
        revision: Revision,
        commits: tuple[CommitId, ...],
        *,
        is_due: bool,
    ) -> AskedGate:
        """Returns a gate's word; it is asked only once nothing else of the path is waited for."""
        inquiry = self._gates.get(gate)
        if inquiry is None:
            return AskedGate(gate, revision.id, None, is_named=False)
        if not is_due:
            return AskedGate(gate, revision.id, None)
        release = revision.release
        question = GateQuestion(
            gate, *key, release.version, revision.id, revision.identity, release.source, commits
        )
        heard = inquiry.of(question, key[0], fresh_s=FRESH_S)
        return AskedGate(gate, revision.id, heard.answer, heard.age_s)

    def _checked(self, commit: CommitId, service: ServiceName) -> CheckedCommit:
        if self._forge is None:
            return CheckedCommit(commit, None)
        heard = self._statuses.of(commit, service, fresh_s=FRESH_S)
        return CheckedCommit(commit, heard.answer, heard.age_s)

    def _commits(self, asker: Asker, key: CellKey, revision: Revision) -> tuple[CommitId, ...]:
        kept = (asker.snapshot.commit, key, revision)
        if kept not in self._kept:
            try:
                found = self._origins.of(asker.snapshot, *key, revision)
            except ReconcilerError:
                # The mirror could not be read now; it is tried again with the next look.
                return ()
            self._kept[kept] = found
            while len(self._kept) > ORIGINS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(kept)
        return self._kept[kept]


def _rules(asker: Asker | None, key: CellKey) -> OutsideRules:
    service, environment = key
    found = asker.snapshot.services.get(service) if asker is not None else None
    policy = asker.snapshot.policies.get(found.policy) if asker is not None and found else None
    every = policy.environments if policy is not None else ()
    return next((rules.outside for name, rules in every if name == environment), NOBODY)


def _candidates(ask: Ask, own: PromotionRecord | None) -> Iterator[Revision]:
    """Yields what may be admitted next, but what is proven here: that needs nobody's word."""
    proven = {proof.revision.id for proof in own.proofs} if own is not None else set()
    for revision in (ask.wanted, ask.immediate, ask.boarding):
        if revision is not None and revision.id not in proven:
            yield revision


def _statuses(forge: Forge | None, commit: CommitId) -> Statuses | NotKnown:
    if forge is None:
        raise AssertionError("without a forge nothing is asked")
    return forge.statuses(commit)


def _holds(conditions: Conditions | None, question: ConditionQuestion) -> bool | NotKnown:
    if conditions is None:
        return NotKnown("ConditionUnknown", "nothing evaluates conditions here")
    return conditions.holds(question)


def _every(poll_s: float, question: object, answer: object) -> float:
    del question, answer
    return poll_s


def _again_s(commit: CommitId, found: Statuses) -> float:
    del commit
    running = not found.checks or any(check.state in _UNFINISHED for check in found.checks)
    return PENDING_S if running else FINAL_S
