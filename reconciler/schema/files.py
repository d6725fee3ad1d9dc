"""The files of the env repo as pydantic models: what each may say, and which of it is only parsed yet."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

from reconciler.model.times import from_rfc3339
from reconciler.schema.condition_files import ConditionsFile
from reconciler.schema.hotfix_files import HotfixFile, PinSkipFile
from reconciler.schema.image_policy import ImagePolicyFile
from reconciler.schema.parts import Digest, Line, Part, Repository
from reconciler.schema.window_files import WindowsFile

Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=40)
]
"""A DNS label, short enough that two of them with our prefixes still name a Kubernetes object."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]
Reference = Annotated[
    str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$")
]
Share = Annotated[str, StringConstraints(pattern=r"^([1-9]|[1-9][0-9]|100)%$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")]
Scope = Annotated[
    str,
    StringConstraints(
        pattern=r"^(fleet|(environment|service)/[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?)$"
    ),
]
Later = Annotated[Any, Field(None, description="Parsed, and not supported yet: it holds its user.")]


class ClusterFile(Part):
    """One cluster; no credentials and no address."""

    name: Name
    """What the daemon's settings map to credentials, and what waves name."""
    labels: dict[str, str] = Field(default_factory=dict)
    """For `${cluster.labels.x}` in values, and for `placement` of services."""
    state: Literal["active", "joining", "draining"] = "active"
    """`joining` is given what is proven, `draining` nothing new; neither is in a wave, or waited for."""


class EnvironmentFile(Part):
    """A step of the promotion order."""

    name: Name
    """What paths, pins and overlays name."""
    clusters: list[ClusterFile] = Field(min_length=1, max_length=500)
    """Every cluster of it."""
    max_rollouts: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many services may roll out there at once; left out, any number. Nothing that goes back waits for it."""


class AllowFile(Part):
    """What services may touch; a list that is left out allows everything."""

    namespaces: list[Text] | None = None
    """Names or shell patterns."""
    kinds: list[Text] | None = None
    """`Deployment`, or `apps/Deployment` where two groups have one."""


def _is_time(text: str) -> str:
    try:
        from_rfc3339(text)
    except ValueError:
        raise PydanticCustomError("time", "there is no such time") from None
    return text


Time = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$"),
    AfterValidator(_is_time),
]
"""RFC 3339, with a zone."""


class FreezeFile(Part):
    """No forward moves in a scope; roll-backs, reverts and drift repair go through."""

    scope: Scope
    """`fleet`, `environment/<name>` or `service/<name>`."""
    until: Time | None = None
    """When it ends by itself, such as `2026-12-27T06:00:00+01:00`; left out, when somebody takes it out."""
    reason: Line
    """Why; whoever is held by it is told."""


class GroupFile(Part):
    """Services of which what is new is let into an environment together."""

    name: Name
    """What people call it."""
    services: list[Name] = Field(min_length=2, max_length=50)
    """Each in one group at most; none may depend on another of them."""


class FleetFile(Part):
    """`fleet.yaml`: every environment and cluster, in promotion order."""

    environments: list[EnvironmentFile] = Field(min_length=1, max_length=100)
    """In promotion order."""
    mode: Literal["observe", "enforce"] = "observe"
    """`observe` writes nothing; the strictest of this, the daemon's and the service's counts."""
    allow: AllowFile = AllowFile()
    """What services may touch at all."""
    freezes: list[FreezeFile] = Field(default_factory=list, max_length=500)
    """Where there are no forward moves, until when and why."""
    groups: list[GroupFile] = Field(default_factory=list, max_length=500)
    """Services that are moved as one."""


class _Requirement(Part):
    """What one label must meet."""

    key: Text
    """Of the label."""


class AmongFile(_Requirement):
    """A label's value is one of these, or none of them."""

    operator: Literal["In", "NotIn"]
    """`NotIn` is met by a cluster without the label, too."""
    values: list[str] = Field(min_length=1, max_length=500)
    """To compare with."""


class PresenceFile(_Requirement):
    """A cluster has a label, or has it not."""

    operator: Literal["Exists", "DoesNotExist"]
    """Whatever its value."""


class SelectorFile(Part):
    """A label selector, as in Kubernetes: a cluster must meet all of it."""

    match_labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Labels that a cluster has, with these values."""
    match_expressions: list[
        Annotated[AmongFile | PresenceFile, Field(discriminator="operator")]
    ] = Field(default_factory=list, max_length=50)
    """`{key, operator, values}`, with `In`, `NotIn`, `Exists` or `DoesNotExist`."""


class ServiceFile(Part):
    """`services/<service>/service.yaml`: what a service is, wherever it runs."""

    LATER: ClassVar[tuple[str, ...]] = (
        "checks",
        "formerly",
        "health",
    )

    source: Literal["manifests", "kustomize", "helm"]
    """How the folder becomes objects; `helm` is not supported yet."""
    policy: Text
    """The name of a file in `policies/`, or `builtin:<name>`."""
    namespace: Name
    """Where objects go that name no namespace."""
    namespaces: dict[Name, Name] = Field(default_factory=dict)
    """Another namespace for an environment."""
    depends_on: list[Name] = Field(default_factory=list, max_length=50)
    """Services whose pinned release must be proven in an environment before this one enters it."""
    owners: list[Text] = Field(default_factory=list, max_length=50)
    """Whom to ask; no part of what is proven."""
    cluster_scoped: list[Text] = Field(default_factory=list, max_length=200)
    """`Kind/name` of each object outside of a namespace that it may own."""
    immediate: list[Text] = Field(default_factory=list, max_length=50)
    """Dotted keys of values that do not wait for a pending release."""
    mode: Literal["observe", "enforce"] = "enforce"
    """`observe` writes nothing for this service."""
    checks: Later = None
    formerly: Later = None
    health: Later = None
    placement: SelectorFile | None = None
    """The clusters of an environment it goes to, by their labels; left out: to all of them."""
    image_policy: ImagePolicyFile | None = None
    """Which tags of a registry the pin of the first environment follows, where `promote` there is not `manual`."""


class ReleaseFile(Part):
    """What moves from environment to environment."""

    version: Line
    """What people call it, in quotes; it says nothing about what runs."""
    images: dict[Repository, Reference] = Field(default_factory=dict)
    """A digest for each image repository that a container uses; a tag is used as it is, and warned of."""
    source: Commit | None = None
    """The commit whose `services/<service>` is used; left out, it follows what earlier environments proved."""


class ClusterValuesFile(Part):
    """What one cluster has instead of the pin's values."""

    values: dict[str, Any] = Field(default_factory=dict)
    """Merged over the pin's."""


def _form(value: object) -> str:
    """Tells a word from what stands in its place, so that only one form is found fault with."""
    return "word" if isinstance(value, str) else "tree"


class ApprovedFile(Part):
    """What may be admitted, where the policy asks for an approval."""

    revision: Digest
    """The whole revision; another one needs another approval."""
    by: Line
    """Who, for those who read it; what counts is who made the commit."""
    asked_in: Commit | None = None
    """The commit that asks for absence anew, where an older approval had to be given once more."""
    reversible: Literal[False] | None = None
    """`false`: it is accepted that this revision cannot come back, so that nothing is put back where it is bad."""


class PinFile(Part):
    """`environments/<environment>/<service>.yaml`: what an environment should run of a service."""

    LATER: ClassVar[tuple[str, ...]] = ("promote",)

    release: Annotated[
        Annotated[ReleaseFile, Tag("tree")] | Annotated[Literal["absent"], Tag("word")],
        Discriminator(_form),
    ]
    """What it should run; or `absent`, with a `reason`: all that was delivered of it is deleted, in order."""
    values: dict[str, Any] = Field(default_factory=dict)
    """This environment's own, such as `replicas`; they cannot set images."""
    clusters: dict[Name, ClusterValuesFile] = Field(default_factory=dict)
    """What differs by cluster."""
    paused: bool = False
    """No forward moves; a roll-back goes through."""
    adopt: Literal["overwrite"] | None = None
    """Write over what was live before the first delivery, although it differs."""
    reason: Text | None = None
    """Why, for those who come after."""
    approved: ApprovedFile | None = None
    """Written by `reconciler approve`, in a commit by somebody else than who last changed the rest."""
    skip: PinSkipFile | None = None
    """Written by `reconciler promote --skip`, in a commit signed by one whom the policy's `hotfix` names."""
    promote: Later = None


def _wave_form(value: object) -> str:
    """Tells apart the ways in which a wave is asked for, so that only one is found fault with."""
    forms = {int: "number", str: "share", dict: "labels", SelectorFile: "labels"}
    return forms.get(type(value), "names")


WaveFile = Annotated[
    Annotated[list[Name], Tag("names")]
    | Annotated[SelectorFile, Tag("labels")]
    | Annotated[int, Field(ge=1, le=50_000), Tag("number")]
    | Annotated[Share, Tag("share")],
    Discriminator(_wave_form),
]
"""Names of clusters, a label selector, or how many clusters, or what share of all, have it after this wave."""

Waves = Annotated[
    Annotated[list[WaveFile], Tag("tree")] | Annotated[Literal["all", "each"], Tag("word")],
    Discriminator(_form),
]
"""All of an environment's, in order, or a word for what is usual."""


class SkipFile(Part):
    """A cluster that does not answer is not waited for any longer."""

    skip_after_s: Seconds
    """Seconds after its last answer."""


class EnvironmentPolicyFile(Part):
    """One environment's rules; nothing here has a silent default."""

    LATER: ClassVar[tuple[str, ...]] = ("checks",)

    soak_s: Seconds
    """Seconds that a wave must be observed healthy before the next wave, and all of them before proof."""
    watch_for_s: Seconds
    """Seconds after proof in which a failure is still rolled back by itself."""
    progress_deadline_s: Seconds
    """Seconds a wave may take to become current; then it is taken back if its Pods say why, else a person is told."""
    waves: Waves
    """What changes together, in order: `all`, `each` after the other, or waves such as `[[prod-1], 10%, 50%, 100%]`."""
    drift: Literal["report", "correct"]
    """Whether a hand edit is told, or put right."""
    after: list[Name] | None = Field(default=None, max_length=100)
    """What must have proven a release just before, of what stands earlier in `path`; left out, the one named before."""
    wave_soak_s: Seconds | None = None
    """Another soak between waves than before proof; left out, the same."""
    max_concurrent: Annotated[int, Field(ge=1, le=50_000)] | None = None
    """How many clusters of a wave may change at once; left out, all of them."""
    return_at_once: Annotated[
        Annotated[int, Field(ge=1, le=50_000), Tag("number")] | Annotated[Share, Tag("share")],
        Discriminator(_wave_form),
    ] = "100%"
    """How many clusters, or what share of them, may be put back at once, of all waves together; left out, all."""
    quorum: Share = "100%"
    """How many of the clusters must be known to be well for a proof; those of the first wave always."""
    unreachable: Annotated[
        Annotated[SkipFile, Tag("tree")] | Annotated[Literal["wait"], Tag("word")],
        Discriminator(_form),
    ] = "wait"
    """What becomes of a cluster that does not answer: `wait`, or `skip_after_s`, as far as the quorum allows."""
    promote: Literal["auto", "pull-request", "manual"] = "manual"
    """Who pins what is proven before, or in the first what `image_policy` takes: the daemon, a pull request, people."""
    approval: Literal["required", "none"] = "none"
    """Whether somebody else must approve each revision before it is admitted."""
    irreversible: Literal["refuse", "ask", "accept"] = "ask"
    """What becomes of a release that cannot come back: it waits for another, for `approved` in the pin, or goes."""
    hotfix: HotfixFile | None = None
    """Who may skip what by a signed commit; left out, nobody anything."""
    commit_statuses: Annotated[list[Line], Field(min_length=1, max_length=20)] | None = None
    """Checks, by the names that the forge shows, which must have passed on the commits that a revision comes from."""
    http_gates: Annotated[list[Name], Field(min_length=1, max_length=20)] | None = None
    """Gates that others hold, by the names of the daemon's settings; each must say that it is open."""
    conditions: ConditionsFile | None = None
    """What must hold of the facts, in CEL, before each admission."""
    checks: Later = None
    windows: WindowsFile | None = None
    """When forward moves are let through, in local time; left out, always."""


class TrainFile(Part):
    """Newer releases supersede, but not without end; later environments take the newest that is proven before."""

    stale_s: Annotated[float, Field(ge=0, le=30 * 86_400)]
    """Seconds from when the first of them began until one is finished before a newer one is taken."""


class PolicyFile(Part):
    """`policies/<name>.yaml`: how services are promoted."""

    path: list[Name] = Field(min_length=1, max_length=100)
    """The environments that a service passes, in order."""
    environments: dict[Name, EnvironmentPolicyFile]
    """The rules of each environment on the path."""
    newer_commits: Annotated[
        Annotated[TrainFile, Tag("tree")] | Annotated[Literal["supersede", "queue"], Tag("word")],
        Discriminator(_form),
    ] = "supersede"
    """What a newer release does to one under way: `supersede`, `queue`, or a train, `stale_s`."""


class EntryFile(Part):
    """One rejected part of a service."""

    revision: Digest
    """What failed."""
    identity: Digest
    """Its identity."""
    version: Text
    """What people called it."""
    part: Literal["images", "tree", "values", "renderer"]
    """The part that changed against what was proven before."""
    part_digest: Digest
    """Whatever repeats this part is held."""
    environments: list[Name] = Field(min_length=1)
    """Where it may not come back."""
    reason: Text
    """Why it was rejected."""
    evidence: list[Text] = Field(default_factory=list, max_length=20)
    """What was seen."""
    commit: Commit
    """The commit that asked for it."""
    rejected_at: Text
    """When, UTC."""
    lifted: Text | None = None
    """A person's reason to let it in again; the only thing that lifts an entry."""


class QuarantineFile(Part):
    """`quarantine/<service>.yaml`: what failed; written by the daemon, lifted by a person."""

    entries: list[EntryFile] = Field(max_length=500)
    """In the order in which they were rejected."""
