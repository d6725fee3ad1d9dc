"""Every step that the whole fleet may take next: its environments, the task that commits, people, and a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.core.plan import plan_service
from reconciler.core.recording import with_revert
from reconciler.core.rejections import is_written
from reconciler.core.reverting import plan_revert
from reconciler.model.facts import FleetSummary
from reconciler.model.records import Rejection, RevertProgress
from tests.fakes.facts import NOW, WEB
from tests.fakes.records import COMMIT
from tests.model import rules
from tests.model.steps import Planned, by_itself, forgotten, from_afar, planned, untimed
from tests.model.values import (
    DOUBTFUL,
    GOOD,
    Cluster,
    Fleet,
    Head,
    Numbers,
    Owed,
    Place,
    Seen,
    cell,
    facts,
)

State = tuple[int, ...]
"""Numbers: of each environment, HEAD, HEAD as it was read last, and the commits owed; then the two flags below."""

Next = tuple[str, State, str, bool]
"""A step: in words, where it leads, the promise that it breaks, and whether it comes if one only waits."""

PlannedStep = tuple[str, int, Rejection | None, str, bool]
"""What is planned as one step: in words, where it leads, what is owed then, what it breaks, and whether it is first."""

PlannedSteps = tuple[tuple[PlannedStep, ...], PlannedStep | None, Planned]
"""All that is planned for an environment, which of it is first, and the plan."""

NOWHERE = -1
"""The doubtful release has not failed yet; else where it does. The other flag counts the crashes."""

MADE = RevertProgress(COMMIT, None, NOW)


class World:
    """A fleet, and all that may happen to it. What was planned is kept by what it was planned from.

    Args:
        fleet: The environments and clusters, and who may do what.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._count = len(fleet.waves)
        self._places: Numbers[Place] = Numbers()
        self._heads: Numbers[Head] = Numbers()
        self._owed: Numbers[Owed] = Numbers()
        self._afar: dict[int, int] = {}
        self._alone: dict[tuple[int, int], tuple[tuple[str, int, bool], ...]] = {}
        self._planned: dict[State, PlannedSteps] = {}
        self._dead: dict[int, int] = {}
        self._pushed: dict[State, tuple[int, str]] = {}
        self._merges: dict[int, list[tuple[str, int, bool]]] = {}
        self._nothing = self._owed.of(())

    def first(self) -> State:
        places = []
        for at in range(self._count):
            clusters = (Cluster(),) * len(self._fleet.clusters(at))
            places.append(self._places.of(Place(None, clusters)))
        head = self._heads.of(Head((GOOD,) * self._count))
        return (*places, head, head, self._owed.of(()), NOWHERE, 0)

    def settled(self, state: State) -> State:
        """Returns where it comes to rest when nobody merges anything and nothing fails."""
        while True:
            must = (then for _, then, _, is_progress in self.next(state) if is_progress)
            then = next(must, None)
            if then is None:
                return state
            state = then

    def _place(self, at: int, place: Place) -> int:
        """Returns a place's number; clusters that nothing tells apart have no order."""
        if self._fleet.is_symmetric(at) and len(place.clusters) > 1:
            place = replace(place, clusters=tuple(sorted(place.clusters, key=repr)))
        return self._places.of(place)

    def next(self, state: State) -> Iterator[Next]:
        """Yields what may come next."""
        plans = [self._plan(at, state) for at in range(self._count)]
        for at, (_, first, _) in enumerate(plans):
            if first is not None:
                # It changes nothing that any other looks at: nothing else need be tried before it.
                told, then, _, broken, _ = first
                yield told, (*state[:at], then, *state[at + 1 :]), broken, True
                return
        for at, (steps, _, _) in enumerate(plans):
            yield from self._in_place(at, state, steps)
        yield from self._git(state)
        *places, head, _, _, bad_at, crashes = state
        for told, merged, is_lift in self._people(head):
            lifted = (self._lifted(at, place) for at, place in enumerate(places))
            yield told, (*(lifted if is_lift else places), merged, merged, *state[-3:]), "", False
        if crashes < self._fleet.crashes:
            dead = (self._died(at, place) for at, place in enumerate(places))
            again = (*dead, head, head, self._nothing, bad_at, crashes + 1)
            yield "the daemon dies and is started again", again, "", False

    def _in_place(self, at: int, state: State, steps: tuple[PlannedStep, ...]) -> Iterator[Next]:
        before, after = state[:at], state[at + 1 :]
        *_, owed, bad_at, crashes = state
        for told, then, fails in self._by_itself(at, state[at]):
            if not fails:
                yield told, (*before, then, *after), "", True
            elif bad_at in (NOWHERE, at):
                yield told, (*before, then, *after[:-2], at, crashes), "", False
        for told, then, rejection, broken, _ in steps:
            if rejection is None:
                yield told, (*before, then, *after), broken, True
                continue
            known = self._owed.values[owed]
            if (at, rejection) not in known:
                more = self._owed.of((*known, (at, rejection)))
                yield told, (*state[: self._count + 2], more, bad_at, crashes), broken, True

    def _by_itself(self, at: int, place: int) -> tuple[tuple[str, int, bool], ...]:
        key = (at, place)
        found = self._alone.get(key)
        if found is None:
            steps = by_itself(self._fleet, at, self._places.values[place])
            found = tuple((s.told, self._place(at, s.place), s.fails) for s in steps)
            self._alone[key] = found
        return found

    def _far(self, place: int) -> int:
        far = self._afar.get(place)
        if far is None:
            far = self._afar[place] = self._places.of(from_afar(self._places.values[place]))
        return far

    def _plan(self, at: int, state: State) -> PlannedSteps:
        key = (at, state[at], state[self._count + 1], *(map(self._far, state[:at]) if at else ()))
        found = self._planned.get(key)
        if found is None:
            found = self._planned[key] = self._ask(at, state[at], key[2], key[3:])
        return found

    def _ask(self, at: int, place: int, seen: int, afar: tuple[int, ...]) -> PlannedSteps:
        values, head = self._places.values, self._heads.values[seen]
        plan = planned(self._fleet, at, values[place], head, tuple(values[far] for far in afar))
        steps = tuple(
            step
            for s in plan.steps
            for step in [(s.told, self._place(at, s.place), s.owed, s.broken, s.first)]
            if step[1] != place or s.owed or s.broken
        )
        return steps, next((step for step in steps if step[4]), None), plan

    def _git(self, state: State) -> Iterator[Next]:
        """The task that makes commits: it looks at a fresh HEAD, pushes, and writes down that it has."""
        count = self._count
        head, seen, memory = state[count : count + 3]
        if seen == head and memory == self._nothing:
            return
        owed = self._owed.values[memory]
        if seen != head:
            then = (*state[: count + 1], head, *state[count + 2 :])
            yield "the daemon reads HEAD", then, "", True
        for at, rejection in owed:
            left = self._owed.of(tuple(o for o in owed if o != (at, rejection)))
            place = self._places.values[state[at]]
            kept = [
                r
                for r in (place.record.rejections if place.record else ())
                if (r.revision.id, r.rejected_at) == (rejection.revision.id, rejection.rejected_at)
            ]
            if not kept or kept[0].revert.commit is not None:
                done = (*state[: count + 2], left, *state[-2:])
                yield "a commit is owed no more", done, "", True
            elif is_written(rejection, self._heads.values[head].entries):
                assert place.record is not None
                record = with_revert(place.record, rejection, MADE)
                noted = self._place(at, replace(place, record=record))
                then = (*state[:at], noted, *state[at + 1 : count + 2], left, *state[-2:])
                yield "the commit is written down", then, "", True
            else:
                pushed, broken = self._push(state, at, rejection)
                then = (*state[:count], pushed, head, *state[count + 2 :])
                yield "a commit is pushed", then, broken, True

    def _push(self, state: State, at: int, rejection: Rejection) -> tuple[int, str]:
        key = (at, self._owed.of(((at, rejection),)), *state[: self._count + 1])
        found = self._pushed.get(key)
        if found is None:
            fleet, head = self._fleet, self._heads.values[state[self._count]]
            places = tuple(self._places.values[place] for place in state[: self._count])
            cells = (cell(fleet, j, place, head) for j, place in enumerate(places))
            plan = plan_revert(WEB, rejection, cells)
            pins = list(head.pins)
            for edit in plan.edits:
                pins[fleet.environments().index(edit.environment)] = edit.restore_to
            pushed = self._heads.of(Head(tuple(pins), (*head.entries, plan.entry)))
            broken = rules.of_push(places, at, head, rejection, plan, fleet)
            found = self._pushed[key] = (pushed, broken)
        return found

    def _people(self, at: int) -> list[tuple[str, int, bool]]:
        """Returns what people may merge on top of a HEAD, and whether it lifts a rejection."""
        found = self._merges.get(at)
        if found is not None:
            return found
        head, pins = self._heads.values[at], (DOUBTFUL,) * self._count
        found = self._merges[at] = []
        if not head.entries and DOUBTFUL not in head.pins:
            found.append(("a person merges 2.0.0", self._heads.of(Head(pins)), False))
        is_lifted = any(entry.lifted is not None for entry in head.entries)
        if self._fleet.lifts and head.entries and not is_lifted:
            entries = tuple(replace(entry, lifted="it was not its fault") for entry in head.entries)
            told = "a person lifts the rejection and merges 2.0.0 again"
            found.append((told, self._heads.of(Head(pins, entries)), True))
        return found

    def _lifted(self, at: int, place: int) -> int:
        return self._place(at, replace(self._places.values[place], rejected=frozenset()))

    def _died(self, at: int, place: int) -> int:
        """What was in the daemon's memory alone is gone: orders, what it saw, and how long for."""
        dead = self._dead.get(place)
        if dead is None:
            was = self._places.values[place]
            clusters = tuple(
                replace(
                    c,
                    order=None,
                    busy=False,
                    does=Seen.CURRENT if c.does is Seen.SOAKED else c.does,
                    read=len(was.clusters) == 1 and not self._fleet.reads,
                )
                for c in was.clusters
            )
            dead = self._dead[place] = self._place(at, forgotten(replace(was, clusters=clusters)))
        return dead

    def rest(self, state: State) -> str:
        places = tuple(self._places.values[place] for place in state[: self._count])
        head = self._heads.values[state[self._count]]
        holds = tuple(self._plan(at, state)[2].holds for at in range(self._count))
        return rules.at_rest(places, head, holds)

    def is_seen_alike(self, state: State) -> bool:
        """Tells whether the whole plan, of all that is there, is what was planned environment by environment."""
        places = (self._places.values[place] for place in state[: self._count])
        head = self._heads.values[state[self._count + 1]]
        cells = tuple(cell(self._fleet, at, place, head) for at, place in enumerate(places))
        whole = plan_service(facts(self._fleet, cells), FleetSummary(), NOW)
        parts = (self._plan(at, state)[2].actions for at in range(self._count))
        return untimed(whole) == tuple(action for part in parts for action in part)

    def sizes(self) -> str:
        """Returns how many values of each kind were met."""
        return (
            f"{len(self._places.values)} environments, {len(self._heads.values)} HEADs, "
            f"{len(self._planned)} plans"
        )
