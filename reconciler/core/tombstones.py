"""The gates of a tombstone alone: nothing is removed that others need, in a crowd, or while something fails."""

from __future__ import annotations

from reconciler.core import rejections
from reconciler.core.gate import closed, opened, unknown
from reconciler.core.pruning import NUMBER_MAX, SHARE_COUNTS_FROM, SHARE_MAX
from reconciler.core.view import CellView
from reconciler.model.actions import Gate
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.release import Revision


def asked_for(view: CellView, _: Revision) -> Gate:
    """HEAD does not ask for the service again; where it asks for nothing, it takes nothing back.

    What it asks for is not let in yet, or it would have taken the tombstone's place: a person must know what is gone.
    """
    name, reason = "AskedFor", Reason.NOT_ASKED_FOR
    wanted = view.cell.ask.wanted
    if wanted is None or wanted.absent:
        return opened(name)
    begun = [m.cluster for m in view.cell.members if m.record and m.record.revision.absent]
    without = f"{', '.join(begun)} stays without the service meanwhile" if begun else "none lost it"
    message = (
        f"HEAD asks for {wanted.release.version}, which is not let in yet; {without}, and no "
        "further cluster loses it"
    )
    back = rejections.allowed(view)
    if back is not None:
        message += f"; pin {back.release.version}, which is proven here, to have it back at once"
    return closed(name, reason, message, CHANGES[reason])


def needed_by_nobody(view: CellView, _: Revision) -> Gate:
    """No service that is in the environment, or asked for there, depends on it."""
    name, reason = "NeededByNobody", Reason.STILL_NEEDED
    for service, is_there in view.cell.needed_by:
        where = f"{service} in {view.environment}"
        if is_there is None:
            message = f"whether {where} needs it is not known"
            return unknown(name, reason, message, f"see `reconciler explain {service}`")
        if is_there:
            return closed(name, reason, f"{where} depends on it", CHANGES[reason])
    return opened(name)


def nothing_fails(view: CellView, _: Revision) -> Gate:
    """No service of the environment fails: it may be what went already that it misses."""
    name, reason = "NothingFailsBeside", Reason.FAILING_BESIDE
    here = view.fleet.going.get(view.environment)
    failing = [s for s in (here.failing if here else ()) if s != view.service]
    if not failing:
        return opened(name)
    message = f"{', '.join(failing)} fails in {view.environment}, and may miss what goes"
    return closed(name, reason, message, CHANGES[reason])


def not_too_many(view: CellView, _: Revision) -> Gate:
    """Not so many services are asked to go at once that a mistake is likelier than a wish."""
    name, reason = "NotTooManyGo", Reason.TOO_MANY_GO
    here = view.fleet.going.get(view.environment)
    count = len(here.services) if here else 0
    if here is None or count < SHARE_COUNTS_FROM:
        return opened(name)
    if count <= NUMBER_MAX and count <= SHARE_MAX * here.there:
        return opened(name)
    message = (
        f"{count} of {here.there} services of {view.environment} are asked to go, or went within the hour; "
        f"at most {NUMBER_MAX}, and no more than half, may"
    )
    return closed(name, reason, message, CHANGES[reason])
