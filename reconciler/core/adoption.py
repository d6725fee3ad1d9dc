"""A cell without a record: a first install, an adoption of what is live, or a record that was lost."""

from __future__ import annotations

from reconciler.core import gates, rolling
from reconciler.core.holding import hold
from reconciler.core.renders import applied_everywhere
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Adopt, Examine, Hold
from reconciler.model.facts import LiveState, Member
from reconciler.model.fleet import Mode
from reconciler.model.health import HealthStatus
from reconciler.model.names import RenderDigest
from reconciler.model.reasons import Reason
from reconciler.model.records import Origin, Proof
from reconciler.model.release import Revision


def plan_adoption(view: CellView) -> tuple[Action, ...]:
    """Plans a cell where nothing was ever admitted, as far as the home knows.

    Nothing is written over what is live until the pin says `adopt: overwrite`, and nothing is
    decided before every cluster of the cell has been read, or by one who may admit nothing.
    """
    if view.fleet.halted:
        return (hold(view, view.fleet.halted_reason or Reason.NOT_LEADING, view.fleet.halted),)
    for member in view.cell.counted:
        if not member.reachable:
            return (hold(view, Reason.CLUSTER_UNREACHABLE, f"{member.cluster} does not answer"),)
        if member.other:
            return (rolling.others(view, member),)
        if not member.synced:
            return (rolling.unread(view, member),)
    recorded = [m for m in view.cell.counted if m.record is not None and not m.is_untouched]
    if recorded:
        return _from_clusters(view, recorded)
    wanted = view.cell.ask.wanted
    if wanted is None:
        reason = view.cell.ask.reason or Reason.GIT_UNKNOWN
        return (hold(view, reason, view.cell.ask.message),)
    return _from_live(view, wanted)


def _from_clusters(view: CellView, recorded: list[Member]) -> tuple[Action, ...]:
    """The home lost its record: the clusters' own records say what they run."""
    revisions = {m.record.revision.id: m.record.revision for m in recorded if m.record}
    everywhere = len(recorded) == sum(not m.is_untouched for m in view.cell.counted)
    applied = all(m.record and m.record.applied == m.record.revision.id for m in recorded)
    ill = [m for m in recorded if m.health.status is not HealthStatus.CURRENT]
    agree = len(revisions) == 1 and applied
    if agree and not ill:
        (revision,) = revisions.values()
        return (_adopt(view, revision, "the clusters' own records agree on it"),)
    if view.cell.ask.adopt_overwrite and view.cell.ask.wanted is not None:
        return _admit(view, view.cell.ask.wanted)
    if agree:
        return (_ill(view, ill[0]),)
    versions = ", ".join(sorted({r.release.version for r in revisions.values()}))
    what = f"the clusters' own records say {versions}" + ("" if everywhere else ", and not on all")
    message = f"the promotion record is gone and {what}"
    return (hold(view, Reason.ADOPTION_DIFFERS, message, page=True),)


def _ill(view: CellView, member: Member) -> Hold:
    """What is not well is nothing to go back to; it may come round, and a person may know better."""
    what = member.health.message or member.health.status
    message = (
        f"the promotion record is gone, and what {member.cluster} runs is not healthy: {what}; it is taken "
        "over once it is, or say `adopt: overwrite` in the pin for what HEAD asks for"
    )
    page = member.health.status is HealthStatus.FAILED
    return hold(view, Reason.ADOPTION_PENDING, message, page=page)


def _from_live(view: CellView, wanted: Revision) -> tuple[Action, ...]:
    """Compares first, again for as long as the answer holds anything up, and again before it is acted on.

    People edit by hand, and an answer may have waited long for a gate, the lease or `mode: enforce`.
    """
    members = view.cell.counted
    unknown = [m for m in members if m.live is LiveState.UNKNOWN]
    if unknown:
        return _examinations(view, wanted, unknown)
    if all(m.live is LiveState.ABSENT for m in members):
        return _if_still_so(view, wanted, _admit(view, wanted))
    differing = [m for m in members if m.live is LiveState.DIFFERS]
    if differing:
        if view.cell.ask.adopt_overwrite:
            return _admit(view, wanted)
        names = ", ".join(m.cluster for m in differing)
        message = (
            f"what is live on {names} differs from the pin; see `reconciler diff "
            f"{view.service} {view.environment}`, then say `adopt: overwrite` in the pin"
        )
        again, again_s = _examinations(view, wanted, differing), _again_in_s(differing)
        held = hold(view, Reason.ADOPTION_DIFFERS, message, page=True, due_in_s=again_s)
        return (*again, held)
    ill = [
        m
        for m in members
        if m.live is LiveState.EQUAL and m.health.status is not HealthStatus.CURRENT
    ]
    if ill:
        what = ill[0].health.message or ill[0].health.status
        message = f"what is live on {ill[0].cluster} equals the pin but is not healthy: {what}"
        held = hold(view, Reason.ADOPTION_PENDING, message, due_in_s=_again_in_s(ill))
        return (*_examinations(view, wanted, ill), held)
    return _if_still_so(view, wanted, (_adopt(view, wanted, "what is live equals the pin"),))


def _if_still_so(view: CellView, wanted: Revision, moves: tuple[Action, ...]) -> tuple[Action, ...]:
    """Whoever does nothing says what it would do by what was compared once: that is not worth a read each time."""
    acts = view.fleet.keeps_time and view.facts.mode is Mode.ENFORCE
    if not acts or any(isinstance(move, Hold) for move in moves):
        return moves
    old = [m for m in view.cell.counted if m.live_for_s <= 0.0]
    return _examinations(view, wanted, old) or moves


def _examinations(view: CellView, wanted: Revision, members: list[Member]) -> tuple[Examine, ...]:
    message = f"compare what is live with {wanted.release.version}"
    return tuple(
        Examine(view.service, view.environment, m.cluster, wanted, "AdoptionPending", message)
        for m in members
    )


def _again_in_s(members: list[Member]) -> float | None:
    """Returns the seconds until the first of them is compared again; None while that is being done."""
    left_s = min(m.live_for_s for m in members)
    return left_s if left_s > 0.0 else None


def _admit(view: CellView, wanted: Revision) -> tuple[Action, ...]:
    shut = gates.shut(gates.admission(view, wanted))
    if shut:
        return (rolling.held_by(view, shut),)
    return (rolling.admit(view, wanted, f"every gate is open for {wanted.release.version}"),)


def _adopt(view: CellView, revision: Revision, why: str) -> Adopt:
    proof = Proof(
        revision=revision,
        origin=Origin.ADOPTED,
        members=tuple(m.cluster for m in view.cell.counted),
        opens_gates=False,
        policy_digest=view.cell.ask.policy_digest,
        proven_at=view.now,
        renders=_renders(view, revision),
    )
    message = f"adopted {revision.release.version}: {why}"
    return Adopt(view.service, view.environment, proof, "Adopted", message)


def _renders(view: CellView, revision: Revision) -> RenderDigest | None:
    """What is live equals what the pin renders to, or is what the clusters say they applied."""
    ask = view.cell.ask
    if ask.wanted is not None and ask.wanted.id == revision.id:
        return ask.renders
    return applied_everywhere(view.cell.counted)
