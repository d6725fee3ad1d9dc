"""What pins were before: read from the branch once, and from then on only as far as it has grown."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from reconciler.core.boarding import FormerPin
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.ports.git import CommitFacts, History
from reconciler.schema.services import pin_at

PINS_MAX = 50
"""Commits of one pin that are looked at: weeks of a busy one; what lies before them had its turn long ago."""

RECENT_MAX = 64
"""Commits between two looks at a branch: where more are merged at once, the pin's whole history is read again."""

KEPT_MAX = 2_000
"""Pins whose history is kept: those that are not where the environment before is, in a large fleet."""

_Key = tuple[EnvironmentName, ServiceName]


@dataclass(frozen=True, slots=True)
class _Kept:
    head: CommitId
    blob: str | None
    pins: tuple[FormerPin, ...]


class PinHistory:
    """The histories of pins on one branch.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo.
    """

    def __init__(self, history: History, root: str) -> None:
        self._history = history
        self._root = root
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._recent: tuple[CommitId, tuple[CommitFacts, ...]] | None = None

    def of(
        self, head: CommitId, environment: EnvironmentName, service: ServiceName
    ) -> tuple[FormerPin, ...]:
        """Returns what a pin was at HEAD and before, newest first; one that was broken is passed over.

        Raises:
            ReconcilerError: The mirror could not be read.
        """
        key = (environment, service)
        kept = self._kept.get(key)
        if kept is None or kept.head != head:
            kept = self._grown(key, kept, head) or self._whole(key, head)
            self._kept[key] = kept
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept.pins

    def is_after(self, later: CommitId, earlier: CommitId) -> bool:
        """Tells whether a commit of the branch comes after another."""
        return later != earlier and self._history.is_ancestor(earlier, later)

    def _whole(self, key: _Key, head: CommitId) -> _Kept:
        log = self._history.log(head, path=self._path(key), most=PINS_MAX)
        found = (self._former(facts.commit, key) for facts in log)
        return _Kept(head, self._blob(head, key), tuple(one for one in found if one is not None))

    def _grown(self, key: _Key, kept: _Kept | None, head: CommitId) -> _Kept | None:
        """Returns what is known with what was merged since; None where that is not known to be all."""
        if kept is None:
            return None
        commits = [facts.commit for facts in self._since(head)]
        if kept.head not in commits:
            return None
        blob, pins = kept.blob, kept.pins
        for commit in reversed(commits[: commits.index(kept.head)]):
            now = self._blob(commit, key)
            if now != blob:
                former = self._former(commit, key)
                pins = (former, *pins)[:PINS_MAX] if former is not None else pins
            blob = now
        return _Kept(head, blob, pins)

    def _since(self, head: CommitId) -> tuple[CommitFacts, ...]:
        if self._recent is None or self._recent[0] != head:
            self._recent = head, self._history.log(head, path=None, most=RECENT_MAX)
        return self._recent[1]

    def _former(self, commit: CommitId, key: _Key) -> FormerPin | None:
        pin = pin_at(self._history, commit, *key, root=self._root)
        return FormerPin(commit, pin) if pin is not None else None

    def _blob(self, commit: CommitId, key: _Key) -> str | None:
        folder, _, name = self._path(key).rpartition("/")
        return next((e.blob for e in self._history.tree(commit, folder) if e.path == name), None)

    def _path(self, key: _Key) -> str:
        return f"{self._root.strip('/')}/environments/{key[0]}/{key[1]}.yaml".lstrip("/")
