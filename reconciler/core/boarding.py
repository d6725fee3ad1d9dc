"""A train: which release goes on while the newest is not proven yet in the environments before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId
from reconciler.model.release import Revision


@dataclass(frozen=True, slots=True)
class FormerPin:
    """A pin as it was at a commit."""

    commit: CommitId
    pin: Pin


def boarding(
    pins: Iterable[FormerPin],
    admitted: Revision,
    *,
    resolved: Callable[[FormerPin], Revision | None],
    is_proven: Callable[[Revision], bool],
) -> Revision | None:
    """Returns the newest release that a pin asked for and that is proven in every environment before; or None.

    Only what was asked for after what is admitted here counts: where that is not found, nothing does, so that
    no train runs backwards.

    Args:
        pins: What the pin was before HEAD, newest first.
        admitted: What the environment is on.
        resolved: Returns the revision that a former pin asks for.
        is_proven: Tells whether a revision is proven in every environment before.
    """
    found: Revision | None = None
    for former in pins:
        if _releases(former.pin, admitted):
            return found
        if found is None and not former.pin.absent:
            revision = resolved(former)
            found = revision if revision is not None and is_proven(revision) else None
    return None


def _releases(pin: Pin, admitted: Revision) -> bool:
    release = admitted.release
    return (pin.version, pin.images) == (release.version, release.images)
