"""Events and views as Prometheus metrics; the names are those that outside scripts rely on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from reconciler.adapters.fleet_gauges import FleetGauges
from reconciler.model.events import Event, EventKind
from reconciler.model.view import View

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
"""Between a quick roll-back and an hour of soak; the goal of ten seconds is a bound of its own."""

_TURN_SECONDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)
"""A turn over what changed takes milliseconds; one that waits for the home takes its time limit."""

STEPS = (EventKind.ADMITTED, EventKind.PROVEN, EventKind.ROLLED_BACK)
PINS = {EventKind.PIN_MOVED: "pushed", EventKind.PIN_ASKED: "asked"}
OUTCOMES = {EventKind.REVERT_PUSHED: "pushed", EventKind.REVERT_REFUSED: "branch"}

CORRECTED_SERIES_MAX = 1_000
"""Field managers are named by whoever writes; past this many series the rest are counted as `other`."""

SEEN_MAX = 10_000
"""Differences that nobody corrects are forgotten, the oldest first, so that they take no memory."""

_DriftKey = tuple[str, ...]


class Metrics:
    """One registry; every method may be called from any thread.

    Args:
        fetched_s: Returns the monotonic time of the last successful fetch, None before the first.
        skews_s: Returns, of every cluster that is connected to, by how many seconds its clock is ahead
            of ours; None where it has not said.
    """

    def __init__(
        self,
        *,
        fetched_s: Callable[[], float | None],
        skews_s: Callable[[], Mapping[str, float | None]],
    ) -> None:
        # When a series began is of use only to a server that scrapes seldom, and doubles them all.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._gauges = FleetGauges(fetched_s=fetched_s, skews_s=skews_s)
        registry.register(self._gauges)
        ProcessCollector(registry=registry)
        self._turn = Histogram(
            "reconciler_turn_seconds",
            "How long a turn of the coordinator took.",
            registry=registry,
            buckets=_TURN_SECONDS,
        )
        self._promotions = Counter(
            "reconciler_promotions",
            "Revisions admitted, proven and rolled back.",
            ["service", "environment", "step"],
            registry=registry,
        )
        self._pins = Counter(
            "reconciler_pins_moved",
            "Pins moved on to the next release, or a person asked to.",
            ["service", "environment", "outcome"],
            registry=registry,
        )
        self._corrected = Counter(
            "reconciler_drift_corrected",
            "Differences put right, by field and by who had written it.",
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
        self._seen_s: dict[_DriftKey, float] = {}
        self._corrected_labels: set[_DriftKey] = set()

    def on_event(self, event: Event) -> None:
        """Counts one event."""
        service, environment = event.service or "", event.environment or ""
        match event.kind:
            case EventKind.ADMITTED | EventKind.PROVEN | EventKind.ROLLED_BACK:
                self._promotions.labels(service, environment, event.kind.value).inc()
            case EventKind.PIN_MOVED | EventKind.PIN_ASKED:
                self._pins.labels(service, environment, PINS[event.kind]).inc()
            case EventKind.DRIFT_SEEN:
                self._note_seen(event)
            case EventKind.DRIFT_CORRECTED:
                self._count_corrected(event)
            case EventKind.REVERT_PUSHED | EventKind.REVERT_REFUSED:
                self._reverts.labels(service, environment, OUTCOMES[event.kind]).inc()
                if event.kind is EventKind.REVERT_PUSHED and event.seconds is not None:
                    self._revert_seconds.observe(max(0.0, event.seconds))
            case _:
                pass

    def on_view(self, view: View) -> None:
        """Takes what a turn has seen."""
        self._turn.observe(view.turn_s)
        self._gauges.show(view)
        for service, planned in view.services.items():
            for cell in planned.facts.cells:
                self._start_series(service, cell.environment)

    def text(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _start_series(self, service: str, environment: str) -> None:
        """Begins a cell's counters at 0: `increase` does not see a series that begins at 1."""
        for step in STEPS:
            self._promotions.labels(service, environment, step.value)
        for outcome in PINS.values():
            self._pins.labels(service, environment, outcome)
        for outcome in OUTCOMES.values():
            self._reverts.labels(service, environment, outcome)

    def _note_seen(self, event: Event) -> None:
        # Put in last place, so that the first one is the oldest.
        self._seen_s.pop(_drifted(event), None)
        self._seen_s[_drifted(event)] = time.monotonic()
        if len(self._seen_s) > SEEN_MAX:
            self._seen_s.pop(next(iter(self._seen_s)), None)

    def _count_corrected(self, event: Event) -> None:
        detail = dict(event.detail)
        field, manager = detail.get("field", ""), detail.get("manager", "")
        where = (event.service or "", event.environment or "", event.cluster or "")
        labels = (*where, field, manager)
        if labels not in self._corrected_labels:
            if len(self._corrected_labels) >= CORRECTED_SERIES_MAX:
                labels = (*where, "other", "other")
            self._corrected_labels.add(labels)
        self._corrected.labels(*labels).inc()
        seen_s = self._seen_s.pop(_drifted(event), None)
        if seen_s is not None:
            self._latency.observe(time.monotonic() - seen_s)


def _drifted(event: Event) -> _DriftKey:
    detail = dict(event.detail)
    return (event.cluster or "", detail.get("object", ""), detail.get("field", ""))
