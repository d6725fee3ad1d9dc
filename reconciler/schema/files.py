"""The files of the env repo as pydantic models: what each may say, and which of it is only parsed yet."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=40)
]
"""A DNS label, short enough that two of them with our prefixes still name a Kubernetes object."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,254}$")]
Reference = Annotated[
    str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$")
]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")]
Later = Annotated[Any, Field(None, description="Parsed, and not supported yet.")]


class _File(BaseModel):
    """A file, or a part of one; what it names in LATER holds whoever uses it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    LATER: ClassVar[tuple[str, ...]] = ()

    def unsupported(self) -> tuple[str, ...]:
        """Returns the fields in use that this version only parses."""
        return tuple(name for name in self.LATER if getattr(self, name) is not None)


class ClusterFile(_File):
    """One cluster; no credentials and no address."""

    name: Name
    labels: dict[str, str] = Field(default_factory=dict)
    state: Literal["active", "joining", "draining"] = "active"


class EnvironmentFile(_File):
    """A step of the promotion order."""

    name: Name
    clusters: list[ClusterFile] = Field(min_length=1, max_length=500)


class AllowFile(_File):
    """What services may touch; a list that is left out allows everything."""

    namespaces: list[Text] | None = None
    kinds: list[Text] | None = None


class FleetFile(_File):
    """fleet.yaml."""

    LATER: ClassVar[tuple[str, ...]] = ("freezes",)

    environments: list[EnvironmentFile] = Field(min_length=1, max_length=100)
    mode: Literal["observe", "enforce"] = "observe"
    allow: AllowFile = AllowFile()
    freezes: Later = None


class ServiceFile(_File):
    """services/<svc>/service.yaml."""

    LATER: ClassVar[tuple[str, ...]] = (
        "checks",
        "formerly",
        "health",
        "placement",
        "group",
        "image_policy",
    )

    source: Literal["manifests", "kustomize", "helm"]
    policy: Text
    namespace: Name
    namespaces: dict[Name, Name] = Field(default_factory=dict)
    depends_on: list[Name] = Field(default_factory=list, max_length=50)
    owners: list[Text] = Field(default_factory=list, max_length=50)
    cluster_scoped: list[Text] = Field(default_factory=list, max_length=200)
    immediate: list[Text] = Field(default_factory=list, max_length=50)
    mode: Literal["observe", "enforce"] = "enforce"
    checks: Later = None
    formerly: Later = None
    health: Later = None
    placement: Later = None
    group: Later = None
    image_policy: Later = None


class ReleaseFile(_File):
    """What moves from environment to environment."""

    version: Text
    images: dict[Repository, Reference] = Field(default_factory=dict)
    source: Commit | None = None


class ClusterValuesFile(_File):
    """What one cluster has instead of the pin's values."""

    values: dict[str, Any] = Field(default_factory=dict)


def _form(value: object) -> str:
    """Tells a word from what stands in its place, so that only one form is found fault with."""
    return "word" if isinstance(value, str) else "tree"


class PinFile(_File):
    """environments/<env>/<svc>.yaml."""

    LATER: ClassVar[tuple[str, ...]] = ("approved", "promote")

    release: Annotated[
        Annotated[ReleaseFile, Tag("tree")] | Annotated[Literal["absent"], Tag("word")],
        Discriminator(_form),
    ]
    values: dict[str, Any] = Field(default_factory=dict)
    clusters: dict[Name, ClusterValuesFile] = Field(default_factory=dict)
    paused: bool = False
    adopt: Literal["overwrite"] | None = None
    reason: Text | None = None
    approved: Later = None
    promote: Later = None


class EnvironmentPolicyFile(_File):
    """One environment's rules; nothing here has a silent default."""

    LATER: ClassVar[tuple[str, ...]] = (
        "after",
        "approval",
        "checks",
        "max_concurrent",
        "quorum",
        "unreachable",
        "windows",
    )

    soak_s: Seconds
    watch_for_s: Seconds
    progress_deadline_s: Seconds
    waves: Annotated[
        Annotated[list[list[Name]], Tag("tree")] | Annotated[Literal["all", "each"], Tag("word")],
        Discriminator(_form),
    ]
    drift: Literal["report", "correct"]
    after: Later = None
    approval: Later = None
    checks: Later = None
    max_concurrent: Later = None
    quorum: Later = None
    unreachable: Later = None
    windows: Later = None


class PolicyFile(_File):
    """policies/<name>.yaml."""

    LATER: ClassVar[tuple[str, ...]] = ("newer_commits",)

    path: list[Name] = Field(min_length=1, max_length=100)
    environments: dict[Name, EnvironmentPolicyFile]
    newer_commits: Later = None


class EntryFile(_File):
    """One rejected part of a service."""

    revision: Digest
    identity: Digest
    version: Text
    part: Literal["images", "tree", "values"]
    part_digest: Digest
    environments: list[Name] = Field(min_length=1)
    reason: Text
    evidence: list[Text] = Field(default_factory=list, max_length=20)
    commit: Commit
    rejected_at: Text
    lifted: Text | None = None


class QuarantineFile(_File):
    """quarantine/<svc>.yaml; written by the daemon, lifted by a person."""

    entries: list[EntryFile] = Field(max_length=500)
