"""Compare-and-set of a ServiceRecord: the claim that goes before every batch of writes."""

from __future__ import annotations

from dataclasses import replace

from reconciler.errors import AdmissionDenied, Conflict, NotServed, Refused
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.ports.kube import KubeApi
from reconciler.schema.records import (
    read_service_record,
    service_record_object,
    service_record_status,
)
from reconciler.shell.executor.orders import Order


class Fenced(Conflict):
    """Another coordinator has written the record since: this one may write nothing there."""


class ServiceRecords:
    """The service records of one cluster."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def claim(self, wanted: ServiceRecord, was: ServiceRecord | None) -> ServiceRecord:
        """Writes what is asked for, or finds that it stands already, still in our name.

        Raises:
            Fenced: A higher epoch, or another holder of ours, has been there.
            Conflict: Somebody wrote it since it was read.
        """
        if was is None or not was.version:
            return self._read(self._api.create(self._object(wanted)))
        if _is_spec_equal(wanted, was):
            return self._checked(wanted)
        try:
            obj = self._object(replace(wanted, version=was.version))
            return self._read(self._api.replace(obj, subresource=None))
        except (NotServed, AdmissionDenied):
            raise
        except Refused as error:
            # The definition's rule: a lower epoch, or another holder of this one.
            raise Fenced(error.object, "the claim was refused", error.why, error.fix) from error

    def _checked(self, wanted: ServiceRecord) -> ServiceRecord:
        from_server = self.read(wanted)
        if from_server is None or not _is_spec_equal(wanted, from_server):
            name = f"ServiceRecord/{wanted.service}.{wanted.environment}"
            raise Conflict(name, "the claim does not stand", "the record was changed meanwhile")
        return from_server

    def read(self, like: ServiceRecord) -> ServiceRecord | None:
        """Returns the record of the same cell as it stands on the server."""
        found = self._api.get(ObjectRef.of(self._object(like)))
        return None if found is None else self._read(found)

    def report(self, record: ServiceRecord) -> ServiceRecord:
        """Writes the status of a record that was read or claimed before."""
        obj = {**self._object(record), "status": service_record_status(record)}
        return self._read(self._api.replace(obj, subresource="status"))

    def _object(self, record: ServiceRecord) -> dict[str, object]:
        return service_record_object(record, namespace=self._namespace)

    def _read(self, obj: KubeObject) -> ServiceRecord:
        return read_service_record(obj)


def asked_for(order: Order, was: ServiceRecord | None) -> ServiceRecord:
    """Returns the record that an order asks for; its status is what the former one says."""
    deliver = order.deliver
    former = was or ServiceRecord(
        deliver.service, deliver.environment, deliver.revision, order.namespace
    )
    return replace(
        former,
        revision=deliver.revision,
        namespace=order.namespace or former.namespace,
        returning=deliver.returning,
        proven=deliver.proven,
        drift=deliver.drift,
        keep=deliver.keep,
        rejection=deliver.rejection,
        epoch=order.claim.epoch,
        holder=order.claim.holder,
        installation=order.claim.installation,
    )


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
