"""What people do: commits to the env repo, and hands on clusters."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf

import yaml

from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from tests.fakes.memory_git import BRANCH, PERSON
from tests.simulation.fleet.script import Event, Kind
from tests.simulation.fleet.shape import (
    CANARY,
    Fleet,
    Service,
    Tree,
    env_repo,
    fleet_text,
    image_of,
    manifests_text,
    pin_text,
    policy_text,
    service_text,
)
from tests.simulation.fleet.world import FleetWorld

Edits = dict[str, bytes | str | None]


class People:
    """Everybody who can merge.

    Attributes:
        fleet: As they mean it now.
        before: By service, the versions that were pinned, newest last.
    """

    def __init__(self, world: FleetWorld) -> None:
        self.world = world
        self.fleet = world.script.fleet
        self.before: dict[str, list[str]] = {}
        self._mend: dict[str, bytes] = {}
        self._extra = 0

    def begin(self) -> None:
        """Makes the env repo."""
        self.world.witness.fleets.append(self.fleet.present())
        self.world.git.merge(env_repo(self.fleet), "the env repo")

    def do(self, event: Event) -> None:
        """Does one thing."""
        _DO[event.kind](self, event)

    def end(self) -> None:
        """Mends and brings back what would keep the fleet from coming to rest."""
        for path in sorted(self._mend):
            self._mended(path)
        self.ask(replace(self.fleet, gone=frozenset()))
        for service in self.fleet.services:
            self._observe(service.name, observed=False)

    # Commits.

    def merge(self, edits: Edits, message: str, author: str = PERSON) -> None:
        """Merges what differs from what is there."""
        files = self.world.git.files(self.world.git.branches[BRANCH])
        changed: Edits = {}
        for path, text in edits.items():
            octets = text.encode() if isinstance(text, str) else text
            was = self.world.git.blob(files[path]) if path in files else None
            if octets != was and (path not in self._mend or octets is None):
                changed[path] = octets
        if changed:
            self.world.git.merge(changed, message, author=author)
            self.world.say("people", f"merge: {message}")

    def text(self, path: str) -> str | None:
        """Returns a file of the branch, or None."""
        files = self.world.git.files(self.world.git.branches[BRANCH])
        return self.world.git.blob(files[path]).decode() if path in files else None

    def _pins(self, service: str, version: str) -> Iterator[tuple[str, str]]:
        for one in self.fleet.present().environments:
            placed = next(s for s in self.fleet.services if s.name == service)
            path = f"environments/{one.name}/{service}.yaml"
            # Nobody edits what is broken before it is mended.
            if self.fleet.goes_to(placed, one) and path not in self._mend:
                was = yaml.safe_load(self.text(path) or "{}")
                replicas = (was.get("values") or {}).get("replicas", 1) if was else 1
                more = "paused: true\n" if was and was.get("paused") else ""
                yield path, pin_text(service, one.name, version, replicas=replicas, more=more)

    def _release(self, event: Event) -> Edits:
        world = self.world
        world.witness.repo.knows(event.service, event.version)
        image = "@".join(image_of(event.service, event.version))
        for cluster in event.where:
            world.witness.truths[cluster, image] = event.fate
        self.before.setdefault(event.service, []).append(event.version)
        return dict(self._pins(event.service, event.version))

    def release(self, event: Event) -> None:
        """Pins one new version, or several in one commit, for every environment."""
        edits: Edits = {}
        for one in event.others or (event,):
            edits |= self._release(one)
        about = ", ".join(f"{one.service} {one.version}" for one in event.others or (event,))
        self.merge(edits, f"release {about}")

    def revert(self, event: Event) -> None:
        """Pins the version before the newest."""
        known = self.before.get(event.service, [])
        if len(known) > 1:
            version = known[-2]
            self.merge(
                dict(self._pins(event.service, version)), f"back to {event.service} {version}"
            )

    def repin(self, event: Event) -> None:
        """Pins a version again that was bad."""
        if event.version in self.before.get(event.service, []):
            edits: Edits = dict(self._pins(event.service, event.version))
            self.merge(edits, f"once more {event.service} {event.version}")

    def values(self, event: Event) -> None:
        """Sets the replicas of one pin."""
        number = int(event.number)
        self._edit_pin(event, r"replicas: \d+", f"replicas: {number}", f"{number} replicas")

    def pause(self, event: Event) -> None:
        """Pauses a pin, or lets it go on."""
        path = f"environments/{event.environment}/{event.service}.yaml"
        text = self.text(path)
        if text is not None:
            kept = re.sub(r"(?m)^paused: .*\n", "", text)
            more = "paused: true\n" if event.kind is Kind.PAUSE else ""
            self.merge({path: kept + more}, f"{event.kind} {event.service} {event.environment}")

    def _edit_pin(self, event: Event, pattern: str, to: str, about: str) -> None:
        path = f"environments/{event.environment}/{event.service}.yaml"
        text = self.text(path)
        if text is not None:
            where = f"{event.service} in {event.environment}"
            self.merge({path: re.sub(pattern, to, text)}, f"{about} of {where}")

    def tree(self, event: Event) -> None:
        """Changes a service's manifests; every second time one object leaves them, or comes back."""
        was = self.fleet.trees[event.service]
        is_refused = event.kind is Kind.BAD_TREE
        has_extra = was.has_extra is not (event.number == 2)
        has_many = was.has_many is not (event.number == 3)
        has_job = event.kind is Kind.ONE_WAY
        tree = Tree(was.number + 1, has_extra, has_many, is_refused, has_job)
        self.fleet = replace(self.fleet, trees={**self.fleet.trees, event.service: tree})
        witness = self.world.witness
        witness.trees[event.service, str(tree.number)] = tree
        if is_refused:
            witness.refused_s[event.service] = inf
        elif event.service in witness.refused_s:
            witness.refused_s[event.service] = min(
                witness.refused_s[event.service], self.world.now_s
            )
        service = self._service(event.service)
        edits: Edits = {f"services/{service.name}/app.yaml": manifests_text(service, tree)}
        self.merge(edits, f"tree {tree.number} of {service.name}")

    def policy(self, event: Event) -> None:
        """Sets another soak for an environment."""
        environments = tuple(
            replace(one, rules=replace(one.rules, soak_s=int(event.number)))
            if one.name == event.environment
            else one
            for one in self.fleet.environments
        )
        self.ask(replace(self.fleet, environments=environments))

    def remove(self, event: Event) -> None:
        """Takes an environment or a cluster out of the fleet, where enough is left without it."""
        fleet = replace(self.fleet, gone=self.fleet.gone | set(event.where))
        left = fleet.present().environments
        if len(left) > 1 and all(
            self.fleet.goes_to(service, one) for one in left for service in self.fleet.services
        ):
            self.ask(fleet)

    def restore(self, event: Event) -> None:
        """Brings it back."""
        self.ask(replace(self.fleet, gone=self.fleet.gone - set(event.where)))

    def ask(self, fleet: Fleet) -> None:
        """Merges another fleet, or other rules of it."""
        self.fleet = fleet
        self.world.witness.fleets.append(fleet.present())
        gone = ", ".join(sorted(fleet.gone)) or "none"
        files: Edits = {"fleet.yaml": fleet_text(fleet), "policies/line.yaml": policy_text(fleet)}
        self.merge(files, f"the fleet or its policy; gone: {gone}")

    def lift(self, event: Event) -> None:
        """Lifts every entry of a quarantine file with a reason."""
        path = f"quarantine/{event.service}.yaml"
        text = self.text(path)
        found = yaml.safe_load(text) if text is not None else None
        if found:
            for entry in found["entries"]:
                entry.setdefault("lifted", "a person has looked")
                entry["lifted"] = entry["lifted"] or "a person has looked"
            self.merge({path: yaml.safe_dump(found, sort_keys=False)}, f"lift {event.service}")

    def unquarantine(self, event: Event) -> None:
        """Deletes a quarantine file, which lifts nothing."""
        path = f"quarantine/{event.service}.yaml"
        if self.text(path) is not None:
            self.merge({path: None}, f"no quarantine of {event.service}")

    def break_(self, event: Event) -> None:
        """Merges a file that is no YAML."""
        (path,) = event.where
        text = self.text(path)
        if text is not None and path not in self._mend:
            self.merge({path: text + "]: broken\n"}, f"break {path}")
            self._mend[path] = text.encode()

    def mend(self, event: Event) -> None:
        """Takes that back."""
        self._mended(event.where[0])

    def _mended(self, path: str) -> None:
        if path not in self._mend:
            return
        octets = self._mend.pop(path)
        if (self.text(path) or "").endswith("]: broken\n"):
            self.merge({path: octets}, f"mend {path}")
        # What was asked for meanwhile.
        wanted = env_repo(self.fleet)
        if path in wanted:
            self.merge({path: wanted[path]}, f"bring {path} up to date")

    def observe(self, event: Event) -> None:
        """Lets a service be only observed, or not any more."""
        self._observe(event.service, observed=event.kind is Kind.OBSERVE)

    def _observe(self, name: str, *, observed: bool) -> None:
        services = tuple(
            replace(one, observed=observed) if one.name == name else one
            for one in self.fleet.services
        )
        self.fleet = replace(self.fleet, services=services)
        edits: Edits = {f"services/{name}/service.yaml": service_text(self._service(name))}
        self.merge(edits, f"{'observe' if observed else 'enforce'} {name}")

    def _service(self, name: str) -> Service:
        return next(one for one in self.fleet.services if one.name == name)

    def race(self, *, same: bool) -> None:
        """Is first with a commit while somebody else pushes: of a pin, or of something else."""
        self._extra += 1
        service = self.fleet.services[self._extra % len(self.fleet.services)].name
        if same and len(self.before.get(service, [])) > 1:
            self.revert(Event(0, Kind.REVERT, service))
        else:
            self.merge({"NOTES.md": f"note {self._extra}\n"}, f"note {self._extra}")

    # Hands on clusters.

    def hand_edit(self, event: Event) -> None:
        """Scales a workload as `kubectl scale` does."""
        service = self._service(event.service)
        live = self.world.witness.live(event.cluster, service)
        if live is not None:
            store = self.world.clusters[event.cluster].store
            spec = {**live["spec"], "replicas": int(event.number)}
            meta = {k: v for k, v in live["metadata"].items() if k != "resourceVersion"}
            store.replace({**live, "metadata": meta, "spec": spec}, "kubectl")
            self.world.say("people", f"scale {event.service} on {event.cluster}")

    def hand_secret(self, event: Event) -> None:
        """Changes a Secret as `kubectl edit` does."""
        witness = self.world.witness
        found = witness.secret(event.cluster, event.service)
        if found is not None:
            meta = {k: v for k, v in found["metadata"].items() if k != "resourceVersion"}
            data = {"password": b64encode(f"{CANARY}-by-hand".encode()).decode()}
            store = self.world.clusters[event.cluster].store
            store.replace({**found, "metadata": meta, "data": data}, "kubectl")
            self.world.say("people", f"change the Secret of {event.service} on {event.cluster}")

    def hand_delete(self, event: Event) -> None:
        """Deletes a ConfigMap as `kubectl delete` does."""
        client = self.world.clusters[event.cluster].client()
        ref = ObjectRef("v1", "ConfigMap", event.service, event.service)
        found = client.get(ref) if not self.world.troubles.get(event.cluster) else None
        if found is not None:
            uid = found["metadata"]["uid"]
            client.delete(ref, uid=uid, resource_version="", propagation=Propagation.BACKGROUND)
            self.world.say("people", f"delete ConfigMap {event.service} on {event.cluster}")


_DO: dict[Kind, Callable[[People, Event], None]] = {
    Kind.RELEASE: People.release,
    Kind.RELEASE_MANY: People.release,
    Kind.REVERT: People.revert,
    Kind.REPIN: People.repin,
    Kind.VALUES: People.values,
    Kind.TREE: People.tree,
    Kind.POLICY: People.policy,
    Kind.PAUSE: People.pause,
    Kind.RESUME: People.pause,
    Kind.LIFT: People.lift,
    Kind.UNQUARANTINE: People.unquarantine,
    Kind.REMOVE: People.remove,
    Kind.RESTORE: People.restore,
    Kind.BREAK: People.break_,
    Kind.MEND: People.mend,
    Kind.OBSERVE: People.observe,
    Kind.ENFORCE: People.observe,
    Kind.BAD_TREE: People.tree,
    Kind.ONE_WAY: People.tree,
    Kind.HAND_EDIT: People.hand_edit,
    Kind.HAND_SECRET: People.hand_secret,
    Kind.HAND_DELETE: People.hand_delete,
}
