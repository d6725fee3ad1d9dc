"""The plan carried out again and again by a toy of a fleet: it settles, in order, and heals.

Where the properties ask what one plan may not do, these ask where many of them lead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reconciler.core.fuses import counts_of, plan_fleet
from reconciler.core.plan import plan_service
from reconciler.core.recording import recorded, with_revert
from reconciler.core.rejections import repeats
from reconciler.core.renders import together
from reconciler.core.reverting import plan_revert
from reconciler.model.actions import (
    Action,
    Admit,
    Adopt,
    CommitRevert,
    Deliver,
    Examine,
    FinishRollBack,
    Hold,
    Prove,
    Reject,
)
from reconciler.model.believed import Believed
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.facts import Ask, Cell, LiveState, Member, ServiceFacts
from reconciler.model.names import ClusterName, EnvironmentName, Identity, RenderDigest, RevisionId
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord, RevertProgress, ServiceRecord
from reconciler.model.release import Revision, Values
from tests.fakes.facts import (
    CLUSTERS,
    CRASHING,
    CURRENT,
    NOW,
    WEB,
    carried_out,
    comes_back,
    in_line,
    policy,
)
from tests.fakes.records import COMMIT, revision
from tests.property.worlds import ANEW, PATH, REVISIONS

TURNS_MAX = 60
"""Plans in a row that each change something; more of them never settle."""

ON_BRANCH = RevertProgress(branch="reconciler/revert-web")

environments = st.sampled_from(PATH)
clusters = st.sampled_from([name for names in CLUSTERS.values() for name in names])
numbers = st.integers(0, len(REVISIONS) - 1)
"""Of a revision."""

FRESH = revision("9.0.0", tree="f" * 40, values=Values.of({"replicas": 9}), renderer="assembly/3")
"""Has no part in common with any other, so that no rejection can hold it."""


class Toy:
    """Git, the home and the clusters, as values.

    Attributes:
        identities: Each identity that was ever delivered to a cluster without being proven there.
    """

    def __init__(self) -> None:
        self.now: datetime = NOW
        self.pins: dict[EnvironmentName, Revision] = dict.fromkeys(PATH, REVISIONS[0])
        self.is_upgraded = False
        self.renders_otherwise = False
        self.paused: set[EnvironmentName] = set()
        self.quarantine: tuple[QuarantineEntry, ...] = ()
        self.records: dict[EnvironmentName, PromotionRecord] = {}
        self.asked: dict[ClusterName, ServiceRecord] = {}
        self.healthy_s: dict[ClusterName, float] = {}
        self.away: set[ClusterName] = set()
        self.bad: set[tuple[EnvironmentName, RevisionId]] = set()
        self.failing_since: dict[ClusterName, datetime] = {}
        self.proven: dict[EnvironmentName, set[Identity]] = {e: set() for e in PATH}

    def facts(self) -> ServiceFacts:
        """Returns what is seen now."""
        return in_line(WEB, tuple(self._cell(e) for e in PATH))

    def _cell(self, environment: EnvironmentName) -> Cell:
        held = [e for e in self.quarantine if environment in e.environments]
        wanted = self._rendered(self.pins[environment])
        renders = [(name, self._digest(wanted)) for name in CLUSTERS[environment]]
        ask = Ask(
            wanted=wanted,
            renders=together(renders),
            commit=COMMIT,
            policy=policy(environment),
            policy_digest="sha256:p",
            paused=environment in self.paused,
            quarantine=tuple(e for e in held if e.lifted is None),
            lifted=tuple(e for e in held if e.lifted is not None),
        )
        members = tuple(self._member(environment, name) for name in CLUSTERS[environment])
        record = self.records.get(environment)
        return Cell(environment, comes_back(ask, record), record, True, members)

    def _rendered(self, asked: Revision) -> Revision:
        """Returns what a pin asks for as the present daemon renders it."""
        if asked == FRESH:
            return asked
        pairs = zip(REVISIONS, ANEW, strict=True)
        former, anew = next(pair for pair in pairs if asked in pair)
        return anew if self.is_upgraded else former

    def _digest(self, revision: Revision) -> RenderDigest:
        """Returns a digest that speaks of the renderer only where it renders otherwise."""
        renderer = revision.renderer if self.renders_otherwise else ""
        return RenderDigest(f"{revision.identity} {revision.values.text} {renderer}")

    def _member(self, environment: EnvironmentName, name: ClusterName) -> Member:
        asked = self.asked.get(name)
        is_known = name not in self.away
        health = CURRENT
        if asked is not None and (environment, asked.revision.id) in self.bad:
            since = self.failing_since.setdefault(name, self.now)
            health = replace(CRASHING, first_failure_at=since)
        else:
            self.failing_since.pop(name, None)
        live = LiveState.ABSENT if asked is None else LiveState.UNKNOWN
        return Member(
            name,
            reachable=is_known,
            synced=is_known,
            record=asked,
            health=health,
            healthy_s=self.healthy_s.get(name, 0.0),
            live=live,
            live_for_s=9.0,
        )

    def settle(self) -> tuple[Action, ...]:
        """Plans and acts until nothing is left but to hold; returns the last plan."""
        for _ in range(TURNS_MAX):
            self.now += timedelta(milliseconds=1)
            facts = self.facts()
            fleet = plan_fleet([counts_of(facts)], self.now, believed=Believed(1, 3, 3))
            actions = plan_service(facts, fleet, self.now)
            if not any(self._is_change(action) for action in actions):
                return actions
            for action in actions:
                self._act(facts, action)
        raise AssertionError(f"it never settles: {actions}")

    def _is_change(self, action: Action) -> bool:
        if isinstance(action, CommitRevert) and not action.direct:
            # A branch for a person: it is there, and stays owed until one of them merges it.
            waiting = with_revert(self.records[action.environment], action.rejection, ON_BRANCH)
            return waiting != self.records[action.environment]
        return not isinstance(action, Hold)

    def _act(self, facts: ServiceFacts, action: Action) -> None:
        match action:
            case Adopt() | Admit() | Prove() | Reject() | FinishRollBack():
                was = self.records.get(action.environment)
                now = replace(recorded(was, action), version="1")
                self.records[action.environment] = now
                if isinstance(action, Prove | Adopt):
                    self.proven[action.environment].add(action.proof.revision.identity)
            case Deliver():
                self._deliver(action)
            case CommitRevert():
                self._commit(facts, action)
            case Hold() | Examine():
                pass

    def _deliver(self, order: Deliver) -> None:
        was = self.asked.get(order.cluster)
        generation = was.generation + 1 if was else 1
        if was is None or was.revision.id != order.revision.id:
            before = PATH[: PATH.index(order.environment)]
            proven_here = self.proven[order.environment]
            identity = order.revision.identity
            # The order of the path, told by what happened and not by the records.
            assert identity in proven_here or all(identity in self.proven[e] for e in before)
            self.healthy_s[order.cluster] = 0.0
        self.asked[order.cluster] = replace(
            carried_out(order),
            render_digest=self._digest(order.revision),
            generation=generation,
            observed_generation=generation,
        )

    def _commit(self, facts: ServiceFacts, action: CommitRevert) -> None:
        record = self.records[action.environment]
        if not action.direct:
            self.records[action.environment] = with_revert(record, action.rejection, ON_BRANCH)
            return
        plan = plan_revert(WEB, action.rejection, self.facts().cells)
        for edit in plan.edits:
            assert not repeats(edit.restore_to, action.rejection)
            self.pins[edit.environment] = edit.restore_to
        self.quarantine = (*self.quarantine, plan.entry)
        done = RevertProgress(COMMIT, None, self.now)
        self.records[action.environment] = with_revert(record, action.rejection, done)

    def pass_(self, seconds: float) -> None:
        """Lets time pass; what is seen healthy soaks."""
        self.now += timedelta(seconds=seconds)
        for cell in self.facts().cells:
            for member in cell.members:
                if member.known and member.health is CURRENT and member.record is not None:
                    self.healthy_s[member.cluster] = member.healthy_s + seconds


class Fleet(RuleBasedStateMachine):
    """People, releases, clusters and time, in any order."""

    @initialize()
    def begin(self) -> None:
        self.toy = Toy()
        self.last: tuple[Action, ...] = ()
        self.rest()

    def rest(self) -> None:
        self.last = self.toy.settle()

    @rule(number=numbers, first=st.integers(0, 2))
    def merge(self, number: int, first: int) -> None:
        for environment in PATH[first:]:
            self.toy.pins[environment] = REVISIONS[number]
        self.rest()

    @rule(environment=environments)
    def pause_or_resume(self, environment: EnvironmentName) -> None:
        self.toy.paused ^= {environment}
        self.rest()

    @rule(environment=environments, number=numbers)
    def turn_bad(self, environment: EnvironmentName, number: int) -> None:
        self.toy.bad.add((environment, REVISIONS[number].id))
        self.rest()

    @rule(environment=environments)
    def turn_bad_what_runs(self, environment: EnvironmentName) -> None:
        for name in CLUSTERS[environment]:
            if name in self.toy.asked:
                self.toy.bad.add((environment, self.toy.asked[name].revision.id))
        self.rest()

    @rule()
    def heal(self) -> None:
        self.toy.bad.clear()
        self.rest()

    @rule(cluster=clusters)
    def leave_or_come_back(self, cluster: ClusterName) -> None:
        self.toy.away ^= {cluster}
        self.rest()

    @rule(seconds=st.sampled_from([10.0, 61.0, 700.0, 4_000.0]))
    def wait(self, seconds: float) -> None:
        self.toy.pass_(seconds)
        self.rest()

    @rule(environment=environments)
    def lose_the_record(self, environment: EnvironmentName) -> None:
        self.toy.records.pop(environment, None)
        self.rest()

    @rule(otherwise=st.booleans())
    def upgrade_or_downgrade(self, otherwise: bool) -> None:
        self.toy.is_upgraded = not self.toy.is_upgraded
        self.toy.renders_otherwise = self.toy.renders_otherwise or otherwise
        self.rest()

    @rule()
    def lift(self) -> None:
        self.toy.quarantine = tuple(
            replace(entry, lifted="a reason") for entry in self.toy.quarantine
        )
        self.rest()

    @invariant()
    def every_environment_says_why_it_rests(self) -> None:
        if hasattr(self, "toy"):
            assert {action.environment for action in self.last} == set(PATH)

    @invariant()
    def what_was_taken_back_runs_nowhere_that_answers(self) -> None:
        if not hasattr(self, "toy"):
            return
        for environment, record in self.toy.records.items():
            for rejection in record.rejections[:1]:
                is_gone_back = rejection.restore_to is not None and record.admitted is not None
                if not is_gone_back or record.admitted == rejection.revision:
                    continue
                running = [
                    self.toy.asked[name].revision.id
                    for name in CLUSTERS[environment]
                    if name not in self.toy.away and name in self.toy.asked
                ]
                assert rejection.revision.id not in running

    def teardown(self) -> None:
        """However it went: once all is well and people ask for one good release, it is everywhere."""
        if not hasattr(self, "toy"):
            return
        toy = self.toy
        toy.away.clear()
        toy.bad.clear()
        toy.paused.clear()
        toy.pins = dict.fromkeys(PATH, FRESH)
        for _ in range(40):
            toy.pass_(4_000.0)
            toy.settle()
        held = {e: a.reason for a in toy.settle() if isinstance(a, Hold) for e in [a.environment]}
        differing = [e for e, reason in held.items() if reason is Reason.ADOPTION_DIFFERS]
        if not differing:
            assert {toy.asked[name].revision.id for name in toy.asked} == {FRESH.id}, held
            assert set(toy.asked) == {name for names in CLUSTERS.values() for name in names}


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
