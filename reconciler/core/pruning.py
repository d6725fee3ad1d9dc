"""What may be deleted of what a service no longer renders: with a guard on kinds, number and share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from reconciler.core.assembly import deletion_layers
from reconciler.core.diff import is_applied_by_us
from reconciler.model.facts import Suspension
from reconciler.model.objects import KubeObject, ObjectRef

PRUNE_ANNOTATION = "reconciler.dev/prune"
"""`"true"` on an object of the env repo lets a guarded kind be deleted once it is rendered no more.

What is rendered no more has no text in the env repo to look at. Its last one is what we applied last, so that the
live annotation counts where we are who applied it: one that was written by hand lets nothing go.
"""

_LET_GO = f'`{PRUNE_ANNOTATION}: "true"` from the env repo'

GUARDED = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apps", "StatefulSet"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    }
)
"""Deleting one of these deletes what nobody can render again."""

NUMBER_MAX = 20
"""Above it in one revision, or in an hour, a folder is more likely to be lost than meant to go."""

SHARE_MAX = 0.5
"""The same, for small services; a few objects may always go."""

SHARE_COUNTS_FROM = 4


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What becomes of the objects that are rendered no more.

    Attributes:
        delete: To be deleted.
        kept: Stay where they are, each with the reason.
        given_up: Not ours any more or gone already; only to be forgotten.
    """

    delete: tuple[ObjectRef, ...]
    kept: tuple[tuple[ObjectRef, str], ...]
    given_up: tuple[ObjectRef, ...]


def plan_prune(
    owned: Collection[ObjectRef],
    wanted: Collection[ObjectRef],
    *,
    live: Callable[[ObjectRef], KubeObject | None],
    is_ours: Callable[[KubeObject], bool],
    suspended: Callable[[ObjectRef], Suspension | None] = lambda ref: None,
    already: int = 0,
) -> PrunePlan:
    """Plans what to do with owned objects that are not wanted.

    Args:
        owned: The inventory.
        wanted: What the applied revision renders to.
        live: What was last seen of an object, from a list that is whole; None: it is gone.
        is_ours: Whether a live object still belongs to this service here.
        suspended: Whether a person has suspended an object.
        already: How many of this service's objects were deleted here in the hour before.
    """
    delete, kept, given_up = [], [], []
    for ref in sorted(set(owned) - set(wanted)):
        seen = live(ref)
        if seen is None or not is_ours(seen):
            given_up.append(ref)
        elif (stopped := suspended(ref)) is not None:
            kept.append((ref, stopped.why))
        elif (ref.group, ref.kind) in GUARDED and not _is_let_go(seen):
            kept.append((ref, f"{ref.kind} is only deleted with {_LET_GO}"))
        else:
            delete.append(ref)
    why = _too_many(len(delete), len(owned), already)
    if why:
        kept.extend((ref, why) for ref in delete)
        delete = []
    return PrunePlan(tuple(delete), tuple(sorted(kept)), tuple(given_up))


@dataclass(frozen=True, slots=True)
class BurialPlan:
    """What becomes of the objects of a service that is to be gone.

    Attributes:
        delete: To be deleted now, what leans on others first.
        going: Deleted before, and there until their finalizers let them go.
        kept: Stay where they are, each with the reason.
        gone: Not there any more, or not ours.
    """

    delete: tuple[ObjectRef, ...]
    going: tuple[ObjectRef, ...]
    kept: tuple[tuple[ObjectRef, str], ...]
    gone: tuple[ObjectRef, ...]

    @property
    def refs(self) -> frozenset[ObjectRef]:
        """All that were looked for."""
        return frozenset((*self.delete, *self.going, *self.gone, *(ref for ref, _ in self.kept)))

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return not (self.delete or self.going or self.kept)


def plan_burial(
    owned: Collection[ObjectRef],
    *,
    live: Callable[[ObjectRef], KubeObject | None],
    is_ours: Callable[[KubeObject], bool],
    suspended: Callable[[ObjectRef], Suspension | None] = lambda ref: None,
    already: int = 0,
) -> BurialPlan:
    """Plans what to do with all that a service owns, which a person asked to go; see `plan_prune`.

    All of them are meant, so that no share of them is too much; the number of an hour is a pace.
    """
    delete: list[KubeObject] = []
    going, kept, gone = [], [], []
    for ref in sorted(set(owned)):
        seen = live(ref)
        if seen is None or not is_ours(seen):
            gone.append(ref)
        elif "deletionTimestamp" in seen["metadata"]:
            going.append(ref)
        elif (stopped := suspended(ref)) is not None:
            kept.append((ref, stopped.why))
        elif (ref.group, ref.kind) in GUARDED and not _is_let_go(seen):
            kept.append((ref, f"{ref.kind} is only deleted with {_LET_GO}, or by hand"))
        else:
            delete.append(seen)
    ordered = [ObjectRef.of(obj) for layer in deletion_layers(delete) for obj in layer]
    room = max(0, NUMBER_MAX - already)
    why = f"{already + len(ordered[:room])} objects go in an hour, and {NUMBER_MAX} are allowed"
    kept.extend((ref, why) for ref in ordered[room:])
    return BurialPlan(tuple(ordered[:room]), tuple(going), tuple(sorted(kept)), tuple(gone))


def _is_let_go(obj: KubeObject) -> bool:
    """Whoever holds the annotation beside us holds the same value, or it would be theirs alone."""
    is_true = (obj["metadata"].get("annotations") or {}).get(PRUNE_ANNOTATION) == "true"
    return is_true and is_applied_by_us(obj, ("metadata", "annotations", PRUNE_ANNOTATION))


def _too_many(count: int, owned: int, already: int) -> str:
    """Many small steps within an hour are as much as one large one."""
    total, before = count + already, f", after {already} in the last hour" if already else ""
    if count and total > NUMBER_MAX:
        return f"{count} objects would go at once{before}, and {NUMBER_MAX} are allowed"
    if count and total >= SHARE_COUNTS_FROM and total > SHARE_MAX * (owned + already):
        return f"{count} of {owned} objects would go at once{before}, which is more than half"
    return ""
