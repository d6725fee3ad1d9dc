"""How far a roll-out may come: whose turn it is, who is waited for, and who is done without."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.core.judging import is_healthy
from reconciler.model.facts import Cell, Member
from reconciler.model.names import ClusterName
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.records import Rollout
from reconciler.model.release import Revision


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a roll-out may have come.

    Attributes:
        wave: The number of the first wave that is not done, from 1; of the last one where all are.
        members: Active ones of every wave up to the first that is not done, and any that has it already.
        left_out: Those of them that the quorum does without, since they are not known to be well in time.
        gone: A cluster of those waves that HEAD no longer means it for, or None.
        is_last: Every wave is done, so that only the proof is waited for.
    """

    wave: int
    members: tuple[Member, ...]
    left_out: tuple[Member, ...]
    gone: ClusterName | None
    is_last: bool

    def waited_for(self) -> tuple[Member, ...]:
        """Returns the members that must be well before anything goes on."""
        return tuple(member for member in self.members if member not in self.left_out)


def in_force(cell: Cell, rollout: Rollout) -> Rollout:
    """Returns a roll-out under the rules that count now: each number the stricter of its own and HEAD's.

    A policy that became stricter counts at once, a looser one only for later roll-outs. Waves stay:
    clusters that were given the revision together cannot be told apart afterwards.
    """
    own, now = rollout.policy, cell.ask.policy
    if rollout.revision.absent:
        # What is gone is known of every cluster, or it is not known.
        own = replace(own, quorum=100, skip_after_s=None)
    if now is None:
        return replace(rollout, policy=own)
    rules = replace(
        own,
        soak_s=max(own.soak_s, now.soak_s),
        watch_for_s=max(own.watch_for_s, now.watch_for_s),
        progress_deadline_s=min(own.progress_deadline_s, now.progress_deadline_s),
        wave_soak_s=max(own.between_s, now.between_s),
        max_concurrent=min(filter(None, (own.max_concurrent, now.max_concurrent)), default=None),
        quorum=max(own.quorum, now.quorum),
        skip_after_s=None
        if own.skip_after_s is None or now.skip_after_s is None
        else max(own.skip_after_s, now.skip_after_s),
    )
    return replace(rollout, policy=rules)


def reach(cell: Cell, rollout: Rollout) -> Reach:
    """Returns how far a roll-out may come now, under the rules that it carries (`in_force`)."""
    policy, revision = rollout.policy, rollout.revision
    spare = _spare(cell, policy)
    reached: list[Member] = []
    left_out: list[Member] = []
    gone: ClusterName | None = None
    is_last, number = True, 0
    for number, wave in enumerate(policy.waves, start=1):
        members = [m for m in cell.active if m.cluster in wave]
        reached.extend(members)
        gone = next((c for c in wave if cell.member(c) is None and c not in cell.left), None)
        late = [m for m in members if not is_healthy(m, revision, for_s=policy.between_s)]
        missing = [m for m in late if number > 1 and _is_missing(m, rollout)]
        if len(left_out) + len(missing) <= spare:
            left_out.extend(missing)
            late = [m for m in late if m not in missing]
        if gone is not None or late:
            is_last = False
            break
    begun = [m for m in cell.active if m not in reached and has_begun(m, revision)]
    return Reach(number, (*reached, *begun), tuple(left_out), gone, is_last)


def may_begin(reach: Reach, rollout: Rollout) -> tuple[Member, ...]:
    """Returns the members that may be given the revision now, as many as may change at once."""
    # One that does not answer takes nobody's place, and neither does one that is not ours.
    unbegun = [
        m
        for m in reach.members
        if m.reachable and not m.other and not has_begun(m, rollout.revision)
    ]
    known = [m for m in unbegun if m.known]
    most = rollout.policy.max_concurrent
    if most is None:
        return tuple(known)
    # Who has not taken it in time takes nobody's place either, and is asked on.
    late = tuple(m for m in known if m in reach.left_out)
    fresh = tuple(m for m in known if m not in late)
    begun = (m for m in reach.waited_for() if has_begun(m, rollout.revision))
    changing = sum(not is_healthy(m, rollout.revision, for_s=0) for m in begun)
    # One that answers and is not known may be about to begin: while its record is being written,
    # nothing that was seen there counts any more.
    unknown = len(unbegun) - len(known)
    return (*late, *fresh[: max(0, most - changing - unknown)])


def has_begun(member: Member, revision: Revision) -> bool:
    """Tells whether a cluster was asked for a revision."""
    return member.record is not None and member.record.revision.id == revision.id


def _spare(cell: Cell, policy: EnvironmentPolicy) -> int:
    """Returns how many clusters a proof can do without, of those that it would need."""
    needed = sum(member.cluster in policy.clusters() for member in cell.active)
    return needed * (100 - policy.quorum) // 100


def _is_missing(member: Member, rollout: Rollout) -> bool:
    """Tells whether nobody need wait for a cluster any longer, as far as the quorum allows."""
    policy = rollout.policy
    if member.other:
        # What runs there is another's to say, and a person's to settle: no proof is made around it.
        return False
    if not member.reachable:
        return policy.skip_after_s is not None and member.away_s >= policy.skip_after_s
    is_late = member.is_late(rollout.revision.id, policy.progress_deadline_s)
    return is_late and not is_healthy(member, rollout.revision, for_s=0.0)
