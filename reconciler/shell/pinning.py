"""Which cluster a name stands for: pinned by UID when it is first seen, and remembered in the home."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from reconciler.errors import Refused
from reconciler.model.names import ClusterName
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import KubeApi, KubeReader

KUBE_SYSTEM = ObjectRef("v1", "Namespace", "", "kube-system")
"""Made with the cluster and never again, so that its UID is the cluster's own."""

CONFIG_MAP = "reconciler-clusters"


class ClusterPins:
    """A ConfigMap in the home's reconciler namespace: UIDs by name, written by compare-and-set.

    Args:
        api: The home cluster.
        namespace: The reconciler's own.
        may_write: False in observe mode: then nothing is remembered.
        told: The UIDs that the operator names in the settings; they go before what is remembered.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        *,
        may_write: Callable[[], bool],
        told: Callable[[ClusterName], str | None],
    ) -> None:
        self._api = api
        self._ref = ObjectRef("v1", "ConfigMap", namespace, CONFIG_MAP)
        self._may_write = may_write
        self._told = told
        self._lock = threading.Lock()
        self._pins: dict[str, str] | None = None
        self._names: dict[str, ClusterName] = {}

    def check(self, name: ClusterName, api: KubeReader) -> str:
        """Returns the UID of the cluster that answers under a name.

        Raises:
            Refused: It is not the one that the name stands for, or has another name as well.
            ReconcilerError: It, or the home, does not say.
        """
        found = api.get(KUBE_SYSTEM)
        uid = str(found["metadata"].get("uid") or "") if found is not None else ""
        subject = f"cluster {name}"
        if not uid:
            why = "it has no kube-system namespace with a UID"
            raise Refused(subject, "nobody can tell which cluster it is", why)
        told = self._told(name)
        pinned = told or self._load().get(name)
        if pinned is not None and pinned != uid:
            why = f"its kube-system namespace has the UID {uid}, not {pinned}"
            fix = (
                "correct its credentials, or `uid` in the settings"
                if told
                else f"correct its credentials; if it was made anew, take it out of {self._ref}"
            )
            raise Refused(subject, "it is another cluster", why, fix)
        with self._lock:
            other = self._names.setdefault(uid, name)
        if other != name:
            why = f"{other} is the same cluster"
            raise Refused(subject, "it cannot be used", why, "give each cluster one name")
        return uid

    def remember(self, name: ClusterName, uid: str) -> None:
        """Pins a name to a UID.

        Raises:
            ReconcilerError: The home does not take it; it is to be tried again.
        """
        with self._lock:
            if not self._may_write() or (self._pins or {}).get(name) == uid:
                return
            found = self._api.get(self._ref)
            pins = {**((found or {}).get("data") or {}), name: uid}
            metadata: dict[str, Any] = {"name": self._ref.name, "namespace": self._ref.namespace}
            obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": pins}
            if found is None:
                self._api.create(obj)
            elif (found.get("data") or {}) != pins:
                metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
                self._api.replace(obj, subresource=None)
            self._pins = pins

    def _load(self) -> dict[str, str]:
        with self._lock:
            if self._pins is None:
                found = self._api.get(self._ref)
                self._pins = dict((found or {}).get("data") or {})
            return dict(self._pins)
