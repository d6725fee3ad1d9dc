"""The shape of every document, written once and strictly: what scripts may rely on, and nothing else.

A key that is missing, misspelt or of another type fails here; one that is added is added here too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Time = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$", strict=True)
]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Pascal = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]+$")]
GateName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]+(/[-a-z0-9]+)?$")]
Phase = Literal[
    "Suspended",
    "RollingBack",
    "RevertPending",
    "Rejected",
    "Unknown",
    "Orphaned",
    "Absent",
    "Paused",
    "RollingOut",
    "Soaking",
    "Held",
    "Waiting",
    "Proven",
]
Health = Literal["Current", "InProgress", "Failed", "Terminating", "Unknown"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Error(_Strict):
    object: str
    what: str
    why: str
    fix: str


class Revision(_Strict):
    version: str
    identity: Digest
    revision: Digest
    source: Commit


class Fault(_Strict):
    severity: Literal["error", "warning"]
    code: Pascal
    path: str
    line: int | None
    column: int | None
    field: str | None
    what: str
    why: str
    fix: str


class Validate(_Strict):
    schema_: Literal["reconciler.validate/v1"] = Field(alias="schema")
    source: str
    commit: Commit | None
    ok: bool
    files: int
    faults: list[Fault]
    errors: list[Error]


class Broken(_Strict):
    path: str
    line: int | None
    column: int | None
    what: str
    why: str
    fix: str


class Head(_Strict):
    branch: str | None
    commit: Commit | None
    accepted: Commit | None
    fetched_at: Time | None
    stale: bool
    error: str | None
    broken: list[Broken]


class Wave(_Strict):
    index: int
    of: int


class Member(_Strict):
    name: str
    state: Literal["active", "joining", "draining"]
    reachable: bool
    applied: Revision | None
    health: Health
    reason: str
    message: str
    drift: int


class LastRejection(_Strict):
    revision: Revision
    failed_in: str
    reason: str
    message: str
    rejected_at: Time
    rolled_back_at: Time | None
    commit: Commit | None


class Cell(_Strict):
    service: str
    environment: str
    step: int
    phase: Phase
    reason: str
    message: str
    since: Time | None
    wanted: Revision | None
    admitted: Revision | None
    last_proven: Revision | None
    last_rejection: LastRejection | None
    wave: Wave | None
    soak_left_s: float | None
    clusters: list[Member]


class Pending(_Strict):
    service: str
    environments: list[str]
    revision: Digest
    since: Time
    branch: str | None


class Status(_Strict):
    schema_: Literal["reconciler.status/v1"] = Field(alias="schema")
    mode: Literal["observe", "enforce"] | None
    halted: str | None
    head: Head
    cells: list[Cell]
    reverts_pending: list[Pending]
    errors: list[Error]


class Gate(_Strict):
    name: GateName
    state: Literal["open", "closed", "unknown"]
    reason: Pascal
    message: str
    unblock: str
    next_check_at: Time | None


class Next(_Strict):
    action: Pascal
    reason: Pascal
    message: str
    unblock: str
    next_check_at: Time | None


class Explained(_Strict):
    environment: str
    step: int
    phase: Phase
    summary: str
    wanted: Revision | None
    admitted: Revision | None
    fixed_source: str | None
    next: Next | None
    gates: list[Gate]


class Explain(_Strict):
    schema_: Literal["reconciler.explain/v1"] = Field(alias="schema")
    service: str | None
    environments: list[Explained]
    errors: list[Error]


class Action(_Strict):
    kind: Pascal
    service: str
    environment: str
    cluster: str | None
    reason: str
    message: str
    step: int


class Plan(_Strict):
    schema_: Literal["reconciler.plan/v1"] = Field(alias="schema")
    commit: Commit | None
    actions: list[Action]
    errors: list[Error]


class Difference(_Strict):
    path: str
    live: str | int | float | bool | None
    desired: str | int | float | bool | None
    manager: str | None
    first_seen_at: Time | None


class Compared(_Strict):
    service: str
    environment: str
    cluster: str
    api_version: str
    kind: str
    namespace: str | None
    name: str
    change: Literal["created", "configured", "unchanged", "deleted", "skipped"]
    fields: list[Difference]


class Diff(_Strict):
    schema_: Literal["reconciler.diff/v1"] = Field(alias="schema")
    objects: list[Compared]
    errors: list[Error]


class Evidence(_Strict):
    kind: str
    name: str
    reason: str
    exit_code: int | None
    restarts: int | None
    message: str


class Assessed(_Strict):
    index: int
    api_version: str
    kind: str
    namespace: str | None
    name: str
    status: Health
    reason: str
    message: str
    evidence: list[Evidence]


class HealthOf(_Strict):
    schema_: Literal["reconciler.health/v1"] = Field(alias="schema")
    now: Time | None
    worst: Health
    objects: list[Assessed]
    errors: list[Error]


class Made(_Strict):
    commit: Commit
    kind: Literal["seed", "good", "bad", "revert"]
    at: Time
    author: str
    subject: str
    trailers: dict[str, str]


class Incident(_Strict):
    service: str
    environment: str
    bad: Revision
    restored: Revision
    first_failure_at: Time
    rolled_back_at: Time | None
    revert_pushed_at: Time | None
    failure_to_rollback_s: float | None
    failure_to_revert_s: float | None
    revert_commit: Commit | None
    reverted_environments: list[str]
    kept_environments: list[str]


class Happened(_Strict):
    at: Time
    cluster: str | None
    environment: str
    service: str
    event: Literal["Admitted", "Applied", "Healthy", "Failed", "Proven", "RolledBack"]
    revision: Revision | None


class Final(_Strict):
    cluster: str
    service: str
    revision: Revision | None
    health: Health


class Check(_Strict):
    name: Pascal
    ok: bool
    message: str


class Demo(_Strict):
    schema_: Literal["reconciler.demo/v1"] = Field(alias="schema")
    script: Literal["good-release", "bad-release", "cluster-down"] | None
    ok: bool
    started_at: Time | None
    finished_at: Time | None
    repo: str | None
    commits: list[Made]
    incident: Incident | None
    timeline: list[Happened]
    final: list[Final]
    checks: list[Check]
    errors: list[Error]


class Item(_Strict):
    at: Time
    service: str
    environment: str
    event: Pascal
    revision: Revision | None
    commit: Commit | None
    reason: str


class History(_Strict):
    schema_: Literal["reconciler.history/v1"] = Field(alias="schema")
    items: list[Item]
    errors: list[Error]


class Rendered(_Strict):
    cluster: str
    render_digest: Digest
    objects: list[dict[str, Any]]


class Render(_Strict):
    schema_: Literal["reconciler.render/v1"] = Field(alias="schema")
    items: list[Rendered]
    errors: list[Error]


class Committed(_Strict):
    schema_: Literal[
        "reconciler.approve/v1",
        "reconciler.freeze/v1",
        "reconciler.lift/v1",
        "reconciler.pause/v1",
        "reconciler.promote/v1",
        "reconciler.resume/v1",
        "reconciler.retry/v1",
        "reconciler.rollback/v1",
        "reconciler.thaw/v1",
    ] = Field(alias="schema")
    commit: Commit | None
    branch: str | None
    paths: list[str]
    pushed: bool
    errors: list[Error]


class Ready(_Strict):
    name: str
    ready: bool


class Bootstrap(_Strict):
    schema_: Literal["reconciler.bootstrap/v1"] = Field(alias="schema")
    clusters: list[Ready]
    errors: list[Error]
