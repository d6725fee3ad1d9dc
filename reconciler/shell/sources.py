"""What the history of the env repo says: services and pins as they stood at a commit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from reconciler.core.boarding import FormerPin
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.ports.git import History, Signers
from reconciler.schema.services import ServiceAt, pin_at, service_at
from reconciler.shell.approvals import Approvals
from reconciler.shell.pin_history import PINS_MAX, PinHistory
from reconciler.shell.skips import Skips

SOURCES_KEPT = 2_000
"""Services at a commit, each some kilobytes: what the roll-outs of a large fleet need at a time."""


class Sources:
    """Services as they stood at a commit, kept since a commit never changes.

    Attributes:
        approvals: Of pins, by the same history.
        skips: Of pins, by the same history.
        pin_history: What pins were before.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo.
        signers: Whose signatures count; None: nobody's.
    """

    def __init__(self, history: History, root: str, signers: Signers | None = None) -> None:
        self._history = history
        self._root = root
        self.approvals = Approvals(history, root)
        self.skips = Skips(history, root, signers)
        self.pin_history = PinHistory(history, root)
        self._kept: OrderedDict[tuple[ServiceName, CommitId], ServiceAt | None] = OrderedDict()

    def at(self, service: ServiceName, source: str) -> ServiceAt | None:
        """Returns a service as a commit holds it; None when there is no such commit or folder.

        Raises:
            InvalidInput: Its service.yaml there is broken.
            TransientError: The mirror could not be read.
        """
        commit = self._history.resolve(source)
        if commit is None:
            return None
        key = (service, commit)
        if key not in self._kept:
            self._kept[key] = service_at(self._history, commit, service, root=self._root)
            while len(self._kept) > SOURCES_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def pins(
        self, head: CommitId, environment: EnvironmentName, service: ServiceName
    ) -> Iterator[FormerPin]:
        """Yields what a pin was at HEAD and before, newest first; one that was broken is passed over."""
        path = f"{self._root}/environments/{environment}/{service}.yaml".lstrip("/")
        for facts in self._history.log(head, path=path, most=PINS_MAX):
            pin = pin_at(self._history, facts.commit, environment, service, root=self._root)
            if pin is not None:
                yield FormerPin(facts.commit, pin)

    def changed(self, service: ServiceName, source: CommitId) -> CommitId | None:
        """Returns the newest commit, up to one, that changed a service's files; None where it was not found."""
        path = f"{self._root}/services/{service}".lstrip("/")
        found = self._history.log(source, path=path, most=1)
        return found[0].commit if found else None

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Tells whether a commit contains another, or is it."""
        return self._history.is_ancestor(ancestor, descendant)
