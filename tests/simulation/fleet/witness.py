"""What an observer outside of the product has seen: what clusters were given, how long it was well, what Git holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.names import CommitId
from reconciler.simulated.cluster import Written
from tests.simulation.fleet.book import (
    OBSERVED_AFTER_S,
    RECORDS,
    SEEN_AFTER_S,
    WORKLOADS,
    Claimed,
    Given,
    Identity,
    Rejected,
    Write,
)
from tests.simulation.fleet.shape import Tree
from tests.simulation.fleet.wells import Wells, renderer_of


@dataclass(slots=True)
class Witness(Wells):
    """Everything that was seen so far.

    Attributes:
        newest: What each cluster was given last of each service; `rendered`: by what.
        asked: What each cluster's record of each service asks for.
        trees: By service and number, every tree that people merged.
        accepted: Commits that daemons have written down as accepted, in order.
        allowed: Commits that the operator let a rewritten branch go on from.
        lost_s: When the home lost all promotion records.
        on_branch: Commits that the branch has ever held, as far as it was looked at.
        begun: Of promotion records that were written anew: when, by whom, its name, the version, and what ran where.
        pushed: Of each commit that a daemon has pushed, what every cluster had been given of each service by then.
        claims: Each time a cluster's record began to ask for something else.
        frozen: Scopes that the accepted commit freezes until they are thawed, and since when.
        shut: By environment, from when to when its window is shut, once the policy says so.
        approved: What somebody has approved: service, environment and version.
        suspended: By service and cluster, from when to when a person has stopped all writes.
        has_jumped: Whether a daemon's clock ever did.
        states_s: Until when each cluster joins or drains.
        lifted: Rejections that a person has ever lifted: service and failure.
        observed: Services that are only observed, as the accepted commit says since `observed_s`.
        disturbed_s: Until when a cluster, "git", or all of it ("" is that), was not left alone; inf while it is not.
        home: The cluster that holds the records.
        epochs: Epoch and holder of each record as last written.
        head: The commit that was accepted last.
        rejections: Every rejection that was ever written down, by service and what it is known by.
    """

    writes: list[Write] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    newest: dict[tuple[str, str], Identity] = field(default_factory=dict)
    rendered: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: dict[tuple[str, str], str] = field(default_factory=dict)
    accepted: list[CommitId] = field(default_factory=list)
    allowed: set[CommitId] = field(default_factory=set)
    lost_s: list[float] = field(default_factory=list)
    on_branch: set[CommitId] = field(default_factory=set)
    begun: list[tuple[float, str, str, str, dict[str, str]]] = field(default_factory=list)
    trees: dict[tuple[str, str], Tree] = field(default_factory=dict)
    pushed: dict[CommitId, dict[tuple[str, str], Identity]] = field(default_factory=dict)
    claims: list[Claimed] = field(default_factory=list)
    frozen: dict[str, float] = field(default_factory=dict)
    shut: dict[str, tuple[float, float]] = field(default_factory=dict)
    approved: set[tuple[str, str, str]] = field(default_factory=set)
    suspended: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    has_jumped: bool = False
    states_s: dict[str, float] = field(default_factory=dict)
    lifted: set[tuple[str, str]] = field(default_factory=set)
    observed: set[str] = field(default_factory=set)
    observed_s: float = 0.0
    disturbed_s: dict[str, float] = field(default_factory=dict)
    home: str = ""
    epochs: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)
    head: CommitId | None = None
    rejections: dict[tuple[str, str], Rejected] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.trees = {(name, "1"): tree for name, tree in self.fleet.trees.items()}

    def rewritten(self, former: CommitId) -> None:
        """Is told of what the branch held when another history took its place."""
        at: CommitId | None = former
        while at is not None and at not in self.on_branch:
            self.on_branch.add(at)
            at = next(iter(self.repo.git.commit_facts(at).parents), None)

    # What is seen of clusters.

    def write(self, at_s: float, holder: str, cluster: str, written: Written) -> Given | None:
        """Is told of each write of a daemon as it reaches a cluster."""
        self.writes.append(self._write(at_s, holder, cluster, written))
        if written.kind == "ConfigMap" and written.name == "reconciler-head":
            self._accept(at_s, CommitId(written.obj["data"]["commit"]))
        if written.kind in RECORDS:
            self._note_rejections(at_s, cluster, written)
        if written.kind == "ServiceRecord" and written.verb != "delete":
            self._claim(at_s, holder, cluster, written)
        if (written.kind, written.verb) == ("PromotionRecord", "create"):
            self._begin(at_s, holder, written)
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
            self._not_rendered(service, environment, cluster, written.obj, at_s),
            len(self.given),
        )
        self.newest[service, cluster] = identity
        self.rendered[service, cluster] = renderer_of(written.obj)
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
        fleet = self.repo.file("fleet.yaml", commit) or {}
        standing = [str(f["scope"]) for f in fleet.get("freezes") or () if "until" not in f]
        self.frozen = {scope: self.frozen.get(scope, at_s) for scope in standing}
        policy = self.repo.file("policies/line.yaml", commit) or {}
        for name, rules in (policy.get("environments") or {}).items():
            if "windows" not in rules:
                self.shut.pop(name, None)

    def _claim(self, at_s: float, holder: str, cluster: str, written: Written) -> None:
        """Notes what a cluster's record asks for from now on, and what people had stopped by then."""
        spec = written.obj["spec"]
        service, environment = str(spec["service"]), str(spec["environment"])
        was, now = self.asked.get((service, cluster)), str(spec["revision"]["id"])
        self.asked[service, cluster] = now
        if was in (None, now) or spec.get("returning"):
            return
        image = "@".join(spec["revision"]["release"]["images"][0])
        version = self.repo.versions.get(image, "")
        trees = sorted(tree for name, tree in self.trees if name == service)
        if any(self.proven(service, environment, Identity(version, t), at_s) for t in trees):
            return
        scopes = ("fleet", f"environment/{environment}", f"service/{service}")
        frozen = [s for s in scopes if at_s - self.frozen.get(s, at_s) > OBSERVED_AFTER_S]
        begins_s, ends_s = self.shut.get(environment, (0.0, 0.0))
        if begins_s + OBSERVED_AFTER_S < at_s < ends_s - 0.5 and not self.has_jumped:
            frozen.append("its window")
        needs = self.fleet.environment(environment).rules.approval
        if needs and (service, environment, version) not in self.approved:
            frozen.append("nobody's approval")
        self.claims.append(Claimed(at_s, holder, service, cluster, version, tuple(frozen)))

    def _not_rendered(
        self, service: str, environment: str, cluster: str, obj: Mapping[str, Any], at_s: float
    ) -> tuple[str, ...]:
        """Returns the environments before that have not proven anything by a renderer that comes here anew."""
        now, was = renderer_of(obj), self.rendered.get((service, cluster))
        seen = Identity("rendered", now)
        if was is None or was == now or not now or self.proven(service, environment, seen, at_s):
            return ()
        earlier = self.before(environment)
        return tuple(e for e in earlier if not self.proven(service, e, seen, at_s))

    def _is_observed(self, service: str, at_s: float) -> bool:
        return service in self.observed and at_s - self.observed_s > OBSERVED_AFTER_S

    def _write(self, at_s: float, holder: str, cluster: str, written: Written) -> Write:
        service = written.namespace
        if written.kind == "Job":
            is_after = (service, cluster) in self.newest
            return Write(at_s, holder, cluster, written, is_after_another=is_after)
        newest = self.newest.get((service, cluster)) if written.verb == "delete" else None
        if newest is None:
            return Write(at_s, holder, cluster, written)
        is_proven = self.proven(service, self.environments[cluster], newest, at_s)
        return Write(at_s, holder, cluster, written, newest, is_proven)

    def _begin(self, at_s: float, holder: str, written: Written) -> None:
        """Notes what a new record begins with, and what runs there on clusters that can be seen to."""
        spec = written.obj["spec"]
        if spec.get("admitted") is None:
            return
        image = "@".join(spec["admitted"]["release"]["images"][0])
        placed = next(one for one in self.fleet.services if one.name == spec["service"])
        live: dict[str, str] = {}
        for cluster in self.fleet.goes_to(placed, self.fleet.environment(spec["environment"])):
            found = self.live(cluster, placed)
            identity = self.identity(found) if found is not None else None
            if identity is not None and self.quiet_s(cluster, at_s) > SEEN_AFTER_S:
                live[cluster] = identity.version
        version = self.repo.versions.get(image, "")
        self.begun.append((at_s, holder, written.name, version, live))

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
            self.rejections[key].written_on.setdefault(cluster, len(self.given))
            is_first = spec["environment"] == found["environments"][0]
            if found.get("rolledBackAt") and is_first:
                self.rejections[key].back_s = min(at_s, self.rejections[key].back_s)

    def quiet_s(self, cluster: str, now_s: float) -> float:
        """Returns for how long nothing has befallen a cluster, its home or the daemons."""
        return now_s - max(self.disturbed_s.get(name, 0.0) for name in ("", self.home, cluster))

    def push(self, commit: CommitId) -> None:
        """Is told of a commit as it is pushed."""
        self.pushed[commit] = dict(self.newest)

    def is_held(self, service: str, cluster: str, since_s: float) -> bool:
        """Whether a person has suspended a service on a cluster since, or has the cluster join or drain."""
        until_s = self.suspended.get((service, cluster), (0.0, 0.0))[1]
        return until_s > since_s or self.states_s.get(cluster, 0.0) > since_s

    def is_ever_refused(self, service: str) -> bool:
        """Whether any tree of a service was one that API servers refuse: whatever was merged with it fails too."""
        return any(tree.is_refused for (name, _), tree in self.trees.items() if name == service)

    def is_forgotten(self, rejected: Rejected) -> bool:
        """Whether the home lost a rejection, which need not have been in Git by then or since."""
        return any(lost_s >= rejected.at_s for lost_s in self.lost_s)
