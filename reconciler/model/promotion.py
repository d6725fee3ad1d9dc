"""How a pin comes to ask for the next release: by the daemon's own commit, by a pull request, or by a person's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.names import RevisionId


class Promotion(StrEnum):
    """Who moves an environment's pins."""

    AUTO = "auto"
    PULL_REQUEST = "pull-request"
    MANUAL = "manual"


class AskedState(StrEnum):
    """What became of a pin's next release that a person is asked for.

    A closed one is a person's no: the same release is not asked for again. One that failed is tried again.
    """

    OPEN = "open"
    BRANCH = "branch"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a person, or could not be.

    Attributes:
        revision: What the pin would ask for.
        why: Where it is to be found, or what stood in its way, in words.
    """

    revision: RevisionId
    state: AskedState
    why: str


class FollowState(StrEnum):
    """What is known of a registry that a pin follows.

    Where nothing is known nothing moves; where there is nothing, what is pinned is not what the policy means.
    """

    KNOWN = "known"
    UNKNOWN = "unknown"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Followed:
    """What a registry has for a pin to follow.

    Attributes:
        tags: Tags and their digests that are newer than what was pinned when they were asked for, newest first.
        why: What could not be read, or why nothing is followed, in words.
    """

    tags: tuple[tuple[str, str], ...]
    state: FollowState
    why: str
