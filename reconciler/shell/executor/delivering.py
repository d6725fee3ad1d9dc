"""One order from claim to status: every write ahead of what it makes safe, and each safe to do again.

Claim the record, store the objects, write the inventory, apply, report. A process that dies between
two of these leaves a record whose status speaks of an older spec, which the next turn reads as "not
applied" and does again from the start. Deleting comes later, by `pruning`, and by what stands then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from reconciler.core.suspending import suspended
from reconciler.errors import Denied, InvalidInput, OperatorError, ReconcilerError, TransientError
from reconciler.model.names import RenderDigest
from reconciler.model.objects import NOTHING, KubeObject, ObjectRef, Rendered
from reconciler.model.policy import DriftMode
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi
from reconciler.shell.executor.applying import Applied, CannotApply, apply_all, apply_one
from reconciler.shell.executor.burying import all_that_was_stored
from reconciler.shell.executor.foreign import has_owner, refuse_foreign, standing
from reconciler.shell.executor.inventory import Inventories, Inventory
from reconciler.shell.executor.live import LiveObjects
from reconciler.shell.executor.orders import Order, Rights
from reconciler.shell.executor.records import ServiceRecords, asked_for, current, is_applied
from reconciler.shell.executor.stored import StoredObjects

NOTHING_TO_APPLY = "NothingToApply"
SUSPENDED = "Suspended"
MESSAGE_MAX = 1_000
"""A record stays under 8 KB; an API server's refusal may quote a whole object."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of an order.

    Attributes:
        objects: What was applied; None when nothing had to be.
        applied: What the server stored of each.
    """

    record: ServiceRecord
    objects: tuple[KubeObject, ...] | None
    applied: tuple[Applied, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What stood in a cluster before an attempt.

    Attributes:
        there: What is live of what is asked for, or was adopted.
        forced: Of which objects fields are taken from whoever has them; what is not ours the server compares.
        adopted: What stands there as it was adopted: it is taken over as it is before anything is changed.
    """

    inventory: Inventory
    there: Mapping[ObjectRef, KubeObject | None]
    forced: frozenset[ObjectRef]
    adopted: tuple[KubeObject, ...] = ()


class Deliveries:
    """Carries out orders on one cluster.

    Args:
        api: The cluster.
        live: What is live there.
        records: The records there.
        stored: The stored revisions there.
        inventories: The inventories there.
        rights: What may be done still: a slow cluster is asked for a while before anything is applied.
        clock: Time.
    """

    def __init__(
        self,
        api: KubeApi,
        live: LiveObjects,
        records: ServiceRecords,
        stored: StoredObjects,
        inventories: Inventories,
        rights: Rights,
        *,
        clock: Clock,
    ) -> None:
        self._api = api
        self._live = live
        self._records = records
        self._stored = stored
        self._inventories = inventories
        self._rights = rights
        self._clock = clock

    def claim(self, order: Order, was: ServiceRecord | None) -> ServiceRecord:
        """Writes down what is asked for; where that fails, all is as it was.

        Args:
            order: What is asked for.
            was: The cluster's record as it was last seen.

        Raises:
            Fenced: Another coordinator has taken over.
            ReconcilerError: The record cannot be written.
        """
        return self._records.claim(asked_for(order, was), was)

    def carry_out(
        self, order: Order, was: ServiceRecord | None, claimed: ServiceRecord, *, healthy_s: float
    ) -> Delivered:
        """Carries out a claimed order, from wherever an earlier attempt ended.

        Args:
            order: What is asked for.
            was: The cluster's record as it was before the claim.
            claimed: As it is since.
            healthy_s: Seconds that what runs now was observed healthy.

        Raises:
            CannotApply: The server refuses it, or there is nothing to apply; the status says so.
            TransientError: Try again.
        """
        needs_no_write = _renders_to_what_is_there(order, was)
        if is_there(order, was):
            record = claimed
            if not claimed.is_observed:
                seen_s = max(claimed.healthy_s, healthy_s)
                record = self._records.report(replace(current(claimed), healthy_s=seen_s))
            return Delivered(record, None, ())
        try:
            rendered = self._objects(order)
            found = None if needs_no_write else self._look(order, rendered.objects, was)
            if order.rendered is rendered and not order.deliver.returning and rendered.objects:
                self._stored.save(order.key, order.deliver.revision.id, rendered)
            if found and order.adopted is not None:
                self._stored.save(order.key, order.adopted.revision, order.adopted.rendered)
            applied: tuple[Applied, ...] = ()
            if found is not None:
                self._refuse_stopped(order)
                there = self._write_ahead(order, rendered.objects, found)
                if found.adopted and claimed.state is ApplyState.PENDING:
                    claimed = self._begun(claimed)
                self._take_over(order, rendered.objects, found.adopted, there)
                claimed = self._begun(claimed)
                applied = apply_all(
                    self._api,
                    rendered.objects,
                    key=order.key,
                    forced=found.forced,
                    known=there.get,
                    on_stored=partial(self._note, there),
                )
        except CannotApply as refusal:
            self._note_refusal(order, claimed, refusal)
            raise
        # Where nothing was written the same Pods still run, and nothing else did in between.
        seen_s = healthy_s if needs_no_write else 0.0
        record = self._records.report(_done(claimed, rendered, healthy_s=seen_s))
        return Delivered(record, rendered.objects, applied)

    def _objects(self, order: Order) -> Rendered:
        """Returns what to apply: on the way back what is stored, else what was rendered."""
        revision = order.deliver.revision.id
        if order.deliver.revision.absent:
            return NOTHING
        if order.rendered is not None and not order.deliver.returning:
            return order.rendered
        why = "its objects are not stored here, and it cannot be rendered now"
        try:
            stored = self._stored.load(order.key, revision)
        except InvalidInput as damaged:
            stored, why = None, f"{damaged.object} is damaged, and it cannot be rendered now"
        if stored is not None:
            return stored
        if order.rendered is not None:
            return order.rendered
        version = order.deliver.revision.release.version
        error = ReconcilerError(f"{order.deliver.service} {version}", "it cannot be applied", why)
        raise CannotApply(NOTHING_TO_APPLY, error)

    def _look(
        self, order: Order, objects: tuple[KubeObject, ...], was: ServiceRecord | None
    ) -> _Found:
        """Looks at what is live of it, and at whose it is; refuses what may not be written over."""
        inventory = self._inventories.load(order.key)
        if order.deliver.revision.absent:
            known = all_that_was_stored(order, was, inventory, self._stored)
            inventory = replace(inventory, refs=inventory.refs | known)
        # What was written down ahead of an attempt that failed may be somebody else's by now.
        ours = inventory.refs if is_applied(was) else frozenset()
        # What was never applied whole is being adopted, however often that is tried.
        is_adoption = was is None or was.render_digest is None
        former = order.adopted.rendered.objects if is_adoption and order.adopted else ()
        refs = frozenset(map(ObjectRef.of, objects))
        asked = refs.union(map(ObjectRef.of, former))
        there = {ref: self._seen(ref, is_ours=ref in ours) for ref in sorted(asked)}
        owned = frozenset(ref for ref in asked if ref in ours or has_owner(there[ref]))
        deliver = order.deliver
        takes_all = deliver.overwrite if is_adoption else deliver.returning
        # What is written over anyway needs not be taken over first.
        adopted = () if takes_all or deliver.overwrite else standing(former, there, owned)
        self._refuse_suspended(there, refs.union(map(ObjectRef.of, adopted)))
        if takes_all:
            return _Found(inventory, there, refs)
        # What an earlier try has made ours may have fields of others, which the next may not take either.
        takes_fields = deliver.returning or deliver.drift is DriftMode.CORRECT
        forced = owned if takes_fields else frozenset()
        if deliver.overwrite:
            return _Found(inventory, there, forced | (refs - owned))
        refuse_foreign(objects, there, owned.union(map(ObjectRef.of, adopted)))
        return _Found(inventory, there, forced, adopted)

    def _refuse_stopped(self, order: Order) -> None:
        """Begins nothing that people have stopped since it was claimed."""
        if not self._rights.may_write(order.key):
            what, why = "it is not applied", "nothing of the service may be written any more"
            raise TransientError(" in ".join(order.key), what, why)

    def _write_ahead(
        self, order: Order, objects: tuple[KubeObject, ...], found: _Found
    ) -> dict[ObjectRef, KubeObject | None]:
        """Writes down what may be there from now on; returns what is, for what is written to be noted in."""
        refs = {ObjectRef.of(obj) for obj in (*found.adopted, *objects)}
        wanted = replace(found.inventory, refs=found.inventory.refs | refs)
        self._inventories.save(order.key, wanted, found.inventory)
        self._live.watch(sorted({(ref.api_version, ref.kind) for ref in refs}))
        return dict(found.there)

    def _take_over(
        self,
        order: Order,
        objects: tuple[KubeObject, ...],
        adopted: tuple[KubeObject, ...],
        there: dict[ObjectRef, KubeObject | None],
    ) -> None:
        """Makes ours what stands as it was adopted; refuses what that cannot be done for and that differs."""
        refused: dict[ObjectRef, ReconcilerError] = {}
        for obj in adopted:
            try:
                stored = apply_one(self._api, obj, key=order.key, force=False, known=there.get)
            except CannotApply as refusal:
                # This helps the release and is no part of it: such an object stays as it is, and nobody's.
                refused[ObjectRef.of(obj)] = refusal.error
            else:
                self._note(there, stored)
        left = tuple(obj for obj in objects if ObjectRef.of(obj) in refused)
        refuse_foreign(left, there, frozenset(), refused)

    def _note(self, there: dict[ObjectRef, KubeObject | None], stored: KubeObject) -> None:
        """What we wrote is known at once: the watch that tells of it comes later."""
        there[ObjectRef.of(stored)] = stored
        self._live.note_written(stored)

    def _begun(self, claimed: ServiceRecord) -> ServiceRecord:
        """Takes back that a cluster is left as it is: from here on something of ours may be there."""
        if claimed.reason != Reason.ADOPTION_DIFFERS:
            return claimed
        begun = replace(current(claimed), state=ApplyState.APPLYING, reason="", message="")
        return self._records.report(begun)

    def _note_refusal(self, order: Order, claimed: ServiceRecord, refusal: CannotApply) -> None:
        """Writes down why; a record that waits for others still is one of a cluster that we never wrote to."""
        failed = _failed(claimed, refusal)
        is_first = failed.render_digest is None and refusal.reason == Reason.ADOPTION_DIFFERS
        if is_first and not self._inventories.load(order.key).refs:
            failed = replace(failed, state=ApplyState.PENDING)
        if failed != claimed:
            self._records.report(failed)

    def _seen(self, ref: ObjectRef, *, is_ours: bool) -> KubeObject | None:
        """Returns a live object, asked for where no watch would tell of it; None: there is none.

        Most watches tell of what is ours alone. What may not be read cannot be looked at, and may
        still be written: so a way back needs no more rights than the way there.
        """
        found = self._live.get(ref)
        if self._live.is_fresh([(ref.api_version, ref.kind)]) and (is_ours or found is not None):
            return found
        try:
            return self._api.get(ref) if self._api.kind(ref.api_version, ref.kind) else None
        except Denied:
            return found

    def _refuse_suspended(
        self, there: Mapping[ObjectRef, KubeObject | None], written: frozenset[ObjectRef]
    ) -> None:
        """A revision is applied whole or not at all: one suspended object of those to be written holds all of it."""
        for ref in sorted(written):
            stopped = suspended(there[ref], self._clock.now())
            if stopped is not None:
                why, fix = stopped.why, "wait, or end that"
                error = OperatorError(str(ref), "it may not be written", why, fix)
                raise CannotApply(SUSPENDED, error)


def is_there(order: Order, was: ServiceRecord | None) -> bool:
    """Tells whether what is ordered was applied whole, so that its record alone may have to change."""
    return was is not None and is_applied(was) and was.revision.id == order.revision


def _renders_to_what_is_there(order: Order, was: ServiceRecord | None) -> bool:
    """Tells whether another revision renders to exactly what was applied whole: then nothing is written."""
    return (
        order.rendered is not None
        and not order.deliver.returning
        and was is not None
        and is_applied(was)
        and was.render_digest == order.rendered.digest
    )


def _done(record: ServiceRecord, rendered: Rendered, *, healthy_s: float) -> ServiceRecord:
    return replace(
        current(record),
        state=ApplyState.APPLIED,
        applied=record.revision.id,
        render_digest=RenderDigest(rendered.digest) if rendered.digest else None,
        healthy_s=healthy_s,
        reason="",
        message="",
    )


def _failed(record: ServiceRecord, refusal: CannotApply) -> ServiceRecord:
    return replace(
        current(record),
        state=ApplyState.FAILED,
        applied=None,
        healthy_s=0.0,
        reason=refusal.reason,
        message=str(refusal.error)[:MESSAGE_MAX],
    )
