"""Whether a cluster answers: one small read every few seconds, so that a dead one is known soon."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.core.suspending import suspended
from reconciler.errors import OperatorError, ReconcilerError
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import Suspension
from reconciler.model.names import ClusterName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeReader
from reconciler.shell.executor.suspending import tell_suspension

BEAT_S = 5.0
"""Between two reads; what was not answered for this long is called unreachable."""

BEAT_WHILE_DOWN_S = 2.0
"""Sooner while it is down, since roll-backs wait for it; still next to nothing for its API server."""

NOT_ASKED = "it has not been asked yet"


class Pulse:
    """Reads the reconciler's own namespace of one cluster; its annotations may suspend the cluster.

    Args:
        cluster: Its name.
        api: Its API server.
        clock: Time.
        namespace: The reconciler's own.
        on_change: Called when the answer changed.
        on_event: Told when the cluster is lost and when it is back.
        prepare: Called when it answers for the first time, and when its namespace is another than
            before, to see that it is the right cluster and has what we need; raises when it is not.
    """

    def __init__(
        self,
        cluster: ClusterName,
        api: KubeReader,
        *,
        clock: Clock,
        namespace: str,
        on_change: Callable[[], None],
        on_event: Callable[[Event], None],
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._clock = clock
        self._namespace = ObjectRef("v1", "Namespace", "", namespace)
        self._on_change = on_change
        self._on_event = on_event
        self._prepare = prepare
        self._prepared = False
        self._uid = ""
        self._found: KubeObject | None = None
        self.is_reachable = False
        self.was_asked = False
        self.suspended: Suspension | None = None
        self.error = NOT_ASKED
        self.last_answer_s = clock.monotonic_s()

    @property
    def skew_s(self) -> float | None:
        """Seconds that the cluster's clock is ahead of ours, as far as it is known."""
        return self._api.skew_s

    def prepare_again(self) -> None:
        """Says that something of ours is missing there; the next beat sees to it."""
        self._prepared = False

    def step(self) -> float:
        """Asks once; returns seconds until the next time."""
        try:
            return self._beat()
        finally:
            self.was_asked = True

    def _beat(self) -> float:
        try:
            found = self._ask()
        except ReconcilerError as error:
            self._lost(error)
            return BEAT_WHILE_DOWN_S
        self.last_answer_s = self._clock.monotonic_s()
        if found is not None:
            tell_suspension(found, self._found, cluster=self._cluster)
        self._found = found
        stopped = suspended(found, self._clock.now())
        changed = not self.is_reachable or stopped != self.suspended
        was_down = not self.is_reachable
        self.suspended, self.is_reachable, self.error = stopped, True, ""
        if was_down:
            self._tell(EventKind.CLUSTER_REACHABLE, "Answers", "it answers")
        if changed:
            self._on_change()
        return BEAT_S

    def _ask(self) -> KubeObject | None:
        """Reads the namespace; where it is not the one it was, another cluster may be answering."""
        found = self._api.get(self._namespace) if self._prepared else None
        if not self._prepared or _uid(found) != self._uid:
            self._prepared = False
            self._prepare()
            self._prepared = True
            found = self._api.get(self._namespace)
            self._uid = _uid(found)
        return found

    def _lost(self, error: ReconcilerError) -> None:
        was_up, former = self.is_reachable, self.error
        self.is_reachable, self.error = False, str(error)
        if was_up or former != self.error:
            reason = "Denied" if isinstance(error, OperatorError) else "NoAnswer"
            self._tell(EventKind.CLUSTER_UNREACHABLE, reason, self.error)
            self._on_change()

    def _tell(self, kind: EventKind, reason: str, message: str) -> None:
        at = self._clock.now()
        self._on_event(Event(at, kind, reason, message, cluster=self._cluster))


def _uid(obj: KubeObject | None) -> str:
    return "" if obj is None else str(obj["metadata"].get("uid", ""))
