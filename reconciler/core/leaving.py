"""Take a release back that was let in beside another service's, when that is taken back."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import gates, leaning, rejections
from reconciler.core.rolling import held_by
from reconciler.core.view import CellView
from reconciler.model.actions import Admit, Hold
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision


def leave(view: CellView, admitted: Revision) -> Admit | Hold | None:
    """Returns what becomes of a release beside which another service's was taken back; None: it may stay.

    It goes back at the same time, to the newest that is proven here and stands; neither waits for the other.
    """
    lost = leaning.withdrawn_from(view.cell, admitted)
    if lost is None or view.fleet.halted or rejections.against(view, admitted) is not None:
        return None
    version, reason = admitted.release.version, Reason.DEPENDENCY_REJECTED
    why = f"{version} was let in beside a release of {lost} that was rejected here"
    targets = [r for r in rejections.ways_back(view.cell) if r.id != admitted.id]
    shut = [gates.shut(gates.admission(view, target)) for target in targets]
    for target, held in zip(targets, shut, strict=True):
        if not held:
            told = f"{why}; it goes back to {target.release.version}"
            return Admit(view.service, view.environment, target, None, reason, told)
    if shut:
        return replace(held_by(view, shut[0]), page=True)
    message = f"{why}, and nothing that is proven here stands without it; a person must act"
    return Hold(view.service, view.environment, reason, message, page=True)
