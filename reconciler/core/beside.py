"""What a person must know of the clusters that nobody waits for."""

from __future__ import annotations

from dataclasses import replace

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


def trouble(view: CellView, target: Revision, policy: EnvironmentPolicy) -> Hold | None:
    """Returns the Hold of a joining or draining cluster that is not as it should be; None: all are, or are away.

    Whom a person must help is told first.

    Args:
        view: A cell that is settled but for them.
        target: What those are meant to run that join.
        policy: By whose deadlines.
    """
    unawaited = (m for m in view.cell.members if m.state is not ClusterState.ACTIVE)
    asked = (m for m in unawaited if m.reachable and m.may_be_written)
    holds = [held for m in asked if (held := _trouble(view, m, target, policy)) is not None]
    return next((held for held in holds if held.page), holds[0] if holds else None)


def _trouble(
    view: CellView, member: Member, target: Revision, policy: EnvironmentPolicy
) -> Hold | None:
    meant = meant_for(view, member, target)
    if meant is not None and runs_rejected(view, member):
        return _going_back(view, member, meant, policy.progress_deadline_s)
    if member.state is ClusterState.DRAINING or has_arrived(member, target):
        return None
    # The environment is as it should be, so that no deadline of it is missed.
    waits = rolling.waiting_for(view, member, target, policy, 0.0)
    return replace(waits, reason=Reason.JOINING)


def _going_back(view: CellView, member: Member, meant: Revision, deadline_s: float) -> Hold | None:
    """Its environment is back already; a way back that is late, refused or failing does not heal by waiting."""
    if is_healthy(member, meant, for_s=0.0):
        return None
    version, why = meant.release.version, why_not(member, meant)
    message = f"{member.cluster} ({member.state}) goes back to {version}: {why}"
    refused = member.record is not None and is_refused(member.record)
    failed = member.health.status is HealthStatus.FAILED
    page = refused or failed or member.is_late(meant.id, deadline_s)
    return Hold(view.service, view.environment, Reason.ROLLING_BACK, message, page=page)
