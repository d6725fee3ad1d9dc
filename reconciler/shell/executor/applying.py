"""Give objects to the API server, layer by layer, and say whose fault it is when it will not have them."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from reconciler.core.assembly import ENVIRONMENT_LABEL, SERVICE_LABEL, layers
from reconciler.core.handing_over import keeping_replicas
from reconciler.core.judging import APPLY_REFUSED
from reconciler.core.taking_over import taken_over
from reconciler.errors import (
    AdmissionDenied,
    Conflict,
    Denied,
    NotServed,
    OperatorError,
    ReconcilerError,
    Refused,
    Unreachable,
)
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import KubeApi
from reconciler.shell.executor.orders import CellKey

ADMISSION_DENIED = "AdmissionDenied"
"""A rule of the cluster's refuses an object. Whose fault that is nobody can say: it is held, not bad."""

FIELD_CONFLICT = "FieldConflict"
FORBIDDEN = "Forbidden"
OWNED_BY_ANOTHER = "OwnedByAnother"
KIND_NOT_SERVED = "KindNotServed"
WRONG_SCOPE = "WrongScope"

TAKE_OVER_TRIES = 5
"""Controllers write to an object as soon as it is applied, and are done with that soon."""

_Found = TypeVar("_Found", bound=KubeObject | None)

DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")


class CannotApply(Exception):
    """An object that the server does not take as it is; trying again by itself changes nothing.

    Attributes:
        reason: APPLY_REFUSED where the object itself is wrong, which is the release's own fault;
            any other is not.
    """

    def __init__(self, reason: str, error: ReconcilerError) -> None:
        super().__init__(reason, error)
        self.reason = reason
        self.error = error


@dataclass(frozen=True, slots=True)
class Applied:
    """What the server stored of one object.

    Attributes:
        generation: Of the stored object; 0 for kinds without one.
    """

    ref: ObjectRef
    uid: str
    generation: int


def apply_all(
    api: KubeApi,
    objects: tuple[KubeObject, ...],
    *,
    key: CellKey,
    forced: Set[ObjectRef],
    known: Callable[[ObjectRef], KubeObject | None],
    on_stored: Callable[[KubeObject], None],
) -> tuple[Applied, ...]:
    """Applies objects in their layers; each is told of as it is done.

    Args:
        api: The cluster.
        objects: In any order.
        key: Whose objects they are; one that another service owns is refused.
        forced: Of which objects fields are taken from other managers: for adoption, drift repair and the way
            back alone.
        known: What was last seen of an object, or None.
        on_stored: Called with what the server answered, after each object.

    Raises:
        CannotApply: An object is refused; those before it stay applied.
        TransientError: No answer; what was applied stays.
    """
    applied: list[Applied] = []
    redefined: set[tuple[str, str]] = set()
    for layer in layers(objects):
        for obj in layer:
            ref = ObjectRef.of(obj)
            was = known(ref)
            try:
                stored = apply_one(api, obj, key=key, force=ref in forced, known=known)
            except CannotApply as refusal:
                is_new = refusal.reason == APPLY_REFUSED and (ref.group, ref.kind) in redefined
                raise _just_defined(ref, refusal.error) if is_new else refusal from None
            on_stored(stored)
            applied.append(_applied(ref, stored))
            if (ref.group, ref.kind) == DEFINITION and _version(was) != _version(stored):
                redefined.add((stored["spec"]["group"], stored["spec"]["names"]["kind"]))
    return tuple(applied)


def apply_one(
    api: KubeApi,
    obj: KubeObject,
    *,
    key: CellKey,
    force: bool,
    known: Callable[[ObjectRef], KubeObject | None],
) -> KubeObject:
    """Applies one object and returns what is stored then; see `apply_all`.

    What a person's tool applied there before is taken over once the server has found no conflict with it; and ahead,
    where that has not come about: it was ours before there was this, or a process died in between.
    """
    ref = ObjectRef.of(obj)
    seen = known(ref)
    _check_scope(api, ref)
    _check_owner(ref, seen, key)
    _check_stays(ref, seen)
    seen = _take_over(api, seen, lambda: api.get(ref), agreed=False)
    wanted = keeping_replicas(obj, seen)
    # Whoever wrote in between may not agree: the server is asked again.
    again = partial(_apply, api, wanted, ref, force=force)
    stored = again()
    _check_stays(ref, stored)
    return _take_over(api, stored, again, agreed=True)


def _apply(api: KubeApi, obj: KubeObject, ref: ObjectRef, *, force: bool) -> KubeObject:
    try:
        return api.apply(obj, force=force, dry_run=False)
    except NotServed as error:
        raise _not_served(ref) from error
    except AdmissionDenied as error:
        raise CannotApply(ADMISSION_DENIED, error) from error
    except Refused as error:
        raise CannotApply(APPLY_REFUSED, error) from error
    except Denied as error:
        raise CannotApply(FORBIDDEN, error) from error
    except Conflict as error:
        raise CannotApply(FIELD_CONFLICT, error) from error


def _take_over(
    api: KubeApi, found: _Found, again: Callable[[], _Found], *, agreed: bool
) -> _Found | KubeObject:
    """Makes ours alone what is ours in an object as it was found; nothing of what it says changes by that."""
    for _ in range(TAKE_OVER_TRIES):
        managers = taken_over(found, agreed=agreed) if found is not None else None
        if found is None or managers is None:
            return found
        try:
            with suppress(Conflict):
                return api.reassign(found, managers)
            found = again()
        except OperatorError:
            # Nothing that a release could help: it is told as a conflict by the first that changes such a field.
            return found
    # What changes all the time is left to the next apply, which begins with what is ours: none needs this.
    return found


def _applied(ref: ObjectRef, stored: KubeObject) -> Applied:
    meta = stored["metadata"]
    return Applied(ref, str(meta.get("uid", "")), int(meta.get("generation") or 0))


def _check_scope(api: KubeApi, ref: ObjectRef) -> None:
    """Refuses an object whose scope the server sees otherwise, before it lands where nobody looks."""
    info = api.kind(ref.api_version, ref.kind)
    if info is None:
        raise _not_served(ref)
    if info.namespaced != bool(ref.namespace):
        scope = "namespaced" if info.namespaced else "cluster-scoped"
        fix = "name it in `cluster_scoped` of service.yaml" if not info.namespaced else ""
        error = Refused(str(ref), "it cannot be applied", f"the cluster says it is {scope}", fix)
        raise CannotApply(WRONG_SCOPE, error)


def _not_served(ref: ObjectRef) -> Unreachable:
    """A CRD of the same release may take a moment until it is served, so this is tried again."""
    return Unreachable(
        str(ref),
        "it cannot be applied yet",
        f"the cluster does not serve {ref.kind} of {ref.api_version}",
        "install its CRD, or wait for it",
    )


def _just_defined(ref: ObjectRef, error: ReconcilerError) -> Unreachable:
    """A server judges by the former definition for a moment; when it is tried again, nothing changes that."""
    why = f"its definition has just changed, and may not count yet: {error.why}"
    return Unreachable(str(ref), "it cannot be applied yet", why)


def _version(obj: KubeObject | None) -> object:
    return None if obj is None else obj["metadata"].get("resourceVersion")


def _check_stays(ref: ObjectRef, seen: KubeObject | None) -> None:
    """What is being deleted takes all that is written to it along: it is made anew once it is gone."""
    if seen is not None and "deletionTimestamp" in seen["metadata"]:
        why = "it is being deleted, and has finalizers left"
        raise Unreachable(
            str(ref), "it cannot be applied yet", why, "wait, or look at its finalizers"
        )


def _check_owner(ref: ObjectRef, seen: KubeObject | None, key: CellKey) -> None:
    if seen is None:
        return
    labels = seen["metadata"].get("labels") or {}
    owner = (labels.get(SERVICE_LABEL), labels.get(ENVIRONMENT_LABEL))
    # What carries no label of ours belongs to nobody whom we know.
    if owner not in (key, (None, None)):
        error = Refused(
            str(ref),
            "it cannot be applied",
            f"it belongs to service {owner[0]} in {owner[1]}",
            "an object has one owner; take it out of one of the two services",
        )
        raise CannotApply(OWNED_BY_ANOTHER, error)
