"""The document `reconciler.explain/v1`: why a service is where it is, and what would change that."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.core import gates
from reconciler.core.holding import told
from reconciler.core.phase import Phase, phase_of
from reconciler.core.promoting import left_to_people
from reconciler.core.reporting.documents import Document, blank, revision_document, unseen
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Gate, Hold
from reconciler.model.facts import Cell
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.promotion import Promotion
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.times import rfc3339
from reconciler.model.view import Planned, View


def explain(view: View, service: ServiceName, environment: EnvironmentName | None) -> Document:
    """Returns the document; without environments when nobody knows the service, or it in there.

    Args:
        view: What the last turn saw and decided.
        service: Which.
        environment: Where; None: everywhere.
    """
    planned = view.services.get(service)
    cells = planned.facts.cells if planned else ()
    asked = [i for i, cell in enumerate(cells) if environment in (None, cell.environment)]
    members = {member.cluster for i in asked for member in cells[i].members}
    found = [_explained(planned, i, view) for i in asked if planned is not None]
    return {
        **blank("explain"),
        "service": service,
        "environments": sorted(found, key=lambda row: str(row["environment"])),
        "errors": unseen(view, among=members),
    }


def _explained(planned: Planned, index: int, view: View) -> Document:
    cell = planned.facts.cells[index]
    actions = planned.of(cell.environment)
    first = told(actions)
    phase = phase_of(cell, actions)
    wanted = cell.ask.wanted
    found: tuple[Gate, ...] = ()
    seen = CellView(planned.facts, index, view.fleet, planned.at)
    if wanted is not None:
        found = gates.admission(seen, wanted)
    return {
        "environment": cell.environment,
        "step": index + 1,
        "phase": phase.value,
        "summary": _summary(planned.facts.service, cell, phase, first),
        "wanted": revision_document(wanted),
        "admitted": revision_document(cell.record.admitted if cell.record else None),
        "fixed_source": cell.ask.source,
        "next": _next(
            first, planned.at, _floats_again(planned.facts.service, cell) + _by_hand(seen)
        ),
        "gates": sorted(
            (_gate(gate, planned.at) for gate in found), key=lambda gate: str(gate["name"])
        ),
    }


def _summary(service: ServiceName, cell: Cell, phase: Phase, first: Action | None) -> str:
    where = f"{service} in {cell.environment} is {phase.value}"
    return f"{where}: {first.message}" if first else f"{where}: nothing is planned"


def _floats_again(service: ServiceName, cell: Cell) -> str:
    """Returns what a person does who wonders why a change of the service's files does not come.

    A revert and `reconciler rollback` write `source` out, and nobody remembers that for long.
    """
    if cell.ask.source is None:
        return ""
    return (
        f" Its pin stays at `source: {cell.ask.source}` whatever becomes of services/{service}: delete "
        f"that line in environments/{cell.environment}/{service}.yaml to let it float again."
    )


def _by_hand(view: CellView) -> str:
    """Returns what a person runs to pin here what is proven before, where nothing else does."""
    ask, target = view.cell.ask, left_to_people(view)
    if target is None:
        is_stopped = ask.follows and ask.promote is Promotion.MANUAL
        return (
            " While its policy says `promote: manual`, its image policy moves nothing." * is_stopped
        )
    before = " and ".join(view.facts.path.just_before(view.environment))
    command = f"`reconciler promote {view.service} {view.environment}`"
    return f" {target.release.version} is proven in {before}: {command} pins it here."


def _next(first: Action | None, at: datetime, at_rest: str) -> Document | None:
    if first is None:
        return None
    return {
        "action": type(first).__name__,
        "reason": str(first.reason),
        "message": first.message,
        "unblock": _unblock(first, at_rest) if isinstance(first, Hold) else "",
        "next_check_at": _due_at(first, at) if isinstance(first, Hold) else None,
    }


def _unblock(hold: Hold, at_rest: str) -> str:
    is_the_pins_turn = hold.reason in (Reason.SETTLED, Reason.FAILING_AFTER_PROOF)
    return CHANGES[hold.reason] + (at_rest if is_the_pins_turn else "")


def _due_at(what: Hold | Gate, at: datetime) -> str | None:
    """Returns when time alone may change it; what was measured counts from when it was planned."""
    if what.due_at is not None:
        return rfc3339(what.due_at)
    if what.due_in_s is None:
        return None
    return rfc3339(at + timedelta(seconds=what.due_in_s))


def _gate(gate: Gate, at: datetime) -> Document:
    return {
        "name": gate.name,
        "state": gate.state.value,
        "reason": str(gate.reason),
        "message": gate.message,
        "unblock": gate.unblock,
        "next_check_at": _due_at(gate, at),
    }
