"""What an API server adds to an object and refuses of it: defaults, schemas, rules, immutable fields."""

from __future__ import annotations

from functools import cache
from typing import Any

from cel_expr_python import cel

from reconciler.simulated.answers import bad_request, invalid
from reconciler.simulated.kinds import Kind

Object = dict[str, Any]

_IMMUTABLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("selector",),
    ("apps", "DaemonSet"): ("selector",),
    ("apps", "StatefulSet"): ("selector", "serviceName", "volumeClaimTemplates"),
    ("batch", "Job"): ("selector", "template"),
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}
_WITH_TEMPLATE = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})


def defaulted(obj: Object) -> Object:
    """Writes the defaults of built-in kinds into an object, in place, and returns it."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    kind = obj["kind"]
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


def admit(kind: Kind, new: Object, was: Object | None) -> None:
    """Refuses an object that breaks its schema or changes what cannot change.

    Raises:
        Answer: 422 with the fields, or 400.
    """
    name = str(new["metadata"]["name"])
    if kind.definition is not None:
        _admit_custom(kind, new, was)
        return
    causes: list[tuple[str, str]] = []
    spec = new.get("spec")
    if kind.kind in _WITH_TEMPLATE:
        if not isinstance(spec, dict) or not isinstance(spec.get("template"), dict):
            raise invalid(kind.kind, name, [("spec.template", "Required value")])
        containers = (spec["template"].get("spec") or {}).get("containers")
        if not containers:
            causes.append(("spec.template.spec.containers", "Required value"))
        for index, container in enumerate(containers or ()):
            if not isinstance(container, dict) or not container.get("image"):
                field = f"spec.template.spec.containers[{index}].image"
                causes.append((field, "Required value"))
    if was is not None:
        for field in _IMMUTABLE.get((kind.group, kind.kind), ()):
            if (was.get("spec") or {}).get(field) != (spec or {}).get(field):
                causes.append((f"spec.{field}", "Invalid value: field is immutable"))
    if causes:
        raise invalid(kind.kind, name, causes)


def _admit_custom(kind: Kind, new: Object, was: Object | None) -> None:
    schema = (kind.definition.get("schema") or {}).get("openAPIV3Schema") or {}
    causes: list[tuple[str, str]] = []
    for part in ("spec", "status"):
        part_schema = (schema.get("properties") or {}).get(part)
        if part_schema is not None and part in new:
            former = (was or {}).get(part)
            _check(part_schema, new[part], former, part, causes)
    causes.extend(
        (field, "Required value") for field in schema.get("required") or () if field not in new
    )
    if causes:
        raise invalid(kind.kind, str(new["metadata"]["name"]), causes)


def _check(schema: Object, value: Any, was: Any, path: str, causes: list[tuple[str, str]]) -> None:
    """Checks a value, and drops what the schema does not name, as an API server prunes it."""
    wanted = _TYPES.get(str(schema.get("type")))
    if wanted is not None and (
        not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool)
    ):
        causes.append((path, f"Invalid value: must be of type {schema['type']}"))
        return
    if "enum" in schema and value not in schema["enum"]:
        causes.append((path, "Unsupported value"))
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        causes.append((path, "Too long"))
    if isinstance(value, dict) and "properties" in schema:
        properties = schema["properties"]
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            for key in [k for k in value if k not in properties]:
                del value[key]
        former = was if isinstance(was, dict) else {}
        for key, item in value.items():
            if key in properties:
                _check(properties[key], item, former.get(key), f"{path}.{key}", causes)
        causes.extend(
            (f"{path}.{key}", "Required value")
            for key in schema.get("required") or ()
            if key not in value
        )
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            _check(schema["items"], item, None, f"{path}[{index}]", causes)
    for rule in schema.get("x-kubernetes-validations") or ():
        _check_rule(rule, value, was, path, causes)


def _check_rule(
    rule: Object, value: Any, was: Any, path: str, causes: list[tuple[str, str]]
) -> None:
    """A rule that names oldSelf speaks of changes alone."""
    if "oldSelf" in rule["rule"] and was is None:
        return
    try:
        answer = _program(rule["rule"]).eval(data={"self": value, "oldSelf": was})
        held = answer.plain_value() is True
    except (ValueError, RuntimeError, TypeError) as error:
        raise bad_request(f"the rule {rule['rule']!r} could not be evaluated: {error}") from error
    if not held:
        causes.append((path, f"Invalid value: {rule.get('message') or rule['rule']}"))


@cache
def _program(rule: str) -> Any:
    environment = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})
    return environment.compile(rule)
