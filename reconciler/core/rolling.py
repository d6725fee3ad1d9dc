"""A running roll-out: judge it, let a newer commit pre-empt it, give it to the next wave, or prove it."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.core import gates, group_gate, leaning, rejections, skipping
from reconciler.core.delivering import deliveries
from reconciler.core.holding import hold
from reconciler.core.judging import badness, has_failed, is_healthy, why_not
from reconciler.core.membership import put_right
from reconciler.core.reach import Reach, has_begun, in_force, may_begin, reach
from reconciler.core.renders import applied_everywhere
from reconciler.core.return_gate import goes_one_way
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Admit, Deliver, Gate, Hold, Prove, Reject
from reconciler.model.facts import Member, Suspension
from reconciler.model.fleet import ClusterState
from reconciler.model.health import HealthStatus
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, Origin, Proof, Rollout, belongs_to
from reconciler.model.release import Part, Revision

PAGED = frozenset(
    {
        Reason.FAILING_BESIDE,
        Reason.FUSE_BLOWN,
        Reason.HISTORY_REWRITTEN,
        Reason.NOT_ASKED_FOR,
        Reason.OTHER_INSTALLATION,
        Reason.PLATFORM_INCIDENT,
        Reason.TOO_MANY_GO,
    }
)
"""Reasons of a closed gate that a person must hear of."""


def plan_rollout(view: CellView, rollout: Rollout) -> tuple[Action, ...]:
    """Plans the next step of a roll-out; a failure is judged before anything else is looked at.

    One that is held as the platform's keeps nobody from going back to what is proven here.
    """
    rollout = in_force(view.cell, rollout)
    deadline_s = rollout.policy.progress_deadline_s
    failed = reject_if_bad(view, rollout.revision, view.cell.counted, deadline_s=deadline_s)
    if isinstance(failed, Reject) and rollout.irreversible:
        # Whoever merges what mends it is let through.
        failed = rejections.cannot_go_back(
            view, f"{rollout.revision.release.version} fails: {failed.message}"
        )
    if isinstance(failed, Reject):
        return (failed,)
    next_step = (
        rejections.take_over(view, rollout.revision)
        or _pre_empt(view, rollout)
        or failed
        or group_gate.stopped(view, rollout)
        or rejections.held(view, rollout.revision)
    )
    if next_step is not None:
        return (next_step,)
    return _advance(view, rollout)


def reject_if_bad(
    view: CellView,
    revision: Revision,
    members: tuple[Member, ...],
    *,
    deadline_s: float | None = None,
) -> Reject | Hold | None:
    """Returns the rejection of a revision that failed by its own fault, or None.

    Several services that turn bad together are held: that is more likely the platform, unless a failure names
    its release.

    Args:
        view: The cell.
        revision: What is judged.
        members: The clusters whose word counts.
        deadline_s: Seconds after which one that is not current is bad for less.
    """
    bad = badness(members, revision, deadline_s=deadline_s)
    if bad is None:
        return None
    if view.service in view.fleet.platform_incident and not bad.names_release:
        message = f"{bad.message}; others turned bad at the same time"
        return hold(view, Reason.PLATFORM_INCIDENT, message, page=True)
    rejection = rejections.build(view, revision, bad)
    return Reject(view.service, view.environment, rejection, bad.reason, bad.message)


def admit(view: CellView, wanted: Revision, message: str) -> Admit:
    """Builds the admission of a wanted revision; every gate has been found open."""
    cell = view.cell
    if gates.proof_of(cell, wanted) is not None:
        return Admit(view.service, view.environment, wanted, None, Reason.PROVEN_HERE, message)
    carried = gates.carried_proof(cell, wanted)
    if carried is not None:
        told = f"{wanted.release.version} renders to exactly what is proven here"
        return Admit(
            view.service,
            view.environment,
            wanted,
            None,
            Reason.SAME_RENDER,
            told,
            carried,
            leaning.beside(cell),
        )
    policy, commit = cell.ask.policy, cell.ask.commit
    if policy is None or commit is None:
        raise AssertionError("a wanted revision comes with its policy and commit")
    former = cell.record.rollout if cell.record is not None else None
    past = skipping.skipped(view, gates.admission(view, wanted))
    rollout = Rollout(
        revision=wanted,
        restore_to=rejections.way_back(cell, wanted),
        policy=policy,
        policy_digest=cell.ask.policy_digest,
        admitted_at=view.now,
        commit=commit,
        path=view.facts.path,
        began_at=(former.began_at or former.admitted_at) if former is not None else None,
        mates=group_gate.moved_with(view),
        irreversible=goes_one_way(cell, wanted),
        skipped=past,
    )
    reason, told = "GatesOpen", message
    if past is not None:
        reason, told = Reason.SKIPPED, f"{past.by} skips {', '.join(past.gates)}: {past.reason}"
    if cell.record is not None and _is_only_rendered_anew(cell.record.admitted, wanted):
        reason, told = Reason.RENDER_CHANGED, f"it renders otherwise by {wanted.renderer}"
    return Admit(
        view.service,
        view.environment,
        wanted,
        rollout,
        reason,
        told,
        beside=leaning.beside(cell),
    )


def _is_only_rendered_anew(admitted: Revision | None, wanted: Revision) -> bool:
    return admitted is not None and all(
        (admitted.part(part) != wanted.part(part)) is (part is Part.RENDERER) for part in Part
    )


def _pre_empt(view: CellView, rollout: Rollout) -> Admit | None:
    wanted = view.cell.ask.wanted
    if wanted is None or wanted.id == rollout.revision.id:
        return None
    if gates.shut(gates.admission(view, wanted)):
        return None
    was = rollout.revision.release.version
    return admit(view, wanted, f"{wanted.release.version} takes the place of {was}")


def _advance(view: CellView, rollout: Rollout) -> tuple[Action, ...]:
    revision = rollout.revision
    how_far = reach(view.cell, rollout)
    strays = _strays(view, rollout, how_far)
    if not how_far.members and how_far.gone is None:
        return (*strays, _anew(view, rollout))
    begun = tuple(m for m in how_far.members if has_begun(m, revision))
    again = deliveries(view, revision, begun)
    to_begin = deliveries(view, revision, may_begin(how_far, rollout))
    held = _held_before_wave(view, revision) if to_begin else None
    if held is not None:
        deadline_s = rollout.policy.progress_deadline_s
        late = late_of(view, how_far.waited_for(), revision, deadline_s)
        return (*strays, *again, held if held.page else late or held)
    orders = (*again, *to_begin)
    if is_news(view, orders):
        return (*strays, *orders)
    return (*strays, *orders, _wait_or_prove(view, rollout, how_far))


def is_news(view: CellView, orders: tuple[Deliver, ...]) -> bool:
    """Tells whether any order says more than what could not be carried out, and is being tried again."""
    members = ((order, view.cell.member(order.cluster)) for order in orders)
    return any(
        m is None or not (m.retried(order.revision.id) or has_failed(m, order.revision))
        for order, m in members
    )


def _wait_or_prove(view: CellView, rollout: Rollout, how_far: Reach) -> Hold | Prove:
    policy = rollout.policy
    soak_s = policy.soak_s if how_far.is_last else policy.between_s
    late = [m for m in how_far.waited_for() if not is_healthy(m, rollout.revision, for_s=soak_s)]
    if late:
        # Whom a person must help is told first, whatever else is waited for.
        revision = rollout.revision
        holds = {m.cluster: waiting_for(view, m, revision, policy, soak_s) for m in late}
        last = holds[_last(late, revision).cluster]
        return next((told for told in holds.values() if told.page), last)
    if how_far.gone is not None:
        version = rollout.revision.release.version
        message = f"{version} rolls out, and fleet.yaml or `placement` no longer wants it on {how_far.gone}"
        return hold(view, Reason.ORPHANED, message, page=True)
    return group_gate.waits(view, rollout) or _prove(view, rollout, how_far)


def _last(late: list[Member], revision: Revision) -> Member:
    """Returns the one that will hold it up the longest: one that is not well, else the latest to soak."""

    def order(member: Member) -> tuple[bool, bool, float]:
        is_well = is_healthy(member, revision, for_s=0.0)
        return is_well, member.retried(revision.id) is None, member.healthy_s if is_well else 0.0

    return min(late, key=order)


def _anew(view: CellView, rollout: Rollout) -> Admit | Hold:
    """Begins a roll-out again whose every cluster drains or joins by now, with the waves that HEAD has."""
    wanted, policy = view.cell.ask.wanted, view.cell.ask.policy
    waves = policy.clusters() if policy is not None else ()
    version = rollout.revision.release.version
    if wanted is None or all(m.cluster not in waves for m in view.cell.active):
        # People have set them so, and nothing that is in use waits.
        message = f"{version} rolls out, and none of its clusters is active any more"
        return hold(view, Reason.ORPHANED, message)
    shut = gates.shut(gates.admission(view, wanted))
    if shut:
        return held_by(view, shut)
    message = f"{version} began on clusters none of which is active any more, and begins anew"
    return admit(view, wanted, message)


def _strays(view: CellView, rollout: Rollout, how_far: Reach) -> tuple[Action, ...]:
    """Puts a cluster that joined, or was away, on what is proven here, as if nothing rolled out.

    One that was given an unproven revision before this one took its place stays with it while that
    is well: it would only be changed twice.
    """
    target = rollout.restore_to
    if target is not None and rejections.against(view, target) is not None:
        target = rejections.allowed(view)
    if target is None or rollout.revision.absent:
        # What is to go is given to nobody in the meantime.
        return ()
    strays = (m for m in view.cell.members if m not in how_far.members and _is_stray(view, m))
    return put_right(view, target, tuple(strays))


def _is_stray(view: CellView, member: Member) -> bool:
    record = member.record
    return (
        record is None
        or member.state is ClusterState.DRAINING
        or gates.proof_of(view.cell, record.revision) is not None
        or rejections.against(view, record.revision) is not None
        or badness((member,), record.revision) is not None
    )


def _held_before_wave(view: CellView, revision: Revision) -> Hold | None:
    shut = gates.shut(gates.next_wave(view, revision))
    if shut:
        return held_by(view, shut)
    ask = view.cell.ask
    if ask.wanted is None and ask.reason is not None:
        return hold(view, ask.reason, ask.message)
    return None


def _prove(view: CellView, rollout: Rollout, how_far: Reach) -> Prove:
    watch_for_s = rollout.policy.watch_for_s
    proof = Proof(
        revision=rollout.revision,
        origin=Origin.SOAKED,
        members=tuple(member.cluster for member in how_far.waited_for()),
        opens_gates=True,
        policy_digest=rollout.policy_digest,
        proven_at=view.now,
        watch_until=later(view, watch_for_s) if watch_for_s > 0 else None,
        renders=applied_everywhere(view.cell.active),
        irreversible=rollout.irreversible,
    )
    version = rollout.revision.release.version
    without = ", ".join(member.cluster for member in how_far.left_out)
    on = f"every cluster but {without}" if without else "every cluster"
    message = f"{version} was healthy on {on} for {rollout.policy.soak_s:g} s"
    if rollout.revision.absent:
        message = f"nothing of it was seen on any cluster for {rollout.policy.soak_s:g} s"
    return Prove(view.service, view.environment, proof, "Soaked", message)


def later(view: CellView, seconds: float) -> datetime:
    """Returns a time so many seconds from now."""
    return view.now + timedelta(seconds=seconds)


def waiting_for(
    view: CellView, member: Member, revision: Revision, policy: EnvironmentPolicy, soak_s: float
) -> Hold:
    """Returns the Hold of a cluster that is not known to have been well for so long on a revision.

    Args:
        view: The cell.
        member: The cluster.
        revision: What it is to run.
        policy: By whose deadlines.
        soak_s: Seconds for which it must be seen healthy.
    """
    version = revision.release.version
    if member.suspended is not None:
        return suspended(view, member.suspended, on=f"{member.cluster}: ")
    if member.other:
        return others(view, member)
    if not member.reachable:
        skip_s, message = policy.skip_after_s, f"{member.cluster} does not answer"
        left_s = None if skip_s is None or member.away_s >= skip_s else skip_s - member.away_s
        return hold(view, Reason.CLUSTER_UNREACHABLE, message, due_in_s=left_s)
    if not member.synced:
        return unread(view, member)
    if is_healthy(member, revision, for_s=0.0):
        left_s = max(0.0, soak_s - member.healthy_s)
        left = f"{left_s:.0f} s of its soak are left"
        if not view.fleet.keeps_time:
            left = "its soak is not over"
        message = f"{version} is healthy on {member.cluster}; {left}"
        return hold(view, Reason.WAITING_FOR_SOAK, message, due_in_s=left_s)
    late = _is_late(view, member, revision, policy.progress_deadline_s)
    if late is not None:
        return late
    retried = member.retried(revision.id)
    waited_s = member.waited_s(revision.id)
    left_s = None if waited_s is None else policy.progress_deadline_s - waited_s
    if retried is not None:
        # 0 while it is being tried.
        left_s = retried.retry_in_s or None
    message = f"{version} on {member.cluster}: {why_not(member, revision)}"
    return hold(view, Reason.PROGRESSING, message, due_in_s=left_s)


def suspended(view: CellView, by: Suspension, *, on: str = "") -> Hold:
    """Returns the Hold of what a person has suspended."""
    message = f"{on}{by.why}"
    return Hold(view.service, view.environment, Reason.SUSPENDED, message, due_at=by.until)


def late_of(
    view: CellView, members: tuple[Member, ...], revision: Revision, deadline_s: float
) -> Hold | None:
    """Returns the Hold of the first member that cannot be given what was ordered, and will not be by waiting alone."""
    failed = (m for m in members if has_failed(m, revision) or m.retried(revision.id))
    return next(filter(None, (_is_late(view, m, revision, deadline_s) for m in failed)), None)


def _is_late(view: CellView, member: Member, revision: Revision, deadline_s: float) -> Hold | None:
    version = revision.release.version
    what = why_not(member, revision)
    if has_failed(member, revision) and member.is_held_by_others:
        message = f"{version} cannot take over {member.cluster}: {what}"
        return hold(view, Reason.ADOPTION_DIFFERS, message, page=True)
    if member.is_late(revision.id, deadline_s):
        message = f"{version} is not current on {member.cluster} in time: {what}"
        return hold(view, Reason.PROGRESS_DEADLINE, message, page=True)
    return None


def unread(view: CellView, member: Member) -> Hold:
    """Returns the Hold of a cluster that answers and was not looked at yet, or cannot be: then it says why."""
    applied = member.record is not None and member.record.state is ApplyState.APPLIED
    is_unknown = applied and member.health.status is HealthStatus.UNKNOWN
    why = f": {member.health.message}" if is_unknown and member.health.message else ""
    return hold(view, Reason.CLUSTER_UNKNOWN, f"{member.cluster} is being read{why}")


def others(view: CellView, member: Member) -> Hold:
    """Returns the Hold of a cluster whose record is another installation's."""
    message = belongs_to(member.other, what=f"{member.cluster}: its record")
    return hold(view, Reason.OTHER_INSTALLATION, message, page=True)


def held_by(view: CellView, shut: tuple[Gate, ...]) -> Hold:
    """Returns the Hold that names the first closed gate and carries all of them."""
    first = shut[0]
    page = first.reason in PAGED
    return Hold(
        view.service,
        view.environment,
        first.reason,
        first.message,
        shut,
        page=page,
        due_in_s=first.due_in_s,
        due_at=first.due_at,
    )
