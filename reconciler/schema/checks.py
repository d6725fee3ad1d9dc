"""What no single field of a file can be wrong about: what must fit in the file, and in the fleet.

They look at the text's tree, not at the model: a broken field hides no fault of its neighbours. What
depends on a broken part is left out, and not guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import takewhile

from pydantic import BaseModel, TypeAdapter

from reconciler.model.env_repo import Fault, Severity
from reconciler.model.fleet import Cluster, ClusterState, Fleet
from reconciler.model.names import EnvironmentName
from reconciler.model.release import Values
from reconciler.model.waves import Labelled, Named, Wave, worked_out
from reconciler.schema import building
from reconciler.schema.files import EnvironmentPolicyFile, Waves
from reconciler.schema.yaml_text import Document, Path, dotted

NOT_SUPPORTED = "NotSupported"
"""The code of what is understood and holds whoever uses it, so that it is never silent."""

VALUES_BYTES_MAX = 16_384
"""As JSON. A record holds those of a dozen revisions, and etcd takes no more than 1.5 MB of one."""

FAULTS_MAX = 50
"""More from one file are no help; the first ones are the cause."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?\Z")
_WAVES: TypeAdapter[Waves] = TypeAdapter(Waves)


def placed(path: str, document: Document, at: Path, code: str, why: str, fix: str) -> Fault:
    """Returns a fault of a field, where it stands."""
    place, field = document.place(at), dotted(at)
    what = f"{field} is wrong"
    return Fault(path, place.line, place.column, code, what, why, fix, field)


def not_supported(path: str, document: Document, at: Path) -> Fault:
    """Returns the fault of a field that is only parsed yet."""
    place = document.place(at)
    field = dotted(at)
    why, fix = "it is understood, and not supported yet", "take it out; what uses it is held"
    return Fault(path, place.line, place.column, NOT_SUPPORTED, f"{field} is set", why, fix, field)


def later(path: str, document: Document, model: type[BaseModel], at: Path = ()) -> Iterator[Fault]:
    """Finds the fields of a model that are only parsed yet, in a mapping of the file."""
    for field in getattr(model, "LATER", ()):
        if field in document.mapping(*at):
            yield not_supported(path, document, (*at, field))


def stray(path: str, expected: str) -> Fault:
    """Returns the warning for a file where none is expected."""
    why = f"only {expected} is read here"
    fix = "move or delete it"
    return Fault(path, 0, 0, "StrayFile", "it is not read", why, fix, severity=Severity.WARNING)


def limited(faults: list[Fault]) -> list[Fault]:
    """Returns the first faults of a file in order, errors before warnings, and how many more it has."""
    faults = sorted(faults, key=lambda fault: (fault.severity is not Severity.ERROR, fault))
    if len(faults) <= FAULTS_MAX:
        return sorted(faults)
    rest = faults[FAULTS_MAX:]
    what, why = "it has more faults", f"{len(rest)} more were left out"
    fix = "correct those that are told, and look again"
    first = rest[0]
    more = Fault(
        *(first.path, first.line, first.column, "MoreFaults", what, why, fix),
        severity=first.severity,
    )
    return [*sorted(faults[:FAULTS_MAX]), more]


def name(path: str, service: str) -> Iterator[Fault]:
    """Checks a name that stands in a path."""
    if not _NAME.match(service):
        why = f"{service!r} is no name of at most 40 lower-case letters, digits and dashes"
        yield Fault(path, 0, 0, "BadName", "it has a wrong name", why, "rename it")


def fleet(path: str, document: Document) -> Iterator[Fault]:
    """Checks that nothing of the fleet is named twice."""

    def fault(at: Path, why: str) -> Fault:
        return placed(path, document, at, "DuplicateName", why, "rename one of them")

    environments: set[str] = set()
    clusters: dict[str, str] = {}
    for i in range(document.length("environments")):
        environment = document.text_at("environments", i, "name")
        if environment in environments:
            why = f"the environment {environment} is there twice"
            yield fault(("environments", i, "name"), why)
        if environment is not None:
            environments.add(environment)
        for j in range(document.length("environments", i, "clusters")):
            at: Path = ("environments", i, "clusters", j)
            cluster = document.text_at(*at, "name")
            if cluster in clusters:
                yield fault((*at, "name"), f"{cluster} is in {clusters[cluster]} already")
            if cluster is not None:
                clusters[cluster] = environment or "an environment without a name"


def policy(path: str, document: Document, fleet: Fleet | None) -> Iterator[Fault]:
    """Checks a policy against the fleet, where that can be read.

    A cluster in no wave is a fault, and so is one in two.
    """
    steps = document.texts_at("path")
    for index, environment in steps.items():
        at: Path = ("path", index)
        if fleet is not None and fleet.environment(EnvironmentName(environment)) is None:
            why, fix = (
                f"fleet.yaml has no environment {environment}",
                "add it there, or take it out",
            )
            yield placed(path, document, at, "UnknownEnvironment", why, fix)
        if environment in [other for i, other in steps.items() if i < index]:
            why = f"{environment} is there twice"
            yield placed(path, document, at, "DuplicateName", why, "take one out")
        at = ("environments", environment)
        if document.is_known(at) and at not in document.values:
            why = f"it has no rules for {environment}"
            yield placed(path, document, ("environments",), "MissingField", why, "add them")
    for environment in document.mapping("environments"):
        at = ("environments", environment)
        if document.is_whole(("path",)) and environment not in steps.values():
            why, fix = "it is not on the path", "add it, or take it out"
            yield placed(path, document, at, "UnknownEnvironment", why, fix)
        yield from later(path, document, EnvironmentPolicyFile, at)
        for field, code, why, fix in _rule_faults(environment, document, fleet):
            yield placed(path, document, (*at, *field), code, f"{environment}: {why}", fix)
        for wave, why in _first_wave_away(at, document, fleet):
            fault = placed(
                path, document, (*at, "waves"), "FirstWaveAway", why, "name another canary"
            )
            yield replace(
                fault, what=f"{environment}: {wave} is passed over", severity=Severity.WARNING
            )


def _rule_faults(
    environment: str, document: Document, fleet: Fleet | None
) -> Iterator[tuple[Path, str, str, str]]:
    at: Path = ("environments", environment)
    if document.is_whole(("path",)):
        steps = document.texts_at("path").values()
        earlier = list(takewhile(lambda name: name != environment, steps))
        for index, name in document.texts_at(*at, "after").items():
            if name not in earlier:
                why = f"{name} does not stand before it in `path`"
                yield ("after", index), "NotBefore", why, "name one that does"
    quorum = document.text_at(*at, "quorum") if (*at, "quorum") in document.values else "100%"
    if document.mapping(*at, "unreachable") and quorum == "100%":
        why = "with a quorum of 100% there is none to skip"
        yield ("unreachable",), "NothingToSkip", why, "ask for less, or write `wait`"
    found = fleet.environment(EnvironmentName(environment)) if fleet is not None else None
    asked = document.part(*at, "waves")
    if found is not None and asked is not None and document.is_whole((*at, "waves")):
        waves = building.waves(_WAVES.validate_python(asked, strict=True))
        for code, why, fix in _wave_faults(waves, found.clusters):
            yield ("waves",), code, why, fix


def _first_wave_away(
    at: Path, document: Document, fleet: Fleet | None
) -> Iterator[tuple[str, str]]:
    """Finds a first wave of which no cluster is active: what was to be tried there first goes to more at once."""
    found = fleet.environment(EnvironmentName(str(at[-1]))) if fleet is not None else None
    asked = document.part(*at, "waves")
    if found is None or asked is None or not document.is_whole((*at, "waves")):
        return
    waves = building.waves(_WAVES.validate_python(asked, strict=True))
    first = [wave for wave in waves[:1] if isinstance(wave, Named | Labelled)]
    clusters = [c for wave in worked_out(first, found.clusters) for c in wave]
    states = {cluster.name: cluster.state for cluster in found.clusters}
    if clusters and all(states[name] is not ClusterState.ACTIVE for name in clusters):
        names = ", ".join(f"{name} is {states[name]}" for name in clusters)
        yield "the first wave", names


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


def pin(path: str, document: Document) -> Iterator[Fault]:
    """Checks what a pin's values may not hold."""
    if document.part("release") == "absent" and not document.text_at("reason"):
        why, fix = "nobody would know why it went", "write `reason:` beside it"
        yield placed(path, document, ("release",), "NoReason", why, fix)
    for index, gate in document.texts_at("skip", "gates").items():
        if document.part("release") == "absent" and gate == "soak":
            why, fix = "nobody skips the soak of a tombstone", "take it out"
            yield placed(path, document, ("skip", "gates", index), "SoakOfTombstone", why, fix)
    yield from _tags(path, document)
    places: dict[Path, Mapping[str, object]] = {("values",): document.mapping("values")}
    overrides = {c: document.mapping("clusters", c, "values") for c in document.mapping("clusters")}
    places |= {("clusters", c, "values"): values for c, values in overrides.items()}
    size = len(Values.of(places[("values",)]).text) + len(Values.of(overrides).text)
    if size > VALUES_BYTES_MAX:
        why = f"with those by cluster they take {size} bytes, and {VALUES_BYTES_MAX} are allowed"
        fix = "write what is long into an overlay"
        yield placed(path, document, ("values",), "TooLarge", why, fix)
    for at, values in places.items():
        for key, value in values.items():
            inner = [(key, k) for k in value] if isinstance(value, dict) else []
            for where in [(key,), *inner]:
                if where[-1] in ("image", "images"):
                    why, fix = "values cannot set images", "name the image in release.images"
                    yield placed(path, document, (*at, *where), "ImageInValues", why, fix)
        if "clusters" in values:
            why, fix = "this key cannot be a value", "write `clusters:` beside `values:`, not in it"
            yield placed(path, document, (*at, "clusters"), "BadKey", why, fix)


def _tags(path: str, document: Document) -> Iterator[Fault]:
    """Warns of images that are named by a tag: no registry is asked for the digest yet."""
    for repository in document.mapping("release", "images"):
        at: Path = ("release", "images", repository)
        if not (document.text_at(*at) or "sha256:").startswith("sha256:"):
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
