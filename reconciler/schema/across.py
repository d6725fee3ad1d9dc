"""What the files of an env repo say of each other: every name must be somebody's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.env_repo import Fault, Service, Severity
from reconciler.model.fleet import Fleet
from reconciler.model.names import EnvironmentName, PolicyName, ServiceName
from reconciler.model.policy import Policy
from reconciler.model.release import ABSENT
from reconciler.schema.checks import not_supported, placed
from reconciler.schema.yaml_text import Document, Path

FLEET = "fleet.yaml"


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was read.

    Attributes:
        fleet: None where it is broken, so that nothing is compared with it.
        policies: Those without a fault of their own, the shipped ones that fit among them.
        services: Those whose service.yaml has no fault of its own.
        sources: Every service that has a folder.
        pins: Whose there are, broken or not.
        quarantine: Whose there is, broken or not.
        documents: The text of each file that could be read, by its path.
        broken: The paths of files with faults of their own.
    """

    fleet: Fleet | None
    policies: Mapping[PolicyName, Policy]
    services: Mapping[ServiceName, Service]
    sources: Collection[ServiceName]
    pins: Collection[tuple[EnvironmentName, ServiceName]]
    quarantine: Collection[ServiceName]
    documents: Mapping[str, Document]
    broken: Collection[str]


def across(found: Found) -> Iterator[Fault]:
    """Checks names across all files; what depends on a broken one is left out."""
    yield from _freezes(found)
    yield from _groups(found)
    yield from _services(found)
    yield from _pins(found)
    for service in found.quarantine:
        if service not in found.sources:
            path = f"quarantine/{service}.yaml"
            why = f"there is no services/{service}"
            fix = "delete it once nobody can bring the service back"
            what = "it holds nothing"
            yield Fault(path, 0, 0, "UnknownService", what, why, fix, severity=Severity.WARNING)


def _freezes(found: Found) -> Iterator[Fault]:
    """Checks that each freeze is of something: one that is misspelt would stop nothing."""
    document = found.documents.get(FLEET)
    if document is None:
        return
    environments = {
        document.text_at("environments", index, "name")
        for index in range(document.length("environments"))
    }
    for index in range(document.length("freezes")):
        at: Path = ("freezes", index, "scope")
        kind, _, name = (document.text_at(*at) or "").partition("/")
        if kind == "service" and name not in found.sources:
            why, fix = f"there is no service {name}", "correct it, or take the freeze out"
            yield placed(FLEET, document, at, "UnknownService", why, fix)
        # Whose name is broken may be the one that is meant.
        if kind == "environment" and name not in environments and None not in environments:
            why, fix = f"fleet.yaml has no environment {name}", "correct it, or take the freeze out"
            yield placed(FLEET, document, at, "UnknownEnvironment", why, fix)


def _groups(found: Found) -> Iterator[Fault]:
    """Checks that a service is in one group at most, and that there is such a service."""
    document = found.documents.get(FLEET)
    taken: set[str] = set()
    if document is None:
        return
    for index in range(document.length("groups")):
        for at, name in document.texts_at("groups", index, "services").items():
            where: Path = ("groups", index, "services", at)
            if name not in found.sources:
                why, fix = f"there is no service {name}", "correct it, or take it out"
                yield placed(FLEET, document, where, "UnknownService", why, fix)
            if name in taken:
                why, fix = f"{name} is in a group already", "take one of them out"
                yield placed(FLEET, document, where, "DuplicateName", why, fix)
            taken.add(name)


def _services(found: Found) -> Iterator[Fault]:
    waits_for: dict[str, list[str]] = {}
    for service in found.sources:
        document = found.documents.get(_service_path(service))
        if document is not None:
            waits_for[service] = list(document.texts_at("depends_on").values())
    for name in waits_for:
        path = _service_path(name)
        yield from _service(path, found.documents[path], found)
        cycle = _cycle(name, waits_for)
        if cycle:
            why = f"services wait for each other: {' -> '.join(cycle)}"
            at, fix = ("depends_on",), "take one of these out"
            yield placed(path, found.documents[path], at, "DependencyCycle", why, fix)


def _service(path: str, document: Document, found: Found) -> Iterator[Fault]:
    def fault(at: Path, code: str, why: str, fix: str) -> Fault:
        return placed(path, document, at, code, why, fix)

    policy = document.text_at("policy")
    if policy is not None and _is_unknown(policy, found):
        known = ", ".join(sorted(found.policies)) or "none"
        why = f"there is no policy {policy} that fits this fleet; there is {known}"
        yield fault(("policy",), "UnknownPolicy", why, "name one of these, or add it")
    for index, other in document.texts_at("depends_on").items():
        if other not in found.sources:
            why = f"there is no service {other}"
            yield fault(("depends_on", index), "UnknownService", why, "take it out")
        mates = found.fleet.mates(ServiceName(path.split("/")[1])) if found.fleet else ()
        if other in mates:
            why = f"it is moved as one with {other}, which must be proven first"
            yield fault(
                ("depends_on", index),
                "DependsOnItsGroup",
                why,
                "take it out here, or out of the group",
            )
    for environment in document.mapping("namespaces"):
        fleet = found.fleet
        if fleet is not None and fleet.environment(EnvironmentName(environment)) is None:
            why = f"fleet.yaml has no environment {environment}"
            yield fault(("namespaces", environment), "UnknownEnvironment", why, "take it out")
    at: Path = ("placement",)
    is_asked = at in document.values and document.is_whole(at)
    if is_asked and not any(document.mapping(*at).values()):
        why = "it asks for no label, and every cluster meets it"
        yield fault(at, "EmptyPlacement", why, "name a label, or take it out")
    if document.text_at("source") == "helm":
        yield not_supported(path, document, ("source",))


def _is_unknown(policy: str, found: Found) -> bool:
    """Whether no file has such a policy, be it a broken one; which shipped ones fit says the fleet."""
    if policy.startswith("builtin:") and found.fleet is None:
        return False
    return (
        PolicyName(policy) not in found.policies and f"policies/{policy}.yaml" not in found.broken
    )


def _cycle(start: str, waits_for: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Returns a chain of dependencies from a service back to itself, or nothing."""
    waiting: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while waiting:
        chain = waiting.pop()
        for other in waits_for.get(chain[-1], ()):
            if other == start:
                return (*chain, other)
            if other not in seen:
                seen.add(other)
                waiting.append((*chain, other))
    return ()


def _pins(found: Found) -> Iterator[Fault]:
    for environment, service in found.pins:
        path = f"environments/{environment}/{service}.yaml"
        known = found.fleet.environment(environment) if found.fleet is not None else None
        if found.fleet is not None and known is None:
            why = f"fleet.yaml has no environment {environment}"
            fix = "add it there, or move the pin"
            yield Fault(path, 0, 0, "UnknownEnvironment", "it is for nobody", why, fix)
            continue
        if service not in found.sources:
            why, fix = f"there is no services/{service}", "add it, or correct the pin's name"
            yield Fault(path, 0, 0, "UnknownService", "it pins nothing", why, fix)
            continue
        yield from _for_nobody(path, environment, found.services.get(service), found)
        document = found.documents.get(path)
        if document is not None and document.part("release") == ABSENT:
            yield from _still_needed(path, document, (environment, service), found)
        if document is not None:
            yield from _skips_too_much(path, document, (environment, service), found)
        clusters = {str(c.name) for c in known.clusters} if known is not None else None
        for cluster in document.mapping("clusters") if document is not None else ():
            if clusters is not None and document is not None and cluster not in clusters:
                at: Path = ("clusters", cluster)
                why, fix = f"{environment} has no cluster {cluster}", "take it out"
                yield placed(path, document, at, "UnknownCluster", why, fix)


def _still_needed(
    path: str, document: Document, of: tuple[EnvironmentName, ServiceName], found: Found
) -> Iterator[Fault]:
    """Warns of a service that is to go before those that depend on it do."""
    environment, service = of
    for other in found.services.values():
        theirs = found.documents.get(f"environments/{environment}/{other.name}.yaml")
        if service not in other.depends_on or theirs is None or theirs.part("release") == ABSENT:
            continue
        place = document.place(("release",))
        why = f"{other.name} depends on it, and its pin in {environment} asks for a release"
        fix = f"let {other.name} go, too, or take {service} out of its `depends_on`"
        yield Fault(
            path,
            place.line,
            place.column,
            "StillNeeded",
            f"{service} stays for now",
            why,
            fix,
            "release",
            Severity.WARNING,
        )


def _skips_too_much(
    path: str, document: Document, of: tuple[EnvironmentName, ServiceName], found: Found
) -> Iterator[Fault]:
    """Warns of gates that a pin wants skipped, and that the policy lets nobody skip there."""
    environment, name = of
    service = found.services.get(name)
    policy = found.policies.get(service.policy) if service is not None else None
    rules = dict(policy.environments).get(environment) if policy is not None else None
    if rules is None:
        return
    hotfix = rules.others.hotfix
    may = [gate.value for gate in hotfix.gates] if hotfix is not None else []
    for index, gate in document.texts_at("skip", "gates").items():
        if gate in may:
            continue
        at: Path = ("skip", "gates", index)
        place = document.place(at)
        what = f"{gate} is not skipped"
        lets = f"lets {', '.join(may)} be skipped there" if may else "lets nothing be skipped there"
        why = f"the policy {service.policy if service else ''} {lets}"
        fix = "take it out, or name it in the policy's `hotfix`"
        yield Fault(
            *(path, place.line, place.column, "NotSkippable", what, why, fix),
            field="skip.gates",
            severity=Severity.WARNING,
        )


def _for_nobody(
    path: str, environment: EnvironmentName, service: Service | None, found: Found
) -> Iterator[Fault]:
    """Checks that a pin's service is promoted to where the pin stands, and has a cluster there."""
    if service is None or found.fleet is None:
        return
    policy = found.policies.get(service.policy)
    if policy is not None and environment not in policy.path.names():
        why = f"{environment} is not on the path of policy {policy.name}"
        fix = "move the pin, or choose another policy"
        yield Fault(path, 0, 0, "NotOnPath", "it is for nobody", why, fix)
    if not found.fleet.placed(service.placement, environment):
        why = f"no cluster of {environment} has the labels that its `placement` asks for"
        fix = "label a cluster in fleet.yaml, change the placement, or delete the pin"
        yield Fault(path, 0, 0, "NotPlaced", "it is for nobody", why, fix)


def _service_path(service: str) -> str:
    return f"services/{service}/service.yaml"
