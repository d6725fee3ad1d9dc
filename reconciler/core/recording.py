"""What an action makes of a promotion record: the one place where those facts change."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from reconciler.core.fuses import FUSE_WINDOW
from reconciler.core.leaning import with_lean
from reconciler.core.moves import RecordAction, as_tabled, is_returning, speaks_of_what_left
from reconciler.model.actions import Admit, Adopt, FinishRollBack, Prove, Reject
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.records import (
    PASSED_MAX,
    PROOFS_MAX,
    REJECTIONS_KEPT,
    REJECTIONS_MAX,
    PromotionRecord,
    Proof,
    Rejection,
    RevertProgress,
    in_short,
)
from reconciler.model.release import Revision


def recorded(record: PromotionRecord | None, action: RecordAction) -> PromotionRecord:
    """Returns the record after an action; a missing one is begun.

    Args:
        record: What stands now, or None when nothing was ever admitted.
        action: One whose plan was made from that record.

    Raises:
        AssertionError: `moves` has no such move; it is our bug, and the record stays as it is.
    """
    was = record or empty(action.service, action.environment)
    return as_tabled(record, action, _without_former_tombstones(_after(was, action)))


def _after(was: PromotionRecord, action: RecordAction) -> PromotionRecord:
    match action:
        case Adopt():
            return _proven(replace(was, admitted=action.proof.revision, rollout=None), action.proof)
        case Admit():
            now = replace(was, admitted=action.revision, rollout=action.rollout)
            if action.rollout is not None or action.carried is not None:
                now = with_lean(now, action.revision, action.beside)
            if action.carried is not None:
                return _proven(now, action.carried)
            if action.rollout is None:
                return replace(now, proofs=_newest(now.proofs, action.revision))
            return now
        case Prove():
            return _proven(replace(was, rollout=None), action.proof)
        case Reject():
            return _rejected(was, action)
        case FinishRollBack():
            return replace(was, rejections=_with_rejection(was.rejections, action.rejection))
        case _:
            assert_never(action)


def _without_former_tombstones(record: PromotionRecord) -> PromotionRecord:
    """Once anything else is admitted nothing says any more that it is gone: each tombstone is proven anew."""
    admitted = record.admitted
    if admitted is not None and admitted.absent and record.rollout is None:
        return record
    proofs = tuple(proof for proof in record.proofs if not proof.revision.absent)
    return record if proofs == record.proofs else replace(record, proofs=proofs)


def _rejected(was: PromotionRecord, action: Reject) -> PromotionRecord:
    """A rejection brought home late may speak of what is admitted no more: it is known, and moves nothing."""
    rejection = action.rejection
    if speaks_of_what_left(was, action):
        past = replace(rejection, rolled_back_at=rejection.rolled_back_at or rejection.rejected_at)
        rejections = _with_rejection(was.rejections, past)
        if is_returning(was):
            # The first says where a roll-back leads that is under way.
            first = was.rejections[0]
            rejections = (first, *(r for r in rejections if r is not first))
        return replace(was, rejections=rejections)
    target = rejection.restore_to
    # One that holds again, since it is not lifted any more, is the newest again: it says where to go back to.
    others = tuple(r for r in was.rejections if not _is_same(r, rejection))
    return replace(
        was,
        admitted=target or was.admitted,
        rollout=None,
        proofs=_newest(was.proofs, target) if target else was.proofs,
        rejections=_with_rejection(others, rejection),
    )


def empty(service: ServiceName, environment: EnvironmentName) -> PromotionRecord:
    """Returns the record of an environment about which nothing is known yet."""
    return PromotionRecord(service=service, environment=environment)


def with_revert(
    record: PromotionRecord, rejection: Rejection, progress: RevertProgress
) -> PromotionRecord:
    """Returns the record with news of a rejection's commit; unchanged when it is not there any more."""
    if not any(_is_same(r, rejection) for r in record.rejections):
        return record
    kept = next(r for r in record.rejections if _is_same(r, rejection))
    return replace(
        record, rejections=_with_rejection(record.rejections, replace(kept, revert=progress))
    )


def _newest(proofs: tuple[Proof, ...], revision: Revision) -> tuple[Proof, ...]:
    """Puts the proof of what is gone back to first: it is what the next failure goes back to."""
    found = tuple(p for p in proofs if p.revision.id == revision.id)
    return (*found, *(p for p in proofs if p.revision.id != revision.id))


def with_known_reverts(record: PromotionRecord, other: PromotionRecord) -> PromotionRecord:
    """Returns a record with the news of commits that another version of it has and it lacks."""
    known = {(r.revision.id, r.rejected_at): r.revert for r in other.rejections}
    return replace(
        record,
        rejections=tuple(
            replace(r, revert=known.get((r.revision.id, r.rejected_at), r.revert))
            if r.revert == RevertProgress()
            else r
            for r in record.rejections
        ),
    )


def _proven(record: PromotionRecord, proof: Proof) -> PromotionRecord:
    """Puts a proof first; one of the same objects gives way, since going back to it would change nothing."""
    others = tuple(
        p
        for p in record.proofs
        if p.revision.id != proof.revision.id and (p.renders is None or p.renders != proof.renders)
    )
    passed = record.passed
    if proof.opens_gates and not proof.revision.absent:
        short = in_short(proof.revision.identity)
        passed = (short, *(p for p in passed if p != short))[:PASSED_MAX]
    return replace(record, proofs=(proof, *others)[:PROOFS_MAX], passed=passed)


def _with_rejection(
    rejections: tuple[Rejection, ...], rejection: Rejection
) -> tuple[Rejection, ...]:
    """Puts a rejection in its place, or first, and forgets the oldest that are needed no more.

    Those of the last hour are what fuses count. What Git does not hold yet is forgotten last.
    """
    if any(_is_same(r, rejection) for r in rejections):
        return tuple(rejection if _is_same(r, rejection) else r for r in rejections)
    kept = (rejection, *rejections)
    while len(kept) > REJECTIONS_KEPT:
        in_git = [r for r in kept[1:] if r.revert.commit is not None]
        past = [r for r in in_git if rejection.rejected_at - r.rejected_at >= FUSE_WINDOW]
        if not past and len(kept) <= REJECTIONS_MAX:
            break
        forgotten = (past or in_git or kept)[-1]
        kept = tuple(r for r in kept if r is not forgotten)
    return kept


def _is_same(one: Rejection, other: Rejection) -> bool:
    return (one.revision.id, one.rejected_at) == (other.revision.id, other.rejected_at)
