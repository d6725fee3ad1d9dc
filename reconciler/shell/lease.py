"""Who leads: a Lease in the home, held by renewing it, judged by our own clock alone.

Source: Kubernetes' client-go, package leaderelection: another's lease has run out when it has not
changed for its duration as this process has seen it; times of other machines are never compared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from reconciler.errors import Conflict, ReconcilerError
from reconciler.model.events import Event, EventKind
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi


class Lease:
    """The right to admit, prune and push. Its `step` is one task.

    Args:
        api: The home.
        namespace: The reconciler's own.
        holder: This process.
        clock: Time.
        duration_s: After which others may take over.
        renew_deadline_s: Without a renewal for so long we no longer lead.
        retry_s: Between renewals.
        on_change: Called when a term of ours begins or ends.
        on_event: Told of the same.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        holder: str,
        *,
        clock: Clock,
        duration_s: float,
        renew_deadline_s: float,
        retry_s: float,
        on_change: Callable[[], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._api = api
        self._ref = ObjectRef("coordination.k8s.io/v1", "Lease", namespace, "reconciler")
        self.holder = holder
        self._clock = clock
        self._duration_s = duration_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_s = retry_s
        self._on_change = on_change
        self._on_event = on_event
        self._lock = threading.Lock()
        self._renewed_s: float | None = None
        self._epoch: int | None = None
        self._observed: str | None = None
        self._observed_s = 0.0
        self._told_term: int | None = None
        self.message = "the lease has not been read yet"

    @property
    def leads(self) -> bool:
        """Whether we lead now; false at the renew deadline, however long a request hangs."""
        with self._lock:
            renewed_s = self._renewed_s
        if renewed_s is None:
            return False
        return self._clock.monotonic_s() - renewed_s < self._renew_deadline_s

    @property
    def epoch(self) -> int | None:
        """The number of our term; stays after it, so that clusters can be put back in our name."""
        with self._lock:
            return self._epoch

    def step(self) -> float:
        """Takes or renews the lease; returns seconds until the next time."""
        asked_s = self._clock.monotonic_s()
        try:
            self._try(asked_s)
        except Conflict as error:
            self.message = f"another daemon took the lease: {error.why}"
        except ReconcilerError as error:
            self.message = str(error)
        # Not only whether: between two steps we may have stopped leading, and begun a new term.
        term = self.epoch if self.leads else None
        if term != self._told_term:
            self._told_term = term
            kind = EventKind.LEADING_LOST if term is None else EventKind.LEADING
            message = self.message if term is None else f"{self.holder} leads"
            self._on_event(Event(self._clock.now(), kind, kind.value, message))
            self._on_change()
        return self._retry_s

    def release(self) -> None:
        """Gives the lease up at a stop, so that another need not wait for it to run out."""
        if not self.leads:
            return
        found = self._api.get(self._ref)
        if found is None or found["spec"].get("holderIdentity") != self.holder:
            return
        spec = {**found["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        self._api.replace({**found, "spec": spec}, subresource=None)
        with self._lock:
            self._renewed_s = None

    def _try(self, asked_s: float) -> None:
        found = self._api.get(self._ref)
        if found is None:
            self._won(self._api.create(self._lease(None, transitions=1)), asked_s)
            return
        spec = found["spec"]
        holder = str(spec.get("holderIdentity") or "")
        transitions = int(spec.get("leaseTransitions") or 0)
        if holder == self.holder:
            # After a gap longer than the deadline it is a new term: others may have written since.
            # So it is where the term is not ours: another process goes by our name.
            mine = self.leads and transitions == self.epoch
            again = transitions if mine else transitions + 1
            lease = self._lease(found, transitions=again)
            self._won(self._api.replace(lease, subresource=None), asked_s)
            return
        if holder and not self._has_run_out(found):
            self.message = f"{holder} leads"
            with self._lock:
                self._renewed_s = None
            return
        lease = self._lease(found, transitions=transitions + 1)
        self._won(self._api.replace(lease, subresource=None), asked_s)

    def _has_run_out(self, found: KubeObject) -> bool:
        now_s = self._clock.monotonic_s()
        seen = str(found["metadata"]["resourceVersion"])
        if seen != self._observed:
            self._observed, self._observed_s = seen, now_s
            return False
        duration_s = float(found["spec"].get("leaseDurationSeconds") or self._duration_s)
        return now_s - self._observed_s >= max(duration_s, 1.0)

    def _won(self, lease: KubeObject, asked_s: float) -> None:
        with self._lock:
            # Counted from before the request: that is the earliest the server can have renewed it.
            self._renewed_s = asked_s
            self._epoch = int(lease["spec"]["leaseTransitions"])
        self.message = ""

    def _lease(self, found: KubeObject | None, *, transitions: int) -> dict[str, Any]:
        now = rfc3339(self._clock.now().replace(microsecond=0)).replace("Z", ".000000Z")
        former: dict[str, Any] = dict(found["spec"]) if found else {}
        metadata: dict[str, Any] = {"name": self._ref.name, "namespace": self._ref.namespace}
        if found is not None:
            metadata = dict(found["metadata"])
        same = former.get("leaseTransitions") == transitions
        return {
            "apiVersion": self._ref.api_version,
            "kind": self._ref.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": int(self._duration_s),
                "acquireTime": former.get("acquireTime", now) if same else now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }
