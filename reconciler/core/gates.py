"""The gates of an admission: each has a name, a state, a reason and what would change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.core import leaning, moves, rejections, skipping, tombstones
from reconciler.core.believing import fuse_intact
from reconciler.core.ending import is_moving
from reconciler.core.gate import anothers, closed, opened, unknown
from reconciler.core.group_gate import group_together
from reconciler.core.outside import by_name, checks_passed
from reconciler.core.permission import approved, in_window, not_frozen, not_paused
from reconciler.core.places import below_max_rollouts, next_up
from reconciler.core.reach import in_force
from reconciler.core.return_gate import can_return
from reconciler.core.soak_left import proof_left_s
from reconciler.core.view import CellView
from reconciler.model.actions import Gate, GateState
from reconciler.model.facts import Cell, Member
from reconciler.model.health import HealthStatus
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.records import Proof, Rollout, in_short
from reconciler.model.release import Part, Revision

GateCheck = Callable[[CellView, Revision], Gate]


def admission(view: CellView, wanted: Revision) -> tuple[Gate, ...]:
    """Returns every gate between a revision and this environment, in the order people read them.

    What is proven here already only goes back: it skips the gates that make forward moves slow.
    """
    if proof_of(view.cell, wanted) is not None and not wanted.absent:
        return tuple(check(view, wanted) for check in BACKWARD)
    checks = TOMBSTONE if wanted.absent else FORWARD
    return (*(check(view, wanted) for check in checks), *by_name(view, wanted))


def next_wave(view: CellView, revision: Revision) -> tuple[Gate, ...]:
    """Returns the gates that are looked at again before each wave of a running roll-out."""
    checks = EACH_WAVE_OF_A_TOMBSTONE if revision.absent else EACH_WAVE
    return tuple(check(view, revision) for check in checks)


def moving_the_pin(view: CellView, revision: Revision) -> tuple[Gate, ...]:
    """Returns the gates between a revision and being pinned here; windows and approvals come after that."""
    return tuple(check(view, revision) for check in PINNED)


def shut(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """Returns the gates that hold; an unknown gate holds as a closed one does."""
    return tuple(gate for gate in gates if gate.state is not GateState.OPEN)


def proof_of(cell: Cell, revision: Revision) -> Proof | None:
    """Returns the proof of exactly this revision in a cell, or None."""
    proofs = cell.record.proofs if cell.record else ()
    return next((proof for proof in proofs if proof.revision.id == revision.id), None)


def carried_proof(cell: Cell, revision: Revision) -> Proof | None:
    """Returns the proof that carries over to what is wanted, or None.

    What renders on every cluster to exactly what was proven here is proven as well; but not where
    that has been rejected since.
    """
    ask, record = cell.ask, cell.record
    if record is None or ask.renders is None or ask.wanted is None or ask.wanted.id != revision.id:
        return None
    bad = rejections.standing(record, ask)
    for proof in record.proofs:
        is_rejected = any(rejections.repeats(proof.revision, r) for r in bad)
        if proof.renders == ask.renders and not is_rejected:
            return replace(proof, revision=revision)
    return None


def _not_halted(view: CellView, _: Revision) -> Gate:
    name = "NotHalted"
    if not view.fleet.halted:
        return opened(name)
    reason = view.fleet.halted_reason or Reason.NOT_LEADING
    return closed(name, reason, view.fleet.halted, f"see docs/reasons.md, {reason}")


def _not_rejected(view: CellView, wanted: Revision) -> Gate:
    name = "NotRejected"
    rejection = rejections.against(view, wanted)
    if rejection is None:
        return opened(name)
    return closed(
        name,
        Reason.REJECTED,
        f"its {rejection.part} failed in {rejection.environments[0]}: {rejection.reason}",
        f"{_other(rejection.part)}, or lift the entry in quarantine/{view.service}.yaml with a reason",
    )


def _not_quarantined(view: CellView, wanted: Revision) -> Gate:
    name, file = "NotQuarantined", f"quarantine/{view.service}.yaml"
    entries = view.cell.ask.quarantine
    if entries is None:
        return unknown(
            name, Reason.QUARANTINE_UNREADABLE, f"{file} could not be read", f"correct {file}"
        )
    entry = next((e for e in entries if rejections.repeats(wanted, e)), None)
    if entry is None:
        return opened(name)
    return closed(
        name,
        Reason.QUARANTINED,
        f"{file} holds its {entry.part} since {entry.rejected_at}: {entry.reason}",
        f"{_other(entry.part)}, or lift the entry in {file} with a reason",
    )


def _other(part: Part) -> str:
    if part is Part.RENDERER:
        return "run the daemon with another version of its renderer"
    return f"pin a release with other {part}"


def _proven_before(view: CellView, wanted: Revision) -> Gate:
    name = "ProvenBefore"
    gate = opened(name)
    for cell in view.earlier:
        if cell.other:
            return anothers(name, cell.other, f"the promotion record of {cell.environment}")
        if not cell.record_known:
            return unknown(
                name,
                Reason.HOME_UNREACHABLE,
                f"what is proven in {cell.environment} could not be read",
                "the home cluster must answer",
            )
        held = _not_proven_in(cell, wanted, name)
        if held is not None:
            gate = skipping.past_soak(view, cell, wanted, held)
        if held is not None and gate.state is not GateState.OPEN:
            # 0 where the soak is over, and something else than time keeps it from being written down.
            left_s = proof_left_s(cell, wanted) if view.fleet.keeps_time else None
            return replace(gate, due_in_s=gate.due_in_s or left_s or None)
        failing = _failing(cell, wanted)
        if failing is not None and wanted.absent:
            there = f"{failing.cluster}: {failing.health.message}"
            message = f"it went from {cell.environment} and is there again; {there}"
            return closed(
                name, Reason.FAILING_BEFORE, message, f"it must be gone from {cell.environment}"
            )
        if failing is not None:
            return closed(
                name,
                Reason.FAILING_BEFORE,
                f"it is proven in {cell.environment} but fails there now: "
                f"{failing.cluster} {failing.health.reason}",
                f"{cell.environment} must be healthy again",
            )
    return gate


def _not_proven_in(cell: Cell, wanted: Revision, name: str) -> Gate | None:
    """Returns the closed gate of a revision that one earlier environment has not proven, or None.

    It is proven as this daemon renders it. Where that environment asks for something else by now it
    can never be: there the identity must be proven, and the renderer with what followed it.
    """
    opening = [p.revision for p in (cell.record.proofs if cell.record else ()) if p.opens_gates]
    same = [revision for revision in opening if revision.identity == wanted.identity]
    passed = cell.record.passed if cell.record else ()
    version, where = wanted.release.version, cell.environment
    if not same and wanted.absent:
        unblock = f"every object of it must be gone from {where} for the whole soak"
        return closed(name, Reason.WAITING_FOR_PROOF, f"it is not gone from {where}", unblock)
    if not same and in_short(wanted.identity) not in passed:
        return closed(
            name,
            Reason.WAITING_FOR_PROOF,
            f"{version} is not proven in {where}",
            f"{where} must run it healthy for its whole soak",
        )
    asked = cell.ask.wanted
    is_asked_there = asked.identity == wanted.identity if asked else cell.ask.is_rendering
    if any(r.renderer == wanted.renderer for r in (same if is_asked_there else opening)):
        return None
    return closed(
        name,
        Reason.RENDER_CHANGED,
        f"{version} is proven in {where} as {same[0].renderer if same else 'another version'} renders "
        f"it, and not as {wanted.renderer} does",
        f"{where} must run what {wanted.renderer} renders healthy for its whole soak",
    )


def _failing(cell: Cell, wanted: Revision) -> Member | None:
    """Returns a member of an earlier cell that runs this identity and is seen to have failed.

    Of what is to be gone that is one where anything of it is.
    """
    return next(
        (
            m
            for m in cell.counted
            if m.known
            and m.record is not None
            and m.record.revision.identity == wanted.identity
            and (m.health.status is not HealthStatus.CURRENT)
            and (wanted.absent or m.health.status is HealthStatus.FAILED)
        ),
        None,
    )


def _depends_on(view: CellView, _: Revision) -> Gate:
    name = "DependsOn"
    for service, proven in view.cell.depends:
        if proven is None:
            return unknown(
                name,
                Reason.WAITING_FOR_DEPENDENCY,
                f"what {service} should run in {view.environment} is not known",
                f"see `reconciler explain {service} {view.environment}`",
            )
        if not proven:
            return closed(
                name,
                Reason.WAITING_FOR_DEPENDENCY,
                f"the release of {service} is not proven in {view.environment}",
                f"see `reconciler explain {service} {view.environment}`",
            )
    return opened(name)


def _still_supported(view: CellView, wanted: Revision) -> Gate:
    """What it was let in beside stands, here and in the environments before."""
    name, reason = "StillSupported", Reason.DEPENDENCY_REJECTED
    for cell in (view.cell, *reversed(view.earlier)):
        lost = leaning.withdrawn_from(cell, wanted)
        if lost is not None:
            version, where = wanted.release.version, cell.environment
            message = f"{version} was let in to {where} beside a release of {lost} that was rejected there"
            return closed(name, reason, message, CHANGES[reason])
    return opened(name)


def _not_overtaking(view: CellView, wanted: Revision) -> Gate:
    """Lets what rolls out be finished first, where it moves, and the policy says so or another waits for its place."""
    name = "NotOvertaking"
    rollout = view.cell.record.rollout if view.cell.record is not None else None
    if rollout is None or rollout.revision.id == wanted.id:
        return opened(name)
    waits = next_up(view)
    after_s = rollout.policy.finish_after_s if waits is None else 0.0
    age_s = (view.now - (rollout.began_at or rollout.admitted_at)).total_seconds()
    if after_s is None or age_s < after_s or not ends_by_itself(view, in_force(view.cell, rollout)):
        return opened(name)
    version, newer = rollout.revision.release.version, wanted.release.version
    message = f"{version} rolls out, and is finished before {newer} is taken"
    if waits is not None:
        message += f"; {waits} waits for its place"
    return closed(name, Reason.QUEUED, message, CHANGES[Reason.QUEUED])


def ends_by_itself(view: CellView, rollout: Rollout) -> bool:
    """Tells whether a roll-out will come to an end by itself, as far as can be told."""
    return not shut(next_wave(view, rollout.revision)) and is_moving(view, rollout)


def _no_platform_incident(view: CellView, _: Revision) -> Gate:
    name = "NoPlatformIncident"
    if not view.fleet.platform_incident:
        return opened(name)
    services = ", ".join(sorted(view.fleet.platform_incident))
    return closed(
        name,
        Reason.PLATFORM_INCIDENT,
        f"several services turned bad together: {services}",
        "they must be healthy again, or go back to a release that is proven there",
    )


def _roll_back_complete(view: CellView, _: Revision) -> Gate:
    name = "RollBackComplete"
    if is_returning(view.cell):
        return closed(
            name,
            Reason.ROLLING_BACK,
            "a roll-back is under way",
            "every reachable cluster must be back, current and ready",
        )
    return opened(name)


def _has_a_place(view: CellView, wanted: Revision) -> Gate:
    """What carries a proof over rolls nothing out, and needs no place."""
    gate = below_max_rollouts(view, wanted)
    is_open = gate.state is GateState.OPEN or carried_proof(view.cell, wanted) is None
    return gate if is_open else opened(gate.name)


def is_returning(cell: Cell) -> bool:
    """Tells whether a roll-back of this cell is still to be completed."""
    return moves.is_returning(cell.record)


def _clusters_known(view: CellView, _: Revision) -> Gate:
    name = "ClustersReachable"
    policy = view.cell.ask.policy
    first = policy.waves[0] if policy is not None and policy.waves else ()
    for cluster in first:
        member = view.cell.member(cluster)
        if member is None or not member.reachable:
            return unknown(
                name,
                Reason.CLUSTER_UNREACHABLE,
                f"{cluster}, of the first wave, does not answer",
                "it must answer",
            )
        if member.other:
            return anothers(name, member.other, f"{cluster}: its record")
        if not member.synced:
            return unknown(
                name, Reason.CLUSTER_UNKNOWN, f"{cluster} has not been read yet", "a moment's wait"
            )
    return opened(name)


BACKWARD: tuple[GateCheck, ...] = (
    _not_halted,
    _not_rejected,
    _not_quarantined,
    _still_supported,
    _roll_back_complete,
)
EACH_WAVE: tuple[GateCheck, ...] = (
    _not_halted,
    not_paused,
    not_frozen,
    in_window,
    _not_rejected,
    _not_quarantined,
    _proven_before,
    fuse_intact,
    _no_platform_incident,
)
EACH_WAVE_OF_A_TOMBSTONE: tuple[GateCheck, ...] = (
    # First, since where HEAD asks for the service again every other reason not to go on is beside the point.
    tombstones.asked_for,
    *EACH_WAVE,
    tombstones.needed_by_nobody,
    tombstones.nothing_fails,
)
TOMBSTONE: tuple[GateCheck, ...] = (
    *EACH_WAVE_OF_A_TOMBSTONE,
    tombstones.not_too_many,
    _not_overtaking,
    approved,
    checks_passed,
    _roll_back_complete,
    _clusters_known,
    _has_a_place,
)
FORWARD: tuple[GateCheck, ...] = (
    *EACH_WAVE,
    _not_overtaking,
    approved,
    can_return,
    checks_passed,
    _depends_on,
    _still_supported,
    _roll_back_complete,
    _clusters_known,
    group_together,
    _has_a_place,
)
PINNED: tuple[GateCheck, ...] = (
    _not_halted,
    not_paused,
    not_frozen,
    _not_rejected,
    _not_quarantined,
    _proven_before,
    fuse_intact,
    _no_platform_incident,
    _roll_back_complete,
)
