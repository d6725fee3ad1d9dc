"""Fields by which a workload leaves Pods of an older template running, so that nothing proves the new one.

Others call such a workload current: kubectl's and Argo CD's health once the Pods above a partition are
updated, and kstatus and Argo CD at once where Pods are replaced by hand. For us a release is proven by
Pods that carry its template, every one of them, so it is in progress until those are there.

Source: `pkg/polymorphichelpers/rollout_status.go` of k8s.io/kubectl v0.37.2; `pkg/kstatus/status/core.go`
of cli-utils; `pkg/health/health_statefulset.go` and `health_daemonset.go` of gitops-engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.model.objects import KubeObject


@dataclass(frozen=True, slots=True)
class HoldsBack:
    """A field that keeps Pods on an older template.

    Attributes:
        reason: Stable, for scripts.
        field: Where it stands in the object.
        why: What it does, as the end of a sentence that begins with what is seen.
        fix: What a person does about it.
    """

    reason: str
    field: tuple[str, ...]
    why: str
    fix: str


def holds_back(obj: KubeObject) -> HoldsBack | None:
    """Returns what of a workload's own fields keeps Pods on an older template, or None.

    Args:
        obj: Live or rendered, and of any shape below its kind.
    """
    spec = _mapping(obj.get("spec"))
    match obj.get("kind"):
        case "Deployment" if spec.get("paused") is True:
            return _PAUSED
        case "StatefulSet" | "DaemonSet" as kind:
            strategy = _mapping(spec.get("updateStrategy"))
            if strategy.get("type") == "OnDelete":
                return _ON_DELETE
            partition = _mapping(strategy.get("rollingUpdate")).get("partition")
            if kind == "StatefulSet" and type(partition) is int and partition > 0:
                return _partitioned(partition)
    return None


_PAUSED = HoldsBack(
    "DeploymentPaused",
    ("spec", "paused"),
    "spec.paused is true, so its controller replaces no Pod",
    "take spec.paused out; the pin's own `paused` stops forward moves",
)

_ON_DELETE = HoldsBack(
    "OnDelete",
    ("spec", "updateStrategy", "type"),
    "spec.updateStrategy.type is OnDelete, so a Pod keeps the template that it was made from until somebody"
    " deletes it",
    "delete the older Pods, or write RollingUpdate",
)


def _partitioned(partition: int) -> HoldsBack:
    return HoldsBack(
        "Partitioned",
        ("spec", "updateStrategy", "rollingUpdate", "partition"),
        f"spec.updateStrategy.rollingUpdate.partition is {partition}, so Pods with a lower number keep the"
        " template that they have",
        "write 0; environments and waves try a release on few first",
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
