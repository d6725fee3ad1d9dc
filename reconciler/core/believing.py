"""Whether automatic rejections are still believed, or so many were made that a person is asked first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from reconciler.core.gate import closed, opened
from reconciler.core.view import CellView
from reconciler.model.actions import Gate
from reconciler.model.names import CommitId
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision

_UNBLOCK = "look at the reverts of the last hour; the fuse closes again as they grow old"


def fuse_intact(view: CellView, revision: Revision) -> Gate:
    """There were not too many rejections of the service, of what its commit asked for, or in the fleet."""
    name = "FuseIntact"
    found = tuple(_blown(view, _commit_of(view, revision)))
    if not found:
        return opened(name)
    shut = closed(name, Reason.FUSE_BLOWN, f"too many rejections {found[0][0]}", _UNBLOCK)
    return replace(shut, due_at=max(until for _, until in found))


def is_blown(view: CellView, commit: CommitId) -> bool:
    """Tells whether a person must let in what takes back a part of a commit."""
    return any(_blown(view, commit))


def _blown(view: CellView, commit: CommitId | None) -> Iterator[tuple[str, datetime]]:
    """Yields of what there were too many, the widest first, and until when."""
    fleet = view.fleet
    if fleet.fleet_fuse_blown is not None:
        yield "in the whole fleet", fleet.fleet_fuse_blown
    if commit is not None and commit in fleet.commits_blown:
        yield f"of what commit {commit[:12]} asked for", fleet.commits_blown[commit]
    if view.service in fleet.fuses_blown:
        yield "of this service", fleet.fuses_blown[view.service]


def _commit_of(view: CellView, revision: Revision) -> CommitId | None:
    """Returns the commit that asked for what rolls out; for what does not yet, HEAD, which does so still."""
    rollout = view.cell.record.rollout if view.cell.record is not None else None
    is_under_way = rollout is not None and rollout.revision.id == revision.id
    return rollout.commit if rollout is not None and is_under_way else view.cell.ask.commit
