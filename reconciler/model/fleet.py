"""Every environment and cluster, by name; no credentials and no addresses."""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.freezes import Freeze
from reconciler.model.names import ClusterName, EnvironmentName


class ClusterState(StrEnum):
    """A cluster's place in its life."""

    ACTIVE = "active"
    JOINING = "joining"
    DRAINING = "draining"


class Mode(StrEnum):
    """Whether the daemon may write; observe does everything but write."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster of an environment."""

    name: ClusterName
    environment: EnvironmentName
    labels: tuple[tuple[str, str], ...]
    state: ClusterState


class Operator(StrEnum):
    """How a label is compared, in the words of a Kubernetes label selector."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a label selector.

    Attributes:
        values: Of `In` and `NotIn`; empty for the others.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def is_met_by(self, cluster: Cluster) -> bool:
        """Whether a cluster's labels meet it; `NotIn` is met by a label that is not there, too."""
        value = dict(cluster.labels).get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None


@dataclass(frozen=True, slots=True)
class Environment:
    """A step of the promotion order.

    Attributes:
        max_rollouts: How many services may roll out there at once; None: any number.
    """

    name: EnvironmentName
    clusters: tuple[Cluster, ...]
    max_rollouts: int | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What services may touch.

    Attributes:
        namespaces: Names or shell patterns; None allows every namespace.
        kinds: Kinds such as `Deployment` or `apps/Deployment`; None allows every kind.
    """

    namespaces: tuple[str, ...] | None
    kinds: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """Environments in promotion order.

    Attributes:
        mode: `mode:` of fleet.yaml; the stricter of this and the daemon's own mode counts.
        freezes: As they stand there, those that are over among them.
        unsupported: Names of fields in use that this version only parses.
    """

    environments: tuple[Environment, ...]
    mode: Mode
    allowed: Allowed
    freezes: tuple[Freeze, ...] = ()
    unsupported: tuple[str, ...] = ()

    def environment(self, name: EnvironmentName) -> Environment | None:
        """Returns an environment by name, or None."""
        return next((e for e in self.environments if e.name == name), None)

    def placed(
        self, placement: tuple[Requirement, ...], environment: EnvironmentName
    ) -> tuple[Cluster, ...]:
        """Returns an environment's clusters that meet every requirement; none where it is not named."""
        found = self.environment(environment)
        return tuple(
            cluster
            for cluster in (found.clusters if found else ())
            if all(requirement.is_met_by(cluster) for requirement in placement)
        )

    def cluster(self, name: ClusterName) -> Cluster | None:
        """Returns a cluster by name, or None."""
        return next((cluster for cluster in self.clusters() if cluster.name == name), None)

    def clusters(self) -> tuple[Cluster, ...]:
        """Returns every cluster in fleet order."""
        return tuple(c for e in self.environments for c in e.clusters)
