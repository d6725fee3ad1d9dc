"""Which revision a pin asks for: an explicit source, HEAD's, or the newest source proven before here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId, Identity
from reconciler.model.records import PromotionRecord, in_short
from reconciler.model.release import Revision

RevisionAt = Callable[[str], Revision | None]
"""Builds the pin's revision with the service's tree at a commit; None when there is no such tree."""


def resolve(
    pin: Pin,
    *,
    head: CommitId,
    earlier: Sequence[PromotionRecord | None],
    own: PromotionRecord | None,
    revision_at: RevisionAt,
) -> Revision | None:
    """Returns the revision that a pin asks for, or None when its source is not there.

    A floating pin of the first environment follows HEAD. A later one follows the newest source with
    which this release was proven in every environment before it, so that a changed base is promoted
    in order; while there is none it is HEAD's, which the gate ProvenBefore then holds.

    Args:
        pin: The pin, as HEAD holds it.
        head: The commit that the pin was read from.
        earlier: The records of all environments before this one, in order of the path.
        own: The record of this one: it may remember a source that the one before has forgotten.
        revision_at: Builds the revision with the tree at a commit.
    """
    if pin.source is not None:
        return revision_at(pin.source)
    at_head = revision_at(head)
    if at_head is None or not earlier or is_proven(at_head.identity, earlier):
        return at_head
    known = (s for record in (*reversed(earlier), own) for s in _proven_sources(at_head, record))
    for source in dict.fromkeys(known):
        candidate = revision_at(source)
        if candidate is not None and is_proven(candidate.identity, earlier):
            return candidate
    return at_head


def is_proven(identity: Identity, records: Sequence[PromotionRecord | None]) -> bool:
    """Tells whether an identity is proven in each of some environments."""
    return all(
        record is not None
        and (
            in_short(identity) in record.passed
            or any(p.revision.identity == identity and p.opens_gates for p in record.proofs)
        )
        for record in records
    )


def _proven_sources(wanted: Revision, record: PromotionRecord | None) -> tuple[CommitId, ...]:
    """Returns the sources with which these images were proven in an environment, newest first."""
    proofs = record.proofs if record else ()
    return tuple(
        proof.revision.release.source
        for proof in proofs
        if proof.revision.images_digest == wanted.images_digest
    )
