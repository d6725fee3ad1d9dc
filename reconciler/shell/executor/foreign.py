"""What is live and nobody's whom we know: compared before it is written over, whichever release names it first."""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType

from reconciler.core.assembly import ENVIRONMENT_LABEL, SERVICE_LABEL
from reconciler.core.diff import differences
from reconciler.core.handing_over import keeping_replicas
from reconciler.errors import OperatorError, ReconcilerError
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.reasons import Reason
from reconciler.shell.executor.applying import CannotApply

FIELDS_MAX = 3
"""How many fields of an object are named: `diff` shows them all."""


def fields_that_differ(desired: KubeObject, seen: KubeObject) -> list[str]:
    """Returns the paths of what would be written over; our labels are not there before an adoption."""
    fields = differences(keeping_replicas(desired, seen), seen)
    return [field.path for field in fields if not field.path.startswith("metadata.labels")]


def refuse_foreign(
    objects: tuple[KubeObject, ...],
    there: Mapping[ObjectRef, KubeObject | None],
    ours: Set[ObjectRef],
    refused: Mapping[ObjectRef, ReconcilerError] = MappingProxyType({}),
) -> None:
    """Refuses to take over what somebody else made and what differs from what is asked for.

    A Namespace is left out: people make it ahead, and what we add to it is no difference. Whatever passes is applied
    without force, so that the server has the last word on it.

    Args:
        objects: What is asked for.
        there: What is live of it.
        ours: What is ours of it.
        refused: Why what stands as it was adopted could not be made ours.

    Raises:
        CannotApply: Reason AdoptionDiffers; names the object and its fields.
    """
    for desired in objects:
        ref = ObjectRef.of(desired)
        seen = there[ref]
        if seen is None or ref in ours or ref.kind == "Namespace":
            continue
        fields = fields_that_differ(desired, seen)
        if fields:
            more = f" and {len(fields) - FIELDS_MAX} more" if len(fields) > FIELDS_MAX else ""
            why = f"it is not ours, and differs in {', '.join(fields[:FIELDS_MAX])}{more}"
            if ref in refused:
                why += f"; nor can it be taken over as it was adopted: {refused[ref].why}"
            fix = "see `reconciler diff`; then correct either, or say `adopt: overwrite` in the pin"
            error = OperatorError(str(ref), "it may not be written over", why, fix)
            raise CannotApply(Reason.ADOPTION_DIFFERS, error)


def standing(
    adopted: tuple[KubeObject, ...],
    there: Mapping[ObjectRef, KubeObject | None],
    ours: Set[ObjectRef],
) -> tuple[KubeObject, ...]:
    """Returns what stands there just as it was adopted, and was never made ours.

    Args:
        adopted: What was found to be live when the environment was adopted.
        there: What is live of it.
        ours: What is ours of it.
    """
    found = ((obj, there[ObjectRef.of(obj)]) for obj in adopted)
    return tuple(
        obj
        for obj, seen in found
        if seen is not None and ObjectRef.of(obj) not in ours and not fields_that_differ(obj, seen)
    )


def has_owner(seen: KubeObject | None) -> bool:
    """Tells whether an object carries a label of ours; whose it is then is looked at as it is applied."""
    if seen is None:
        return False
    labels = seen["metadata"].get("labels") or {}
    return SERVICE_LABEL in labels or ENVIRONMENT_LABEL in labels
