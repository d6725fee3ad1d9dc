"""One cluster's API server, as raw JSON objects; every error is Denied, Refused or a TransientError."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reconciler.model.objects import KubeObject, ObjectRef


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What the server says of a kind."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole list: every page of it, or an error instead."""

    items: tuple[KubeObject, ...]
    resource_version: str


class Change(StrEnum):
    """What a watch event says happened."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch; for a bookmark only the resourceVersion of `object` has a meaning."""

    change: Change
    object: KubeObject


class Propagation(StrEnum):
    """What becomes of the dependents of a deleted object."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class KubeReader(Protocol):
    """Reads. An error is never an empty answer."""

    @property
    def skew_s(self) -> float | None:
        """Seconds that the server's clock was ahead of ours in its last answer; None: not known.

        For people alone: clocks of different machines are never compared to decide anything.
        """
        ...

    def kind(self, api_version: str, kind: str) -> KindInfo | None:
        """Returns what the server serves under this name; None when it serves no such kind."""
        ...

    def get(self, ref: ObjectRef) -> KubeObject | None:
        """Returns the object, or None when the server says that it is not there."""
        ...

    def list(
        self, api_version: str, kind: str, *, namespace: str | None, label_selector: str
    ) -> Listing:
        """Returns every object of a kind, all pages of one consistent list.

        Raises:
            OperatorError: The kind is not served (Refused), or we may not list it (Denied).
            TransientError: No whole answer.
        """
        ...

    def watch(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None,
        label_selector: str,
        resource_version: str,
        timeout_s: float,
    ) -> Iterator[WatchEvent]:
        """Yields events after a resourceVersion, bookmarks included, until the time is up.

        Raises:
            Expired: The version is too old; list again.
            TransientError: The stream broke; what was yielded before it stands.
        """
        ...

    def end_watches(self) -> None:
        """Breaks every watch off, whichever thread reads it, and each that is asked for later."""
        ...


class KubeWriter(Protocol):
    """Writes; each is one request, never repeated by the adapter."""

    def apply(self, obj: KubeObject, *, force: bool, dry_run: bool) -> KubeObject:
        """Server-side apply under our field manager; returns the stored object.

        Raises:
            Conflict: Another manager owns a field and `force` is False.
            Refused: Invalid, immutable, or denied by admission; nothing was changed.
        """
        ...

    def create(self, obj: KubeObject) -> KubeObject:
        """Creates; Conflict when it is there already."""
        ...

    def replace(self, obj: KubeObject, *, subresource: str | None) -> KubeObject:
        """Replaces the version that `metadata.resourceVersion` names; Conflict when it moved on."""
        ...

    def reassign(self, obj: KubeObject, managed_fields: Sequence[KubeObject]) -> KubeObject:
        """Writes who manages which fields of the version that `metadata.resourceVersion` names, and nothing else.

        Returns the stored object; Conflict when that moved on.
        """
        ...

    def delete(
        self, ref: ObjectRef, *, uid: str, resource_version: str, propagation: Propagation
    ) -> None:
        """Deletes exactly that object; nothing to do when it is gone, Conflict when it changed."""
        ...


class KubeApi(KubeReader, KubeWriter, Protocol):
    """Both, for one cluster."""
