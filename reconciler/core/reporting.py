"""What was seen and decided as the documents that scripts and pages read; see docs/documents.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.core import gates
from reconciler.core.phase import owed_revert, phase_of
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Gate, Hold
from reconciler.model.facts import Cell, Member
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.records import Proof, Rejection
from reconciler.model.release import Revision
from reconciler.model.times import rfc3339
from reconciler.model.view import Planned, View

STALE_S = 300.0
"""A HEAD not fetched for so long may miss what people have merged since."""

Document = dict[str, Any]


def status(view: View, now: datetime, *, branch: str) -> Document:
    """Returns the document `reconciler.status/v1`.

    Args:
        view: What the last turn saw.
        now: Wall time, UTC.
        branch: The branch that people merge into.
    """
    cells = [
        _cell(planned, index, view)
        for _, planned in sorted(view.services.items())
        for index in range(len(planned.facts.cells))
    ]
    return {
        "schema": "reconciler.status/v1",
        "mode": view.mode.value,
        "halted": view.fleet.halted or None,
        "head": _head(view, now, branch),
        "cells": cells,
        "reverts_pending": _pending(view),
        "errors": [
            {"object": f"cluster {name}", "what": "it does not answer", "why": why, "fix": ""}
            for name, why in sorted(view.unreachable.items())
        ],
    }


def explain(
    view: View, now: datetime, service: ServiceName, environment: EnvironmentName | None
) -> Document:
    """Returns the document `reconciler.explain/v1`; without environments when nobody knows the service."""
    planned = view.services.get(service)
    cells = planned.facts.cells if planned else ()
    return {
        "schema": "reconciler.explain/v1",
        "service": service,
        "environments": [
            _explained(planned, index, view, now)
            for index, cell in enumerate(cells)
            if planned is not None and environment in (None, cell.environment)
        ],
        "errors": [],
    }


def plan(view: View) -> Document:
    """Returns the document `reconciler.plan/v1`."""
    return {
        "schema": "reconciler.plan/v1",
        "commit": view.head.snapshot.commit if view.head.snapshot else None,
        "actions": [
            {
                "kind": type(action).__name__,
                "service": action.service,
                "environment": action.environment,
                "cluster": getattr(action, "cluster", None),
                "reason": str(action.reason),
                "message": action.message,
            }
            for _, planned in sorted(view.services.items())
            for action in planned.actions
        ],
        "errors": [],
    }


def history(view: View) -> Document:
    """Returns the document `reconciler.history/v1`: proofs and rejections by time."""
    items = [
        item
        for name, planned in view.services.items()
        for cell in planned.facts.cells
        if cell.record is not None
        for item in (
            *(_proved(name, cell, proof) for proof in cell.record.proofs),
            *(_rejected(name, cell, rejection) for rejection in cell.record.rejections),
        )
    ]
    ordered = sorted(items, key=lambda item: (item["at"], item["service"], item["environment"]))
    return {"schema": "reconciler.history/v1", "items": ordered, "errors": []}


def revision_document(revision: Revision | None) -> Document | None:
    """Returns a revision as documents name it, or None."""
    if revision is None:
        return None
    return {
        "version": revision.release.version,
        "identity": revision.identity,
        "revision": revision.id,
        "source": revision.release.source,
    }


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
    }


def _cell(planned: Planned, index: int, view: View) -> Document:
    cell = planned.facts.cells[index]
    actions = planned.of(cell.environment)
    first = _told(actions)
    record = cell.record
    proven = record.proofs[0].revision if record and record.proofs else None
    del view
    return {
        "service": planned.facts.service,
        "environment": cell.environment,
        "phase": phase_of(cell, actions).value,
        "reason": str(first.reason) if first else "",
        "message": first.message if first else "",
        "since": _since(cell),
        "wanted": revision_document(cell.ask.wanted),
        "admitted": revision_document(record.admitted if record else None),
        "last_proven": revision_document(proven),
        "wave": _wave(cell),
        "soak_left_s": _soak_left_s(cell),
        "clusters": [_member(member) for member in sorted(cell.members, key=lambda m: m.cluster)],
    }


def _told(actions: tuple[Action, ...]) -> Action | None:
    """Returns the action that says most: a Hold's reason before what is only carried on."""
    return next((a for a in actions if isinstance(a, Hold)), actions[0] if actions else None)


def _since(cell: Cell) -> str | None:
    record = cell.record
    if record is None:
        return None
    if record.rollout is not None:
        return rfc3339(record.rollout.admitted_at)
    if gates.is_returning(cell):
        return rfc3339(record.rejections[0].rejected_at)
    return rfc3339(record.proofs[0].proven_at) if record.proofs else None


def _wave(cell: Cell) -> Document | None:
    rollout = cell.record.rollout if cell.record else None
    if rollout is None:
        return None
    waves = rollout.policy.waves
    for index, wave in enumerate(waves, start=1):
        members = [m for m in cell.members if m.cluster in wave]
        done = all(
            m.is_on(rollout.revision.id) and m.healthy_s >= rollout.policy.soak_s for m in members
        )
        if not done:
            return {"index": index, "of": len(waves)}
    return {"index": len(waves), "of": len(waves)}


def _soak_left_s(cell: Cell) -> float | None:
    rollout = cell.record.rollout if cell.record else None
    if rollout is None:
        return None
    on = [m for m in cell.members if m.is_on(rollout.revision.id)]
    left = [max(0.0, rollout.policy.soak_s - m.healthy_s) for m in on]
    return round(max(left), 1) if left else None


def _member(member: Member) -> Document:
    record = member.record
    applied = record is not None and record.applied == record.revision.id
    return {
        "name": member.cluster,
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


def _explained(planned: Planned, index: int, view: View, now: datetime) -> Document:
    cell = planned.facts.cells[index]
    actions = planned.of(cell.environment)
    first = _told(actions)
    wanted, admitted = cell.ask.wanted, cell.record.admitted if cell.record else None
    found: tuple[Gate, ...] = ()
    if wanted is not None:
        found = gates.admission(CellView(planned.facts, index, view.fleet, now), wanted)
    return {
        "environment": cell.environment,
        "phase": phase_of(cell, actions).value,
        "summary": _summary(cell, first),
        "wanted": revision_document(wanted),
        "admitted": revision_document(admitted),
        "next": {"action": type(first).__name__, "reason": str(first.reason)} if first else None,
        "gates": [
            {
                "name": gate.name,
                "state": gate.state.value,
                "reason": str(gate.reason),
                "message": gate.message,
                "unblock": gate.unblock,
                "next_check_at": None,
            }
            for gate in found
        ],
    }


def _summary(cell: Cell, first: Action | None) -> str:
    if first is None:
        return f"{cell.environment}: nothing is planned"
    return f"{cell.environment}: {first.message}"


def _proved(service: ServiceName, cell: Cell, proof: Proof) -> Document:
    return {
        "at": rfc3339(proof.proven_at),
        "service": service,
        "environment": cell.environment,
        "event": "Proven",
        "revision": revision_document(proof.revision),
        "commit": proof.revision.release.source,
        "reason": proof.origin.value,
    }


def _rejected(service: ServiceName, cell: Cell, rejection: Rejection) -> Document:
    return {
        "at": rfc3339(rejection.rejected_at),
        "service": service,
        "environment": cell.environment,
        "event": "Rejected",
        "revision": revision_document(rejection.revision),
        "commit": rejection.revert.commit,
        "reason": rejection.reason,
    }
