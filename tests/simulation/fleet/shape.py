"""The shape of a fleet, and the text of the env repo that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.simulated.behaviour import Fate, digest_for

CANARY = "secret-canary-5e1f"
"""The value of every Secret of the fleet; nobody may ever say it."""

MANY = 9
"""More than half of a service's objects."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One environment's rules for every service.

    Attributes:
        waves: As YAML.
        quorum: Of how many in a hundred clusters a proof needs to know that they are well.
        approval: Whether somebody else must approve what is pinned.
        windows: As YAML; empty: always open.
    """

    soak_s: int
    watch_for_s: int
    deadline_s: int
    waves: str
    wave_soak_s: int | None = None
    max_concurrent: int | None = None
    quorum: int = 100
    skip_after_s: int | None = None
    approval: bool = False
    windows: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """A step of the path.

    Attributes:
        clusters: Name and tier of each.
        after: What stands just before it.
    """

    name: str
    clusters: tuple[tuple[str, str], ...]
    after: tuple[str, ...]
    rules: Rules

    def names(self) -> tuple[str, ...]:
        """Returns the names of its clusters."""
        return tuple(name for name, _ in self.clusters)


@dataclass(frozen=True, slots=True)
class Service:
    """One service, named as its folder, its namespace and its workload are.

    Attributes:
        workload: `Deployment` or `StatefulSet`.
    """

    name: str
    workload: str = "Deployment"
    depends_on: tuple[str, ...] = ()
    has_secret: bool = False
    observed: bool = False
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """What a service's folder holds.

    Attributes:
        number: Written into what it renders to, so that a cluster shows which tree it was given.
        has_extra: Whether one more ConfigMap is in it.
        has_many: Whether so many more are in it that they would not be let go all at once.
        has_job: Whether a Job is in it, which runs once and cannot be taken back.
        is_refused: Whether an API server calls one of its objects wrong.
    """

    number: int = 1
    has_extra: bool = True
    has_many: bool = False
    is_refused: bool = False
    has_job: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that people decide beside pins.

    Attributes:
        gone: Environments and clusters that are taken out of the files for now.
        states: Of clusters that join or drain.
        freezes: Scopes that are frozen, and until when; empty: until somebody thaws them.
        newer: What a newer commit does to a release under way, as YAML.
    """

    environments: tuple[Environment, ...]
    services: tuple[Service, ...]
    drift: str
    trees: dict[str, Tree] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    states: Mapping[str, str] = field(default_factory=dict)
    freezes: Mapping[str, str] = field(default_factory=dict)
    newer: str = "supersede"

    def present(self) -> Fleet:
        """Returns the fleet without what is gone; what stood after a gone environment stands after those before it."""
        return replace(self, environments=tuple(self._present()))

    def _present(self) -> Iterator[Environment]:
        by_name = {one.name: one for one in self.environments}

        def nearest(names: tuple[str, ...]) -> tuple[str, ...]:
            found: list[str] = []
            for name in names:
                found.extend([name] if name not in self.gone else nearest(by_name[name].after))
            return tuple(dict.fromkeys(found))

        for one in self.environments:
            if one.name not in self.gone:
                clusters = tuple(c for c in one.clusters if c[0] not in self.gone)
                waves = one.rules.waves
                for name in set(one.names()) & self.gone:
                    waves = waves.replace(f"[[{name}],", "[1,")
                rules = replace(one.rules, waves=waves)
                yield replace(one, clusters=clusters, after=nearest(one.after), rules=rules)

    def environment(self, name: str) -> Environment:
        """Returns an environment, present or not."""
        return next(one for one in self.environments if one.name == name)

    def before(self, name: str) -> tuple[str, ...]:
        """Returns all environments that must be passed to reach one, of those that are present."""
        by_name = {one.name: one for one in self.present().environments}
        found: list[str] = []
        waiting = list(by_name[name].after) if name in by_name else []
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.append(one)
                waiting.extend(by_name[one].after)
        return tuple(sorted(found))

    def clusters(self) -> dict[str, str]:
        """Returns the environment of each cluster, present or not."""
        return {c: one.name for one in self.environments for c in one.names()}

    def goes_to(self, service: Service, environment: Environment) -> tuple[str, ...]:
        """Returns the clusters of an environment that a service is placed on."""
        return tuple(c for c, tier in environment.clusters if service.tier in (None, tier))

    def active(self, service: Service, environment: Environment) -> tuple[str, ...]:
        """Returns those of them that neither join nor drain."""
        return tuple(c for c in self.goes_to(service, environment) if c not in self.states)


def image_of(service: str, version: str) -> tuple[str, str]:
    """Returns the repository and the digest of a version; what becomes of it is decided elsewhere."""
    return f"registry.example.com/{service}", digest_for(Fate.READY, f"{service} {version}")


def fleet_text(fleet: Fleet) -> str:
    """Returns fleet.yaml."""
    lines = ["mode: enforce", "environments:"]
    for one in fleet.present().environments:
        lines += [f"  - name: {one.name}", "    clusters:"]
        lines += [
            f"      - {{name: {c}, labels: {{tier: {tier}}}, state: {fleet.states.get(c, 'active')}}}"
            for c, tier in one.clusters
        ]
    gone = {f"environment/{name}" for name in fleet.gone}
    freezes = {scope: until for scope, until in fleet.freezes.items() if scope not in gone}
    lines += ["freezes:"] if freezes else []
    for scope, until in sorted(freezes.items()):
        ends = f", until: '{until}'" if until else ""
        lines.append(f"  - {{scope: {scope}, reason: a sale{ends}}}")
    return "\n".join(lines) + "\n"


def policy_text(fleet: Fleet) -> str:
    """Returns the one policy of all services."""
    present = fleet.present().environments
    lines = [f"newer_commits: {fleet.newer}"]
    lines += [f"path: [{', '.join(one.name for one in present)}]", "environments:"]
    for index, one in enumerate(present):
        rules = one.rules
        lines.append(f"  {one.name}:")
        if index:
            lines.append(f"    after: [{', '.join(one.after)}]")
        lines += [
            f"    soak_s: {rules.soak_s}",
            f"    watch_for_s: {rules.watch_for_s}",
            f"    progress_deadline_s: {rules.deadline_s}",
            f"    waves: {rules.waves}",
            f"    drift: {fleet.drift}",
        ]
        if rules.wave_soak_s is not None:
            lines.append(f"    wave_soak_s: {rules.wave_soak_s}")
        if rules.max_concurrent is not None:
            lines.append(f"    max_concurrent: {rules.max_concurrent}")
        if rules.approval:
            lines.append("    approval: required")
        if rules.windows:
            lines.append(f"    windows: {rules.windows}")
        if rules.quorum < 100:
            lines.append(f'    quorum: "{rules.quorum}%"')
            if rules.skip_after_s is not None:
                lines.append(f"    unreachable: {{skip_after_s: {rules.skip_after_s}}}")
    return "\n".join(lines) + "\n"


def service_text(service: Service) -> str:
    """Returns service.yaml."""
    lines = ["source: manifests", "policy: line", f"namespace: {service.name}"]
    if service.depends_on:
        lines.append(f"depends_on: [{', '.join(service.depends_on)}]")
    if service.observed:
        lines.append("mode: observe")
    if service.tier is not None:
        lines.append(f"placement: {{match_labels: {{tier: {service.tier}}}}}")
    return "\n".join(lines) + "\nimmediate: [replicas]\n"


def manifests_text(service: Service, tree: Tree) -> str:
    """Returns what a service's folder renders from."""
    name, number = service.name, tree.number
    parts = [
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
        f"data: {{tree: '{number}'}}\n" + ("wrong: field\n" if tree.is_refused else ""),
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n",
    ]
    for n in range(MANY if tree.has_many else 0):
        parts.append(
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}-more-{n}}}\ndata: {{a: b}}\n"
        )
    if tree.has_extra:
        parts.append(
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}-extra}}\ndata: {{a: b}}\n"
        )
    if service.has_secret:
        parts.append(
            f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n"
            f"stringData: {{password: {CANARY}}}\n"
        )
    image = image_of(name, "")[0]
    if tree.has_job:
        parts.append(
            f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}-once}}\nspec:\n  template:\n"
            f"    spec: {{restartPolicy: Never, containers: [{{name: {name}, image: {image}}}]}}\n"
        )
    more = f"  serviceName: {name}\n" if service.workload == "StatefulSet" else ""
    parts.append(
        f"apiVersion: apps/v1\nkind: {service.workload}\nmetadata: {{name: {name}}}\nspec:\n{more}"
        f"  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n"
        f"    metadata: {{labels: {{app: {name}}}, annotations: {{tree: '{number}'}}}}\n"
        f"    spec: {{containers: [{{name: {name}, image: {image}}}]}}\n"
    )
    return "---\n".join(parts)


def pin_text(
    service: str, environment: str, version: str, *, replicas: int = 1, more: str = ""
) -> str:
    """Returns a pin that floats."""
    repository, digest = image_of(service, version)
    return (
        f"# the {service} team's pin for {environment}\n"
        "release:\n"
        f'  version: "{version}" # the tag\n'
        f"  images: {{{repository}: '{digest}'}}\n"
        f"values: {{replicas: {replicas}}} # by hand\n{more}"
    )


def env_repo(fleet: Fleet) -> dict[str, str]:
    """Returns every file but the pins."""
    files = {"fleet.yaml": fleet_text(fleet), "policies/line.yaml": policy_text(fleet)}
    for service in fleet.services:
        folder = f"services/{service.name}"
        files[f"{folder}/service.yaml"] = service_text(service)
        files[f"{folder}/app.yaml"] = manifests_text(service, fleet.trees[service.name])
    return files
