"""What a pin's history says of a release: whether it is ahead of another, was gone back from, or had its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.core.boarding import FormerPin
from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId
from reconciler.model.release import Release


@dataclass(frozen=True, slots=True)
class Story:
    """What a pin asked for, as far back as it is known.

    Attributes:
        pins: One release after the other, newest first, each with the commit that first asked for it then.
        cut: The oldest commit that is known of, where there are older ones; None: it is known whole.
    """

    pins: tuple[FormerPin, ...]
    cut: CommitId | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """An environment before.

    Attributes:
        line: As `line_of` has it.
        is_just_before: Nothing lies between it and the environment whose pin is to move.
        pins: All that its pin is known to have asked for.
    """

    line: tuple[FormerPin, ...]
    is_just_before: bool
    pins: tuple[FormerPin, ...] = ()


def story_of(pins: Iterable[FormerPin], *, cut: CommitId | None, most: int) -> Story:
    """Returns what a pin asked for; edits of its values alone are no new ask, however many they are.

    Args:
        pins: What the pin was at HEAD and before, newest first; no more of them are taken than are needed.
        cut: The oldest commit that is known of, where there are older ones.
        most: Releases that are kept.
    """
    kept: list[FormerPin] = []
    for former in pins:
        if kept and _asked(kept[-1].pin) == _asked(former.pin):
            kept[-1] = FormerPin(former.commit, kept[-1].pin)
        elif len(kept) == most:
            return Story(tuple(kept), kept[-1].commit)
        else:
            kept.append(former)
    return Story(tuple(kept), cut)


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
    own: Story,
    before: Sequence[Before],
    *,
    is_after: Callable[[CommitId, CommitId], bool],
) -> bool:
    """Tells whether a pin may be moved on to a release without a person's word.

    It has its turn once: what this pin has asked for already was left for a reason. In every environment before
    it must not have been gone back from, and be ahead there of all that this pin has asked for. Where what it asks
    for now was never asked for just before, as a hotfix is not, the release counts as ahead only once it was asked
    for after that.

    Where this pin's history is not known whole, a release may have had its turn in what is not known: it has not
    where it was first asked for just before after that.

    Args:
        release: What is proven in every environment before.
        own: What this pin was at HEAD and before.
        before: The environments before.
        is_after: Tells whether the first commit comes after the second, on the branch.
    """
    pins, cut = own.pins, own.cut
    if not pins or pins[0].pin.absent or any(asks_for(one.pin, release) for one in pins):
        return False
    if cut is not None and not all(
        is_after(first, cut) if (first := _first(one.pins, release)) is not None else False
        for one in before
        if one.is_just_before
    ):
        return False
    return all(_is_ahead(release, pins, one, is_after) for one in before)


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


def _first(pins: Sequence[FormerPin], release: Release) -> CommitId | None:
    """Returns the commit that first asked for a release, as far as is known."""
    return next((one.commit for one in reversed(pins) if asks_for(one.pin, release)), None)


def _asked(pin: Pin) -> object:
    """Returns what a pin asks for, as it is written."""
    return pin.images, pin.source, pin.absent


def _last(found: Iterable[bool]) -> int | None:
    return max((index for index, is_one in enumerate(found) if is_one), default=None)


def _is_short_for(one: str | None, other: str | None) -> bool:
    """Tells whether one of two ways to write a commit is the beginning of the other."""
    first, second = one or "", other or ""
    return first.startswith(second) or second.startswith(first)
