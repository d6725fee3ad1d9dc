"""How a service is promoted: its path and, for each environment on it, how changes are proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.model.fleet import Cluster
from reconciler.model.names import ClusterName, EnvironmentName, PolicyName
from reconciler.model.outside import NOBODY, OutsideRules
from reconciler.model.path import Path
from reconciler.model.promotion import Promotion
from reconciler.model.return_trip import Irreversible
from reconciler.model.skips import Hotfix
from reconciler.model.waves import Wave, worked_out
from reconciler.model.windows import ALWAYS, Windows


class DriftMode(StrEnum):
    """What happens to a live object that differs from what is applied there."""

    REPORT = "report"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many clusters may change at once.

    Attributes:
        most: A number of clusters, or a percentage of all; one that is no whole number is rounded up.
        is_share: Whether it is a percentage.
    """

    most: int
    is_share: bool

    def of(self, clusters: int) -> int:
        """Returns the number, of so many clusters; at least one."""
        most = -(-self.most * clusters // 100) if self.is_share else self.most
        return max(1, most)


ALL_AT_ONCE = AtOnce(100, is_share=True)


@dataclass(frozen=True, slots=True)
class EnvironmentPolicy:
    """One environment's rules for one service; no field has a silent default.

    Attributes:
        soak_s: Seconds that all clusters must be observed healthy before proof.
        watch_for_s: Seconds after proof in which a failure is still rolled back by itself.
        progress_deadline_s: Seconds a wave may take to become current before it is looked at as stuck.
        waves: Clusters that change together, in order; every one that it goes to stands in exactly one.
        drift: What to do about drift.
        wave_soak_s: Seconds a wave must be observed healthy before the next; None: `soak_s`.
        max_concurrent: How many clusters of a wave may change at once; None: all of them.
        return_at_once: How many may be put back at once, of all waves together.
        quorum: Of how many in a hundred clusters a proof needs to know that they are well.
        skip_after_s: Seconds after which one that does not answer is left out, as far as the quorum
            allows; None: it is waited for.
        finish_after_s: Seconds after which what rolls out is finished before a newer release is taken; None:
            never.
        boards: While what HEAD asks for is not proven before, the newest that is, of what it asked for,
            goes ahead.
        needs_approval: Whether somebody else than who asked must approve each revision.
        windows: When forward moves are let through.
        irreversible: What becomes of a release that cannot come back.
        hotfix: Who may skip what; None: nobody anything.
        unsupported: Names of fields in use that this version only parses; non-empty holds the service.
    """

    soak_s: float
    watch_for_s: float
    progress_deadline_s: float
    waves: tuple[tuple[ClusterName, ...], ...]
    drift: DriftMode
    wave_soak_s: float | None = None
    max_concurrent: int | None = None
    return_at_once: AtOnce = ALL_AT_ONCE
    quorum: int = 100
    skip_after_s: float | None = None
    finish_after_s: float | None = None
    boards: bool = False
    windows: Windows = ALWAYS
    needs_approval: bool = False
    irreversible: Irreversible = Irreversible.ASK
    hotfix: Hotfix | None = None
    unsupported: tuple[str, ...] = ()

    @property
    def between_s(self) -> float:
        """Seconds a wave must be observed healthy before the next."""
        return self.soak_s if self.wave_soak_s is None else self.wave_soak_s

    def clusters(self) -> tuple[ClusterName, ...]:
        """Returns the clusters of all waves, in order."""
        return tuple(cluster for wave in self.waves for cluster in wave)


@dataclass(frozen=True, slots=True)
class EnvironmentRules:
    """One environment's rules as a policy has them, before it is known where a service goes.

    Attributes:
        waves: In order.
        others: All else; without waves.
        outside: Whose word an admission needs. HEAD's count alone, so that no roll-out keeps them.
        promote: Who moves the pins of this environment; it says nothing about how anything is proven.
    """

    waves: tuple[Wave, ...]
    others: EnvironmentPolicy
    outside: OutsideRules = NOBODY
    promote: Promotion = Promotion.MANUAL

    def among(self, clusters: Sequence[Cluster]) -> EnvironmentPolicy:
        """Returns the rules for a service that goes to some clusters, in the order of fleet.yaml."""
        return replace(self.others, waves=worked_out(self.waves, clusters))


@dataclass(frozen=True, slots=True)
class Policy:
    """A promotion policy.

    Attributes:
        name: `line`, or `builtin:<name>` for a shipped one.
        path: The environments that a service passes.
        environments: One entry for each environment on the path, in the same order.
    """

    name: PolicyName
    path: Path
    environments: tuple[tuple[EnvironmentName, EnvironmentRules], ...]

    def of(self, environment: EnvironmentName) -> EnvironmentRules:
        """Returns one environment's rules; KeyError when it is not on the path (our bug)."""
        return dict(self.environments)[environment]
