"""What clusters run and for how long it was well there, past all that is broken about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from reconciler.simulated.behaviour import Fate
from reconciler.simulated.cluster import SimulatedCluster
from tests.simulation.fleet.book import OURS, SLACK_S, Identity
from tests.simulation.fleet.building import MARK
from tests.simulation.fleet.repo import Repo
from tests.simulation.fleet.shape import Fleet, Service, image_of


@dataclass(slots=True)
class _Well:
    identity: Identity | None
    is_well: bool
    since_s: float
    renderer: str = ""

    def is_on(self, identity: Identity) -> bool:
        """Whether it is well on something, or by some renderer."""
        return self.is_well and identity in (self.identity, Identity("rendered", self.renderer))


@dataclass(slots=True)
class Wells:
    """What every cluster runs, and has run.

    Attributes:
        well_s: Seconds for which a cluster was well on an identity of a service.
        truths: By cluster and image, what becomes of it, where that is not to get ready.
        nodes_s: Until when nodes of each cluster fail.
        refused_s: Until when the branch held manifests of each service that API servers refuse.
        fleets: Every fleet that people have asked for.
    """

    fleet: Fleet
    repo: Repo
    clusters: Mapping[str, SimulatedCluster]
    environments: Mapping[str, str]
    truths: dict[tuple[str, str], Fate] = field(default_factory=dict)
    well_s: dict[tuple[str, str, Identity], float] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    nodes_s: dict[str, float] = field(default_factory=dict)
    refused_s: dict[str, float] = field(default_factory=dict)
    _well: dict[tuple[str, str], _Well] = field(default_factory=dict)
    _frozen: dict[tuple[str, str], _Well] = field(default_factory=dict)
    _ill_s: dict[str, float] = field(default_factory=dict)

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
            renderer = renderer_of(live) if live is not None else ""
            now = (identity, is_well, renderer)
            if was is not None and (was.identity, was.is_well, was.renderer) == now:
                continue
            if was is not None:
                self._count(key, was, at_s)
                if self._is_ill(key, was):
                    self._ill_s[service.name] = at_s
            self._well[key] = _Well(identity, is_well, at_s, renderer)

    def freeze(self, cluster: str, at_s: float) -> None:
        """Is told that a cluster lies from now on: what it said last is what is seen of it."""
        for key, well in self._well.items():
            if key[1] == cluster:
                self._frozen[key] = _Well(well.identity, well.is_well, at_s, well.renderer)

    def thaw(self, cluster: str, at_s: float) -> None:
        """Is told that it lies no more."""
        for key in [key for key in self._frozen if key[1] == cluster]:
            self._count(key, self._frozen.pop(key), at_s)

    def _count(self, key: tuple[str, str], was: _Well, at_s: float) -> None:
        for one in (was.identity, Identity("rendered", was.renderer)):
            if was.is_well and one is not None:
                found = (*key, one)
                self.well_s[found] = self.well_s.get(found, 0.0) + at_s - was.since_s

    def well_for(self, service: str, cluster: str, identity: Identity, at_s: float) -> float:
        """Returns the seconds for which a cluster was, or seemed, well on something."""
        total = self.well_s.get((service, cluster, identity), 0.0)
        for known in (self._well, self._frozen):
            now = known.get((service, cluster))
            if now is not None and now.is_on(identity):
                total += max(0.0, at_s - now.since_s)
        return total

    def state(self, service: str, cluster: str) -> tuple[Identity | None, bool, float]:
        """Returns what a cluster runs, whether it is well, and since when."""
        now = self._well.get((service, cluster))
        return (now.identity, now.is_well, now.since_s) if now is not None else (None, False, 0.0)

    def live(self, cluster: str, service: Service) -> Mapping[str, Any] | None:
        """Returns a workload as the cluster holds it."""
        return self._peek(cluster, "apps/v1", service.workload, service.name, service.name)

    def secret(self, cluster: str, service: str) -> Mapping[str, Any] | None:
        """Returns a service's Secret as the cluster holds it."""
        return self._peek(cluster, "v1", "Secret", service, service)

    def stored(self, cluster: str, kind: str, name: str) -> Mapping[str, Any] | None:
        """Returns a record as the cluster holds it."""
        return self._peek(cluster, "reconciler.dev/v1alpha1", kind, OURS, name)

    def _peek(
        self, cluster: str, api_version: str, kind: str, namespace: str, name: str
    ) -> Mapping[str, Any] | None:
        store = self.clusters[cluster].store
        served = store.served(api_version, kind)
        return store.seen(served, namespace, name) if served is not None else None

    def ill_s(self, now_s: float) -> dict[str, float]:
        """Returns when each service last failed anywhere."""
        found = dict(self._ill_s)
        for key, state in self._well.items():
            if self._is_ill(key, state):
                found[key[0]] = now_s
        for service, until_s in self.refused_s.items():
            found[service] = max(found.get(service, 0.0), min(now_s, until_s))
        return found

    def _is_ill(self, key: tuple[str, str], state: _Well) -> bool:
        """Whether something fails, and is not only on its way: by its own fault, or since the nodes do."""
        service, cluster = key
        if state.identity is None or state.is_well:
            return False
        return cluster in self.nodes_s or self.is_bad(service, cluster, state.identity.version)

    # What is true.

    def is_bad(self, service: str, cluster: str, version: str) -> bool:
        """Whether a version cannot run on a cluster, by its own fault."""
        return (cluster, "@".join(image_of(service, version))) in self.truths

    # What is proven, as far as anybody can see.

    def proven(self, service: str, environment: str, identity: Identity, at_s: float) -> bool:
        """Whether enough clusters of an environment have been well on something for its shortest soak."""
        placed = next(one for one in self.fleet.services if one.name == service)
        asked = [
            (one.rules, len(fleet.active(placed, one)))
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


def renderer_of(workload: Mapping[str, Any]) -> str:
    """Returns what a workload says it was rendered by; nothing where that was the first version."""
    found = workload["spec"]["template"]["metadata"].get("annotations") or {}
    return str(found.get(MARK, ""))


def _is_well(obj: Mapping[str, Any]) -> bool:
    """Whether a workload's own status says that every Pod of it is of its template, and ready."""
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "readyReplicas")]
    return (
        counts == [wanted] * 3 and status.get("observedGeneration") == obj["metadata"]["generation"]
    )
