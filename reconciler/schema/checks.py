"""What no single field can be wrong about: names that must fit each other across the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from reconciler.model.env_repo import Fault, Pin, QuarantineEntry, Service, ServiceSource, Severity
from reconciler.model.fleet import Cluster, Fleet
from reconciler.model.names import EnvironmentName, PolicyName, ServiceName
from reconciler.model.policy import Policy
from reconciler.model.release import Values
from reconciler.model.waves import Named, Wave, worked_out
from reconciler.schema import building
from reconciler.schema.files import PinFile, PolicyFile, ReleaseFile
from reconciler.schema.yaml_text import Document, Path, dotted

NOT_SUPPORTED = "NotSupported"
"""The code of what is understood and holds whoever uses it, so that it is never silent."""

VALUES_BYTES_MAX = 16_384
"""As JSON. A record holds those of a dozen revisions, and etcd takes no more than 1.5 MB of one."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was read, for the checks across files."""

    fleet: Fleet
    policies: Mapping[PolicyName, Policy]
    services: Mapping[ServiceName, Service]
    sources: Mapping[ServiceName, ServiceSource]
    pins: Mapping[tuple[EnvironmentName, ServiceName], Pin]
    quarantine: Mapping[ServiceName, tuple[QuarantineEntry, ...]]


def not_supported(path: str, document: Document, at: Path) -> Fault:
    """Returns the fault of a field that is only parsed yet."""
    place = document.place(at)
    field = dotted(at)
    why, fix = "it is understood, and not supported yet", "take it out; what uses it is held"
    return Fault(path, place.line, place.column, NOT_SUPPORTED, f"{field} is set", why, fix, field)


def stray(path: str, expected: str) -> Fault:
    """Returns the warning for a file where none is expected."""
    why = f"only {expected} is read here"
    fix = "move or delete it"
    return Fault(path, 0, 0, "StrayFile", "it is not read", why, fix, severity=Severity.WARNING)


def name(path: str, service: str) -> Iterator[Fault]:
    """Checks a name that stands in a path."""
    if not _NAME.match(service):
        why = f"{service!r} is no name of at most 40 lower-case letters, digits and dashes"
        yield Fault(path, 0, 0, "BadName", "it has a wrong name", why, "rename it")


def policy(path: str, file: PolicyFile, document: Document, fleet: Fleet) -> list[Fault]:
    """Checks a policy against the fleet; a cluster in no wave is a fault, and so is one in two."""
    faults: list[Fault] = []

    def add(at: Path, code: str, why: str, fix: str) -> None:
        place = document.place(at)
        what = f"{dotted(at)} is wrong"
        faults.append(Fault(path, place.line, place.column, code, what, why, fix, dotted(at)))

    for index, environment in enumerate(file.path):
        if fleet.environment(EnvironmentName(environment)) is None:
            why = f"fleet.yaml has no environment {environment}"
            add(("path", index), "UnknownEnvironment", why, "add it there, or take it out")
        if file.path.index(environment) != index:
            why = f"{environment} is there twice"
            add(("path", index), "DuplicateName", why, "take one out")
        if environment not in file.environments:
            why = f"it has no rules for {environment}"
            add(("environments",), "MissingField", why, "add them")
    for environment, rules in file.environments.items():
        at: Path = ("environments", environment)
        if environment not in file.path:
            add(at, "UnknownEnvironment", "it is not on the path", "add it, or take it out")
        faults.extend(not_supported(path, document, (*at, f)) for f in rules.unsupported())
        for field, code, why, fix in _rule_faults(environment, file, fleet):
            add((*at, *field), code, f"{environment}: {why}", fix)
    return faults


def _rule_faults(
    environment: str, file: PolicyFile, fleet: Fleet
) -> Iterator[tuple[Path, str, str, str]]:
    rules = file.environments[environment]
    earlier = list(takewhile(lambda name: name != environment, file.path))
    for index, name in enumerate(rules.after or ()):
        if name not in earlier:
            why = f"{name} does not stand before it in `path`"
            yield ("after", index), "NotBefore", why, "name one that does"
    if rules.unreachable != "wait" and rules.quorum == "100%":
        why = "with a quorum of 100% there is none to skip"
        yield ("unreachable",), "NothingToSkip", why, "ask for less, or write `wait`"
    found = fleet.environment(EnvironmentName(environment))
    if found is not None:
        for code, why, fix in _wave_faults(building.waves(rules), found.clusters):
            yield ("waves",), code, why, fix


def _wave_faults(
    waves: tuple[Wave, ...], clusters: tuple[Cluster, ...]
) -> Iterator[tuple[str, str, str]]:
    known = {cluster.name for cluster in clusters}
    taken = {name for wave in worked_out(waves, clusters) for name in wave}
    named = [wave for wave in waves if isinstance(wave, Named)]
    counted = Counter(name for wave in named for name in wave.clusters)
    for cluster in sorted(known - taken):
        yield "ClusterInNoWave", f"{cluster} stands in no wave", "add it to one, or end with 100%"
    for cluster in sorted(set(counted) - known):
        yield "UnknownCluster", f"there is no cluster {cluster}", "take it out"
    for cluster in sorted(c for c, count in counted.items() if count > 1):
        yield "DuplicateName", f"{cluster} is in two waves", "take one out"
    if any(not wave.clusters for wave in named):
        yield "EmptyWave", "a wave is empty", "take it out"


def pin(path: str, file: PinFile, document: Document) -> Iterator[Fault]:
    """Checks what a pin's values may not hold."""
    if file.release == "absent":
        yield not_supported(path, document, ("release",))
    elif isinstance(file.release, ReleaseFile):
        yield from _tags(path, file.release, document)
    overrides = {cluster: own.values for cluster, own in file.clusters.items()}
    size = len(Values.of(file.values).text) + len(Values.of(overrides).text)
    if size > VALUES_BYTES_MAX:
        place = document.place(("values",))
        why = f"with those by cluster they take {size} bytes, and {VALUES_BYTES_MAX} are allowed"
        fix = "write what is long into an overlay"
        yield Fault(
            path, place.line, place.column, "TooLarge", "values is wrong", why, fix, "values"
        )
    places: list[tuple[Path, Mapping[str, object]]] = [(("values",), file.values)]
    places += [(("clusters", c, "values"), v.values) for c, v in file.clusters.items()]
    for at, values in places:
        for key, value in values.items():
            inner = [(key, k) for k in value] if isinstance(value, dict) else []
            for where in [(key,), *inner]:
                if where[-1] in ("image", "images"):
                    place = document.place((*at, *where))
                    field = dotted((*at, *where))
                    why = "values cannot set images"
                    fix = "name the image in release.images"
                    what = f"{field} is wrong"
                    yield Fault(
                        path, place.line, place.column, "ImageInValues", what, why, fix, field
                    )
        if "clusters" in values:
            place = document.place((*at, "clusters"))
            fix = "write `clusters:` beside `values:`, not in it"
            yield Fault(
                path,
                place.line,
                place.column,
                "BadKey",
                "values.clusters is wrong",
                "this key cannot be a value",
                fix,
                dotted((*at, "clusters")),
            )


def _tags(path: str, release: ReleaseFile, document: Document) -> Iterator[Fault]:
    """Warns of images that are named by a tag: no registry is asked for the digest yet."""
    for repository, reference in release.images.items():
        if not reference.startswith("sha256:"):
            at: Path = ("release", "images", repository)
            place = document.place(at)
            yield Fault(
                path,
                place.line,
                place.column,
                "Unpinned",
                f"{dotted(at)} is a tag",
                "whoever pushes the tag again changes what runs, and proof says nothing of it",
                "write the digest, sha256:…",
                dotted(at),
                Severity.WARNING,
            )


def across(found: Found, documents: Mapping[str, Document]) -> Iterator[Fault]:
    """Checks names across all files."""
    yield from _fleet(found.fleet, documents)
    yield from _services(found, documents)
    yield from _pins(found, documents)
    for service in found.quarantine:
        if service not in found.sources:
            path = f"quarantine/{service}.yaml"
            why = f"there is no services/{service}"
            fix = "delete it once nobody can bring the service back"
            what = "it holds nothing"
            yield Fault(path, 0, 0, "UnknownService", what, why, fix, severity=Severity.WARNING)


def _fleet(fleet: Fleet, documents: Mapping[str, Document]) -> Iterator[Fault]:
    def fault(at: Path, code: str, why: str) -> Fault:
        place = documents["fleet.yaml"].place(at)
        what, fix = f"{dotted(at)} is wrong", "rename one of them"
        return Fault("fleet.yaml", place.line, place.column, code, what, why, fix, dotted(at))

    environments: set[str] = set()
    clusters: dict[str, str] = {}
    for i, environment in enumerate(fleet.environments):
        if environment.name in environments:
            why = f"the environment {environment.name} is there twice"
            yield fault(("environments", i, "name"), "DuplicateName", why)
        environments.add(environment.name)
        for j, cluster in enumerate(environment.clusters):
            at: Path = ("environments", i, "clusters", j)
            if cluster.name in clusters:
                why = f"{cluster.name} is in {clusters[cluster.name]} already"
                yield fault((*at, "name"), "DuplicateName", why)
            clusters[cluster.name] = environment.name
            if cluster.state.value != "active":
                yield not_supported("fleet.yaml", documents["fleet.yaml"], (*at, "state"))


def _services(found: Found, documents: Mapping[str, Document]) -> Iterator[Fault]:
    for service in found.services.values():
        path = f"services/{service.name}/service.yaml"
        document = documents[path]

        def fault(
            at: Path,
            code: str,
            why: str,
            fix: str,
            *,
            path: str = path,
            document: Document = document,
        ) -> Fault:
            place = document.place(at)
            what = f"{dotted(at)} is wrong"
            return Fault(path, place.line, place.column, code, what, why, fix, dotted(at))

        if service.policy not in found.policies:
            known = ", ".join(sorted(found.policies)) or "none"
            why = f"there is no policy {service.policy} that fits this fleet; there is {known}"
            yield fault(("policy",), "UnknownPolicy", why, "name one of these, or add it")
        for index, other in enumerate(service.depends_on):
            if other not in found.sources:
                why = f"there is no service {other}"
                yield fault(("depends_on", index), "UnknownService", why, "take it out")
        cycle = _cycle(service.name, found.services)
        if cycle:
            why = f"services wait for each other: {' -> '.join(cycle)}"
            yield fault(("depends_on",), "DependencyCycle", why, "take one of these out")
        for environment, _ in service.namespaces:
            if found.fleet.environment(environment) is None:
                why = f"fleet.yaml has no environment {environment}"
                yield fault(("namespaces", environment), "UnknownEnvironment", why, "take it out")
        if ("placement",) in document.values and not service.placement:
            why = "it asks for no label, and every cluster meets it"
            yield fault(("placement",), "EmptyPlacement", why, "name a label, or take it out")
        if service.source.value == "helm":
            yield not_supported(path, document, ("source",))


def _cycle(start: ServiceName, services: Mapping[ServiceName, Service]) -> tuple[ServiceName, ...]:
    """Returns a chain of dependencies from a service back to itself, or nothing."""
    waiting: list[tuple[ServiceName, ...]] = [(start,)]
    seen: set[ServiceName] = set()
    while waiting:
        chain = waiting.pop()
        found = services.get(chain[-1])
        for other in found.depends_on if found else ():
            if other == start:
                return (*chain, other)
            if other not in seen:
                seen.add(other)
                waiting.append((*chain, other))
    return ()


def _pins(found: Found, documents: Mapping[str, Document]) -> Iterator[Fault]:
    for (environment, service), pin_ in found.pins.items():
        path = f"environments/{environment}/{service}.yaml"
        known = found.fleet.environment(environment)
        if known is None:
            why, fix = (
                f"fleet.yaml has no environment {environment}",
                "add it there, or move the pin",
            )
            yield Fault(path, 0, 0, "UnknownEnvironment", "it is for nobody", why, fix)
            continue
        if service not in found.sources:
            why, fix = f"there is no services/{service}", "add it, or correct the pin's name"
            yield Fault(path, 0, 0, "UnknownService", "it pins nothing", why, fix)
            continue
        declared = found.services.get(service)
        policy_ = found.policies.get(declared.policy) if declared else None
        if policy_ is not None and environment not in policy_.path.names():
            why = f"{environment} is not on the path of policy {policy_.name}"
            fix = "move the pin, or choose another policy"
            yield Fault(path, 0, 0, "NotOnPath", "it is for nobody", why, fix)
        if declared is not None and not found.fleet.placed(declared.placement, environment):
            why = f"no cluster of {environment} has the labels that its `placement` asks for"
            fix = "label a cluster in fleet.yaml, change the placement, or delete the pin"
            yield Fault(path, 0, 0, "NotPlaced", "it is for nobody", why, fix)
        clusters = {str(c.name) for c in known.clusters}
        for cluster in pin_.cluster_values.tree():
            if cluster not in clusters:
                at: Path = ("clusters", cluster)
                place = documents[path].place(at)
                why, fix = f"{environment} has no cluster {cluster}", "take it out"
                what = f"{dotted(at)} is wrong"
                yield Fault(
                    path, place.line, place.column, "UnknownCluster", what, why, fix, dotted(at)
                )
