"""Whether a roll-out that no gate holds will come to an end by itself, so that others may be asked to wait for it."""

from __future__ import annotations

from reconciler.core import group_gate
from reconciler.core.judging import badness, is_healthy
from reconciler.core.reach import Reach, reach
from reconciler.core.view import CellView
from reconciler.model.facts import Member
from reconciler.model.records import Rollout


def is_moving(view: CellView, rollout: Rollout) -> bool:
    """Tells whether nothing is known that would hold a roll-out up for good.

    What is bad and still rolls out cannot come back: something newer mends it. What is well and waits for others of
    its group may wait for one that only something newer lets go on.
    """
    how_far, limit_s = reach(view.cell, rollout), rollout.policy.progress_deadline_s
    if not how_far.members or how_far.gone is not None or group_gate.stopped(view, rollout):
        return False
    if badness(view.cell.counted, rollout.revision, deadline_s=limit_s) is not None:
        return False
    if any(_is_stuck(member, rollout) for member in how_far.waited_for()):
        return False
    return not _is_soaked(how_far, rollout) or group_gate.waits(view, rollout) is None


def _is_stuck(member: Member, rollout: Rollout) -> bool:
    """Tells whether a cluster is away, late, or held by a person or another installation."""
    limit_s, revision = rollout.policy.progress_deadline_s, rollout.revision
    if member.away_s >= limit_s or not member.may_be_written:
        return True
    return member.is_late(revision.id, limit_s) and not is_healthy(member, revision, for_s=0.0)


def _is_soaked(how_far: Reach, rollout: Rollout) -> bool:
    soak_s = rollout.policy.soak_s
    members = how_far.waited_for()
    return how_far.is_last and all(is_healthy(m, rollout.revision, for_s=soak_s) for m in members)
