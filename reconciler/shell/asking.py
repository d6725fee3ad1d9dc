"""What HEAD asks for, cell by cell: pins resolved to revisions that are known to render."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from reconciler.core.assembly.values import labels_in
from reconciler.core.boarding import FormerPin, boarding
from reconciler.core.identity import absence, policy_digest, revision_of, without_files
from reconciler.core.immediate import immediate_values
from reconciler.core.renders import together
from reconciler.core.resolution import is_proven, resolve
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Pin, QuarantineEntry, Service, ServiceSource, Snapshot
from reconciler.model.facts import Approval, Ask
from reconciler.model.fleet import Cluster, ClusterState, Mode
from reconciler.model.names import CommitId, EnvironmentName, RenderDigest, ServiceName
from reconciler.model.objects import NOTHING, Rendered
from reconciler.model.path import Path
from reconciler.model.policy import EnvironmentPolicy, Policy
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from reconciler.shell.building import BeingRendered
from reconciler.shell.rendering import Renderer
from reconciler.shell.sources import Sources


@dataclass(frozen=True, slots=True)
class Asker:
    """Turns one snapshot into Asks.

    Args:
        snapshot: An accepted HEAD.
        sources: Services at any commit.
        renderer: Renders what is asked for, so that nothing is admitted that cannot be rendered.
        waits: Whether a build is waited for; False for whoever decides for a whole fleet.
    """

    snapshot: Snapshot
    sources: Sources
    renderer: Renderer
    waits: bool = True

    def services(self) -> frozenset[ServiceName]:
        """Returns every service that HEAD names, broken ones included."""
        pinned = {service for _, service in self.snapshot.pins}
        return frozenset({*self.snapshot.sources, *self.snapshot.services, *pinned})

    def path(self, service: ServiceName, recorded: Sequence[EnvironmentName]) -> Path:
        """Returns the path of a service; environments that are only in the records come last."""
        policy = self._policy(service)
        if policy is not None:
            return policy.path.extended(recorded)
        asked = {e for e, s in self.snapshot.pins if s == service} | set(recorded)
        names = (environment.name for environment in self.snapshot.fleet.environments)
        return Path.line(name for name in names if name in asked).extended(recorded)

    def mode(self, service: ServiceName, daemon: Mode) -> Mode:
        """Returns the strictest of the daemon's mode, the fleet's and the service's."""
        found = self.snapshot.services.get(service)
        modes = {daemon, self.snapshot.fleet.mode, *([found.mode] if found else [])}
        return Mode.OBSERVE if Mode.OBSERVE in modes else Mode.ENFORCE

    def clusters(
        self, service: ServiceName, environment: EnvironmentName
    ) -> tuple[Cluster, ...] | None:
        """Returns the clusters of an environment that a service goes to.

        None when its service.yaml is broken or not there: nobody knows where it may go.
        """
        found = self.snapshot.services.get(service)
        return self.snapshot.fleet.placed(found.placement, environment) if found else None

    def active(self, service: ServiceName, environment: EnvironmentName) -> tuple[Cluster, ...]:
        """Returns those of them that waves are made of; none where that is not known."""
        found = self.clusters(service, environment) or ()
        return tuple(cluster for cluster in found if cluster.state is ClusterState.ACTIVE)

    def ask(
        self,
        service: ServiceName,
        environment: EnvironmentName,
        own: PromotionRecord | None,
        earlier: Sequence[PromotionRecord | None],
    ) -> Ask:
        """Returns what HEAD asks for in one cell; whatever is wrong becomes its reason.

        Args:
            service: Whose.
            environment: Where.
            own: The cell's promotion record.
            earlier: Those of the environments before it, in order of the path.
        """
        try:
            return self._ask(service, environment, own, earlier)
        except InvalidInput as error:
            return self._refused(service, environment, Reason.RENDER_FAILED, str(error))
        except BeingRendered as error:
            pin = self.snapshot.pins[(environment, service)]
            waits = self._refused(service, environment, Reason.RENDERING, error.why)
            return replace(waits, paused=pin.paused, adopt_overwrite=pin.adopt_overwrite)
        except ReconcilerError as error:
            return self._refused(service, environment, Reason.SOURCE_UNKNOWN, str(error))

    def pinned(
        self,
        service: ServiceName,
        environment: EnvironmentName,
        earlier: Sequence[PromotionRecord | None],
    ) -> Ask:
        """Returns what HEAD's pin names in one cell, whether or not it may run or renders now.

        A service that cannot be read at its source counts as one without files: the pin's images
        still tell whether it holds rejected ones.

        Raises:
            TransientError: The mirror could not be read, so nothing is known of the pin.
        """
        rules = self._rules(service, environment)
        pin = self.snapshot.pins.get((environment, service))
        if pin is None:
            return replace(rules, reason=Reason.ORPHANED, message="there is no pin to read")
        try:
            wanted = self.resolved(pin, None, earlier)
        except InvalidInput:
            wanted = None
        return replace(rules, wanted=wanted or without_files(pin, self.snapshot.commit))

    def rendered(
        self, service: ServiceName, environment: EnvironmentName, cluster: Cluster, what: Revision
    ) -> Rendered | None:
        """Returns what a revision renders to on a cluster; None when it cannot be rendered as it was.

        Its source may not be there, or it may have been rendered by another version: what this one
        makes of it is another revision.

        Raises:
            InvalidInput: It does not render.
            BeingRendered: It was not waited for.
            TransientError: Try again.
        """
        if what.absent:
            return NOTHING
        found = self.sources.at(service, what.release.source)
        if found is None or what.renderer != self.renderer.version(found.service.source):
            return None
        return self.renderer.render(
            service=found.service,
            source=ServiceSource(what.release.source, found.tree),
            revision=what,
            environment=environment,
            cluster=cluster,
            allowed=self.snapshot.fleet.allowed,
            waits=self.waits,
        )

    def _ask(
        self,
        service: ServiceName,
        environment: EnvironmentName,
        own: PromotionRecord | None,
        earlier: Sequence[PromotionRecord | None],
    ) -> Ask:
        blocked = self._blocked(service, environment)
        if blocked is not None:
            return self._refused(service, environment, *blocked)
        pin = self.snapshot.pins[(environment, service)]
        wanted = self.resolved(pin, own, earlier)
        if wanted is None:
            why = f"{pin.source or 'HEAD'} holds no services/{service}"
            return self._refused(service, environment, Reason.SOURCE_UNKNOWN, why)
        renders = [
            (cluster.name, RenderDigest(rendered.digest))
            for cluster in self.active(service, environment)
            for rendered in [self.rendered(service, environment, cluster, wanted)]
            if rendered is not None
        ]
        rules = self._rules(service, environment)
        return replace(
            rules,
            wanted=wanted,
            paused=pin.paused,
            adopt_overwrite=pin.adopt_overwrite,
            approval=self._approval(pin, rules.policy),
            skip=self.sources.skips.of(self.snapshot.commit, pin, wanted),
            renders=together(renders),
            immediate=self._immediate(pin, own),
            boarding=self._boarding(pin, own, earlier, wanted, rules.policy),
        )

    def _blocked(
        self, service: ServiceName, environment: EnvironmentName
    ) -> tuple[Reason, str] | None:
        """Returns why nothing can be asked for here, or None."""
        snapshot = self.snapshot
        pin_path = f"environments/{environment}/{service}.yaml"
        service_path = f"services/{service}/service.yaml"
        found = snapshot.services.get(service)
        broken = self._broken(f"services/{service}", service_path)
        if broken:
            return Reason.INVALID_SERVICE, broken
        if found is None:
            # Before its pins are looked at, each of which is a fault of its own now.
            return Reason.ORPHANED, f"services/{service} is not there; absence asks for nothing"
        broken = self._broken(f"environments/{environment}", pin_path)
        if broken:
            return Reason.INVALID_PIN, broken
        pin = snapshot.pins.get((environment, service))
        policy = self._policy(service)
        if pin is None:
            return Reason.ORPHANED, f"{pin_path} is not there; absence asks for nothing"
        if policy is None or environment not in policy.path.names():
            return Reason.ORPHANED, f"{environment} is not on the path of {service}'s policy"
        if not self.active(service, environment):
            why = f"fleet.yaml names no active cluster of {environment} for {service}"
            return Reason.ORPHANED, why
        unsupported = (
            *snapshot.fleet.unsupported,
            *found.unsupported,
            *pin.unsupported,
            *policy.of(environment).others.unsupported,
        )
        if unsupported:
            return Reason.NOT_SUPPORTED, f"not supported yet: {', '.join(unsupported)}"
        return None

    def _broken(self, *paths: str) -> str:
        """Returns the faults of the first of some paths that has any, or nothing."""
        for path in paths:
            if path in self.snapshot.broken:
                return "; ".join(str(fault) for fault in self.snapshot.broken[path])
        return ""

    def revision(self, pin: Pin, source: str) -> Revision | None:
        """Returns a pin's revision with its service as a commit holds it; None when it is not there."""
        if pin.absent:
            return absence(self.snapshot.commit)
        found = self.sources.at(pin.service, source)
        if found is None:
            return None
        return revision_of(
            version=pin.version,
            images=pin.images,
            source=found.commit,
            values=pin.values,
            cluster_values=pin.cluster_values,
            entries=found.tree,
            service_yaml_identity=found.identity,
            environment=pin.environment,
            renderer=self.renderer.version(found.service.source),
            labels=labels_in(
                (pin.values, pin.cluster_values),
                self._labelled(pin),
            ),
        )

    def _labelled(self, pin: Pin) -> tuple[Cluster, ...]:
        """Returns the clusters whose labels make a revision: one that joins does not make a new one of it."""
        found = self.clusters(pin.service, pin.environment) or ()
        return tuple(cluster for cluster in found if cluster.state is not ClusterState.JOINING)

    def _approval(self, pin: Pin, policy: EnvironmentPolicy | None) -> Approval | None:
        if pin.approved is None or policy is None or not policy.needs_approval:
            return None
        path = f"environments/{pin.environment}/{pin.service}.yaml"
        return self.sources.approvals.of(
            self.snapshot.commit, path, pin.approved, absent=pin.absent
        )

    def _immediate(self, pin: Pin, own: PromotionRecord | None) -> Revision | None:
        """Returns what is admitted with the pin's immediate values, or None where they are the same."""
        declared = self.snapshot.services.get(pin.service)
        admitted = own.admitted if own else None
        if admitted is None or declared is None or not declared.immediate:
            return None
        if admitted.absent or pin.absent:
            return None
        values, by_cluster = immediate_values(admitted.values, pin, declared.immediate)
        release = admitted.release
        asked = replace(
            pin,
            version=release.version,
            images=release.images,
            values=values,
            cluster_values=by_cluster,
        )
        revision = self.revision(asked, release.source)
        if revision is None or revision.values_digest == admitted.values_digest:
            return None
        for cluster in self.active(pin.service, pin.environment):
            self.rendered(pin.service, pin.environment, cluster, revision)
        return revision

    def _boarding(
        self,
        pin: Pin,
        own: PromotionRecord | None,
        earlier: Sequence[PromotionRecord | None],
        wanted: Revision,
        policy: EnvironmentPolicy | None,
    ) -> Revision | None:
        """Returns what goes ahead of what HEAD asks for, where the policy is a train; None: nothing does."""
        admitted = own.admitted if own else None
        if policy is None or not policy.boards or admitted is None or not earlier:
            return None
        if wanted.absent:
            return None
        if is_proven(wanted.identity, earlier):
            return None

        def resolved(former: FormerPin) -> Revision | None:
            with suppress(InvalidInput):
                return self.resolved(former.pin, own, earlier, at=former.commit)
            return None

        found = boarding(
            self.sources.pins(self.snapshot.commit, pin.environment, pin.service),
            admitted,
            resolved=resolved,
            is_proven=lambda revision: is_proven(revision.identity, earlier),
        )
        with suppress(InvalidInput):
            # What does not render here stays behind; what HEAD asks for is not held by it.
            if found is not None:
                for cluster in self.active(pin.service, pin.environment):
                    self.rendered(pin.service, pin.environment, cluster, found)
            return found
        return None

    def resolved(
        self,
        pin: Pin,
        own: PromotionRecord | None,
        earlier: Sequence[PromotionRecord | None],
        *,
        at: CommitId | None = None,
    ) -> Revision | None:
        """Returns the revision that a pin asks for at HEAD, or asked for at a commit; as `resolve` has it."""
        return resolve(
            pin,
            head=at or self.snapshot.commit,
            earlier=earlier,
            own=own,
            revision_at=lambda source: self.revision(pin, source),
        )

    def _refused(
        self, service: ServiceName, environment: EnvironmentName, reason: Reason, message: str
    ) -> Ask:
        return replace(self._rules(service, environment), reason=reason, message=message)

    def _rules(self, service: ServiceName, environment: EnvironmentName) -> Ask:
        """Returns the part of an Ask that stands whether or not its pin can be resolved."""
        policy = self._environment_policy(service, environment)
        pin = self.snapshot.pins.get((environment, service))
        entries = self._entries(service, environment)
        found = self.snapshot.fleet.environment(environment)
        standing = [entry for entry in entries or () if entry.lifted is None]
        return Ask(
            wanted=None,
            commit=self.snapshot.commit,
            policy=policy,
            policy_digest=policy_digest(policy) if policy else "",
            source=pin.source if pin else None,
            freezes=tuple(
                freeze
                for freeze in self.snapshot.fleet.freezes
                if freeze.scope.covers(service, environment)
            ),
            max_rollouts=found.max_rollouts if found else None,
            mates=self.snapshot.fleet.mates(service),
            quarantine=None if entries is None else tuple(standing),
            lifted=tuple(entry for entry in entries or () if entry.lifted is not None),
        )

    def _entries(
        self, service: ServiceName, environment: EnvironmentName
    ) -> tuple[QuarantineEntry, ...] | None:
        """Returns a service's quarantine for an environment; None when its file is broken."""
        if f"quarantine/{service}.yaml" in self.snapshot.broken:
            return None
        found = self.snapshot.quarantine.get(service, ())
        return tuple(entry for entry in found if environment in entry.environments)

    def _policy(self, service: ServiceName) -> Policy | None:
        found: Service | None = self.snapshot.services.get(service)
        return self.snapshot.policies.get(found.policy) if found else None

    def _environment_policy(
        self, service: ServiceName, environment: EnvironmentName
    ) -> EnvironmentPolicy | None:
        policy = self._policy(service)
        found = dict(policy.environments).get(environment) if policy else None
        if found is None:
            return None
        return found.among(self.active(service, environment))
