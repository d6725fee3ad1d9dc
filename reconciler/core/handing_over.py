"""A field that is left to somebody else goes over without ever being unset."""

from __future__ import annotations

from reconciler.core.assembly import has_replicas
from reconciler.core.diff import is_ours_alone
from reconciler.model.objects import KubeObject

_REPLICAS = ("spec", "replicas")


def keeping_replicas(desired: KubeObject, live: KubeObject | None) -> KubeObject:
    """Returns what to apply of an object that leaves its replicas out, when they were ours.

    Server-side apply unsets a field that its one manager leaves out, and replicas then are 1. So
    they are kept as they are until an autoscaler, or a person, has written them.

    Source: Kubernetes documentation, "Server-Side Apply", transferring ownership.
    """
    spec = desired.get("spec")
    if live is None or not has_replicas(desired) or not isinstance(spec, dict):
        return desired
    if "replicas" in spec or not is_ours_alone(live, _REPLICAS):
        return desired
    return {**desired, "spec": {**spec, "replicas": live["spec"]["replicas"]}}
