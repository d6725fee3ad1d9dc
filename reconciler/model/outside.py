"""What others are asked for before an admission, and what they said; none of it is the daemon's own to know."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.answers import NotKnown
from reconciler.model.forge import Statuses
from reconciler.model.names import CommitId, RevisionId


@dataclass(frozen=True, slots=True)
class OutsideRules:
    """Whose word a policy asks for, of one environment.

    Attributes:
        commit_statuses: Checks that must have passed on the commits that a revision comes from.
    """

    commit_statuses: tuple[str, ...] = ()


NOBODY = OutsideRules()


@dataclass(frozen=True, slots=True)
class CommitOrigin:
    """Which commits of the env repo a revision comes from.

    Attributes:
        commits: Together they hold all of it; empty where that is not known.
    """

    revision: RevisionId
    commits: tuple[CommitId, ...]


@dataclass(frozen=True, slots=True)
class CheckedCommit:
    """What a forge said of a commit.

    Attributes:
        seen: None: it has not answered yet.
        age_s: Seconds since it was asked.
    """

    commit: CommitId
    seen: Statuses | NotKnown | None
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What others say of what a cell may admit next.

    Attributes:
        rules: What HEAD's policy asks for.
        origins: Of each revision that may be admitted, where that is asked for.
        checked: Of the commits in `origins`.
        has_forge: Whether there is any forge to ask.
    """

    rules: OutsideRules = NOBODY
    origins: tuple[CommitOrigin, ...] = ()
    checked: tuple[CheckedCommit, ...] = ()
    has_forge: bool = False

    def commits_of(self, revision: RevisionId) -> tuple[CommitId, ...]:
        """Returns the commits that a revision comes from; none where that is not known."""
        found = (origin.commits for origin in self.origins if origin.revision == revision)
        return next(found, ())


NOTHING_ASKED = Outside()
