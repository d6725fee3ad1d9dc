"""Breadth-first over every order of events on a small fleet; a broken promise comes with its shortest way.

`python -m tests.model.search 1 1 2 --begun` searches one fleet by hand, and tells how many states it has.
"""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import dataclass

from reconciler.model.facts import LiveState
from tests.model.values import Fleet, fleet
from tests.model.world import State, World

WHOLE_EVERY = 997
"""One state in so many is planned whole as well, to see that what is planned in parts is the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        states: Different states of the world.
        transitions: Steps between them.
        rests: States in which nothing more happens by itself.
        depth: Steps to the farthest of them.
        broken: The first promise that is broken, and the shortest way there; empty where none is.
    """

    states: int
    transitions: int
    rests: int
    depth: int
    broken: str = ""

    def __str__(self) -> str:
        """Returns it as one line, and below it what was broken."""
        line = (
            f"{self.states} states, {self.transitions} transitions, {self.rests} at rest, "
            f"{self.depth} steps to the farthest"
        )
        return f"{line}\n{self.broken}" if self.broken else line


class Search:
    """One search.

    Args:
        fleet: What is searched.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._world = World(fleet)
        first = self._world.first()
        if fleet.begun:
            first = self._world.settled(first)
        self._number = {first: 0}
        self._states, self._parents, self._told = [first], [0], [""]
        self._transitions = self._rests = 0

    def run(self) -> Found:
        """Searches until every state was met, or a promise is broken."""
        was_on = gc.isenabled()
        # Millions of values that stay are looked through again and again, and none is ever found to be garbage.
        gc.disable()
        try:
            for index, state in enumerate(self._states):
                broken = self._look(index, state)
                if broken:
                    return broken
            return self._found(len(self._states) - 1)
        finally:
            if was_on:
                gc.enable()

    def _look(self, index: int, state: State) -> Found | None:
        rests = True
        for told, then, broken, comes in self._world.next(state):
            self._transitions += 1
            rests = rests and not comes
            if broken:
                return self._found(index, broken, told)
            if then not in self._number:
                self._number[then] = len(self._states)
                self._states.append(then)
                self._parents.append(index)
                self._told.append(told)
        if rests:
            self._rests += 1
            broken = self._world.rest(state)
            if broken:
                return self._found(index, broken, "nothing more happens")
        if index % WHOLE_EVERY == 0 and not self._world.is_seen_alike(state):
            return self._found(index, "the whole plan is another than its parts", "planned whole")
        return None

    def _found(self, index: int, broken: str = "", last: str = "") -> Found:
        way = []
        while index:
            way.append(f"  {self._told[index]}")
            index = self._parents[index]
        text = "\n".join((f"{broken}:", *reversed(way), f"  {last}  <- here")) if broken else ""
        return Found(len(self._states), self._transitions, self._rests, len(way), text)

    def sizes(self) -> str:
        """Returns how many values of each kind were met."""
        return self._world.sizes()


def main() -> None:
    """Searches a fleet that is named by its sizes."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.search", description=__doc__)
    parser.add_argument("size", nargs="+", help="clusters: 2 at once, 1+1 one after the other")
    parser.add_argument("--crashes", type=int, default=1)
    parser.add_argument("--begun", action="store_true", help="the first release is everywhere")
    parser.add_argument("--lifts", action="store_true", help="a person lifts the rejection once")
    parser.add_argument("--reads", action="store_true", help="single clusters are read late, too")
    parser.add_argument("--adopts", action="store_true", help="the first release is found live")
    given = parser.parse_args()
    live = LiveState.EQUAL if given.adopts else LiveState.ABSENT
    began_s = time.process_time()
    search = Search(
        fleet(
            *given.size,
            crashes=given.crashes,
            begun=given.begun,
            lifts=given.lifts,
            reads=given.reads,
            live=live,
        )
    )
    print(search.run())
    print(f"{search.sizes()}; {time.process_time() - began_s:.0f} s of CPU")


if __name__ == "__main__":
    main()
