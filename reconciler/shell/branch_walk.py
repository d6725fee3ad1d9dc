"""One walk back along a branch that finds, for every pin at once, the commits that changed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.errors import InvalidInput
from reconciler.model.names import BlobId, CommitId, EnvironmentName, ServiceName
from reconciler.ports.git import History

WALK_MAX = 10_000
"""Commits that are looked at: years of a busy fleet, and some seconds of one core, once."""

CHANGES_MAX = 500
"""Changes of one pin that are kept, be they of values alone: a bot that scales it makes some a day."""

PinKey = tuple[EnvironmentName, ServiceName]

Change = tuple[CommitId, BlobId]
"""A commit that changed a pin, and what it made of it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a walk has found.

    Attributes:
        head: Where it began.
        changes: Those of each pin, newest first. One that nothing has changed keeps the very tuple that it had
            in the walk before.
        cut: The oldest commit that was looked at, where there are older ones: it stands for whatever changed a
            pin last before it.
    """

    head: CommitId
    changes: Mapping[PinKey, tuple[Change, ...]]
    cut: CommitId | None = None


@dataclass(slots=True)
class Allowance:
    """What may still be read at once.

    Attributes:
        reads: Commits, folders and files.
    """

    reads: int


class Walk:
    """A walk from a commit to the one where the walk before began, or as far as walks go.

    A folder is listed only where it is another one than at the parent: equal ids are equal contents.

    Args:
        history: The mirror.
        folder: The one that holds a folder for each environment.
        head: Where it begins.
        known: What the walk before has found.
        most: Commits that are looked at.
    """

    def __init__(
        self,
        history: History,
        folder: str,
        head: CommitId,
        known: Branch | None,
        most: int = WALK_MAX,
    ) -> None:
        self.head = head
        self._history = history
        self._folder = folder
        self._known = known
        self._left = most
        self._at = head
        self._environments: Mapping[str, str] | None = None
        self._files: dict[str, Mapping[str, str]] = {}
        self._found: dict[PinKey, list[Change]] = {}

    def go(self, allowance: Allowance) -> Branch | None:
        """Goes on; returns what was found once that is all, None where more reads are needed.

        Raises:
            ReconcilerError: The mirror could not be read; it goes on from there when called again.
        """
        if self._known is not None and self._known.head == self.head:
            return self._known
        while allowance.reads > 0:
            allowance.reads -= 2
            if self._environments is None:
                self._environments = self._history.folder(self._at, self._folder)
            parents = self._history.commit_facts(self._at).parents
            self._left -= 1
            if not parents:
                return self._ended(cut=None)
            try:
                before = self._history.folder(parents[0], self._folder)
            except InvalidInput:
                # One that can never be read ends what is known, as the limit does.
                return self._ended(cut=self._at)
            if self._left <= 0:
                return self._ended(cut=self._at)
            self._step(parents[0], before, allowance)
            if self._known is not None and self._at == self._known.head:
                return self._joined(self._known)
        return None

    def _step(self, parent: CommitId, before: Mapping[str, str], allowance: Allowance) -> None:
        """Notes what a commit has changed, and goes to its parent."""
        here = self._environments or {}
        there: dict[str, Mapping[str, str]] = {}
        changed: list[tuple[PinKey, Change]] = []
        for name in sorted(here.keys() | before.keys()):
            if here.get(name) == before.get(name):
                continue
            allowance.reads -= 1
            there[name] = self._listed(parent, name) if name in before else {}
            for key, blob in self._pins(name):
                if there[name].get(f"{key[1]}.yaml") != blob:
                    changed.append((key, (self._at, blob)))
        # Nothing is noted before all was read: a step that fails is made anew.
        for key, change in changed:
            self._note(key, change)
        self._files |= there
        self._at, self._environments = parent, before

    def _ended(self, *, cut: CommitId | None) -> Branch:
        """Takes every pin as it stands at the oldest commit for a change that this made."""
        for name in sorted(self._environments or {}):
            for key, blob in self._pins(name):
                self._note(key, (self._at, blob))
        return Branch(self.head, {key: tuple(found) for key, found in self._found.items()}, cut)

    def _joined(self, known: Branch) -> Branch:
        changes = dict(known.changes)
        for key, found in self._found.items():
            changes[key] = (*found, *known.changes.get(key, ()))[:CHANGES_MAX]
        return Branch(self.head, changes, known.cut)

    def _note(self, key: PinKey, change: Change) -> None:
        found = self._found.setdefault(key, [])
        if len(found) < CHANGES_MAX:
            found.append(change)

    def _pins(self, environment: str) -> Iterator[tuple[PinKey, BlobId]]:
        """Yields the pins of an environment, as they are where the walk stands."""
        if environment not in self._files:
            self._files[environment] = self._listed(self._at, environment)
        for name, blob in self._files[environment].items():
            if name.endswith(".yaml"):
                service = ServiceName(name.removesuffix(".yaml"))
                yield (EnvironmentName(environment), service), BlobId(blob)

    def _listed(self, commit: CommitId, environment: str) -> Mapping[str, str]:
        return self._history.folder(commit, f"{self._folder}/{environment}")
