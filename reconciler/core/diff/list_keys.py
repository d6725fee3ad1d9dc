"""Which lists of the built-in kinds are maps in disguise or sets, and by which keys their items are told apart.

Source: the `x-kubernetes-list-type` and `x-kubernetes-list-map-keys` of Kubernetes 1.37's OpenAPI, to which
tests/contract/test_kube_schemas.py holds every entry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

AS_SET: Final = ("",)
"""The key of a list whose items are their own keys."""

_BY_NAME = ("name",)

LIST_KEYS: Final[dict[str, tuple[str, ...] | None]] = {
    "allocatedResourcesStatus": _BY_NAME,
    "allocatedResourcesStatus.resources": ("resourceID",),
    "bindMountOptions": AS_SET,
    "conditions": ("type",),
    "containers": _BY_NAME,
    "containers.ports": ("containerPort", "protocol"),
    "disableResizePreemption": AS_SET,
    "drivers": _BY_NAME,
    "env": _BY_NAME,
    "ephemeralContainers": _BY_NAME,
    "ephemeralContainers.ports": ("containerPort", "protocol"),
    "evictionResponders": _BY_NAME,
    "exitCodes.values": AS_SET,
    "finalizers": AS_SET,
    "healthStatus.healthConditions": ("status", "reason"),
    "hostAliases": ("ip",),
    "imagePullSecrets": _BY_NAME,
    "initContainers": _BY_NAME,
    "initContainers.ports": ("containerPort", "protocol"),
    "matchConditions": _BY_NAME,
    "nodeAllocatableResourceClaimStatuses": ("resourceClaimName",),
    "nodeAllocatableResourceClaimStatuses.containers": AS_SET,
    "nodeAllocatableResourceClaimStatuses.mapping": _BY_NAME,
    "nodeAllocatableResourceClaimStatuses.overhead": _BY_NAME,
    "onExitCodes.values": AS_SET,
    "ownerReferences": ("uid",),
    "podCIDRs": AS_SET,
    "podIPs": ("ip",),
    "resourceClaimStatuses": _BY_NAME,
    "resourceClaims": _BY_NAME,
    "resources.claims": _BY_NAME,
    "schedulingGates": _BY_NAME,
    "skipNodeOperations": AS_SET,
    "storageHealth": _BY_NAME,
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "uncountedTerminatedPods.failed": AS_SET,
    "uncountedTerminatedPods.succeeded": AS_SET,
    "validationActions": AS_SET,
    "volumeDevices": ("devicePath",),
    "volumeHealth": _BY_NAME,
    "volumeHealth.healthConditions": ("status", "reason"),
    "volumeLifecycleModes": AS_SET,
    "volumeMounts": ("mountPath",),
    "volumes": _BY_NAME,
    "webhooks": _BY_NAME,
    "x-kubernetes-validations": ("rule",),
    # What the same name means for one kind alone.
    "EndpointSlice.endpoints.addresses": AS_SET,
    "FlowSchema.spec.rules.nonResourceRules.nonResourceURLs": AS_SET,
    "FlowSchema.spec.rules.nonResourceRules.verbs": AS_SET,
    "FlowSchema.spec.rules.resourceRules.apiGroups": AS_SET,
    "FlowSchema.spec.rules.resourceRules.namespaces": AS_SET,
    "FlowSchema.spec.rules.resourceRules.resources": AS_SET,
    "FlowSchema.spec.rules.resourceRules.verbs": AS_SET,
    "Job.status.conditions": None,
    "Namespace.spec.finalizers": None,
    "Node.status.addresses": ("type",),
    "ResourceClaim.status.devices": ("driver", "device", "pool", "shareID"),
    "ResourceClaim.status.reservedFor": ("uid",),
    "Service.spec.ports": ("port", "protocol"),
    "ServiceAccount.imagePullSecrets": None,
    "ServiceAccount.secrets": _BY_NAME,
    "ValidatingAdmissionPolicy.spec.variables": _BY_NAME,
}
"""By the end of a path, which the kind begins: of all endings of a path that stand here, the longest counts."""

_DEFAULTS = {"protocol": "TCP"}
"""A key field that is left out counts as this."""

_BUILT_IN = frozenset({"", "apps", "batch", "autoscaling", "policy"})


@lru_cache(maxsize=4096)  # The built-in kinds have 2,500 lists.
def list_key(api_version: str, kind: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Returns the key fields of a list, AS_SET for a set, or None for a list that is one value.

    Args:
        api_version: Of the object; lists of custom objects are one value each, but for their metadata.
        kind: Of the object.
        path: Names of the fields down to the list, without list items.
    """
    group = api_version.rpartition("/")[0]
    if path[:1] != ("metadata",) and group not in _BUILT_IN and not group.endswith(".k8s.io"):
        return None
    steps = (kind, *path)
    endings = (".".join(steps[first:]) for first in range(len(steps)))
    return next((LIST_KEYS[ending] for ending in endings if ending in LIST_KEYS), None)


def item_key(item: object, keys: tuple[str, ...]) -> tuple[object, ...] | None:
    """Returns an item's key, or None when it has none and cannot be told from others."""
    if keys == AS_SET:
        return (item,) if isinstance(item, str | int) else None
    if not isinstance(item, dict):
        return None
    found = tuple(item.get(key, _DEFAULTS.get(key)) for key in keys)
    return None if any(part is None for part in found) else found
