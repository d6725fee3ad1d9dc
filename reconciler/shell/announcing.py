"""What happens to a release, as Events of the home cluster: `kubectl describe promotionrecord` shows them.

As all Events of Kubernetes they are for people, and best effort: one may be lost with the process. What
somebody must be woken for is an alert on metrics, which are made of the records.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable

import structlog

from reconciler.errors import Conflict, OperatorError, TransientError
from reconciler.model.events import Event, EventKind
from reconciler.model.objects import KubeObject
from reconciler.model.times import rfc3339
from reconciler.ports.kube import KubeWriter
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.runner import IDLE_MAX_S, Wake

COUNTED = frozenset({EventKind.APPLIED, EventKind.HEALTHY})
"""Said once a cluster when all is well: the log has them, the record says Proven."""

WAITING_MAX = 1_000
"""While the home is away the newest are kept."""

MESSAGE_CHARACTERS_MAX = 1_024
"""Source: k8s.io/kubernetes, pkg/apis/core/validation/events.go, `NoteLengthLimit`."""

RETRY_S = 5.0

_log = structlog.get_logger(__name__)


class Announcer:
    """Writes Events about promotion records; its `step` is one task.

    One condition has one name, so that a restart, or another daemon, tells it no second time while the
    API server keeps the first, which is an hour by default.

    Args:
        api: Returns the home; what happens while it is not yet connected to waits.
        holder: This process.
        may_write: Whether anything may be written about a cell by us now.
        about: Returns an ObjectReference of a cell's record.
    """

    def __init__(
        self,
        api: Callable[[], KubeWriter],
        holder: str,
        *,
        may_write: Callable[[CellKey], bool],
        about: Callable[[CellKey], KubeObject],
    ) -> None:
        self._api = api
        self._holder = holder
        self._may_write = may_write
        self._about = about
        self._waiting: deque[tuple[CellKey, Event]] = deque(maxlen=WAITING_MAX)
        self._wake: Wake = lambda: None
        self._was_refused = False

    def on_wake(self, wake: Wake) -> None:
        """Takes what makes its task run soon."""
        self._wake = wake

    def take(self, event: Event) -> None:
        """Takes what happened, from any thread; what is about no cell, or is said too often, is left."""
        if event.service is None or event.environment is None or event.kind in COUNTED:
            return
        self._waiting.append(((event.service, event.environment), event))
        self._wake()

    def step(self) -> float:
        """Writes what waits; returns seconds until the next time."""
        while self._waiting:
            key, event = self._waiting[0]
            if self._may_write(key):
                try:
                    self._write(key, event)
                except TransientError:
                    return RETRY_S
            # The deque drops its oldest when it is full: then this one is gone already.
            if self._waiting and self._waiting[0] == (key, event):
                self._waiting.popleft()
        return IDLE_MAX_S

    def _write(self, key: CellKey, event: Event) -> None:
        try:
            self._api().create(self._object(key, event))
        except Conflict:
            # It was told before.
            pass
        except OperatorError as error:
            if not self._was_refused:
                _log.warning("event-refused", error=str(error))
            self._was_refused = True
        else:
            self._was_refused = False

    def _object(self, key: CellKey, event: Event) -> KubeObject:
        about, at = self._about(key), rfc3339(event.at.replace(microsecond=0))
        name = f"{about['name']}.{_condition(event)}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": about["namespace"]},
            "involvedObject": about,
            "type": "Warning" if event.is_warning else "Normal",
            "reason": event.kind.value,
            "message": _words(event),
            "source": {"component": "reconciler"},
            "reportingComponent": "reconciler",
            "reportingInstance": self._holder,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }


def _condition(event: Event) -> str:
    """Returns a name for what is the case; words may change while it stays the case, and times do."""
    revision = event.revision.id if event.revision else ""
    parts = [event.kind.value, event.reason, event.cluster or "", revision, *event.detail]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _words(event: Event) -> str:
    said = [
        event.cluster or "",
        event.revision.release.version if event.revision else "",
        event.reason if event.reason != event.kind.value else "",
        event.message,
    ]
    return ": ".join(filter(None, said))[:MESSAGE_CHARACTERS_MAX]
