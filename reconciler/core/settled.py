"""An environment with nothing on its way: keep it as admitted, watch what was just proven, take what is new."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from reconciler.core import gates, rejections, rolling
from reconciler.core.beside import going_back, joining
from reconciler.core.holding import hold
from reconciler.core.judging import (
    badness,
    has_arrived,
    is_healthy,
    is_refused,
    why_not,
)
from reconciler.core.membership import put_right, to_return
from reconciler.core.reach import has_begun
from reconciler.core.returning import at_once
from reconciler.core.soak_left import soak_left_s
from reconciler.core.view import CellView
from reconciler.model.actions import Action, FinishRollBack, Hold, Prove, Reject
from reconciler.model.facts import Member
from reconciler.model.fleet import ClusterState
from reconciler.model.health import HealthStatus
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord, Proof, belongs_to
from reconciler.model.release import Revision


def plan_settled(view: CellView, record: PromotionRecord, admitted: Revision) -> tuple[Action, ...]:
    """Plans a cell that has an admitted revision and no roll-out."""
    if gates.is_returning(view.cell):
        return _return(view, record, admitted)
    taken_over = rejections.take_over(view, admitted)
    if taken_over is not None:
        return (taken_over,)
    proof = gates.proof_of(view.cell, admitted)
    # What is rejected or not proven was stopped where it stood: no further cluster is given it.
    is_stopped = proof is None or rejections.held(view, admitted) is not None
    orders = () if is_stopped else put_right(view, admitted, view.cell.members)
    orders = at_once(view, admitted, orders)
    if proof is not None:
        failing = _failing(view, admitted, proof)
        if failing is not None:
            return (failing,) if isinstance(failing, Reject) else (*orders, failing)
    forward = _forward(view, admitted, proof)
    if not orders or not all(isinstance(action, Hold) for action in forward):
        return forward
    if rolling.is_news(view, orders):
        return orders
    failing = rolling.late_of(view, view.cell.counted, admitted, _deadline_s(view))
    if failing is not None and not any(isinstance(a, Hold) and a.page for a in forward):
        return (*orders, failing)
    return (*orders, *forward)


def _deadline_s(view: CellView) -> float:
    policy = view.cell.ask.policy
    return policy.progress_deadline_s if policy is not None else inf


def _return(view: CellView, record: PromotionRecord, target: Revision) -> tuple[Action, ...]:
    """Puts every cluster back at once: going back skips waves, soak and pauses."""
    # One that answers and was not read yet may still run the bad one.
    asked = to_return(view, target)
    orders = at_once(view, target, put_right(view, target, view.cell.members))
    awaited = {member.cluster for member in asked}
    if rolling.is_news(view, tuple(order for order in orders if order.cluster in awaited)):
        return orders
    # Of one whose turn has not come there is nothing to tell while others are on their way.
    in_turn = sorted(asked, key=lambda member: not has_begun(member, target))
    lagging = next((m for m in in_turn if not is_healthy(m, target, for_s=0.0)), None)
    if lagging is not None or not asked:
        return (*orders, _going_back(view, lagging, target))
    done = replace(record.rejections[0], rolled_back_at=view.now)
    message = f"every reachable cluster is back on {target.release.version}, current and ready"
    return (*orders, FinishRollBack(view.service, view.environment, done, "RolledBack", message))


def _going_back(view: CellView, lagging: Member | None, target: Revision) -> Hold:
    """A roll-back that is refused, fails or takes too long does not heal by waiting."""
    if lagging is None:
        where, page = _nobody(view), True
    else:
        where = f"{lagging.cluster}: {why_not(lagging, target)}"
        is_late = lagging.is_late(target.id, _deadline_s(view))
        refused = lagging.record is not None and is_refused(lagging.record)
        page = is_late or refused or lagging.health.status is HealthStatus.FAILED
    message = f"going back to {target.release.version}; {where}"
    return Hold(view.service, view.environment, Reason.ROLLING_BACK, message, page=page)


def _nobody(view: CellView) -> str:
    """Returns why a way back is waited for and no cluster can be put back, in words."""
    members = view.cell.members
    whys = (
        *(f"{m.cluster}: {m.suspended.why}" for m in members if m.suspended),
        *(belongs_to(m.other, what=f"{m.cluster}: its record") for m in members if m.other),
        *(f"{m.cluster}: {m.health.message}" for m in members if m.is_untouched),
    )
    away = [m.cluster for m in members if not m.reachable]
    silent = f"no answer from {', '.join(away)}" if away else "no cluster is left to put back"
    return next(iter(whys), "no cluster answers" if len(away) == len(members) else silent)


def _failing(view: CellView, admitted: Revision, proof: Proof) -> Reject | Hold | None:
    """Returns what a failure of the proven revision leads to, or None while it does well.

    Only the clusters that it was proven on can undo a proof: one that joined since is told of.
    """
    watched = proof.watch_until is not None and view.now < proof.watch_until
    if watched and rejections.way_back(view.cell, admitted) is not None:
        own = tuple(m for m in view.cell.counted if m.cluster in proof.members)
        found = rolling.reject_if_bad(view, admitted, own)
        if isinstance(found, Reject) or (found is not None and not _newer_is_open(view, admitted)):
            return found
    joining = tuple(m for m in view.cell.members if m.state is ClusterState.JOINING)
    bad = badness((*view.cell.active, *joining), admitted)
    if bad is None or _newer_is_open(view, admitted):
        return None
    message = f"{admitted.release.version} fails after its proof: {bad.message}"
    if bad.member.state is ClusterState.JOINING:
        message = f"a cluster that joins fails with what is proven here: {bad.message}"
    return Hold(view.service, view.environment, Reason.FAILING_AFTER_PROOF, message, page=True)


def _newer_is_open(view: CellView, admitted: Revision) -> bool:
    wanted = view.cell.ask.wanted
    return (
        wanted is not None
        and wanted.id != admitted.id
        and not gates.shut(gates.admission(view, wanted))
    )


def _forward(view: CellView, admitted: Revision, proof: Proof | None) -> tuple[Action, ...]:
    ask = view.cell.ask
    if ask.wanted is None:
        reason = ask.reason or Reason.GIT_UNKNOWN
        return (Hold(view.service, view.environment, reason, ask.message),)
    if ask.wanted.id == admitted.id and not (
        proof is None and rejections.was_lifted(view, admitted)
    ):
        return (_stay(view, admitted, proof),)
    shut = gates.shut(gates.admission(view, ask.wanted))
    if not shut:
        version = ask.wanted.release.version
        return (rolling.admit(view, ask.wanted, f"every gate is open for {version}"),)
    if ask.immediate is not None and ask.immediate.id != admitted.id:
        shut_for_values = gates.shut(gates.admission(view, ask.immediate))
        if not shut_for_values:
            message = "its immediate values do not wait for the release"
            return (rolling.admit(view, ask.immediate, message),)
    if ask.boarding is not None and ask.boarding.id != admitted.id:
        boarding, wanted = ask.boarding.release.version, ask.wanted.release.version
        if not gates.shut(gates.admission(view, ask.boarding)):
            message = f"{boarding} goes ahead: it is proven before, and {wanted} is not"
            return (rolling.admit(view, ask.boarding, message),)
    return (rolling.held_by(view, shut),)


def _stay(view: CellView, admitted: Revision, proof: Proof | None) -> Action:
    version = admitted.release.version
    rejected = rejections.held(view, admitted)
    if rejected is not None:
        return rejected
    if proof is None:
        message = f"{version} is not proven, and nothing before it is; a person must act"
        return Hold(view.service, view.environment, Reason.NOTHING_PROVEN, message, page=True)
    if not proof.opens_gates:
        return _observe_adopted(view, admitted, proof)
    policy = view.cell.ask.policy
    awaited = next((m for m in view.cell.active if not has_arrived(m, admitted)), None)
    if awaited is not None and policy is not None:
        # It was proven before, and is being gone back to: that is over when the clusters have it.
        return rolling.waiting_for(view, awaited, admitted, policy, 0.0)
    beside = going_back(view, admitted)
    if beside is None and policy is not None:
        beside = joining(view, admitted, policy)
    message = (
        "it is gone, and stayed so for its soak" if admitted.absent else f"{version} is proven here"
    )
    return beside or Hold(view.service, view.environment, Reason.SETTLED, message)


def _observe_adopted(view: CellView, admitted: Revision, proof: Proof) -> Action:
    """An adopted revision opens the gates ahead once it was observed healthy for a whole soak."""
    policy = view.cell.ask.policy
    version = admitted.release.version
    if policy is None:
        message = f"{version} was adopted; its soak is not known"
        return Hold(view.service, view.environment, Reason.GIT_UNKNOWN, message)
    lagging = [m for m in view.cell.counted if not is_healthy(m, admitted, for_s=policy.soak_s)]
    if not lagging:
        seen = replace(proof, opens_gates=True, proven_at=view.now)
        message = f"adopted {version} was healthy on every cluster for {policy.soak_s:g} s"
        return Prove(view.service, view.environment, seen, "Soaked", message)
    ill = next((m for m in lagging if not is_healthy(m, admitted, for_s=0.0)), None)
    if ill is not None:
        return rolling.waiting_for(view, ill, admitted, policy, policy.soak_s)
    left_s = soak_left_s(lagging, admitted, for_s=policy.soak_s)
    message = f"{version} was adopted and is being observed for its soak"
    return hold(view, Reason.WAITING_FOR_SOAK, message, due_in_s=left_s)
