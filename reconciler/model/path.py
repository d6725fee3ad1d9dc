"""The environments that a service passes: a graph, kept in an order in which people read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from reconciler.model.names import EnvironmentName


@dataclass(frozen=True, slots=True)
class Step:
    """One environment of a path.

    Attributes:
        after: Those that must have proven a release just before; they stand earlier in the path.
    """

    environment: EnvironmentName
    after: tuple[EnvironmentName, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """Steps in order; what a step comes after stands before it, so that there is no circle."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def line(cls, environments: Iterable[EnvironmentName]) -> Path:
        """Returns a path on which each environment comes after the one before."""
        names = tuple(environments)
        first = tuple(Step(name) for name in names[:1])
        return cls((*first, *(Step(name, (before,)) for before, name in pairwise(names))))

    def names(self) -> tuple[EnvironmentName, ...]:
        """Returns every environment, in order."""
        return tuple(step.environment for step in self.steps)

    def just_before(self, environment: EnvironmentName) -> tuple[EnvironmentName, ...]:
        """Returns what one comes after; nothing for the first, or for one that is not on the path."""
        return next((step.after for step in self.steps if step.environment == environment), ())

    def before(self, environment: EnvironmentName) -> tuple[EnvironmentName, ...]:
        """Returns all that must be passed to reach one, in order."""
        found = set(self.just_before(environment))
        for step in reversed(self.steps):
            if step.environment in found:
                found.update(step.after)
        return tuple(name for name in self.names() if name in found)

    def after(self, environment: EnvironmentName) -> tuple[EnvironmentName, ...]:
        """Returns all for which one must be passed first, in order."""
        return tuple(self._after(environment))

    def _after(self, environment: EnvironmentName) -> Iterator[EnvironmentName]:
        found = {environment}
        for step in self.steps:
            if not found.isdisjoint(step.after):
                found.add(step.environment)
                yield step.environment

    def only(self, environments: Iterable[EnvironmentName]) -> Path:
        """Returns the path through some of its environments; what lies between two of them falls away."""
        kept = set(environments)
        return Path(
            tuple(
                Step(step.environment, tuple(self._nearest(step, kept)))
                for step in self.steps
                if step.environment in kept
            )
        )

    def _nearest(self, step: Step, kept: set[EnvironmentName]) -> Iterator[EnvironmentName]:
        """Yields the nearest that are kept of those before a step, in order."""
        by_name = {one.environment: one for one in self.steps}
        found: set[EnvironmentName] = set()
        waiting = list(step.after)
        while waiting:
            name = waiting.pop()
            if name in kept:
                found.add(name)
            else:
                waiting.extend(by_name[name].after)
        yield from (name for name in self.names() if name in found)

    def extended(self, environments: Iterable[EnvironmentName]) -> Path:
        """Returns the path with more environments at its end, each after all that stands before it.

        Nobody knows where they belong; like that nothing goes there before it is proven everywhere.
        """
        steps = list(self.steps)
        for name in environments:
            if all(step.environment != name for step in steps):
                steps.append(Step(name, tuple(step.environment for step in steps)))
        return Path(tuple(steps))
