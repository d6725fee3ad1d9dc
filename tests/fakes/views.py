"""What a turn saw and decided about some cells, so that a case of a report names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.core.plan import plan_service
from reconciler.model.env_repo import Snapshot
from reconciler.model.facts import Cell, FleetSummary
from reconciler.model.fleet import Allowed, Fleet, Mode
from reconciler.model.names import ServiceName
from reconciler.model.view import Head, Planned, View
from tests.fakes.facts import HEAD, NOW, WEB, in_line


def followed(mode: Mode = Mode.ENFORCE, **changes: Any) -> Snapshot:
    """Returns the accepted commit, with nothing in it that a report reads."""
    fleet = Fleet((), mode, Allowed(None, None))
    return replace(Snapshot(HEAD, fleet, {}, {}, {}, {}, {}), **changes)


def head(**changes: Any) -> Head:
    """Returns a HEAD that was fetched ten seconds ago and is followed."""
    given = Head(HEAD, followed(), NOW - timedelta(seconds=10))
    return replace(given, **changes)


def seen(
    *cells: Cell,
    fleet: FleetSummary | None = None,
    others: Mapping[str, tuple[Cell, ...]] | None = None,
    **changes: Any,
) -> View:
    """Returns what a turn saw of web, and what it planned.

    Args:
        cells: Of web, along its path.
        fleet: What the whole fleet says; by default, that all is well.
        others: The cells of other services.
        changes: Of the view itself.
    """
    summary = fleet or FleetSummary()
    services = {WEB: _planned(WEB, cells, summary)}
    for name, theirs in (others or {}).items():
        services[ServiceName(name)] = _planned(ServiceName(name), theirs, summary)
    return replace(View(head(), Mode.ENFORCE, summary, services), **changes)


def _planned(name: ServiceName, cells: tuple[Cell, ...], fleet: FleetSummary) -> Planned:
    facts = in_line(name, cells)
    return Planned(facts, plan_service(facts, fleet, NOW), NOW)
