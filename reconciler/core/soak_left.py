"""How long a soak still takes if all stays as it is: for what is told of a time; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.judging import is_healthy
from reconciler.core.reach import in_force, reach
from reconciler.model.facts import Cell, Member
from reconciler.model.release import Revision


def soak_left_s(members: Iterable[Member], revision: Revision, *, for_s: float) -> float | None:
    """Returns the seconds until every member was seen healthy for so long.

    None while one of them is not well now: then nobody knows. 0 when all were, and without members.

    Args:
        members: Who is waited for.
        revision: What they must run.
        for_s: How long each must have been seen healthy.
    """
    waited_for = tuple(members)
    if not all(is_healthy(member, revision, for_s=0.0) for member in waited_for):
        return None
    return max((max(0.0, for_s - member.healthy_s) for member in waited_for), default=0.0)


def proof_left_s(cell: Cell, revision: Revision) -> float | None:
    """Returns the seconds until what runs in a cell is proven there; None when time alone does not do it.

    Before the last wave it does not: the waves after it take as long as they take.

    Args:
        cell: Where.
        revision: What is waited for; only its identity counts.
    """
    record = cell.record
    if record is None or record.admitted is None:
        return None
    if record.admitted.identity != revision.identity:
        return None
    if record.rollout is None:
        return _adopted_left_s(cell, record.admitted)
    rollout = in_force(cell, record.rollout)
    how_far = reach(cell, rollout)
    if how_far.gone is not None or how_far.wave < len(rollout.policy.waves):
        return None
    policy = rollout.policy
    soak_s = max(policy.soak_s, policy.between_s)
    return soak_left_s(how_far.waited_for(), rollout.revision, for_s=soak_s)


def _adopted_left_s(cell: Cell, admitted: Revision) -> float | None:
    """An adopted revision opens gates once every cluster was seen healthy on it for a whole soak."""
    policy = cell.ask.policy
    proofs = cell.record.proofs if cell.record else ()
    is_watched = any(p.revision.id == admitted.id and not p.opens_gates for p in proofs)
    if policy is None or not is_watched:
        return None
    return soak_left_s(cell.counted, admitted, for_s=policy.soak_s)
