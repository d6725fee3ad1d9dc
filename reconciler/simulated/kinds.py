"""The kinds that a simulated API server serves, and those that definitions add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SCALED = frozenset({("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet")})


@dataclass(frozen=True, slots=True)
class Kind:
    """One served kind.

    Attributes:
        group: Empty for the core group.
        has_status: Whether it has the status subresource.
        definition: The version of the CustomResourceDefinition behind it, or None.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    has_status: bool = False
    short: tuple[str, ...] = ()
    definition: Any = None

    @property
    def api_version(self) -> str:
        """`group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def subresources(self) -> tuple[str, ...]:
        """What lies below an object of it."""
        scale = ("scale",) if (self.group, self.kind) in _SCALED else ()
        return (("status",) if self.has_status else ()) + scale

    @property
    def qualified(self) -> str:
        """`Kind.group`, as errors about an object's fields name it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def resource(self) -> str:
        """`plural.group`, as errors name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _k(
    group: str, version: str, kind: str, plural: str, *short: str,
    namespaced: bool = True, status: bool = False,
) -> Kind:  # fmt: skip
    return Kind(group, version, kind, plural, namespaced, status, short)


_RBAC = "rbac.authorization.k8s.io"

BUILT_IN = (
    _k("", "v1", "Namespace", "namespaces", "ns", namespaced=False, status=True),
    _k("", "v1", "Node", "nodes", "no", namespaced=False, status=True),
    _k("", "v1", "ConfigMap", "configmaps", "cm"),
    _k("", "v1", "Secret", "secrets"),
    _k("", "v1", "ServiceAccount", "serviceaccounts", "sa"),
    _k("", "v1", "Service", "services", "svc", status=True),
    _k("", "v1", "Pod", "pods", "po", status=True),
    _k("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", status=True),
    _k("", "v1", "Event", "events", "ev"),
    _k("apps", "v1", "Deployment", "deployments", "deploy", status=True),
    _k("apps", "v1", "ReplicaSet", "replicasets", "rs", status=True),
    _k("apps", "v1", "StatefulSet", "statefulsets", "sts", status=True),
    _k("apps", "v1", "DaemonSet", "daemonsets", "ds", status=True),
    _k("batch", "v1", "Job", "jobs", status=True),
    _k("batch", "v1", "CronJob", "cronjobs", "cj", status=True),
    _k("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", status=True),
    _k("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", status=True),
    _k("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol"),
    _k("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", status=True),
    _k(_RBAC, "v1", "Role", "roles"),
    _k(_RBAC, "v1", "RoleBinding", "rolebindings"),
    _k(_RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False),
    _k(_RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _k("coordination.k8s.io", "v1", "Lease", "leases"),
    _k(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
        "crd", namespaced=False, status=True,
    ),
)  # fmt: skip


def kinds_of(definition: dict[str, Any]) -> tuple[Kind, ...]:
    """Returns the kinds that a CustomResourceDefinition serves."""
    spec = definition["spec"]
    names = spec["names"]
    return tuple(
        Kind(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec.get("scope") == "Namespaced",
            has_status="status" in (version.get("subresources") or {}),
            short=tuple(names.get("shortNames") or ()),
            definition=version,
        )
        for version in spec["versions"]
        if version.get("served")
    )
