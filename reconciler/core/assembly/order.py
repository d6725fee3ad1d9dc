"""In which order objects are applied, and in reverse deleted.

Source: the ordering of `kubernetes-sigs/cli-utils`, pkg/ordering/sort.go, made coarser: within a
layer nothing waits for anything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, auto

from reconciler.model.objects import KubeObject, ObjectRef


class Layer(IntEnum):
    """What must be there before the next may be applied."""

    DEFINITIONS = auto()
    NAMESPACES = auto()
    RIGHTS = auto()
    CONFIGURATION = auto()
    SERVICES = auto()
    WORKLOADS = auto()
    OTHERS = auto()
    WEBHOOKS = auto()


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

_LAYERS: dict[tuple[str, str], Layer] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Layer.DEFINITIONS,
    ("", "Namespace"): Layer.NAMESPACES,
    # Pods name these classes, so they are there as early as their namespace.
    ("scheduling.k8s.io", "PriorityClass"): Layer.NAMESPACES,
    ("storage.k8s.io", "StorageClass"): Layer.NAMESPACES,
    ("node.k8s.io", "RuntimeClass"): Layer.NAMESPACES,
    ("networking.k8s.io", "IngressClass"): Layer.NAMESPACES,
    ("", "ServiceAccount"): Layer.RIGHTS,
    (_RBAC, "Role"): Layer.RIGHTS,
    (_RBAC, "ClusterRole"): Layer.RIGHTS,
    (_RBAC, "RoleBinding"): Layer.RIGHTS,
    (_RBAC, "ClusterRoleBinding"): Layer.RIGHTS,
    ("", "ConfigMap"): Layer.CONFIGURATION,
    ("", "Secret"): Layer.CONFIGURATION,
    ("", "PersistentVolume"): Layer.CONFIGURATION,
    ("", "PersistentVolumeClaim"): Layer.CONFIGURATION,
    ("", "LimitRange"): Layer.CONFIGURATION,
    ("", "ResourceQuota"): Layer.CONFIGURATION,
    ("networking.k8s.io", "NetworkPolicy"): Layer.CONFIGURATION,
    ("policy", "PodDisruptionBudget"): Layer.CONFIGURATION,
    ("", "Service"): Layer.SERVICES,
    ("", "Endpoints"): Layer.SERVICES,
    ("discovery.k8s.io", "EndpointSlice"): Layer.SERVICES,
    ("", "Pod"): Layer.WORKLOADS,
    ("", "ReplicationController"): Layer.WORKLOADS,
    ("apps", "Deployment"): Layer.WORKLOADS,
    ("apps", "StatefulSet"): Layer.WORKLOADS,
    ("apps", "DaemonSet"): Layer.WORKLOADS,
    ("apps", "ReplicaSet"): Layer.WORKLOADS,
    ("batch", "Job"): Layer.WORKLOADS,
    ("batch", "CronJob"): Layer.WORKLOADS,
    # Both send the API server's own requests to a workload, which must be there to answer.
    ("apiregistration.k8s.io", "APIService"): Layer.WEBHOOKS,
    (_ADMISSION, "ValidatingWebhookConfiguration"): Layer.WEBHOOKS,
    (_ADMISSION, "MutatingWebhookConfiguration"): Layer.WEBHOOKS,
    (_ADMISSION, "ValidatingAdmissionPolicy"): Layer.WEBHOOKS,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): Layer.WEBHOOKS,
    (_ADMISSION, "MutatingAdmissionPolicy"): Layer.WEBHOOKS,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): Layer.WEBHOOKS,
}


def layer_of(obj: KubeObject) -> Layer:
    """Returns the layer of an object; a kind that we do not know comes after the workloads."""
    ref = ObjectRef.of(obj)
    return _LAYERS.get((ref.group, ref.kind), Layer.OTHERS)


def in_order(objects: Iterable[KubeObject]) -> tuple[KubeObject, ...]:
    """Returns objects in apply order, the same for the same objects."""
    return tuple(sorted(objects, key=lambda obj: (layer_of(obj), ObjectRef.of(obj))))


def layers(objects: Iterable[KubeObject]) -> tuple[tuple[KubeObject, ...], ...]:
    """Returns objects in apply order, those together that may be applied at once; no layer is empty."""
    ordered = in_order(objects)
    grouped = (tuple(obj for obj in ordered if layer_of(obj) is layer) for layer in Layer)
    return tuple(group for group in grouped if group)


def deletion_layers(objects: Iterable[KubeObject]) -> tuple[tuple[KubeObject, ...], ...]:
    """Returns the same layers in the order of deleting: what leans on others goes first."""
    return tuple(group[::-1] for group in layers(objects)[::-1])
