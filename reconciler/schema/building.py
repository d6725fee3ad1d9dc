"""From the models of files to the values that decisions are made of; nothing here can fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from reconciler.model.env_repo import Pin, QuarantineEntry, Service, SourceKind
from reconciler.model.fleet import (
    Allowed,
    Cluster,
    ClusterState,
    Environment,
    Fleet,
    Group,
    Mode,
    Operator,
    Requirement,
)
from reconciler.model.freezes import Freeze, Scope
from reconciler.model.image_policy import ImagePolicy, PatternPolicy, SemverPolicy, TagOrder
from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    Identity,
    PartDigest,
    PolicyName,
    RevisionId,
    ServiceName,
)
from reconciler.model.outside import Condition, OutsideRules
from reconciler.model.path import Path, Step
from reconciler.model.policy import AtOnce, DriftMode, EnvironmentPolicy, EnvironmentRules, Policy
from reconciler.model.promotion import Promotion
from reconciler.model.release import ABSENT, Part, Values
from reconciler.model.return_trip import Irreversible
from reconciler.model.skips import Hotfix, Skip, Skippable
from reconciler.model.times import from_rfc3339
from reconciler.model.waves import Growing, Labelled, Named, OneByOne, Wave
from reconciler.model.windows import Window, Windows
from reconciler.schema.files import (
    AmongFile,
    EnvironmentPolicyFile,
    FleetFile,
    FreezeFile,
    PinFile,
    PolicyFile,
    QuarantineFile,
    ReleaseFile,
    SelectorFile,
    ServiceFile,
    TrainFile,
    Waves,
)
from reconciler.schema.hotfix_files import HotfixFile, PinSkipFile
from reconciler.schema.image_policy import PatternPolicyFile, SemverPolicyFile
from reconciler.schema.window_files import WindowFile, WindowsFile


def image_policy(file: SemverPolicyFile | PatternPolicyFile) -> ImagePolicy:
    """Returns which tags are followed."""
    match file:
        case SemverPolicyFile():
            return SemverPolicy(file.repository, file.semver, file.prerelease, file.downgrade)
        case PatternPolicyFile():
            order = TagOrder(file.order)
            return PatternPolicy(file.repository, file.pattern, file.extract, order, file.downgrade)
        case _:
            assert_never(file)


def fleet(file: FleetFile) -> Fleet:
    """Returns the fleet."""
    environments = tuple(
        Environment(
            EnvironmentName(e.name),
            tuple(
                Cluster(
                    ClusterName(c.name),
                    EnvironmentName(e.name),
                    tuple(sorted(c.labels.items())),
                    ClusterState(c.state),
                )
                for c in e.clusters
            ),
            e.max_rollouts,
        )
        for e in file.environments
    )
    allow = file.allow
    return Fleet(
        environments=environments,
        mode=Mode(file.mode),
        allowed=Allowed(
            None if allow.namespaces is None else tuple(allow.namespaces),
            None if allow.kinds is None else tuple(allow.kinds),
        ),
        freezes=tuple(_freeze(freeze) for freeze in file.freezes),
        groups=tuple(Group(g.name, tuple(map(ServiceName, g.services))) for g in file.groups),
        unsupported=file.unsupported(),
    )


def _freeze(file: FreezeFile) -> Freeze:
    until = None if file.until is None else from_rfc3339(file.until)
    return Freeze(Scope.of(file.scope), until, file.reason)


def service(name: ServiceName, file: ServiceFile) -> Service:
    """Returns a service."""
    helm = ("source: helm",) if file.source == "helm" else ()
    return Service(
        name=name,
        source=SourceKind(file.source),
        policy=PolicyName(file.policy),
        namespace=file.namespace,
        namespaces=tuple(sorted((EnvironmentName(e), n) for e, n in file.namespaces.items())),
        depends_on=tuple(ServiceName(other) for other in file.depends_on),
        owners=tuple(file.owners),
        cluster_scoped=tuple(file.cluster_scoped),
        immediate=tuple(file.immediate),
        mode=Mode(file.mode),
        placement=tuple(_requirements(file.placement)) if file.placement else (),
        image_policy=image_policy(file.image_policy) if file.image_policy else None,
        unsupported=(*file.unsupported(), *helm),
    )


def _requirements(file: SelectorFile) -> Iterator[Requirement]:
    for key, value in file.match_labels.items():
        yield Requirement(key, Operator.IN, (value,))
    for one in file.match_expressions:
        values = tuple(one.values) if isinstance(one, AmongFile) else ()
        yield Requirement(one.key, Operator(one.operator), values)


def pin(environment: EnvironmentName, name: ServiceName, file: PinFile) -> Pin:
    """Returns a pin; one that says `release: absent` has no release."""
    release = file.release if isinstance(file.release, ReleaseFile) else None
    return Pin(
        service=name,
        environment=environment,
        version=release.version if release else ABSENT,
        images=tuple(sorted(release.images.items())) if release else (),
        source=release.source if release else None,
        values=Values.of(file.values),
        cluster_values=Values.of({c: v.values for c, v in file.clusters.items()}),
        paused=file.paused,
        adopt_overwrite=file.adopt == "overwrite",
        approved=RevisionId(file.approved.revision) if file.approved else None,
        accepted=RevisionId(file.approved.revision)
        if file.approved and file.approved.reversible is False
        else None,
        skip=_skip(file.skip),
        absent=release is None,
        unsupported=file.unsupported(),
    )


def _skip(file: PinSkipFile | None) -> Skip | None:
    if file is None:
        return None
    return Skip(_skippable(file.gates), RevisionId(file.revision), file.reason, file.by)


def _hotfix(file: HotfixFile | None) -> Hotfix | None:
    return None if file is None else Hotfix(tuple(file.by), _skippable(file.gates))


def _skippable(names: Iterable[str]) -> tuple[Skippable, ...]:
    return tuple(Skippable(name) for name in names)


def policy(name: PolicyName, file: PolicyFile) -> Policy:
    """Returns a policy."""
    return Policy(
        name=name,
        path=_path(file),
        environments=tuple(
            (EnvironmentName(e), _rules(file.environments[e], file))
            for e in file.path
            if e in file.environments
        ),
    )


def _path(file: PolicyFile) -> Path:
    """Returns the path; whoever names nobody comes after the one that is named just before."""
    line = Path.line(EnvironmentName(name) for name in file.path)
    steps = []
    for step in line.steps:
        rules = file.environments.get(step.environment)
        after = step.after if rules is None or rules.after is None else rules.after
        steps.append(Step(step.environment, tuple(EnvironmentName(name) for name in after)))
    return Path(tuple(steps))


def _rules(file: EnvironmentPolicyFile, whole: PolicyFile) -> EnvironmentRules:
    return EnvironmentRules(
        waves(file.waves),
        EnvironmentPolicy(
            soak_s=file.soak_s,
            watch_for_s=file.watch_for_s,
            progress_deadline_s=file.progress_deadline_s,
            waves=(),
            drift=DriftMode(file.drift),
            wave_soak_s=file.wave_soak_s,
            max_concurrent=file.max_concurrent,
            return_at_once=_at_once(file.return_at_once),
            quorum=int(file.quorum.removesuffix("%")),
            skip_after_s=None if file.unreachable == "wait" else file.unreachable.skip_after_s,
            finish_after_s=_finish_after_s(whole.newer_commits),
            boards=isinstance(whole.newer_commits, TrainFile),
            windows=_windows(file.windows),
            needs_approval=file.approval == "required",
            irreversible=Irreversible(file.irreversible),
            hotfix=_hotfix(file.hotfix),
            unsupported=(*file.unsupported(), *whole.unsupported()),
        ),
        OutsideRules(
            commit_statuses=tuple(sorted(set(file.commit_statuses or ()))),
            http_gates=tuple(sorted(set(file.http_gates or ()))),
            conditions=tuple(
                Condition(one.name, one.expression, one.message) for one in file.conditions or ()
            ),
        ),
        Promotion(file.promote),
    )


def _at_once(asked: int | str) -> AtOnce:
    if isinstance(asked, int):
        return AtOnce(asked, is_share=False)
    return AtOnce(int(asked.removesuffix("%")), is_share=True)


def _finish_after_s(newer: TrainFile | str) -> float | None:
    if isinstance(newer, TrainFile):
        return newer.stale_s
    return 0.0 if newer == "queue" else None


def _windows(file: WindowsFile | None) -> Windows:
    if file is None:
        return Windows()
    return Windows(tuple(map(_window, file.allow)), tuple(map(_window, file.deny)))


def _window(file: WindowFile) -> Window:
    return Window(file.zone, file.for_s, file.cron or "", file.rrule or "", file.start or "")


def waves(asked: Waves) -> tuple[Wave, ...]:
    """Returns an environment's waves, as they are asked for."""
    if asked == "each":
        return (OneByOne(),)
    if asked == "all":
        return (Growing(100, is_share=True),)
    return tuple(_wave(wave) for wave in asked)


def _wave(wave: list[str] | SelectorFile | int | str) -> Wave:
    match wave:
        case int():
            return Growing(wave, is_share=False)
        case str():
            return Growing(int(wave.removesuffix("%")), is_share=True)
        case SelectorFile():
            return Labelled(tuple(_requirements(wave)))
        case _:
            return Named(tuple(ClusterName(name) for name in wave))


def quarantine(name: ServiceName, file: QuarantineFile) -> tuple[QuarantineEntry, ...]:
    """Returns a service's quarantine, as written."""
    return tuple(
        QuarantineEntry(
            service=name,
            revision=RevisionId(entry.revision),
            identity=Identity(entry.identity),
            version=entry.version,
            part=Part(entry.part),
            part_digest=PartDigest(entry.part_digest),
            environments=tuple(EnvironmentName(e) for e in entry.environments),
            reason=entry.reason,
            evidence=tuple(entry.evidence),
            commit=CommitId(entry.commit),
            rejected_at=entry.rejected_at,
            lifted=entry.lifted,
        )
        for entry in file.entries
    )
