"""What an API server adds to an object and refuses of it: defaults, schemas, rules, immutable fields."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from reconciler.simulated.answers import bad_request, invalid, not_typed
from reconciler.simulated.fields import METADATA, undeclared, within
from reconciler.simulated.kinds import Kind
from reconciler.simulated.schemas import faults, rule_faults, unknown
from reconciler.simulated.trees import copied

Object = dict[str, Any]

_IMMUTABLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("selector",),
    ("apps", "DaemonSet"): ("selector",),
    ("apps", "StatefulSet"): ("selector", "serviceName", "volumeClaimTemplates"),
    ("batch", "Job"): ("selector", "template"),
}
_OWN = ("apiVersion", "kind", "metadata")

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_MAX = 253
_DATA_BYTES_MAX = 1024 * 1024
"""Source: Kubernetes API validation, `MaxSecretSize`."""

GENERATION = "deprecated.daemonset.template.generation"
"""Where a DaemonSet's template has its number."""

_NEW_STATUS: dict[tuple[str, str], Object] = {
    ("apps", "DaemonSet"): {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    ("apps", "StatefulSet"): {"availableReplicas": 0, "replicas": 0},
    ("", "PersistentVolumeClaim"): {"phase": "Pending"},
    ("", "Service"): {"loadBalancer": {}},
}
"""What a new object of a kind says before anybody has looked at it."""

_WITH_TEMPLATE = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})


def defaulted(obj: Object) -> Object:
    """Writes the defaults of built-in kinds into an object, in place, and returns it."""
    kind = obj["kind"]
    if kind == "Secret":
        _default_secret(obj)
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    if kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
    if kind == "Deployment":
        spec.setdefault("progressDeadlineSeconds", 600)
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    if kind == "StatefulSet":
        spec.setdefault("podManagementPolicy", "OrderedReady")
        spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
    if kind == "DaemonSet":
        one_by_one = {"maxSurge": 0, "maxUnavailable": 1}
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": one_by_one})
    if kind == "Job":
        _default_job(spec)
    if kind == "Service":
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))
    if kind in _WITH_TEMPLATE and isinstance(spec.get("template"), dict):
        _default_pod(spec["template"].get("spec"))
    if kind == "Pod":
        _default_pod(spec)
    return obj


def _default_job(spec: Object) -> None:
    if "parallelism" not in spec:
        spec.setdefault("completions", 1)
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
    spec.setdefault("suspend", False)


def number(kind: Kind, obj: Object, was: Object | None) -> None:
    """Writes what an API server says of an object by itself into it, in place.

    Args:
        kind: Its kind.
        obj: As it is about to be stored.
        was: As it was stored before, or None for a new one.
    """
    key, meta = (kind.group, kind.kind), obj["metadata"]
    if was is None and key in _NEW_STATUS:
        obj["status"] = copied(_NEW_STATUS[key])
    if key != ("apps", "DaemonSet"):
        return
    templates = 0 if was is None else int(was["metadata"]["annotations"][GENERATION])
    if was is None or was["spec"]["template"] != obj["spec"]["template"]:
        templates += 1
    meta["annotations"] = {**(meta.get("annotations") or {}), GENERATION: str(templates)}


def _default_secret(obj: Object) -> None:
    """Text that was given for people's sake is stored as all other data."""
    obj.setdefault("type", "Opaque")
    text = obj.pop("stringData", None)
    if isinstance(text, dict):
        encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in text.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _default_pod(spec: Any) -> None:
    if not isinstance(spec, dict):
        return
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if isinstance(container, dict):
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            for port in container.get("ports") or ():
                port.setdefault("protocol", "TCP")


def check_fields(kind: Kind, obj: Object) -> None:
    """Refuses fields that a kind does not have, where the client asked to be told.

    Raises:
        Answer: 400 with the fields.
    """
    found = list(_undeclared(kind, obj))
    if found:
        words = ", ".join(f'unknown field "{field}"' for field in found)
        raise bad_request(f"strict decoding error: {words}")


def check_patch(kind: Kind, obj: Object) -> None:
    """Refuses an apply that names a field which its kind does not have; nobody has to ask for that.

    Raises:
        Answer: 500 with the first such field.
    """
    for field in _undeclared(kind, obj):
        meta = obj["metadata"]
        raise not_typed(
            f"{meta.get('namespace', '')}/{meta.get('name')}; "
            f"{kind.group}/{kind.version}, Kind={kind.kind}",
            f".{field}: field not declared in schema",
        )


def _undeclared(kind: Kind, obj: Object) -> Iterator[str]:
    if kind.definition is None:
        yield from undeclared(kind.api_version, kind.kind, obj)
        return
    yield from within(METADATA, obj.get("metadata"), "metadata")
    yield from unknown(_schema(kind), {k: v for k, v in obj.items() if k not in _OWN}, "")


def admit(kind: Kind, new: Object, was: Object | None) -> None:
    """Refuses an object that breaks its schema or changes what cannot change.

    Raises:
        Answer: 422 with the fields, or 400.
    """
    name = str(new["metadata"]["name"])
    _admit_name(kind, name)
    found = _custom(kind, new, was) if kind.definition is not None else _built_in(kind, new, was)
    causes = list(found)
    if causes:
        raise invalid(kind.qualified, name, causes)


def _admit_name(kind: Kind, name: str) -> None:
    """RBAC alone lets names hold what no path may hold."""
    is_rbac = kind.group == "rbac.authorization.k8s.io"
    if is_rbac and "/" not in name and "%" not in name:
        return
    if len(name) > _NAME_MAX or not _NAME.fullmatch(name):
        why = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain is needed'
        raise invalid(kind.qualified, name, [("metadata.name", why)])


def _custom(kind: Kind, new: Object, was: Object | None) -> Iterator[tuple[str, str]]:
    kept = {key: new.pop(key) for key in _OWN if key in new}
    former = {k: v for k, v in was.items() if k not in _OWN} if was is not None else None
    causes = list(faults(_schema(kind), new, former, ""))
    new.update(kept)
    yield from causes


def _schema(kind: Kind) -> Object:
    """Returns a kind's schema without the server's own parts of an object, which are not its business."""
    schema: Object = (kind.definition.get("schema") or {}).get("openAPIV3Schema") or {}
    properties = {k: v for k, v in (schema.get("properties") or {}).items() if k not in _OWN}
    return {**schema, "properties": properties}


def _built_in(kind: Kind, new: Object, was: Object | None) -> Iterator[tuple[str, str]]:
    spec = new.get("spec")
    if kind.kind in ("ConfigMap", "Secret"):
        size = sum(len(str(value)) for value in (new.get("data") or {}).values())
        if size > _DATA_BYTES_MAX:
            yield "[]", f"Too long: may not be more than {_DATA_BYTES_MAX} bytes"
    if kind.kind in _WITH_TEMPLATE:
        if not isinstance(spec, dict) or not isinstance(spec.get("template"), dict):
            yield "spec.template", "Required value"
            return
        yield from _containers(spec["template"].get("spec") or {})
    if kind.kind == "CustomResourceDefinition":
        for index, version in enumerate((spec or {}).get("versions") or ()):
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
            yield from rule_faults(schema, f"spec.versions[{index}].schema.openAPIV3Schema")
    if was is not None:
        for field in _IMMUTABLE.get((kind.group, kind.kind), ()):
            if (was.get("spec") or {}).get(field) != (spec or {}).get(field):
                yield f"spec.{field}", "Invalid value: field is immutable"


def _containers(spec: Object) -> Iterator[tuple[str, str]]:
    if not spec.get("containers"):
        yield "spec.template.spec.containers", "Required value"
    for index, container in enumerate(spec.get("containers") or ()):
        if not isinstance(container, dict) or not container.get("image"):
            yield f"spec.template.spec.containers[{index}].image", "Required value"
