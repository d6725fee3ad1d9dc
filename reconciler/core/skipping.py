"""A gate that is closed, and let past by a person who may: never an unknown one, and never what is bad."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.judging import is_healthy
from reconciler.core.view import CellView
from reconciler.model.actions import Gate, GateState
from reconciler.model.facts import Cell
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.reasons import Reason
from reconciler.model.records import Rollout
from reconciler.model.release import Revision
from reconciler.model.skips import Skippable, Skipped, Vouched

GATES = {
    Skippable.SOAK: "ProvenBefore",
    Skippable.WINDOW: "InWindow",
    Skippable.FREEZE: "NotFrozen",
}
"""What each of them skips."""


NOT_OF_A_TOMBSTONE = "nobody skips the soak of a tombstone"

SEEN_FOR_S = 10.0
"""What starts and then crashes is told from what is well by then; whoever needs a hotfix has so long."""


def past(view: CellView, revision: Revision, shut: Gate, what: Skippable) -> Gate:
    """Returns a gate as it is once it was asked whether a person skips it; open then, and says who and why.

    Args:
        view: The cell.
        revision: What is to be let in.
        shut: The gate, as it is without a person's word.
        what: By which word it is skipped.
    """
    vouched = view.cell.ask.skip
    if shut.state is not GateState.CLOSED or vouched is None or what not in vouched.skip.gates:
        return shut
    refused = _refused(view, revision, vouched, what)
    if refused:
        return replace(shut, message=f"{shut.message}; `skip` in the pin does not count: {refused}")
    message = f"{_who(vouched)} skips it: {vouched.skip.reason}; without that: {shut.message}"
    return Gate(shut.name, GateState.OPEN, Reason.SKIPPED, message)


def past_soak(view: CellView, cell: Cell, revision: Revision, shut: Gate) -> Gate:
    """Returns the gate of what an earlier environment has not proven; its soak alone can be skipped.

    That of a tombstone by nobody: what is gone stays gone for its soak, whoever is in a hurry.
    It must be seen healthy there on every cluster for a moment, in order as ever; once it was let in here on that
    ground it is not asked for again, as a proof would not be.
    """
    asked = past(view, revision, shut, Skippable.SOAK)
    if revision.absent and asked is not shut:
        return replace(shut, message=f"{shut.message}; {NOT_OF_A_TOMBSTONE}")
    if asked.state is not GateState.OPEN or was_let_past(view, revision, Skippable.SOAK):
        return asked
    unseen, left_s = _unseen(view, cell, revision)
    if not unseen:
        return asked
    message = f"{shut.message}, and its soak is not skipped yet: {unseen}"
    return replace(shut, message=message, due_in_s=left_s)


def was_let_past(view: CellView, revision: Revision, what: Skippable) -> bool:
    """Tells whether what rolls out was let in by this skip."""
    rollout = _own(view, revision)
    return rollout is not None and rollout.skipped is not None and what in rollout.skipped.gates


def skipped(view: CellView, gates: tuple[Gate, ...]) -> Skipped | None:
    """Returns what an admission through these gates is let past, or None."""
    names = {gate.name for gate in gates if gate.reason is Reason.SKIPPED}
    vouched = view.cell.ask.skip
    if not names or vouched is None:
        return None
    found = tuple(what for what, name in GATES.items() if name in names)
    return Skipped(found, _who(vouched), vouched.skip.reason)


def _refused(view: CellView, revision: Revision, vouched: Vouched, what: Skippable) -> str:
    """Returns why a skip does not count, or nothing.

    The rules that a roll-out began with count beside HEAD's: looser ones are for later roll-outs.
    """
    if vouched.skip.revision != revision.id:
        return f"it is for {vouched.skip.revision}, and {revision.id} is asked for"
    if not vouched.signers:
        return vouched.why_nobody
    own = _own(view, revision)
    every = (view.cell.ask.policy, *([own.policy] if own is not None else []))
    if all(policy is not None and _may(policy, vouched, what) for policy in every):
        return ""
    return f"the policy does not let {_who(vouched)} skip the {what} here"


def _may(policy: EnvironmentPolicy, vouched: Vouched, what: Skippable) -> bool:
    hotfix = policy.hotfix
    if hotfix is None or what not in hotfix.gates:
        return False
    return any(signer in hotfix.by for signer in vouched.signers)


def _own(view: CellView, revision: Revision) -> Rollout | None:
    record = view.cell.record
    rollout = record.rollout if record is not None else None
    return rollout if rollout is not None and rollout.revision.id == revision.id else None


def _who(vouched: Vouched) -> str:
    return " and ".join(vouched.signers)


def _unseen(view: CellView, cell: Cell, revision: Revision) -> tuple[str, float | None]:
    """Returns what keeps an environment from being known to have run a revision well, or nothing.

    With it goes the time after which it may be known if all stays as it is; None: nobody can say.
    """
    version, where = revision.release.version, cell.environment
    admitted = cell.record.admitted if cell.record is not None else None
    if admitted is None or admitted.identity != revision.identity:
        return f"{where} does not run it", None
    if admitted.renderer != revision.renderer:
        return f"{where} runs it as {admitted.renderer} renders it", None
    policy = cell.ask.policy
    for_s = min(policy.soak_s, SEEN_FOR_S) if policy is not None else SEEN_FOR_S
    if not view.fleet.keeps_time:
        # How long anything was healthy is counted by the daemon alone; a command sees that it is.
        for_s = 0.0
    for member in cell.counted:
        if not is_healthy(member, admitted, for_s=for_s):
            is_well = is_healthy(member, admitted, for_s=0.0)
            left_s = for_s - member.healthy_s if is_well else None
            why = f"{version} has not been seen healthy on {member.cluster} for {for_s:g} s"
            return why, left_s
    return "" if cell.counted else f"{where} has no cluster", None
