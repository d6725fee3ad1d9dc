"""What a pin's history says of a release: whether it is ahead of another, was gone back from, or had its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.boarding import FormerPin
from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId
from reconciler.model.release import Release


@dataclass(frozen=True, slots=True)
class Before:
    """An environment before.

    Attributes:
        line: As `line_of` has it.
        is_just_before: Nothing lies between it and the environment whose pin is to move.
    """

    line: tuple[FormerPin, ...]
    is_just_before: bool


def line_of(pins: Sequence[FormerPin]) -> tuple[FormerPin, ...]:
    """Returns what a pin asked for, one release after the other, the oldest first.

    Whoever pins again what was pinned before goes back: what came between the two is left out. So is all that
    was there before the service was asked to be gone.

    Args:
        pins: What the pin was at HEAD and before, newest first.
    """
    line: list[FormerPin] = []
    for former in reversed(pins):
        if former.pin.absent:
            line.clear()
            continue
        at = next((i for i, one in enumerate(line) if same(one.pin, former.pin)), None)
        if at is None:
            line.append(former)
        else:
            del line[at + 1 :]
    return tuple(line)


def same(one: Pin, other: Pin) -> bool:
    """Tells whether two pins ask for one release; one that floats asks for it with any source."""
    sources = (one.source, other.source)
    return one.images == other.images and (None in sources or _is_short_for(*sources))


def asks_for(pin: Pin, release: Release) -> bool:
    """Tells whether a pin asks, or has asked, for a release."""
    is_source = pin.source is None or release.source.startswith(pin.source)
    return not pin.absent and pin.images == release.images and is_source


def may_follow(
    release: Release,
    own: Sequence[FormerPin],
    before: Iterable[Before],
    *,
    is_after: Callable[[CommitId, CommitId], bool],
) -> bool:
    """Tells whether a pin may be moved on to a release without a person's word.

    It has its turn once: what this pin has asked for already was left for a reason. In every environment before
    it must not have been gone back from, and be ahead there of all that this pin has asked for. Where what it asks
    for now was never asked for just before, as a hotfix is not, the release counts as ahead only once it was asked
    for after that.

    Args:
        release: What is proven in every environment before.
        own: What this pin was at HEAD and before, newest first.
        before: The environments before.
        is_after: Tells whether the first commit comes after the second, on the branch.
    """
    if not own or own[0].pin.absent or any(asks_for(one.pin, release) for one in own):
        return False
    return all(_is_ahead(release, own, one, is_after) for one in before)


def _is_ahead(
    release: Release,
    own: Sequence[FormerPin],
    before: Before,
    is_after: Callable[[CommitId, CommitId], bool],
) -> bool:
    line, pinned = before.line, own[0].pin
    there = _last(asks_for(one.pin, release) for one in line)
    if there is None:
        return False
    # Whoever went back from one release did not ask for those between the two.
    had = _last(any(same(one.pin, f.pin) for f in own if not f.pin.absent) for one in line)
    if had is not None and there <= had:
        return False
    if any(same(one.pin, pinned) for one in line):
        return True
    return not before.is_just_before or is_after(line[there].commit, _since(own))


def _since(own: Sequence[FormerPin]) -> CommitId:
    """Returns the commit with which the pin came to ask for what it asks for now."""
    commit = own[0].commit
    for former in own:
        if not same(former.pin, own[0].pin):
            break
        commit = former.commit
    return commit


def _last(found: Iterable[bool]) -> int | None:
    return max((index for index, is_one in enumerate(found) if is_one), default=None)


def _is_short_for(one: str | None, other: str | None) -> bool:
    """Tells whether one of two ways to write a commit is the beginning of the other."""
    first, second = one or "", other or ""
    return first.startswith(second) or second.startswith(first)
