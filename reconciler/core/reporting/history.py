"""The document `reconciler.history/v1`: what the promotion records remember, by time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler.core.reporting.documents import (
    Document,
    blank,
    by_cell,
    revision_document,
    unseen,
)
from reconciler.model.events import EventKind
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.records import Origin, PromotionRecord, Rejection
from reconciler.model.release import Revision
from reconciler.model.times import rfc3339
from reconciler.model.view import View


def history(view: View, service: ServiceName | None = None) -> Document:
    """Returns the document; a record remembers its newest proofs and rejections, and Git all others.

    Args:
        view: What the last turn saw.
        service: Whose history; None: everyone's.
    """
    items = [
        {**item, "service": name, "environment": cell.environment}
        for name, planned in view.services.items()
        for cell in planned.facts.cells
        if cell.record is not None and service in (None, name)
        for item in _remembered(cell.record)
    ]
    ordered = sorted(items, key=lambda item: (item["at"], *by_cell(item)))
    shown = [{**item, "at": rfc3339(item["at"])} for item in ordered]
    return {**blank("history"), "items": shown, "errors": unseen(view)}


def _remembered(record: PromotionRecord) -> Iterator[Document]:
    rollout = record.rollout
    if rollout is not None:
        at, commit = rollout.admitted_at, rollout.commit
        yield _item(EventKind.ADMITTED, at, rollout.revision, commit, "")
    for proof in record.proofs:
        adopted = proof.origin is Origin.ADOPTED
        kind = EventKind.ADOPTED if adopted and not proof.opens_gates else EventKind.PROVEN
        source = proof.revision.release.source
        yield _item(kind, proof.proven_at, proof.revision, source, proof.origin.value)
    for rejection in record.rejections:
        yield from _rejected(rejection)


def _rejected(rejection: Rejection) -> Iterator[Document]:
    bad, reason = rejection.revision, rejection.reason
    yield _item(EventKind.REJECTED, rejection.rejected_at, bad, rejection.commit, reason)
    if rejection.rolled_back_at is not None:
        target = rejection.restore_to
        yield _item(EventKind.ROLLED_BACK, rejection.rolled_back_at, target, None, reason)
    revert = rejection.revert
    if revert.pushed_at is not None:
        kind = EventKind.REVERT_PUSHED if revert.branch is None else EventKind.REVERT_REFUSED
        yield _item(kind, revert.pushed_at, bad, revert.commit, reason)


def _item(
    kind: EventKind,
    at: datetime,
    revision: Revision | None,
    commit: CommitId | None,
    reason: str,
) -> Document:
    return {
        "at": at,
        "event": kind.value,
        "revision": revision_document(revision),
        "commit": commit,
        "reason": reason,
    }
