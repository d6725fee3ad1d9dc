"""The env repo as values: what one commit asks for, and every fault found in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.fleet import Fleet, Mode, Requirement
from reconciler.model.image_policy import ImagePolicy
from reconciler.model.names import (
    CommitId,
    EnvironmentName,
    Identity,
    PartDigest,
    PolicyName,
    RevisionId,
    ServiceName,
)
from reconciler.model.policy import Policy
from reconciler.model.release import Part, TreeEntry, Values
from reconciler.model.skips import Skip


class Severity(StrEnum):
    """How bad a fault is: an error stops its object, a warning is only told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong in the env repo, as `path:line:column: what: why; fix`.

    Attributes:
        line: 1-based; 0 when the whole file is meant.
        column: 1-based; 0 when the whole line or file is meant.
        code: A stable PascalCase constant.
        field: Dotted path of the field, or empty.
    """

    path: str
    line: int
    column: int
    code: str
    what: str
    why: str
    fix: str
    field: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = ":".join([self.path, *(str(n) for n in (self.line, self.column) if n)])
        return f"{place}: {self.what}: {self.why}" + (f"; {self.fix}" if self.fix else "")


class SourceKind(StrEnum):
    """How a service's folder becomes objects."""

    MANIFESTS = "manifests"
    KUSTOMIZE = "kustomize"
    HELM = "helm"


@dataclass(frozen=True, slots=True)
class Service:
    """A deployable thing, as `services/<svc>/service.yaml` declares it.

    Attributes:
        namespaces: Overrides of `namespace` by environment.
        depends_on: Services whose release must be proven in an environment first.
        cluster_scoped: `Kind/name` of each cluster-scoped object the service may own.
        immediate: Dotted keys of values that do not wait for a pending release.
        mode: The service's own mode; the stricter of it and the fleet's counts.
        image_policy: Which tags of a registry the pins of its first environments follow; None: none.
        placement: What a cluster's labels must meet for the service to go there; nothing: anywhere.
        unsupported: Names of fields in use that this version only parses.
    """

    name: ServiceName
    source: SourceKind
    policy: PolicyName
    namespace: str
    namespaces: tuple[tuple[EnvironmentName, str], ...]
    depends_on: tuple[ServiceName, ...]
    owners: tuple[str, ...]
    cluster_scoped: tuple[str, ...]
    immediate: tuple[str, ...]
    mode: Mode
    placement: tuple[Requirement, ...] = ()
    image_policy: ImagePolicy | None = None
    unsupported: tuple[str, ...] = ()

    def namespace_in(self, environment: EnvironmentName) -> str:
        """Returns the namespace that objects without one get in an environment."""
        return dict(self.namespaces).get(environment, self.namespace)


@dataclass(frozen=True, slots=True)
class Pin:
    """What an environment should run of a service.

    Attributes:
        version: The name people use.
        images: (repository, digest or tag), sorted by repository.
        source: A full or short commit, or None for a floating pin.
        values: Without `clusters`; what differs by cluster stands in `cluster_values`.
        adopt_overwrite: True when the pin says `adopt: overwrite`.
        approved: The revision that it says is approved.
        accepted: The revision of which it says that it need not come back.
        skip: What it asks to be let past.
        absent: It asks for the service to be gone; then there is no release in it.
    """

    service: ServiceName
    environment: EnvironmentName
    version: str
    images: tuple[tuple[str, str], ...]
    source: str | None
    values: Values
    cluster_values: Values
    paused: bool
    adopt_overwrite: bool
    approved: RevisionId | None = None
    accepted: RevisionId | None = None
    skip: Skip | None = None
    absent: bool = False
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One rejected part of a service, as `quarantine/<svc>.yaml` holds it.

    Attributes:
        lifted: A person's reason; None while the entry holds.
        evidence: One structured line each.
        commit: The commit that asked for the rejected revision.
        rejected_at: RFC 3339 UTC text, as written.
    """

    service: ServiceName
    revision: RevisionId
    identity: Identity
    version: str
    part: Part
    part_digest: PartDigest
    environments: tuple[EnvironmentName, ...]
    reason: str
    evidence: tuple[str, ...]
    commit: CommitId
    rejected_at: str
    lifted: str | None


@dataclass(frozen=True, slots=True)
class ServiceSource:
    """One service's files at one commit, by reference: no contents are held.

    Attributes:
        tree: Every file below `services/<svc>`, sorted by path.
    """

    commit: CommitId
    tree: tuple[TreeEntry, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of the env repo, parsed.

    A service, pin or quarantine file with errors is absent from its mapping and named in `broken`,
    so that "broken" is never read as "not there". A broken fleet or policy file makes no Snapshot
    at all: the reader raises InvalidInput with every fault.

    Attributes:
        services: By name; only services whose service.yaml is right.
        sources: By service name; also for a service whose service.yaml is broken.
        pins: By (environment, service).
        quarantine: By service; a broken quarantine file is in `broken`, and holds its service.
        broken: Path to its faults, for every file with an error.
        files: How many files were read.
    """

    commit: CommitId
    fleet: Fleet
    policies: dict[PolicyName, Policy]
    services: dict[ServiceName, Service]
    sources: dict[ServiceName, ServiceSource]
    pins: dict[tuple[EnvironmentName, ServiceName], Pin]
    quarantine: dict[ServiceName, tuple[QuarantineEntry, ...]]
    broken: dict[str, tuple[Fault, ...]] = field(default_factory=dict)
    warnings: tuple[Fault, ...] = ()
    files: int = 0
