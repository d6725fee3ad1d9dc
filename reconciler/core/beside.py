"""What a person must know of the clusters that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from reconciler.core import rolling
from reconciler.core.judging import has_arrived, is_healthy, is_refused, why_not
from reconciler.core.membership import meant_for, runs_rejected
from reconciler.core.view import CellView
from reconciler.model.actions import Hold
from reconciler.model.facts import Member
from reconciler.model.fleet import ClusterState
from reconciler.model.health import HealthStatus
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision


def joining(view: CellView, target: Revision, policy: EnvironmentPolicy) -> Hold | None:
    """Returns the Hold of a cluster that joins and is not there yet; None: all are, or are away.

    Args:
        view: A cell that is settled but for them.
        target: What they are meant to run.
        policy: By whose deadlines.
    """
    asked = (m for m in _asked(view) if m.state is ClusterState.JOINING)
    late = (m for m in asked if not runs_rejected(view, m) and not has_arrived(m, target))
    waits = (rolling.waiting_for(view, member, target, policy, 0.0) for member in late)
    # The environment is as it should be, so that no deadline of it is missed.
    return _first([replace(held, reason=Reason.JOINING) for held in waits])


def going_back(view: CellView, target: Revision) -> Hold | None:
    """Returns the Hold of a cluster that is on its way back from what was rejected; its environment waits for none.

    Args:
        view: Any cell.
        target: What those are meant to run that do not drain.
    """
    policy = view.cell.ask.policy
    deadline_s = policy.progress_deadline_s if policy is not None else inf
    asked = [(m, meant_for(view, m, target)) for m in _asked(view) if runs_rejected(view, m)]
    found = (_going_back(view, m, meant, deadline_s) for m, meant in asked if meant is not None)
    return _first([held for held in found if held is not None])


def _asked(view: CellView) -> Iterator[Member]:
    """Yields those that nobody waits for and that something can be said of."""
    unawaited = (m for m in view.cell.members if m.state is not ClusterState.ACTIVE)
    return (m for m in unawaited if m.reachable and m.may_be_written)


def _first(holds: list[Hold]) -> Hold | None:
    """Returns the one of whom a person must hear, or else the first."""
    return next((held for held in holds if held.page), holds[0] if holds else None)


def _going_back(view: CellView, member: Member, meant: Revision, deadline_s: float) -> Hold | None:
    """A way back that is late, refused or failing does not heal by waiting."""
    if is_healthy(member, meant, for_s=0.0):
        return None
    version, why = meant.release.version, why_not(member, meant)
    message = f"{member.cluster} ({member.state}) goes back to {version}: {why}"
    refused = member.record is not None and is_refused(member.record)
    failed = member.health.status is HealthStatus.FAILED
    page = refused or failed or member.is_late(meant.id, deadline_s)
    return Hold(view.service, view.environment, Reason.ROLLING_BACK, message, page=page)
