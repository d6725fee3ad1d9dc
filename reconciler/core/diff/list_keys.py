"""Which lists of the built-in kinds are maps in disguise, and by which keys.

Source: the `x-kubernetes-list-type` and `x-kubernetes-list-map-keys` of Kubernetes 1.37's OpenAPI.
"""

from __future__ import annotations

from typing import Final

AS_SET: Final = ("",)
"""The key of a list whose items are their own keys."""

_BY_NAME = ("name",)

_KEYS: dict[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": _BY_NAME,
    "env": _BY_NAME,
    "ephemeralContainers": _BY_NAME,
    "finalizers": AS_SET,
    "hostAliases": ("ip",),
    "imagePullSecrets": _BY_NAME,
    "initContainers": _BY_NAME,
    "ownerReferences": ("uid",),
    "resourceClaims": _BY_NAME,
    "schedulingGates": _BY_NAME,
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": _BY_NAME,
    "webhooks": _BY_NAME,
}

_DEFAULTS = {"protocol": "TCP"}
"""A key field that is left out counts as this."""

_BUILT_IN = frozenset({"", "apps", "batch", "autoscaling", "policy"})


def list_key(api_version: str, kind: str, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Returns the key fields of a list, AS_SET for a set, or None for a list that is one value.

    Args:
        api_version: Of the object; lists of custom objects are one value each.
        kind: Of the object.
        path: Names of the fields down to the list, without list items.
    """
    group = api_version.rpartition("/")[0]
    name = path[-1] if path else ""
    if path[:1] == ("metadata",):
        return _KEYS.get(name)
    if group not in _BUILT_IN and not group.endswith(".k8s.io"):
        return None
    if name == "ports":
        if kind == "Service":
            return ("port", "protocol")
        return ("containerPort", "protocol") if "containers" in "".join(path).lower() else None
    if name == "secrets" and kind == "ServiceAccount":
        return _BY_NAME
    return _KEYS.get(name)


def item_key(item: object, keys: tuple[str, ...]) -> tuple[object, ...] | None:
    """Returns an item's key, or None when it has none and cannot be told from others."""
    if keys == AS_SET:
        return (item,) if isinstance(item, str | int) else None
    if not isinstance(item, dict):
        return None
    found = tuple(item.get(key, _DEFAULTS.get(key)) for key in keys)
    return None if any(part is None for part in found) else found
