"""The document `reconciler.status/v1`: every service in every environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.core import gates
from reconciler.core.holding import told
from reconciler.core.phase import owed_revert, phase_of
from reconciler.core.reach import in_force, reach
from reconciler.core.rejections import standing
from reconciler.core.reporting.documents import (
    Document,
    blank,
    by_cell,
    revision_document,
    unseen,
)
from reconciler.model.env_repo import Severity, Snapshot
from reconciler.model.facts import Cell, FleetSummary, Member
from reconciler.model.fleet import Mode
from reconciler.model.records import Rollout
from reconciler.model.times import rfc3339
from reconciler.model.view import Planned, View

BROKEN_MAX = 100
"""Faults in one document; `reconciler validate` has no end of them."""

STALE_S = 300.0
"""A HEAD not fetched for so long may miss what people have merged since."""


def status(view: View, now: datetime, *, branch: str) -> Document:
    """Returns the document.

    Args:
        view: What the last turn saw.
        now: Wall time, UTC.
        branch: The branch that people merge into.
    """
    cells = [
        _cell(planned, index, view.fleet)
        for planned in view.services.values()
        for index in range(len(planned.facts.cells))
    ]
    return {
        **blank("status"),
        "mode": _mode(view).value,
        "halted": _halted(view),
        "head": _head(view, now, branch),
        "cells": sorted(cells, key=by_cell),
        "reverts_pending": _pending(view),
        "errors": unseen(view),
    }


def _halted(view: View) -> str | None:
    """Returns the reason, which people search for, and the words that go with it."""
    if not view.fleet.halted:
        return None
    reason = view.fleet.halted_reason
    return f"{reason}: {view.fleet.halted}" if reason else view.fleet.halted


def columns(cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the environments of a document's cells in the order in which they are promoted."""
    steps: dict[str, int] = {}
    for cell in cells:
        steps[cell["environment"]] = max(cell["step"], steps.get(cell["environment"], 0))
    return sorted(steps, key=lambda name: (steps[name], name))


def _mode(view: View) -> Mode:
    """The stricter of the daemon's mode and fleet.yaml's; a service may be stricter still."""
    fleet = view.head.snapshot.fleet.mode if view.head.snapshot else view.mode
    return Mode.OBSERVE if Mode.OBSERVE in (view.mode, fleet) else Mode.ENFORCE


def _head(view: View, now: datetime, branch: str) -> Document:
    head = view.head
    age = (now - head.fetched_at).total_seconds() if head.fetched_at else None
    return {
        "branch": branch,
        "commit": head.commit,
        "accepted": head.snapshot.commit if head.snapshot else None,
        "fetched_at": rfc3339(head.fetched_at) if head.fetched_at else None,
        "stale": age is None or age > STALE_S or bool(head.error),
        "error": head.error or None,
        "broken": _broken(head.snapshot),
    }


def _broken(snapshot: Snapshot | None) -> list[Document]:
    """Returns the faults of the followed commit's files, each of which holds whoever uses it."""
    found = snapshot.broken.items() if snapshot is not None else ()
    return [
        {
            "path": path,
            "line": fault.line or None,
            "column": fault.column or None,
            "what": fault.what,
            "why": fault.why,
            "fix": fault.fix,
        }
        for path, faults in sorted(found)
        for fault in faults
        if fault.severity is Severity.ERROR
    ][:BROKEN_MAX]


def _cell(planned: Planned, index: int, fleet: FleetSummary) -> Document:
    cell = planned.facts.cells[index]
    actions = planned.of(cell.environment)
    first = told(actions)
    record = cell.record
    proven = record.proofs[0].revision if record and record.proofs else None
    return {
        "service": planned.facts.service,
        "environment": cell.environment,
        "phase": phase_of(cell, actions).value,
        "reason": str(first.reason) if first else "",
        "message": first.message if first else "",
        "since": _since(cell),
        "step": index + 1,
        "wanted": revision_document(cell.ask.wanted),
        "admitted": revision_document(record.admitted if record else None),
        "last_proven": revision_document(proven),
        "last_rejection": _last_rejection(cell),
        "wave": _wave(cell),
        "soak_left_s": _soak_left_s(cell) if fleet.keeps_time else None,
        "clusters": [_member(member) for member in sorted(cell.members, key=lambda m: m.cluster)],
    }


def _last_rejection(cell: Cell) -> Document | None:
    """Returns the newest rejection that still stands, whether or not anything asks for it any more."""
    rejection = next(iter(standing(cell.record, cell.ask)), None)
    if rejection is None:
        return None
    back = rejection.rolled_back_at
    return {
        "revision": revision_document(rejection.revision),
        "failed_in": rejection.environments[0],
        "reason": rejection.reason,
        "message": rejection.message,
        "rejected_at": rfc3339(rejection.rejected_at),
        "rolled_back_at": rfc3339(back) if back is not None else None,
        "commit": rejection.revert.commit,
    }


def _since(cell: Cell) -> str | None:
    record = cell.record
    if record is None:
        return None
    if record.rollout is not None:
        return rfc3339(record.rollout.admitted_at)
    if gates.is_returning(cell):
        return rfc3339(record.rejections[0].rejected_at)
    return rfc3339(record.proofs[0].proven_at) if record.proofs else None


def _rollout(cell: Cell) -> Rollout | None:
    rollout = cell.record.rollout if cell.record else None
    return in_force(cell, rollout) if rollout is not None else None


def _wave(cell: Cell) -> Document | None:
    rollout = _rollout(cell)
    if rollout is None:
        return None
    return {"index": reach(cell, rollout).wave, "of": len(rollout.policy.waves)}


def _soak_left_s(cell: Cell) -> float | None:
    rollout = _rollout(cell)
    if rollout is None:
        return None
    on = [m for m in cell.active if m.is_on(rollout.revision.id)]
    left = [max(0.0, rollout.policy.soak_s - m.healthy_s) for m in on]
    return round(max(left), 1) if left else None


def _member(member: Member) -> Document:
    record = member.record
    applied = record is not None and record.applied == record.revision.id
    return {
        "name": member.cluster,
        "state": member.state.value,
        "reachable": member.reachable,
        "applied": revision_document(record.revision) if record and applied else None,
        "health": member.health.status.value if member.known else "Unknown",
        "reason": member.health.reason,
        "message": member.health.message,
        "drift": member.drift,
    }


def _pending(view: View) -> list[Document]:
    found = []
    for name, planned in sorted(view.services.items()):
        for cell in planned.facts.cells:
            rejection = owed_revert(cell)
            if rejection is not None:
                found.append(
                    {
                        "service": name,
                        "environments": sorted(rejection.environments),
                        "revision": rejection.revision.id,
                        "since": rfc3339(rejection.rejected_at),
                        "branch": rejection.revert.branch,
                    }
                )
    return found
