"""Events and views as Prometheus metrics; the names are those that outside scripts rely on."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from reconciler.core.phase import owed_revert
from reconciler.model.events import Event, EventKind
from reconciler.model.view import View

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
"""Between a quick roll-back and an hour of soak; the goal of ten seconds is a bound of its own."""


class Metrics:
    """One registry; every method may be called from any thread."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._turn = Histogram(
            "reconciler_turn_seconds",
            "Between two published turns of the coordinator.",
            registry=registry,
            buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
        )
        self._promotions = Counter(
            "reconciler_promotions",
            "Revisions admitted and proven.",
            ["service", "environment", "step"],
            registry=registry,
        )
        self._drift = Gauge(
            "reconciler_drift_objects",
            "Fields of live objects that differ from what is applied.",
            ["service", "environment", "cluster"],
            registry=registry,
        )
        self._corrected = Counter(
            "reconciler_drift_corrected",
            "Differences put right.",
            ["service", "environment", "cluster", "field", "manager"],
            registry=registry,
        )
        self._latency = Histogram(
            "reconciler_drift_latency_seconds",
            "From a difference being seen until it was put right.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._reverts = Counter(
            "reconciler_reverts",
            "Reverts pushed, or left on a branch for a person.",
            ["service", "environment", "outcome"],
            registry=registry,
        )
        self._revert_seconds = Histogram(
            "reconciler_revert_seconds",
            "From the first failure until the revert was on the remote.",
            registry=registry,
            buckets=_SECONDS,
        )
        self._pending = Gauge(
            "reconciler_revert_pending",
            "Rejections whose commit is not on the branch yet.",
            ["service"],
            registry=registry,
        )
        self._fetch_age = Gauge(
            "reconciler_fetch_age_seconds",
            "Seconds since the last successful fetch; -1 before the first.",
            registry=registry,
        )
        self._reachable = Gauge(
            "reconciler_cluster_reachable",
            "1 while a cluster answers.",
            ["cluster"],
            registry=registry,
        )
        self._fuse = Gauge(
            "reconciler_fuse_blown", "1 while a fuse is blown.", ["service"], registry=registry
        )
        self._halted = Gauge(
            "reconciler_halted", "1 while no forward move may be made.", registry=registry
        )
        self._seen_s: dict[tuple[str, ...], float] = {}
        self._turn_s: float | None = None
        self._fetched_s: float | None = None
        self._fetch_age.set_function(self._age_s)

    def on_event(self, event: Event) -> None:
        """Counts one event."""
        service, environment = event.service or "", event.environment or ""
        match event.kind:
            case EventKind.ADMITTED | EventKind.PROVEN | EventKind.ROLLED_BACK:
                self._promotions.labels(service, environment, event.kind.value).inc()
            case EventKind.DRIFT_SEEN:
                self._seen_s[_drifted(event)] = time.monotonic()
            case EventKind.DRIFT_CORRECTED:
                self._count_corrected(event)
            case EventKind.REVERT_PUSHED | EventKind.REVERT_REFUSED:
                outcome = "pushed" if event.kind is EventKind.REVERT_PUSHED else "branch"
                self._reverts.labels(service, environment, outcome).inc()
                if event.seconds is not None:
                    self._revert_seconds.observe(max(0.0, event.seconds))
            case _:
                pass

    def _count_corrected(self, event: Event) -> None:
        detail = dict(event.detail)
        field, manager = detail.get("field", ""), detail.get("manager", "")
        labels = (event.service or "", event.environment or "", event.cluster or "", field, manager)
        self._corrected.labels(*labels).inc()
        seen_s = self._seen_s.pop(_drifted(event), None)
        if seen_s is not None:
            self._latency.observe(time.monotonic() - seen_s)

    def on_view(self, view: View, *, clusters: tuple[str, ...], fetched_s: float | None) -> None:
        """Takes what a turn has seen.

        Args:
            view: The turn.
            clusters: Every cluster of the settings.
            fetched_s: Monotonic time of the last successful fetch.
        """
        now_s = time.monotonic()
        if self._turn_s is not None:
            self._turn.observe(now_s - self._turn_s)
        self._turn_s, self._fetched_s = now_s, fetched_s
        self._halted.set(1 if view.fleet.halted else 0)
        for cluster in clusters:
            self._reachable.labels(cluster).set(0 if cluster in view.unreachable else 1)
        for service, planned in view.services.items():
            self._fuse.labels(service).set(1 if service in view.fleet.fuses_blown else 0)
            cells = planned.facts.cells
            self._pending.labels(service).set(sum(owed_revert(c) is not None for c in cells))
            for cell in cells:
                for member in cell.members:
                    labels = (service, cell.environment, member.cluster)
                    self._drift.labels(*labels).set(member.drift)

    def text(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _age_s(self) -> float:
        return -1.0 if self._fetched_s is None else time.monotonic() - self._fetched_s


def _drifted(event: Event) -> tuple[str, ...]:
    detail = dict(event.detail)
    return (event.cluster or "", detail.get("object", ""), detail.get("field", ""))
