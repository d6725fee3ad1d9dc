"""What an observer outside of the product has seen: what clusters were given, how long it was well, what Git holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, NamedTuple

from reconciler.model.names import CommitId
from reconciler.simulated.behaviour import Fate
from reconciler.simulated.cluster import SimulatedCluster, Written
from tests.simulation.fleet.repo import Repo
from tests.simulation.fleet.shape import Fleet, Service, Tree, image_of

WORKLOADS = ("Deployment", "StatefulSet")
OBJECTS = (*WORKLOADS, "ConfigMap", "Service", "Secret")
RECORDS = ("PromotionRecord", "ServiceRecord")
OURS = "reconciler-system"

OBSERVED_AFTER_S = 3.0
"""A batch that was begun before a commit was accepted may be written after it."""

SLACK_S = 1.0
"""By which what is seen of a cluster is older than what is true there."""


class Identity(NamedTuple):
    """What moves from environment to environment, as a workload shows it."""

    version: str
    tree: str


@dataclass(frozen=True, slots=True)
class Given:
    """One write of a workload.

    Attributes:
        was: What it was before.
        record: Epoch and holder of the cluster's record of it at that moment.
        asked: The version that the last accepted commit pinned there then; None: no such pin.
        unproven: Where it had to be proven before, and was not.
        is_observed: Whether the last accepted commit said that it is only observed, for a while already.
    """

    at_s: float
    at: datetime
    holder: str
    service: str
    environment: str
    cluster: str
    identity: Identity
    replicas: int
    was: Identity | None
    record: tuple[int, str] | None
    asked: str | None
    unproven: tuple[str, ...]
    is_observed: bool


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a daemon, in the order of all clusters together.

    Attributes:
        newest: Of a deletion: what the cluster had been given of the service then.
        is_proven: Whether that was proven there.
    """

    at_s: float
    holder: str
    cluster: str
    written: Written
    newest: Identity | None = None
    is_proven: bool = False


@dataclass(slots=True)
class Rejected:
    """A rejection, as it was first written to a record: of the home, or of a cluster while the home was out of reach.

    Attributes:
        failure: When it was rejected, and which part: two that fail at the same moment are two.
        written_on: The clusters whose records hold it, or once held it.
        back_s: When its clusters were said to be back, or the rejection stood in the record no more.
        goes_back: Whether there is anything to go back to.
    """

    service: str
    failure: str
    at_s: float
    version: str
    part: str
    environments: tuple[str, ...]
    written_on: set[str] = field(default_factory=set)
    back_s: float = float("inf")
    goes_back: bool = False


@dataclass(slots=True)
class _Well:
    identity: Identity | None
    is_well: bool
    since_s: float


@dataclass(slots=True)
class Witness:
    """Everything that was seen so far.

    Attributes:
        well_s: Seconds for which a cluster was well on an identity of a service.
        truths: By cluster and image, what becomes of it, where that is not to get ready.
        trees: By service and number, every tree that people merged.
        fleets: Every fleet that people have asked for.
        accepted: Commits that daemons have written down as accepted, in order.
        allowed: Commits that the operator let a rewritten branch go on from.
        lost_s: When the home lost all promotion records.
        lifted: Rejections that a person has ever lifted: service and failure.
        observed: Services that are only observed, as the accepted commit says since `observed_s`.
        disturbed_s: Until when a cluster, or all of it ("" is that), was not left alone; inf while it is not.
        home: The cluster that holds the records.
        epochs: Epoch and holder of each record as last written.
        head: The commit that was accepted last.
        rejections: Every rejection that was ever written down, by service and what it is known by.
    """

    fleet: Fleet
    repo: Repo
    clusters: Mapping[str, SimulatedCluster]
    environments: Mapping[str, str]
    truths: dict[tuple[str, str], Fate] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    newest: dict[tuple[str, str], Identity] = field(default_factory=dict)
    well_s: dict[tuple[str, str, Identity], float] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    accepted: list[CommitId] = field(default_factory=list)
    allowed: set[CommitId] = field(default_factory=set)
    lost_s: list[float] = field(default_factory=list)
    trees: dict[tuple[str, str], Tree] = field(default_factory=dict)
    lifted: set[tuple[str, str]] = field(default_factory=set)
    observed: set[str] = field(default_factory=set)
    observed_s: float = 0.0
    disturbed_s: dict[str, float] = field(default_factory=dict)
    home: str = ""
    epochs: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)
    head: CommitId | None = None
    rejections: dict[tuple[str, str], Rejected] = field(default_factory=dict)
    _well: dict[tuple[str, str], _Well] = field(default_factory=dict)
    _frozen: dict[tuple[str, str], _Well] = field(default_factory=dict)
    _ill_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.trees = {(name, "1"): tree for name, tree in self.fleet.trees.items()}

    def rewritten(self, commit: CommitId) -> None:
        """Is told of a commit that begins another history."""

    # What is seen of clusters.

    def write(self, at_s: float, holder: str, cluster: str, written: Written) -> Given | None:
        """Is told of each write of a daemon as it reaches a cluster."""
        self.writes.append(self._write(at_s, holder, cluster, written))
        if written.kind == "ConfigMap" and written.name == "reconciler-head":
            self._accept(at_s, CommitId(written.obj["data"]["commit"]))
        if written.kind in RECORDS:
            self._note_rejections(at_s, cluster, written)
        if written.kind not in WORKLOADS or written.verb == "delete":
            return None
        service, environment = written.name, self.environments[cluster]
        identity = self.identity(written.obj)
        if identity is None:
            return None
        record = self.stored(cluster, "ServiceRecord", f"{service}.{environment}")
        spec = record["spec"] if record is not None else None
        pin = self.repo.pin(service, environment, self.accepted[-1] if self.accepted else None)
        was = self.newest.get((service, cluster))
        given = Given(
            at_s,
            written.at,
            holder,
            service,
            environment,
            cluster,
            identity,
            int(written.obj["spec"].get("replicas", 1)),
            was,
            (spec["epoch"], spec["holder"]) if spec is not None else None,
            pin[0] if pin is not None else None,
            self._unproven(service, environment, identity, at_s) if identity != was else (),
            self._is_observed(service, at_s),
        )
        self.newest[service, cluster] = identity
        self.given.append(given)
        return given

    def _accept(self, at_s: float, commit: CommitId) -> None:
        self.accepted.append(commit)
        observed = {
            service.name
            for service in self.fleet.services
            if (self.repo.file(f"services/{service.name}/service.yaml", commit) or {}).get("mode")
            == "observe"
        }
        if observed != self.observed:
            self.observed, self.observed_s = observed, at_s

    def _is_observed(self, service: str, at_s: float) -> bool:
        return service in self.observed and at_s - self.observed_s > OBSERVED_AFTER_S

    def _write(self, at_s: float, holder: str, cluster: str, written: Written) -> Write:
        service = written.namespace
        newest = self.newest.get((service, cluster)) if written.verb == "delete" else None
        if newest is None:
            return Write(at_s, holder, cluster, written)
        is_proven = self.proven(service, self.environments[cluster], newest, at_s)
        return Write(at_s, holder, cluster, written, newest, is_proven)

    def _note_rejections(self, at_s: float, cluster: str, written: Written) -> None:
        spec = written.obj.get("spec") or {}
        own = spec.get("rejection")
        for found in spec.get("rejections") or ([own] if own else ()):
            release = found["revision"]["release"]
            image = "@".join(next(iter(release["images"]), ("", "")))
            key = (spec["service"], f"{found['rejectedAt']} {found['partDigest']}")
            if key not in self.rejections:
                where = tuple(found["environments"])
                version = self.repo.versions.get(image, "")
                found_ = Rejected(*key, at_s, version, found["part"], where)
                found_.goes_back = bool(found.get("restoreTo"))
                self.rejections[key] = found_
            self.rejections[key].written_on.add(cluster)
            is_first = spec["environment"] == found["environments"][0]
            if found.get("rolledBackAt") and is_first:
                self.rejections[key].back_s = min(at_s, self.rejections[key].back_s)

    def identity(self, obj: Mapping[str, Any]) -> Identity | None:
        """Returns what a workload asks for, or None where it is nothing that people made."""
        template = obj["spec"]["template"]
        image = template["spec"]["containers"][0]["image"]
        annotations = template["metadata"].get("annotations") or {}
        version = self.repo.versions.get(image)
        return None if version is None else Identity(version, annotations.get("tree", ""))

    def look(self, cluster: str, at_s: float) -> None:
        """Looks at the workloads of a cluster, past all that is broken about it."""
        environment = self.fleet.environment(self.environments[cluster])
        for service in self.fleet.services:
            if cluster not in self.fleet.goes_to(service, environment):
                continue
            live = self.live(cluster, service)
            identity = self.identity(live) if live is not None else None
            is_well = live is not None and _is_well(live)
            key = (service.name, cluster)
            was = self._well.get(key)
            if was is not None and (was.identity, was.is_well) == (identity, is_well):
                continue
            if was is not None:
                self._count(key, was, at_s)
                if was.identity is not None and not was.is_well:
                    self._ill_s[service.name] = at_s
            self._well[key] = _Well(identity, is_well, at_s)

    def freeze(self, cluster: str, at_s: float) -> None:
        """Is told that a cluster lies from now on: what it said last is what is seen of it."""
        for key, well in self._well.items():
            if key[1] == cluster:
                self._frozen[key] = _Well(well.identity, well.is_well, at_s)

    def thaw(self, cluster: str, at_s: float) -> None:
        """Is told that it lies no more."""
        for key in [key for key in self._frozen if key[1] == cluster]:
            self._count(key, self._frozen.pop(key), at_s)

    def _count(self, key: tuple[str, str], was: _Well, at_s: float) -> None:
        if was.is_well and was.identity is not None:
            found = (*key, was.identity)
            self.well_s[found] = self.well_s.get(found, 0.0) + at_s - was.since_s

    def well_for(self, service: str, cluster: str, identity: Identity, at_s: float) -> float:
        """Returns the seconds for which a cluster was, or seemed, well on something."""
        total = self.well_s.get((service, cluster, identity), 0.0)
        for known in (self._well, self._frozen):
            now = known.get((service, cluster))
            if now is not None and now.is_well and now.identity == identity:
                total += max(0.0, at_s - now.since_s)
        return total

    def state(self, service: str, cluster: str) -> tuple[Identity | None, bool, float]:
        """Returns what a cluster runs, whether it is well, and since when."""
        now = self._well.get((service, cluster))
        return (now.identity, now.is_well, now.since_s) if now is not None else (None, False, 0.0)

    def live(self, cluster: str, service: Service) -> Mapping[str, Any] | None:
        """Returns a workload as the cluster holds it."""
        return self._peek(cluster, "apps/v1", service.workload, service.name, service.name)

    def stored(self, cluster: str, kind: str, name: str) -> Mapping[str, Any] | None:
        """Returns a record as the cluster holds it."""
        return self._peek(cluster, "reconciler.dev/v1alpha1", kind, OURS, name)

    def _peek(
        self, cluster: str, api_version: str, kind: str, namespace: str, name: str
    ) -> Mapping[str, Any] | None:
        store = self.clusters[cluster].store
        served = store.served(api_version, kind)
        return store.seen(served, namespace, name) if served is not None else None

    def given_before(self, service: str, cluster: str, at: datetime) -> str | None:
        """Returns the version that a cluster was given last before some wall time."""
        found = [
            one.identity.version
            for one in self.given
            if (one.service, one.cluster) == (service, cluster) and one.at <= at
        ]
        return found[-1] if found else None

    def quiet_s(self, cluster: str, now_s: float) -> float:
        """Returns for how long nothing has befallen a cluster, its home, Git or the daemons."""
        return now_s - max(self.disturbed_s.get(name, 0.0) for name in ("", self.home, cluster))

    def ill_s(self, now_s: float) -> dict[str, float]:
        """Returns when each service was last ill anywhere."""
        found = dict(self._ill_s)
        for (service, _), state in self._well.items():
            if state.identity is not None and not state.is_well:
                found[service] = now_s
        return found

    def is_forgotten(self, rejected: Rejected) -> bool:
        """Whether the home lost a rejection, which need not have been in Git by then or since."""
        return any(lost_s >= rejected.at_s for lost_s in self.lost_s)

    # What is true.

    def is_bad(self, service: str, cluster: str, version: str) -> bool:
        """Whether a version cannot run on a cluster, by its own fault."""
        return (cluster, "@".join(image_of(service, version))) in self.truths

    # What is proven, as far as anybody can see.

    def proven(self, service: str, environment: str, identity: Identity, at_s: float) -> bool:
        """Whether enough clusters of an environment have been well on something for its shortest soak."""
        placed = next(one for one in self.fleet.services if one.name == service)
        asked = [
            (one.rules, len(fleet.goes_to(placed, one)))
            for fleet in self.fleets
            for one in fleet.environments
            if one.name == environment
        ]
        least_s = min(rules.soak_s for rules, _ in asked) - SLACK_S
        needed = min(max(1, ceil(rules.quorum * count / 100)) for rules, count in asked)
        clusters = self.fleet.goes_to(placed, self.fleet.environment(environment))
        well = sum(self.well_for(service, c, identity, at_s) >= least_s for c in clusters)
        return well >= needed

    def before(self, environment: str) -> tuple[str, ...]:
        """Returns what stood before an environment whichever fleet was asked for."""
        paths = [
            set(fleet.before(environment))
            for fleet in self.fleets
            if any(one.name == environment for one in fleet.environments)
        ]
        return tuple(sorted(set.intersection(*paths)))

    def _unproven(
        self, service: str, environment: str, identity: Identity, at_s: float
    ) -> tuple[str, ...]:
        if self.proven(service, environment, identity, at_s):
            return ()
        earlier = self.before(environment)
        return tuple(e for e in earlier if not self.proven(service, e, identity, at_s))


def failure_of(entry: Mapping[str, Any]) -> str:
    """Returns what an entry of a quarantine file is known by, as its rejection is."""
    return f"{entry['rejected_at']} {entry['part_digest']}"


def _is_well(obj: Mapping[str, Any]) -> bool:
    """Whether a workload's own status says that every Pod of it is of its template, and ready."""
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "readyReplicas")]
    return (
        counts == [wanted] * 3 and status.get("observedGeneration") == obj["metadata"]["generation"]
    )
