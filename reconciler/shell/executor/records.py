"""Compare-and-set of a ServiceRecord: the claim that goes before every batch of writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.errors import AdmissionDenied, Conflict, NotServed, Refused
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.ports.kube import KubeApi
from reconciler.schema.records import service_record_object, service_record_status
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.orders import Leadership, Order, not_ours


class Fenced(Conflict):
    """Another coordinator has written the record since: this one may write nothing there."""


class ServiceRecords:
    """The service records of one cluster.

    Args:
        api: The cluster.
        namespace: The reconciler's own.
        known: What is known of them; it is told of every answer.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        known: KnownRecords[ServiceRecord],
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._known = known

    def claim(self, wanted: ServiceRecord, was: ServiceRecord | None) -> ServiceRecord:
        """Writes what is asked for, or finds that it stands already, still in our name.

        Raises:
            Fenced: A higher epoch, another holder of ours or another installation has been there.
            Conflict: Somebody wrote it since it was read.
        """
        key = (wanted.service, wanted.environment)
        other = self._known.other(key)
        if other:
            raise Fenced(*not_ours("ServiceRecord", key, other))
        if was is None or not was.version:
            return self._known.keep(self._api.create(self._object(wanted)))
        if _is_spec_equal(wanted, was):
            return self._checked(wanted)
        try:
            obj = self._object(replace(wanted, version=was.version))
            return self._known.keep(self._api.replace(obj, subresource=None))
        except (NotServed, AdmissionDenied):
            raise
        except Refused as error:
            # The definition's rule: a lower epoch, or another holder of this one.
            raise Fenced(error.object, "the claim was refused", error.why, error.fix) from error

    def hold(self, record: ServiceRecord, leadership: Leadership) -> ServiceRecord:
        """Goes before every batch of writes that nobody ordered: repairs, pruning, freeing.

        Raises:
            Fenced: The record is another coordinator's, or we do not lead and it is not ours yet.
            Conflict: Somebody wrote it since it was read.
        """
        wanted = leadership.holding(record)
        if wanted is None:
            name = f"ServiceRecord/{record.service}.{record.environment}"
            why = f"it shows the term {record.epoch} of {record.holder or 'nobody'}"
            raise Fenced(name, "nothing is written below it", why)
        held = self.claim(wanted, record)
        if is_applied(record) and not held.is_observed:
            # Only the name changed; what is applied is what it was.
            held = self.report(current(held))
        return held

    def _checked(self, wanted: ServiceRecord) -> ServiceRecord:
        found = self._find(wanted)
        from_server = None if found is None else self._known.keep(found)
        if from_server is None or not _is_spec_equal(wanted, from_server):
            name = f"ServiceRecord/{wanted.service}.{wanted.environment}"
            raise Conflict(name, "the claim does not stand", "the record was changed meanwhile")
        return from_server

    def reread(self, like: ServiceRecord) -> None:
        """Takes over the record of the same cell as it stands on the server, after a write went wrong."""
        self._known.reread((like.service, like.environment), self._find(like))

    def _find(self, like: ServiceRecord) -> KubeObject | None:
        return self._api.get(ObjectRef.of(self._object(like)))

    def report(self, record: ServiceRecord) -> ServiceRecord:
        """Writes the status of a record that was read or claimed before."""
        obj = {**self._object(record), "status": service_record_status(record)}
        return self._known.keep(self._api.replace(obj, subresource="status"))

    def _object(self, record: ServiceRecord) -> dict[str, Any]:
        obj = service_record_object(record, namespace=self._namespace)
        kept = self._known.kept((record.service, record.environment))
        return {**obj, "metadata": {**kept, **obj["metadata"]}}


def asked_for(order: Order, was: ServiceRecord | None) -> ServiceRecord:
    """Returns the record that an order asks for; its status is what the former one says."""
    deliver = order.deliver
    former = was or ServiceRecord(
        deliver.service, deliver.environment, deliver.revision, order.namespace
    )
    asked = replace(
        former,
        revision=deliver.revision,
        namespace=order.namespace or former.namespace,
        returning=deliver.returning,
        proven=deliver.proven,
        drift=deliver.drift,
        keep=deliver.keep,
        rejection=deliver.rejection,
    )
    return order.claim.on(asked)


def current(record: ServiceRecord) -> ServiceRecord:
    """Returns a record whose status speaks of what it asks for now."""
    return replace(record, observed_generation=record.generation)


def is_applied(record: ServiceRecord | None) -> bool:
    """Whether a record's own status says that all of what it asks for was applied."""
    return (
        record is not None
        and record.state is ApplyState.APPLIED
        and record.applied == record.revision.id
        and record.observed_generation == record.generation
    )


def _is_spec_equal(one: ServiceRecord, other: ServiceRecord) -> bool:
    return _spec(one) == _spec(other)


def _spec(record: ServiceRecord) -> ServiceRecord:
    """A record without its status, to be compared."""
    return ServiceRecord(
        service=record.service,
        environment=record.environment,
        revision=record.revision,
        namespace=record.namespace,
        returning=record.returning,
        proven=record.proven,
        drift=record.drift,
        keep=record.keep,
        rejection=record.rejection,
        epoch=record.epoch,
        holder=record.holder,
        installation=record.installation,
    )
