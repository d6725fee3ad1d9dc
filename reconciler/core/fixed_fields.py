"""The fields of built-in kinds that an API server lets nobody change, with what it puts in where nothing is said.

Held to a real API server by tests/contract/test_return_trip.py, which applies one and dry-runs the other over it.
Source: the update validations of Kubernetes 1.37 (pkg/apis/*/validation, staging/…/apiextensions/validation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Kind = tuple[str, str]
"""API group and kind."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One field.

    Attributes:
        path: Dotted.
        default: What counts where the field is left out; None: its absence is a value of its own.
    """

    path: str
    default: Any = None

    def of(self, obj: Mapping[str, Any]) -> Any:
        """Returns an object's value."""
        found: Any = obj
        for name in self.path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return self.default if found is None else found


def _spec(*names: str, **defaults: Any) -> tuple[Fixed, ...]:
    plain = (Fixed(f"spec.{name}") for name in names)
    return (*plain, *(Fixed(f"spec.{name}", default) for name, default in defaults.items()))


_STORAGE, _RBAC = "storage.k8s.io", "rbac.authorization.k8s.io"

FIXED: Mapping[Kind, tuple[Fixed, ...]] = {
    ("apps", "Deployment"): _spec("selector"),
    ("apps", "ReplicaSet"): _spec("selector"),
    ("apps", "DaemonSet"): _spec("selector"),
    ("apps", "StatefulSet"): _spec(
        "selector", "serviceName", "volumeClaimTemplates", podManagementPolicy="OrderedReady"
    ),
    ("batch", "Job"): _spec(
        "selector",
        "template",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
        completionMode="NonIndexed",
    ),
    ("", "PersistentVolumeClaim"): _spec(
        "accessModes",
        "storageClassName",
        "selector",
        "volumeName",
        "dataSource",
        "dataSourceRef",
        volumeMode="Filesystem",
    ),
    ("", "PersistentVolume"): _spec(
        *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "csi", "fc", "flexVolume"),
        *("gcePersistentDisk", "hostPath", "iscsi", "local", "nfs", "rbd"),
        volumeMode="Filesystem",
    ),
    ("", "Secret"): (Fixed("type", "Opaque"),),
    (_RBAC, "RoleBinding"): (Fixed("roleRef"),),
    (_RBAC, "ClusterRoleBinding"): (Fixed("roleRef"),),
    (_STORAGE, "StorageClass"): (
        Fixed("provisioner"),
        Fixed("parameters"),
        Fixed("reclaimPolicy", "Delete"),
        Fixed("volumeBindingMode", "Immediate"),
    ),
    (_STORAGE, "VolumeAttributesClass"): (Fixed("driverName"), Fixed("parameters")),
    (_STORAGE, "CSIDriver"): _spec(attachRequired=True, volumeLifecycleModes=["Persistent"]),
    ("networking.k8s.io", "IngressClass"): _spec("controller"),
    ("scheduling.k8s.io", "PriorityClass"): (
        Fixed("value", 0),
        Fixed("preemptionPolicy", "PreemptLowerPriority"),
    ),
    ("node.k8s.io", "RuntimeClass"): (Fixed("handler"),),
    ("discovery.k8s.io", "EndpointSlice"): (Fixed("addressType"),),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _spec("scope"),
}
