"""The last accepted HEAD, remembered in the home, so that a rewritten branch is seen after a restart too."""

from __future__ import annotations

from reconciler.model.names import CommitId
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import KubeApi


class AcceptedHead:
    """A ConfigMap in the home's reconciler namespace.

    Args:
        api: The home cluster.
        namespace: The reconciler's own.
        may_write: False in observe mode: then nothing is remembered.
    """

    def __init__(self, api: KubeApi, namespace: str, *, may_write: bool) -> None:
        self._api = api
        self._ref = ObjectRef("v1", "ConfigMap", namespace, "reconciler-head")
        self._may_write = may_write

    def load(self) -> CommitId | None:
        """Returns the commit, or None when none was ever accepted."""
        found = self._api.get(self._ref)
        commit = (found.get("data") or {}).get("commit") if found is not None else None
        return CommitId(str(commit)) if commit else None

    def save(self, commit: CommitId) -> None:
        """Remembers a commit."""
        if not self._may_write:
            return
        found = self._api.get(self._ref)
        metadata: dict[str, object] = {"name": self._ref.name, "namespace": self._ref.namespace}
        obj: dict[str, object] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"commit": commit},
        }
        if found is None:
            self._api.create(obj)
            return
        metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        self._api.replace(obj, subresource=None)
