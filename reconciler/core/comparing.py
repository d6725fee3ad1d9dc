"""What is live where nothing was ever given: it is compared before anything is written over it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.view import CellView
from reconciler.model.actions import Examine, Hold
from reconciler.model.facts import LiveState, Member
from reconciler.model.names import ClusterName
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision

LIVE_KEPT_S = 15.0
"""How old an answer may be on which something is given to a cluster for the first time."""


def is_free(member: Member, revision: Revision) -> bool:
    """Whether giving a revision to a member is known to write over nothing that somebody else made."""
    if member.record is not None:
        return True
    found = member.live(revision.id, for_s=LIVE_KEPT_S)
    return found in (LiveState.ABSENT, LiveState.EQUAL, LiveState.OURS)


def taken(view: CellView, revision: Revision, members: Iterable[Member]) -> tuple[Member, ...]:
    """Returns the members that are given nothing, because something else is live there."""
    if view.cell.ask.adopt_overwrite:
        return ()
    return tuple(m for m in members if m.is_taken(revision.id))


def held_up(view: CellView, revision: Revision, members: Iterable[Member]) -> Hold | None:
    """Returns the Hold of members that are given nothing, because of what is live or cannot be read."""
    ours = [m for m in members if m.known and m.record is None]
    differing = taken(view, revision, ours)
    if differing:
        return differs(view, [m.cluster for m in differing])
    unread = next((m for m in ours if _is_unreadable(m, revision)), None)
    if unread is None:
        return None
    message = f"what is live on {unread.cluster} could not be compared: {unread.health.message}"
    return Hold(view.service, view.environment, Reason.ADOPTION_PENDING, message)


def _is_unreadable(member: Member, revision: Revision) -> bool:
    """Whether it was tried; what is only being read is no reason to hold anything."""
    told = member.compared
    if told is None or told.revision != revision.id or told.live is not LiveState.UNKNOWN:
        return False
    return bool(member.health.message)


def examinations(
    view: CellView, revision: Revision, members: Iterable[Member]
) -> tuple[Examine, ...]:
    """Returns a comparison for each member that is not known to be free.

    It is asked for again for as long as the answer is no: people take things away by hand.
    """
    return tuple(
        Examine(
            view.service,
            view.environment,
            member.cluster,
            revision,
            "AdoptionPending",
            f"compare what is live on {member.cluster} with {revision.release.version}",
        )
        for member in members
        if member.known and not is_free(member, revision)
    )


def differs(view: CellView, clusters: Iterable[ClusterName]) -> Hold:
    """Returns the Hold of a cell with clusters on which something else is live than it asks for."""
    message = (
        f"what is live on {', '.join(clusters)} differs from the pin; see `reconciler diff "
        f"{view.service} {view.environment}`, then say `adopt: overwrite` in the pin"
    )
    return Hold(view.service, view.environment, Reason.ADOPTION_DIFFERS, message, page=True)
