"""What others are asked for before an admission, and what they said; none of it is the daemon's own to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.answers import NotKnown
from reconciler.model.forge import Statuses
from reconciler.model.names import CommitId, EnvironmentName, Identity, RevisionId, ServiceName


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold before an admission.

    Attributes:
        name: What people call it.
        expression: In CEL, over the facts of core/condition_facts.py.
        message: For those who wait while it does not hold.
    """

    name: str
    expression: str
    message: str


@dataclass(frozen=True, slots=True)
class OutsideRules:
    """Whose word a policy asks for, of one environment.

    Attributes:
        commit_statuses: Checks that must have passed on the commits that a revision comes from.
        http_gates: Gates that must say that they are open, by the names of the daemon's settings.
        conditions: What must hold of the facts.
    """

    commit_statuses: tuple[str, ...] = ()
    http_gates: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


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


class GateWord(StrEnum):
    """What a gate may say."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """What a gate is asked; an answer is for all of it and nothing else.

    Attributes:
        version: What people call the release.
        source: The commit whose files the service is made of.
        commits: See CommitOrigin.
    """

    gate: str
    service: ServiceName
    environment: EnvironmentName
    version: str
    revision: RevisionId
    identity: Identity
    source: CommitId
    commits: tuple[CommitId, ...]


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What a gate said, with its words for a person."""

    word: GateWord
    message: str = ""


@dataclass(frozen=True, slots=True)
class AskedGate:
    """What is known of a gate's word on a revision.

    Attributes:
        said: None: it was not asked, or has not answered yet.
        age_s: Seconds since it was asked.
        is_named: Whether the daemon's settings say where it is.
    """

    gate: str
    revision: RevisionId
    said: GateAnswer | NotKnown | None
    age_s: float = 0.0
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class ConditionQuestion:
    """Whether a condition holds of some facts; its answer rests on nothing else.

    Attributes:
        facts: JSON with sorted keys.
    """

    expression: str
    facts: str


@dataclass(frozen=True, slots=True)
class AskedCondition:
    """Whether a condition holds of a revision and the facts of now.

    Attributes:
        said: None: it has not been evaluated yet.
    """

    name: str
    revision: RevisionId
    said: bool | NotKnown | None


@dataclass(frozen=True, slots=True)
class Outside:
    """What others say of what a cell may admit next.

    Attributes:
        rules: What HEAD's policy asks for.
        origins: Of each revision that may be admitted, where that is asked for.
        checked: Of the commits in `origins`.
        has_forge: Whether there is any forge to ask.
        gates: What HTTP gates said.
        conditions: What conditions came to.
    """

    rules: OutsideRules = NOBODY
    origins: tuple[CommitOrigin, ...] = ()
    checked: tuple[CheckedCommit, ...] = ()
    has_forge: bool = False
    gates: tuple[AskedGate, ...] = ()
    conditions: tuple[AskedCondition, ...] = ()

    def commits_of(self, revision: RevisionId) -> tuple[CommitId, ...]:
        """Returns the commits that a revision comes from; none where that is not known."""
        found = (origin.commits for origin in self.origins if origin.revision == revision)
        return next(found, ())


NOTHING_ASKED = Outside()
