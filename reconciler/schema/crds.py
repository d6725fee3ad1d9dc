"""The CustomResourceDefinitions of the records, made from the records themselves."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from reconciler.model.records import PromotionRecord, ServiceRecord
from reconciler.schema.records import SERVER, STATUS, camel_key

GROUP, VERSION = "reconciler.dev", "v1alpha1"

EPOCH_RULE = (
    "self.epoch > oldSelf.epoch || (self.epoch == oldSelf.epoch && self.holder == oldSelf.holder)"
)
"""A coordinator that has been replaced may write nothing any more, whatever it believes."""


@cache
def crds() -> tuple[dict[str, Any], ...]:
    """Returns both definitions, in apply order; everyone is handed the same ones, to be left as they are."""
    promotion = _properties(TypeAdapter(PromotionRecord).json_schema())
    service = _properties(TypeAdapter(ServiceRecord).json_schema())
    spec = {k: v for k, v in service.items() if k not in {camel_key(f) for f in STATUS}}
    status = {camel_key(f): service[camel_key(f)] for f in STATUS}
    return (
        _crd(
            "PromotionRecord",
            "promotionrecords",
            spec=promotion,
            status={},
            columns=[
                ("Service", "string", ".spec.service"),
                ("Environment", "string", ".spec.environment"),
                ("Admitted", "string", ".spec.admitted.release.version"),
                ("Rolling-Out", "string", ".spec.rollout.revision.release.version"),
                ("Proven", "string", ".spec.proofs[0].revision.release.version"),
                ("Rejected", "string", ".spec.rejections[0].revision.release.version"),
                ("Age", "date", ".metadata.creationTimestamp"),
            ],
        ),
        _crd(
            "ServiceRecord",
            "servicerecords",
            spec=spec,
            status={**status, "observedGeneration": {"type": "integer"}},
            columns=[
                ("Service", "string", ".spec.service"),
                ("Environment", "string", ".spec.environment"),
                ("Version", "string", ".spec.revision.release.version"),
                ("State", "string", ".status.state"),
                ("Reason", "string", ".status.reason"),
                ("Age", "date", ".metadata.creationTimestamp"),
            ],
        ),
    )


def _crd(
    kind: str,
    plural: str,
    *,
    spec: dict[str, Any],
    status: dict[str, Any],
    columns: list[tuple[str, str, str]],
) -> dict[str, Any]:
    rule = {
        "rule": EPOCH_RULE,
        "message": "a coordinator with a higher epoch, or another one of this epoch, owns the record",
    }
    required = ["service", "environment", "epoch", "holder"]
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "required": required,
                "properties": spec,
                "x-kubernetes-validations": [rule],
            },
            "status": {"type": "object", "properties": status},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                    "additionalPrinterColumns": [
                        {"name": name, "type": type_, "jsonPath": path}
                        for name, type_, path in columns
                    ],
                }
            ],
        },
    }


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    structural = _structural(schema, schema.get("$defs", {}))
    properties: dict[str, Any] = structural["properties"]
    server = {camel_key(name) for name in SERVER}
    kept = {name: p for name, p in properties.items() if name not in server}
    # A bound on what the rule compares, so that the API server knows what the rule may cost.
    kept["holder"] = {"type": "string", "maxLength": 253}
    kept["epoch"] = {"type": "integer", "minimum": 0}
    return kept


def _structural(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Returns a JSON Schema as an API server takes it: no references, no alternatives, no defaults."""
    if "$ref" in schema:
        return _structural(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        (known,) = [s for s in schema["anyOf"] if s.get("type") != "null"]
        return _structural(known, defs)
    kind = schema["type"]
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            "type": "object",
            "properties": {camel_key(k): _structural(v, defs) for k, v in properties.items()},
        }
    if kind == "array":
        items = schema.get("items") or schema["prefixItems"][0]
        return {"type": "array", "items": _structural(items, defs)}
    return {"type": kind, **({"enum": list(schema["enum"])} if "enum" in schema else {})}
