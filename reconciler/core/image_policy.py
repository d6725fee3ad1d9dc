"""Which tag a service follows next: the newest that its policy takes, and never an older one by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from heapq import nlargest
from typing import Any, assert_never

from reconciler.model.image_policy import (
    ImagePolicy,
    PatternPolicy,
    SemverPolicy,
    TagOrder,
    TagPattern,
    VersionRange,
    version_of,
)


class Outcome(StrEnum):
    """How the newest tag that fits stands to what is pinned."""

    FIRST = "first"
    NEWER = "newer"
    SAME = "same"
    OLDER = "older"
    INCOMPARABLE = "incomparable"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy makes of a list of tags.

    Attributes:
        newest: The newest tag that fits; None where none does.
        moves_to: What the pin should say instead of what it says; None: it stays.
    """

    outcome: Outcome
    newest: str | None
    moves_to: str | None


def choose(policy: ImagePolicy, tags: Iterable[str], *, pinned: str | None) -> Choice:
    """Returns the tag to follow. Tags that the policy has no meaning for are passed over.

    Args:
        policy: What a person has asked for.
        tags: Every tag of the repository, in any order.
        pinned: The tag that the pin names; None where it names none yet.

    Raises:
        ValueError: The policy's range or pattern is none; reading its file refuses it before.
    """
    rank, fits = _ranked(policy)
    ranked = [(found, tag) for tag in tags if fits(tag) and (found := rank(tag)) is not None]
    if not ranked:
        return Choice(Outcome.NONE, None, None)
    # Two tags may say the same version; of those, too, it is always the same one.
    newest, tag = max(ranked)
    if pinned is None:
        return Choice(Outcome.FIRST, tag, tag)
    outcome = _against(newest, rank(pinned), is_pinned=tag == pinned)
    is_wanted = outcome is Outcome.NEWER or (
        policy.downgrade and outcome in (Outcome.OLDER, Outcome.INCOMPARABLE)
    )
    return Choice(outcome, tag, tag if is_wanted else None)


def newer(
    policy: ImagePolicy, tags: Iterable[str], *, pinned: str, most: int
) -> tuple[Outcome, str | None, tuple[str, ...]]:
    """Returns how the newest tag that fits stands to what is pinned, that tag, and what may be moved to.

    Args:
        policy: What a person has asked for.
        tags: Every tag of the repository, in any order.
        pinned: The tag that the pin names.
        most: So many of those that are newer, the newest first: of one that is quarantined the next one is taken.
    """
    listed = tuple(tags)
    choice = choose(policy, listed, pinned=pinned)
    if choice.moves_to is None:
        return choice.outcome, choice.newest, ()
    if choice.outcome is not Outcome.NEWER:
        return choice.outcome, choice.newest, (choice.moves_to,)
    rank, fits = _ranked(policy)
    here = rank(pinned)
    ahead = ((found, t) for t in listed if fits(t) and (found := rank(t)) is not None)
    best = nlargest(most, ((found, tag) for found, tag in ahead if found > here))
    return choice.outcome, choice.newest, tuple(tag for _, tag in best)


def _against(newest: Any, pinned: Any | None, *, is_pinned: bool) -> Outcome:
    if is_pinned or newest == pinned:
        return Outcome.SAME
    if pinned is None:
        return Outcome.INCOMPARABLE
    return Outcome.NEWER if newest > pinned else Outcome.OLDER


def _ranked(policy: ImagePolicy) -> tuple[Callable[[str], Any | None], Callable[[str], bool]]:
    """Returns what gives a tag its place, and what tells whether the policy takes it.

    A version has its place outside of the range, too: what is pinned may be there.
    """
    match policy:
        case SemverPolicy():
            versions = VersionRange(policy.range)

            def fits(tag: str) -> bool:
                version = version_of(tag)
                return version is not None and versions.holds(version, prerelease=policy.prerelease)

            return version_of, fits
        case PatternPolicy():
            pattern = TagPattern(policy.pattern, policy.extract)

            def rank(tag: str) -> Any | None:
                part = pattern.part_of(tag)
                return None if part is None else _place(part, policy.order)

            return rank, lambda tag: True
        case _:
            assert_never(policy)


def _place(part: str, order: TagOrder) -> Any | None:
    match order:
        case TagOrder.NUMERICAL:
            return int(part) if part.isascii() and part.isdigit() else None
        case TagOrder.ALPHABETICAL:
            return part
        case _:
            assert_never(order)
