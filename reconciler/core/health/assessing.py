"""Which rule speaks for an object, by its kind; the general ones of kstatus come first.

Source: kubernetes-sigs/cli-utils, pkg/kstatus, README and status/generic.go (read, not copied).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reconciler.core.health import workloads
from reconciler.core.health.result import (
    Result,
    condition,
    current,
    failed,
    progressing,
    unknown,
)
from reconciler.model.health import HealthStatus, ObjectHealth
from reconciler.model.objects import KubeObject, ObjectRef

MALFORMED = "Malformed"
NO_RULE = "NoHealthRule"

Rule = Callable[[KubeObject, Sequence[KubeObject]], Result]


def assess(obj: KubeObject, family: Sequence[KubeObject]) -> ObjectHealth:
    """Returns the health of a live object.

    Args:
        obj: As the API server gave it; one that is malformed is Unknown.
        family: ReplicaSets and Pods below it by owner, in any order.
    """
    try:
        ref = _ref(obj)
        result = _assess(obj, ref, family)
    except (
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        why = f"it is not as an API server writes it ({type(error).__name__})"
        return ObjectHealth(_ref_if_any(obj), HealthStatus.UNKNOWN, MALFORMED, why)
    return ObjectHealth(
        ref,
        result.status,
        result.reason,
        result.message,
        result.cause,
        result.evidence,
        result.names_release,
    )


def _assess(obj: KubeObject, ref: ObjectRef, family: Sequence[KubeObject]) -> Result:
    meta, status = obj["metadata"], obj.get("status")
    if status is not None and not isinstance(status, dict):
        raise TypeError("status is no mapping")
    if "deletionTimestamp" in meta:
        return Result(HealthStatus.TERMINATING, "Terminating", "it is being deleted")
    seen, generation = (status or {}).get("observedGeneration"), meta.get("generation")
    if seen is not None and generation is not None and int(seen) < int(generation):
        return progressing("NotObserved", "its controller has not seen the latest change")
    rule = RULES.get((ref.group, ref.kind))
    if rule is not None:
        return rule(obj, family)
    return _general(obj, status)


def _general(obj: KubeObject, status: dict[str, Any] | None) -> Result:
    """Standard conditions; an object without a status is configuration."""
    if status is None:
        return current()
    if not status:
        return progressing("NoStatus", "its controller has not written a status yet")
    for type_, sense in (("Stalled", failed), ("Reconciling", progressing)):
        found = condition(status, type_)
        if found.get("status") == "True":
            return _said(obj, found, sense)
    for type_ in ("Ready", "Available"):
        found = condition(status, type_)
        if found:
            return _said(obj, found, _SENSES.get(str(found.get("status")), unknown))
    return unknown(NO_RULE, f"no rule reads the status of {obj['kind']}")


def _said(obj: KubeObject, found: dict[str, Any], sense: Callable[[str, str], Result]) -> Result:
    """Returns what the condition that decides says, unless it speaks of an earlier generation.

    Source: `metav1.Condition.observedGeneration`; kinds such as those of Gateway API have no other.
    """
    seen, generation = found.get("observedGeneration"), obj["metadata"].get("generation")
    if seen is not None and generation is not None and int(seen) < int(generation):
        return progressing("NotObserved", f"its condition {found['type']} is of before the change")
    said = f"its condition {found['type']} is {found.get('status')}"
    return sense(str(found.get("reason") or found["type"]), str(found.get("message") or said))


def _is_met(reason: str, message: str) -> Result:
    del reason, message
    return current()


_SENSES = {"True": _is_met, "False": progressing}
"""What else a condition that should be met may say is unknown."""


def _configuration(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    del obj, family
    return current()


def _service(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    del family
    if obj["spec"].get("type") == "LoadBalancer":
        balancer = (obj.get("status") or {}).get("loadBalancer") or {}
        if not balancer.get("ingress"):
            return progressing("NoLoadBalancer", "it has no load balancer's address yet")
    return current()


def _claim(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    del family
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Bound":
        return current()
    if phase == "Lost":
        return failed("Lost", "its volume is gone")
    return progressing("NotBound", f"its phase is {phase or 'not known yet'}")


def _volume(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A volume that no claim has yet is as ready as one that is bound."""
    del family
    status = obj.get("status") or {}
    phase = status.get("phase")
    if phase in ("Available", "Bound"):
        return current()
    if phase == "Failed":
        return failed(str(status.get("reason") or "Failed"), str(status.get("message") or ""))
    return progressing("NotBound", f"its phase is {phase or 'not known yet'}")


def _definition(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    del family
    status = obj.get("status") or {}
    refused = condition(status, "NamesAccepted")
    if refused.get("status") == "False":
        return failed(
            str(refused.get("reason") or "NamesRefused"), str(refused.get("message") or "")
        )
    if condition(status, "Established").get("status") == "True":
        return current()
    return progressing("NotEstablished", "the API server does not serve it yet")


def _namespace(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    del family
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Terminating":
        return Result(HealthStatus.TERMINATING, "Terminating", "it is being deleted")
    return current()


def _autoscaler(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """An autoscaler that lacks metrics for a while leaves its workload as it is."""
    del family
    status = obj.get("status") or {}
    able = condition(status, "AbleToScale")
    if able.get("status") == "False":
        return progressing(str(able.get("reason") or "NotAble"), str(able.get("message") or ""))
    return current()


def _ref(obj: KubeObject) -> ObjectRef:
    """Returns the reference of what names itself, and raises for anything else."""
    texts = (obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
    if not all(isinstance(text, str) and text for text in texts):
        raise TypeError("it does not name itself")
    return ObjectRef.of(obj)


def _ref_if_any(obj: Any) -> ObjectRef:
    tree = obj if isinstance(obj, dict) else {}
    meta = tree.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    texts = (tree.get("apiVersion"), tree.get("kind"), meta.get("namespace"), meta.get("name"))
    return ObjectRef(*(text if isinstance(text, str) else "" for text in texts))


RULES: dict[tuple[str, str], Rule] = {
    ("", "ConfigMap"): _configuration,
    ("", "Secret"): _configuration,
    ("", "LimitRange"): _configuration,
    ("", "ResourceQuota"): _configuration,
    ("", "ServiceAccount"): _configuration,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): workloads.pod,
    ("", "ReplicationController"): workloads.replica_set,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _configuration,
    ("batch", "CronJob"): _configuration,
    ("batch", "Job"): workloads.job,
    ("networking.k8s.io", "Ingress"): _configuration,
    ("networking.k8s.io", "NetworkPolicy"): _configuration,
    ("policy", "PodDisruptionBudget"): _configuration,
}
