"""Fields that a person's tool applied to an object which is ours since: they come over without being changed.

The server counts every manager of a field, so that who once ran `kubectl apply` would hold it for ever: a release that
changes it is in conflict, and one that leaves it out does not remove it.

Source: Kubernetes documentation, "Server-Side Apply", transferring ownership; client-go's `csaupgrade`, and the
managers from which Flux's kustomize-controller takes fields.
"""

from __future__ import annotations

from typing import Any

from reconciler.core.diff.managers import applied_by_us
from reconciler.model.objects import KubeObject

Entry = dict[str, Any]
"""One of an object's `metadata.managedFields`: the API promises none of its keys."""

_WRITE_WHOLE_OBJECTS = frozenset(
    {
        "before-first-apply",
        "helm",
        "kubectl",
        "kubectl-client-side-apply",
        "kubectl-create",
        "kubectl-replace",
    }
)
"""By such a write a tool comes to hold what the server filled in as well; `kubectl edit` holds what it changed."""


def taken_over(live: KubeObject, *, agreed: bool) -> tuple[Entry, ...] | None:
    """Returns an object's managers once we have taken over what is ours; None: there is nothing to take over.

    A field that we hold together with a person's tool has the value that we applied, and becomes ours alone. One that
    the tool has changed since is its own, which is drift, and stays so.

    Args:
        live: With its managedFields.
        agreed: It is the server's answer to an apply of ours, so that nothing that others hold differs from what we
            ask for. Then what was written with a whole object, and is not named by us, becomes nobody's: it stays as
            it is, and a later release may name it. Metadata is left out, where a person's own notes are.
    """
    entries = tuple(live["metadata"].get("managedFields") or ())
    ours = applied_by_us(live)
    if not ours:
        return None
    left = (_left(entry, ours, agreed=agreed) for entry in entries)
    kept = tuple(entry for entry in left if entry is not None)
    return kept if kept != entries else None


def _left(entry: Entry, ours: list[Entry], *, agreed: bool) -> Entry | None:
    """Returns what is left of an entry; a subresource is written by controllers, and by `kubectl scale`."""
    manager, fields = str(entry.get("manager")), entry.get("fieldsV1")
    how = entry.get("operation")
    is_by_hand = manager in _WRITE_WHOLE_OBJECTS or manager.startswith("kubectl-")
    if entry.get("subresource") or not (is_by_hand and how and fields):
        return entry
    for tree in ours:
        fields = _without(fields, tree)
    # An apply of others holds what it names and removes by it what it names no more, which is theirs to do.
    if agreed and how == "Update" and manager in _WRITE_WHOLE_OBJECTS:
        fields = {key: tree for key, tree in fields.items() if key == "f:metadata"}
    return {**entry, "fieldsV1": fields} if fields else None


def _without(theirs: Entry, ours: Entry) -> Entry:
    """Returns a fieldsV1 tree without the fields that are in another one too."""
    left = {}
    for key, tree in theirs.items():
        rest = _without(tree, ours[key]) if key in ours else tree
        if rest or key not in ours:
            left[key] = rest
    return left
