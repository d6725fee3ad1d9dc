"""What an executor knows of one service in one environment on its cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.core.diff import differences
from reconciler.core.health import assess
from reconciler.model.drift import FieldDifference
from reconciler.model.facts import LiveState, MemberHealth
from reconciler.model.health import WORST_FIRST, Cause, HealthStatus, ObjectHealth
from reconciler.model.names import RevisionId
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.shell.executor.applying import Applied
from reconciler.shell.executor.backlog import Trouble
from reconciler.shell.executor.live import LOOKED_THROUGH, Kind, LiveObjects, cell_of
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.records import is_applied
from reconciler.shell.executor.soaking import Soak

MISSING = "Missing"
LAGGING = "Lagging"
TEMPLATE_DIFFERS = "TemplateDiffers"
GOING, GONE = "Going", "Gone"

_TEMPLATES = ("spec.template", "spec.jobTemplate")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What must be gone of a service.

    Attributes:
        key: Whose objects are meant.
        refs: All that it owns, or owned.
        kept: What stays for now, and why, in words.
        is_gone: Whether each was looked for by name, and is not there; or was, when that was proven.
        is_proven: Whether it was: what comes back then is a difference.
    """

    key: CellKey
    refs: frozenset[ObjectRef]
    kept: tuple[str, ...] = ()
    is_gone: bool = False
    is_proven: bool = False


@dataclass(slots=True)
class Objects:
    """The objects that were applied, and what was stored of each when this process did it."""

    revision: RevisionId
    objects: tuple[KubeObject, ...]
    applied: dict[ObjectRef, Applied] = field(default_factory=dict)
    tombstone: Tombstone | None = None
    kinds: frozenset[Kind] = field(init=False)
    """What must be watched to judge them."""
    compared: dict[ObjectRef, tuple[KubeObject, Drifted | None]] = field(default_factory=dict)
    """The live object that each was last compared with, and how it differed: most are the same at the next look."""

    def __post_init__(self) -> None:
        own = {(str(obj["apiVersion"]), str(obj["kind"])) for obj in self.objects}
        left = self.tombstone.refs if self.tombstone is not None else ()
        own |= {(ref.api_version, ref.kind) for ref in left}
        self.kinds = frozenset(own | set(LOOKED_THROUGH))

    def get(self, ref: ObjectRef) -> KubeObject | None:
        """Returns one of them."""
        return next((obj for obj in self.objects if ObjectRef.of(obj) == ref), None)


@dataclass(frozen=True, slots=True)
class Drifted:
    """One live object that differs from what is applied there."""

    ref: ObjectRef
    fields: tuple[FieldDifference, ...]
    missing: bool = False


EXAMINED_KEPT_S = 15.0
"""An examination that did not lead to an adoption is made again after this; people edit by hand."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination before adoption has found, and when."""

    revision: RevisionId
    live: LiveState
    health: MemberHealth
    at_s: float

    def kept_for_s(self, now_s: float) -> float:
        """Returns the seconds for which it is still taken for true."""
        return max(0.0, EXAMINED_KEPT_S - (now_s - self.at_s))


@dataclass(slots=True)
class CellState:
    """One cell, as last looked at; only `Looks` changes it, under its lock.

    Attributes:
        objects: What is applied, as far as this process knows; None while that is being changed.
        seen: The last look, which speaks of `objects.revision` and of no other; None: not looked yet.
        soak: How long that was seen healthy.
        asked_for: The revision that the record asks for; None before one was seen.
        asked_s: Monotonic time since which it does, as this process saw it.
        is_met: Whether it was applied whole since; what is then begun once more is asked for anew.
        drift_settled: Objects whose difference the server itself called none, by resourceVersion.
    """

    objects: Objects | None = None
    seen: Look | None = None
    is_fresh: bool = False
    soak: Soak = field(default_factory=Soak)
    drift_settled: dict[ObjectRef, str] = field(default_factory=dict)
    asked_for: RevisionId | None = None
    asked_s: float = 0.0
    is_met: bool = False
    examined: Examined | None = None
    trouble: MemberHealth | None = None

    @property
    def drifted(self) -> tuple[Drifted, ...]:
        """The objects that differ from what is applied."""
        return self.seen.drift if self.seen is not None else ()

    @property
    def drift(self) -> int:
        """How many fields differ; an object that is gone counts as one."""
        return sum(max(1, len(d.fields)) for d in self.drifted)

    def ask(self, revision: RevisionId | None, since_s: float) -> None:
        """Begins to wait for a revision."""
        self.asked_for, self.asked_s, self.is_met = revision, since_s, False

    def clear(self) -> None:
        """Forgets what was applied and seen: from here on it proves nothing."""
        self.objects, self.seen, self.is_fresh, self.trouble = None, None, False, None
        self.soak = Soak()

    def waiting_s(self, revision: RevisionId, now_s: float) -> float:
        """Returns the seconds since a revision was asked for; what was asked for before says nothing of it."""
        return now_s - self.asked_s if self.asked_for == revision else 0.0

    def speaks_of(self, revision: RevisionId) -> bool:
        """Whether the last look was at exactly this revision: any other proves nothing about it."""
        return self.objects is not None and self.objects.revision == revision


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the live objects of a cell has shown."""

    health: MemberHealth
    drift: tuple[Drifted, ...]


def look(
    objects: Objects,
    live: LiveObjects,
    *,
    now: datetime,
    former: MemberHealth,
    settled: dict[ObjectRef, str],
) -> Look:
    """Compares the live objects with those applied, and judges their health.

    Args:
        objects: What was applied.
        live: What the watches have told; they must be fresh.
        now: Wall time, UTC.
        former: The health seen before, which knows since when it fails.
        settled: Differences that the server itself called none, by resourceVersion.
    """
    if objects.tombstone is not None:
        return _look_for(objects.tombstone, live)
    healths: list[ObjectHealth] = []
    drifted: list[Drifted] = []
    for obj in objects.objects:
        ref = ObjectRef.of(obj)
        seen = live.get(ref)
        found = _difference(obj, ref, seen, settled, objects.compared)
        if found is not None:
            drifted.append(found)
        healths.append(_health(ref, seen, found, objects.applied.get(ref), live))
    return Look(member_health(healths, now=now, former=former), tuple(drifted))


def _look_for(tombstone: Tombstone, live: LiveObjects) -> Look:
    """Looks for what must be gone: whatever is there still is on its way, and nobody's fault."""
    seen = {ref: live.get(ref) for ref in sorted(tombstone.refs)}
    there = {r: o for r, o in seen.items() if o is not None and cell_of(o) == tombstone.key}
    if not there:
        if tombstone.is_gone or tombstone.is_proven:
            return Look(MemberHealth(HealthStatus.CURRENT, GONE, "nothing of it is left"), ())
        message = "nothing of it is seen any more; it is looked for by name"
        why = next(iter(tombstone.kept), message)
        return Look(MemberHealth(HealthStatus.IN_PROGRESS, GOING, why), ())
    ref, obj = next(iter(there.items()))
    ends = all("deletionTimestamp" in one["metadata"] for one in there.values())
    finalizers = obj["metadata"].get("finalizers") or ()
    held = f", and waits for {', '.join(map(str, finalizers))}" if finalizers else ""
    message = f"{ref} is being deleted{held}" if ends else f"{ref} is there still"
    more = f"; {len(there)} objects are left" if len(there) > 1 else ""
    status = HealthStatus.TERMINATING if ends else HealthStatus.IN_PROGRESS
    health = MemberHealth(status, GOING, next(iter(tombstone.kept), message) + more)
    return Look(health, tuple(Drifted(r, ()) for r in there) if tombstone.is_proven else ())


def _difference(
    obj: KubeObject,
    ref: ObjectRef,
    seen: KubeObject | None,
    settled: dict[ObjectRef, str],
    compared: dict[ObjectRef, tuple[KubeObject, Drifted | None]],
) -> Drifted | None:
    if seen is None:
        return Drifted(ref, (), missing=True)
    if settled.get(ref) == seen["metadata"].get("resourceVersion"):
        return None
    former = compared.get(ref)
    if former is None or former[0] is not seen:
        fields = differences(obj, seen)
        former = compared[ref] = seen, Drifted(ref, fields) if fields else None
    return former[1]


def _health(
    ref: ObjectRef,
    seen: KubeObject | None,
    drifted: Drifted | None,
    applied: Applied | None,
    live: LiveObjects,
) -> ObjectHealth:
    if seen is None:
        return ObjectHealth(ref, HealthStatus.IN_PROGRESS, MISSING, f"{ref} is not there")
    if applied is not None and _is_older(seen, applied):
        return ObjectHealth(
            ref, HealthStatus.IN_PROGRESS, LAGGING, f"{ref} was applied and is not seen yet"
        )
    if drifted is not None and any(f.path.startswith(_TEMPLATES) for f in drifted.fields):
        message = f"the Pod template of {ref} is not the one that was applied"
        return ObjectHealth(ref, HealthStatus.IN_PROGRESS, TEMPLATE_DIFFERS, message)
    return assess(seen, live.family(seen))


def _is_older(seen: KubeObject, applied: Applied) -> bool:
    """What is seen may be from before our own write; its health would be that of the old template."""
    meta = seen["metadata"]
    if meta.get("uid") != applied.uid:
        return False
    return int(meta.get("generation") or 0) < applied.generation


def member_health(
    healths: Iterable[ObjectHealth], *, now: datetime, former: MemberHealth
) -> MemberHealth:
    """Returns the worst of some objects' health, a failure that is the release's own before others."""
    ordered = sorted(
        healths,
        key=lambda h: (
            WORST_FIRST.index(h.status),
            h.cause is not Cause.RELEASE,
            not h.names_release,
            h.ref,
        ),
    )
    if not ordered:
        return MemberHealth()
    worst = ordered[0]
    failing = worst.status is HealthStatus.FAILED
    return MemberHealth(
        status=worst.status,
        reason=worst.reason,
        message=worst.message,
        cause=worst.cause,
        evidence=worst.evidence,
        first_failure_at=(former.first_failure_at or now) if failing else None,
        names_release=worst.names_release,
    )


def health_of(
    record: ServiceRecord | None, state: CellState, trouble: Trouble | None, *, looked: bool
) -> MemberHealth:
    """Returns what is said of a cell's health: of what was applied, or else why that is not so yet."""
    if record is not None and is_applied(record):
        if looked and state.seen is not None:
            return state.seen.health
        return state.trouble or MemberHealth()
    if trouble is not None:
        return MemberHealth(reason=trouble.reason, message=trouble.message)
    if record is None:
        return state.examined.health if state.examined is not None else MemberHealth()
    return MemberHealth(reason=record.reason or record.state, message=record.message)
