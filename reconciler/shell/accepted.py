"""The last accepted HEAD, remembered in the home, so that a rewritten branch is seen after a restart too."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model.names import ClusterName, CommitId
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import KubeApi
from reconciler.shell.heads import LastAccepted


class AcceptedHead:
    """A ConfigMap in the home's reconciler namespace, written by compare-and-set.

    Args:
        api: The home cluster.
        namespace: The reconciler's own.
        may_write: False in observe mode: then nothing is remembered.
    """

    def __init__(self, api: KubeApi, namespace: str, *, may_write: Callable[[], bool]) -> None:
        self._api = api
        self._ref = ObjectRef("v1", "ConfigMap", namespace, "reconciler-head")
        self._may_write = may_write

    def load(self) -> LastAccepted | None:
        """Returns what was accepted last, or None when nothing ever was."""
        found = self._api.get(self._ref)
        if found is None:
            return None
        kept = found.get("data") or {}
        commit, word = str(kept.get("commit") or ""), str(kept.get("acceptedHistory") or "")
        version = str(found["metadata"]["resourceVersion"])
        named = {key: _names(kept.get(key)) for key in ("clusters", "joining", "draining", "left")}
        return LastAccepted(CommitId(commit) if commit else None, word, version, **named)

    def save(self, accepted: LastAccepted) -> None:
        """Remembers a commit, if nobody remembered another one since `accepted.version` was read.

        Raises:
            Conflict: Somebody did.
        """
        if not self._may_write():
            return
        metadata: dict[str, object] = {"name": self._ref.name, "namespace": self._ref.namespace}
        obj: dict[str, object] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {
                "commit": accepted.commit or "",
                "acceptedHistory": accepted.word,
                "clusters": " ".join(accepted.clusters),
                "joining": " ".join(accepted.joining),
                "draining": " ".join(accepted.draining),
                "left": " ".join(accepted.left),
            },
        }
        if not accepted.version:
            self._api.create(obj)
            return
        metadata["resourceVersion"] = accepted.version
        self._api.replace(obj, subresource=None)


def _names(text: object) -> tuple[ClusterName, ...]:
    return tuple(map(ClusterName, str(text or "").split()))
