"""Records as Kubernetes objects and back: camelCase there, our values here, nothing lost between."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reconciler.errors import InvalidInput
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.records import PromotionRecord, Record, ServiceRecord
from reconciler.model.times import rfc3339

API_VERSION = "reconciler.dev/v1alpha1"

STATUS = ("state", "applied", "render_digest", "healthy_s", "reason", "message")
"""The fields of a ServiceRecord that its executor writes; all others are the coordinator's."""

SERVER = ("version", "generation", "observed_generation")
"""What the API server keeps beside both."""

_PROMOTION = TypeAdapter(PromotionRecord)
_SERVICE = TypeAdapter(ServiceRecord)


def promotion_record_object(record: PromotionRecord, *, namespace: str) -> dict[str, Any]:
    """Returns the object of a promotion record; all of its facts stand in `spec`."""
    tree = _plain(_PROMOTION.dump_python(record))
    spec = {k: v for k, v in tree.items() if k not in SERVER}
    return {
        "apiVersion": API_VERSION,
        "kind": "PromotionRecord",
        "metadata": _metadata(record, namespace),
        "spec": _camel(spec),
    }


def service_record_object(record: ServiceRecord, *, namespace: str) -> dict[str, Any]:
    """Returns the object of a service record, without its status."""
    tree = _plain(_SERVICE.dump_python(record))
    spec = {k: v for k, v in tree.items() if k not in (*SERVER, *STATUS)}
    return {
        "apiVersion": API_VERSION,
        "kind": "ServiceRecord",
        "metadata": _metadata(record, namespace),
        "spec": _camel(spec),
    }


def service_record_status(record: ServiceRecord) -> dict[str, Any]:
    """Returns the status of a service record."""
    tree = _plain(_SERVICE.dump_python(record))
    status = {k: v for k, v in tree.items() if k in STATUS}
    camel: dict[str, Any] = _camel(status)
    return {**camel, "observedGeneration": record.observed_generation}


def read_promotion_record(obj: KubeObject) -> PromotionRecord:
    """Reads a promotion record.

    Raises:
        InvalidInput: It is none.
    """
    return _read(obj, _PROMOTION, {})


def read_service_record(obj: KubeObject) -> ServiceRecord:
    """Reads a service record with its status.

    Raises:
        InvalidInput: It is none.
    """
    status = obj.get("status")
    return _read(obj, _SERVICE, status if isinstance(status, dict) else {})


def record_name(service: ServiceName, environment: EnvironmentName) -> str:
    """Returns the name of the object of a cell's record."""
    return f"{service}.{environment}"


def named_cell(obj: KubeObject) -> tuple[ServiceName, EnvironmentName]:
    """Returns the cell that a record's object is named for, whatever it holds."""
    service, _, environment = str(obj["metadata"].get("name", "")).partition(".")
    return ServiceName(service), EnvironmentName(environment)


def _metadata(record: PromotionRecord | ServiceRecord, namespace: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": record_name(record.service, record.environment),
        "namespace": namespace,
    }
    if record.version:
        metadata["resourceVersion"] = record.version
    return metadata


def _read(obj: KubeObject, adapter: TypeAdapter[Record], status: dict[str, Any]) -> Record:
    name = f"{obj.get('kind')}/{(obj.get('metadata') or {}).get('name')}"
    try:
        meta, spec = obj["metadata"], obj["spec"]
        tree = {**_snake(spec), **_snake(status)}
        tree["version"] = str(meta.get("resourceVersion") or "")
        if adapter is _SERVICE:
            tree["generation"] = int(meta.get("generation") or 0)
        return adapter.validate_python(tree)
    except (KeyError, TypeError, AttributeError, ValueError, ValidationError) as error:
        why = _first(error) if isinstance(error, ValidationError) else type(error).__name__
        fix = "restore it from a backup, or delete it: what is live is then adopted"
        raise InvalidInput(name, "the record cannot be read", why, fix) from error


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"


def _plain(tree: Any) -> Any:
    """Turns tuples into lists and times into text; what is not known is left out."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list | tuple):
        return [_plain(item) for item in tree]
    if isinstance(tree, datetime):
        return rfc3339(tree)
    return getattr(tree, "value", tree)


def _camel(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {camel_key(key): _camel(value) for key, value in tree.items()}
    return [_camel(item) for item in tree] if isinstance(tree, list) else tree


def _snake(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {snake_key(key): _snake(value) for key, value in tree.items()}
    return [_snake(item) for item in tree] if isinstance(tree, list) else tree


@lru_cache(maxsize=1024)
def camel_key(key: str) -> str:
    """Returns a field's name as Kubernetes spells it."""
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)


@lru_cache(maxsize=1024)
def snake_key(key: str) -> str:
    """Returns a field's name as it is spelled here."""
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", key)
