"""Drift: tell it, ask the server where our own comparison may be wrong, and put it right if policy says so."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.core.handing_over import keeping_replicas
from reconciler.core.suspending import suspended
from reconciler.errors import ReconcilerError
from reconciler.model.drift import FieldDifference
from reconciler.model.events import EventKind
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi
from reconciler.shell.executor.applying import CannotApply, apply_one
from reconciler.shell.executor.cells import CellState, Drifted
from reconciler.shell.executor.live import LiveObjects
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.telling import Teller

CORRECTIONS_MAX, CORRECTIONS_WINDOW_S = 5, 60.0
"""Somebody who writes against us more often than this is a rival; we wait instead of fighting."""

FIGHT_S = CORRECTIONS_WINDOW_S / CORRECTIONS_MAX
AGAIN_S = 2.0
"""After a correction: sooner if the watch tells of another difference, which wakes the executor."""


class Repairs:
    """Tells and corrects the drift of one cluster's objects.

    Args:
        api: Its API server.
        live: What is live there.
        clock: Time.
        teller: Tells once of each difference, and of each correction.
        settled: Told of each object of some resourceVersion of which the server says that it does not differ.
    """

    def __init__(
        self,
        api: KubeApi,
        live: LiveObjects,
        *,
        clock: Clock,
        teller: Teller,
        settled: Callable[[CellKey, ObjectRef, str], None],
    ) -> None:
        self._api = api
        self._live = live
        self._clock = clock
        self._teller = teller
        self._settled = settled
        self._told: dict[ObjectRef, Drifted] = {}
        self._corrected_s: dict[ObjectRef, list[float]] = {}

    def step(
        self,
        record: ServiceRecord,
        state: CellState,
        hold: Callable[[ServiceRecord], ServiceRecord],
        *,
        may_ask: bool,
        correct: bool,
    ) -> float | None:
        """Deals with the drift of one cell.

        Args:
            record: What is asked for there.
            state: What was seen.
            hold: The compare-and-set of the record that goes before the first correction.
            may_ask: Whether the server may be asked what an apply would change. A dry run keeps
                nothing, but it needs the right to write, which observing does without.
            correct: Whether it may be put right at all.

        Returns:
            Seconds until it should be looked at again; None when there is nothing more to do.

        Raises:
            ReconcilerError: The server does not take one of the objects, or does not answer; what
                could be corrected has been.
        """
        wait_s: float | None = None
        held: ServiceRecord | None = None
        first_error: ReconcilerError | None = None
        for drifted in state.seen.drift if state.seen is not None else ():
            seen = self._live.get(drifted.ref)
            desired = state.objects.get(drifted.ref) if state.objects is not None else None
            if desired is None or not self._is_told(desired, seen, drifted, record, may_ask):
                continue
            if not correct or suspended(seen, self._clock.now()):
                continue
            if self._is_fight(drifted.ref):
                wait_s = min(wait_s or FIGHT_S, FIGHT_S)
                continue
            held = held or hold(record)
            try:
                self._correct(desired, held, drifted)
                wait_s = AGAIN_S
            except CannotApply as refusal:
                first_error = first_error or refusal.error
            except ReconcilerError as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error
        return wait_s

    def _is_told(
        self,
        desired: KubeObject,
        seen: KubeObject | None,
        drifted: Drifted,
        record: ServiceRecord,
        may_ask: bool,  # noqa: FBT001  # one of the words of `step`
    ) -> bool:
        """Tells a difference once; returns False where the server says that there is none."""
        # A status that moves on makes a new version of the object, and no new difference.
        if self._told.get(drifted.ref) == drifted:
            return True
        key = (record.service, record.environment)
        if seen is not None and may_ask and self._is_none(desired, seen, key):
            return False
        self._tell(EventKind.DRIFT_SEEN, record, drifted)
        self._told[drifted.ref] = drifted
        return True

    def _is_none(self, desired: KubeObject, seen: KubeObject, key: CellKey) -> bool:
        """Asks the server what an apply would change: defaults we do not know are no drift."""
        try:
            would_be = self._api.apply(keeping_replicas(desired, seen), force=True, dry_run=True)
        except ReconcilerError:
            return False
        if _content(would_be) != _content(seen):
            return False
        self._settled(key, ObjectRef.of(desired), str(seen["metadata"].get("resourceVersion", "")))
        return True

    def _is_fight(self, ref: ObjectRef) -> bool:
        now_s = self._clock.monotonic_s()
        recent = [s for s in self._corrected_s.get(ref, ()) if now_s - s < CORRECTIONS_WINDOW_S]
        self._corrected_s[ref] = recent
        return len(recent) >= CORRECTIONS_MAX

    def _correct(self, desired: KubeObject, record: ServiceRecord, drifted: Drifted) -> None:
        key = (record.service, record.environment)
        stored = apply_one(self._api, desired, key=key, force=True, known=self._live.get)
        self._live.note_written(stored)
        self._corrected_s.setdefault(drifted.ref, []).append(self._clock.monotonic_s())
        self._tell(EventKind.DRIFT_CORRECTED, record, drifted)
        self._told.pop(drifted.ref, None)

    def _tell(self, kind: EventKind, record: ServiceRecord, drifted: Drifted) -> None:
        reason = "Missing" if drifted.missing else "FieldDiffers"
        for field in drifted.fields or (None,):
            message, detail = _words(drifted, field), _detail(drifted, field)
            self._teller.of_record(kind, record, reason, message, detail)


def _content(obj: KubeObject) -> dict[str, object]:
    """An object without what changes by itself."""
    meta = obj["metadata"]
    kept: dict[str, object] = {k: v for k, v in obj.items() if k not in ("metadata", "status")}
    return {**kept, "labels": meta.get("labels"), "annotations": meta.get("annotations")}


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
