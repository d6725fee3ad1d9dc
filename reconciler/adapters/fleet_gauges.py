"""The last view as gauges, made anew at each scrape: what is gone or not known has no series left over."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.core.holding import told
from reconciler.core.phase import owed_revert, phase_of
from reconciler.model.view import Planned, View


class FleetGauges(Collector):
    """Everything that a turn has seen and that has a value now.

    A gauge that is set and left says for ever what held once: a service that was deleted would
    keep its alert, and a cluster that does not answer would show no drift. So each scrape reads the
    last view, and a fact that is not known has no sample.

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
        self._started_s = time.monotonic()
        self._fetched_s = fetched_s
        self._skews_s = skews_s
        self._view: View | None = None

    def show(self, view: View) -> None:
        """Takes the place of the view before."""
        self._view = view

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yields every family, those without a sample too."""
        view = self._view
        services = list(view.services.values()) if view is not None else []
        yield self._fetch_age()
        yield from _fleet(view)
        skews_s = self._skews_s()
        yield _reachable(view, skews_s)
        yield _skew(view, skews_s)
        yield _fuses(view)
        yield _phases(services)
        yield _drift(services)
        yield _pending(services)

    def _fetch_age(self) -> GaugeMetricFamily:
        # Before the first fetch it counts from the start: "never" must not look younger than "late".
        since_s = self._fetched_s()
        age_s = time.monotonic() - (self._started_s if since_s is None else since_s)
        return GaugeMetricFamily(
            "reconciler_fetch_age_seconds",
            "Seconds since the last successful fetch, or since the start where there was none.",
            value=age_s,
        )


def _reachable(view: View | None, clusters: Collection[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "reconciler_cluster_reachable",
        "1 while a cluster answers; no sample of one that drains or has left.",
        labels=["cluster"],
    )
    if view is not None:
        # One that drains may be switched off; the home may not.
        unmissed = view.head.unmissed - {view.home}
        for cluster in sorted({*clusters, *view.unreachable} - unmissed):
            family.add_metric([cluster], 0 if cluster in view.unreachable else 1)
    return family


def _skew(view: View | None, skews_s: Mapping[str, float | None]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "reconciler_cluster_clock_skew_seconds",
        "Seconds that a cluster's clock is ahead of ours; no sample while it does not answer.",
        labels=["cluster"],
    )
    for cluster, skew_s in sorted(skews_s.items()):
        if skew_s is not None and view is not None and cluster not in view.unreachable:
            family.add_metric([cluster], skew_s)
    return family


def _fleet(view: View | None) -> Iterator[GaugeMetricFamily]:
    halted = GaugeMetricFamily(
        "reconciler_halted",
        "1 while this daemon may make no forward move at all, as one that does not lead.",
    )
    incident = GaugeMetricFamily(
        "reconciler_platform_incident",
        "How many services turned bad together, so that none of them is taken back for it.",
    )
    if view is not None:
        halted.add_metric([], 1 if view.fleet.halted else 0)
        incident.add_metric([], len(view.fleet.platform_incident))
    yield halted
    yield incident


def _fuses(view: View | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "reconciler_fuse_blown",
        "1 while too many rejections in an hour stop forward moves and direct commits.",
        labels=["scope", "service"],
    )
    if view is not None:
        family.add_metric(["fleet", ""], 1 if view.fleet.fleet_fuse_blown else 0)
        family.add_metric(["commit", ""], 1 if view.fleet.commits_blown else 0)
        for service in view.services:
            family.add_metric(["service", service], 1 if service in view.fleet.fuses_blown else 0)
    return family


def _phases(services: list[Planned]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "reconciler_cell_phase",
        "1 for the phase that a service is in, in an environment, and the reason for it.",
        labels=["service", "environment", "mode", "phase", "reason"],
    )
    for planned in services:
        facts = planned.facts
        for cell in facts.cells:
            actions = planned.of(cell.environment)
            phase, first = phase_of(cell, actions), told(actions)
            reason = str(first.reason) if first is not None else ""
            family.add_metric(
                [facts.service, cell.environment, facts.mode.value, phase.value, reason],
                1,
            )
    return family


def _drift(services: list[Planned]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "reconciler_drift_objects",
        "Live objects that differ from what is applied; no sample where that is not known.",
        labels=["service", "environment", "cluster"],
    )
    for planned in services:
        for cell in planned.facts.cells:
            for member in cell.members:
                # While a roll-out is on its way there, what differs is explained by it.
                if member.record is not None and member.is_on(member.record.revision.id):
                    labels = [planned.facts.service, cell.environment, member.cluster]
                    family.add_metric(labels, member.drifted_objects)
    return family


def _pending(services: list[Planned]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "reconciler_revert_pending",
        "Rejections whose commit is not on the branch yet; none where the records are not known.",
        labels=["service"],
    )
    for planned in services:
        cells = planned.facts.cells
        if all(cell.record_known for cell in cells):
            owed = sum(owed_revert(cell) is not None for cell in cells)
            family.add_metric([planned.facts.service], owed)
    return family
