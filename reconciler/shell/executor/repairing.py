"""Drift: tell it, ask the server where our own comparison may be wrong, and put it right if policy says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.errors import ReconcilerError
from reconciler.model.drift import FieldDifference
from reconciler.model.events import Event, EventKind
from reconciler.model.names import ClusterName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi
from reconciler.shell.executor.cells import CellState, Drifted
from reconciler.shell.executor.live import LiveObjects
from reconciler.shell.executor.records import ServiceRecords
from reconciler.shell.executor.suspending import suspended

CORRECTIONS_MAX, CORRECTIONS_WINDOW_S = 5, 60.0
"""Somebody who writes against us more often than this is a rival; we wait instead of fighting."""

AGAIN_S = 2.0


class Repairs:
    """Tells and corrects the drift of one cluster's objects.

    Args:
        cluster: Its name.
        api: Its API server.
        live: What is live there.
        clock: Time.
        on_event: Told once of each difference, and of each correction.
    """

    def __init__(
        self,
        cluster: ClusterName,
        api: KubeApi,
        live: LiveObjects,
        *,
        clock: Clock,
        on_event: Callable[[Event], None],
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._live = live
        self._clock = clock
        self._on_event = on_event
        self._told: dict[ObjectRef, Drifted] = {}
        self._corrected_s: dict[ObjectRef, list[float]] = {}

    def step(
        self,
        record: ServiceRecord,
        state: CellState,
        records: ServiceRecords,
        *,
        correct: bool,
        may_ask: bool,
    ) -> float:
        """Deals with the drift of one cell; returns seconds until it should be looked at again.

        Args:
            record: Of the cell here.
            state: What was seen of it.
            records: Where a batch of writes is claimed.
            correct: Whether drift is put right.
            may_ask: Whether the server may be asked what an apply would change. A dry run keeps
                nothing, but it needs the right to write, which observing does without.
        """
        wait_s = 3600.0
        claimed = False
        for drifted in state.seen.drift if state.seen is not None else ():
            seen = self._live.get(drifted.ref)
            desired = _desired(state, drifted.ref)
            if desired is None:
                continue
            if self._told.get(drifted.ref) != drifted:
                # A status that moves on makes a new version of the object, and no new difference.
                if may_ask and seen is not None and self._is_none(desired, seen, state):
                    continue
                self._tell(EventKind.DRIFT_SEEN, record, drifted)
                self._told[drifted.ref] = drifted
            if not correct or suspended(seen, self._clock.now()):
                continue
            if self._is_fight(drifted.ref):
                wait_s = min(wait_s, CORRECTIONS_WINDOW_S / CORRECTIONS_MAX)
                continue
            if not claimed:
                records.claim(record, record)
                claimed = True
            self._correct(desired, record, drifted)
            wait_s = AGAIN_S
        return wait_s

    def _is_none(self, desired: KubeObject, seen: KubeObject, state: CellState) -> bool:
        """Asks the server what an apply would change: defaults we do not know are no drift."""
        try:
            would_be = self._api.apply(desired, force=True, dry_run=True)
        except ReconcilerError:
            return False
        if _content(would_be) == _content(seen):
            state.drift_settled[ObjectRef.of(desired)] = str(
                seen["metadata"].get("resourceVersion", "")
            )
            ref = ObjectRef.of(desired)
            if state.seen is not None:
                left = tuple(d for d in state.seen.drift if d.ref != ref)
                state.seen = replace(state.seen, drift=left)
            return True
        return False

    def _is_fight(self, ref: ObjectRef) -> bool:
        now_s = self._clock.monotonic_s()
        recent = [s for s in self._corrected_s.get(ref, ()) if now_s - s < CORRECTIONS_WINDOW_S]
        self._corrected_s[ref] = recent
        return len(recent) >= CORRECTIONS_MAX

    def _correct(self, desired: KubeObject, record: ServiceRecord, drifted: Drifted) -> None:
        stored = self._api.apply(desired, force=True, dry_run=False)
        self._live.note_written(stored)
        self._corrected_s.setdefault(drifted.ref, []).append(self._clock.monotonic_s())
        self._tell(EventKind.DRIFT_CORRECTED, record, drifted)
        self._told.pop(drifted.ref, None)

    def _tell(self, kind: EventKind, record: ServiceRecord, drifted: Drifted) -> None:
        fields = drifted.fields or (None,)
        for field in fields:
            self._on_event(
                Event(
                    at=self._clock.now(),
                    kind=kind,
                    reason="Missing" if drifted.missing else "FieldDiffers",
                    message=_words(drifted, field),
                    service=record.service,
                    environment=record.environment,
                    cluster=self._cluster,
                    revision=record.revision,
                    detail=_detail(drifted, field),
                )
            )


def _content(obj: KubeObject) -> dict[str, object]:
    """An object without what changes by itself."""
    meta = obj["metadata"]
    kept: dict[str, object] = {k: v for k, v in obj.items() if k not in ("metadata", "status")}
    return {**kept, "labels": meta.get("labels"), "annotations": meta.get("annotations")}


def _desired(state: CellState, ref: ObjectRef) -> KubeObject | None:
    objects = state.objects.objects if state.objects is not None else ()
    return next((obj for obj in objects if ObjectRef.of(obj) == ref), None)


def _words(drifted: Drifted, field: FieldDifference | None) -> str:
    if field is None:
        return f"{drifted.ref} is not there"
    by = f" by {field.manager}" if field.manager else ""
    return f"{drifted.ref}: {field.path} is {field.live}, not {field.desired}{by}"


def _detail(drifted: Drifted, field: FieldDifference | None) -> tuple[tuple[str, str], ...]:
    if field is None:
        return (("object", str(drifted.ref)),)
    return (
        ("object", str(drifted.ref)),
        ("field", field.path),
        ("manager", field.manager or "unknown"),
    )
