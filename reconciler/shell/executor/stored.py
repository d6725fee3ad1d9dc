"""The rendered objects of some revisions, kept in Secrets of the cluster itself.

What is put back in a roll-back comes from here, so that it needs neither Git nor a renderer.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from reconciler.core.stored import pack, unpack
from reconciler.errors import Conflict, InvalidInput
from reconciler.model.names import RevisionId
from reconciler.model.objects import KubeObject, ObjectRef, Rendered
from reconciler.ports.kube import KubeApi, Propagation
from reconciler.shell.executor.orders import CellKey

SERVICE_LABEL = "reconciler.dev/stored-service"
ENVIRONMENT_LABEL = "reconciler.dev/stored-environment"
REVISION = "reconciler.dev/revision"
CHUNKS = "reconciler.dev/chunks"
RENDER_DIGEST = "reconciler.dev/render-digest"

CHUNKS_MAX = 40
"""More than 32 MiB, the most that is packed; a larger number in a Secret is not ours."""

_REVISION_DIGITS = 12


class StoredObjects:
    """Stored revisions of one cluster.

    Args:
        api: The cluster.
        namespace: The reconciler's own.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def save(self, key: CellKey, revision: RevisionId, rendered: Rendered) -> None:
        """Stores a revision; its first chunk, which counts them, is written last.

        Raises:
            ReconcilerError: It could not be stored whole; then it must not be applied either.
        """
        chunks = pack(rendered.objects)
        for index in reversed(range(len(chunks))):
            self._write(self._secret(key, revision, index, chunks, rendered.digest))

    def _write(self, secret: dict[str, Any]) -> None:
        there = self._api.get(ObjectRef.of(secret))
        if there is None:
            self._api.create(secret)
        elif not _is_same(there, secret):
            version = there["metadata"]["resourceVersion"]
            meta = {**secret["metadata"], "resourceVersion": version}
            self._api.replace({**secret, "metadata": meta}, subresource=None)

    def load(self, key: CellKey, revision: RevisionId) -> Rendered | None:
        """Returns a stored revision, or None when it is not there.

        Raises:
            InvalidInput: It is damaged, or another revision's.
        """
        first = self._api.get(self._ref(key, revision, 0))
        if first is None:
            return None
        secrets = [first]
        for index in range(1, _chunks(first)):
            chunk = self._api.get(self._ref(key, revision, index))
            if chunk is None:
                return None
            secrets.append(chunk)
        objects = unpack(_content(secret, revision) for secret in secrets)
        return Rendered(objects, _notes(first)[1])

    def collect(
        self, key: CellKey, keep: Iterable[RevisionId], before: Callable[[], object]
    ) -> None:
        """Deletes the cell's stored revisions that nobody goes back to any more.

        Args:
            key: The cell.
            keep: What stays.
            before: Called once before the first deletion, if there is one.
        """
        service, environment = key
        kept, has_begun = set(keep), False
        listing = self._api.list(
            "v1",
            "Secret",
            namespace=self._namespace,
            label_selector=f"{SERVICE_LABEL}={service},{ENVIRONMENT_LABEL}={environment}",
        )
        for secret in listing.items:
            meta = secret["metadata"]
            if (meta.get("annotations") or {}).get(REVISION) in kept:
                continue
            if not has_begun:
                before()
                has_begun = True
            try:
                self._api.delete(
                    ObjectRef.of({"apiVersion": "v1", "kind": "Secret", **secret}),
                    uid=meta["uid"],
                    resource_version=meta["resourceVersion"],
                    propagation=Propagation.BACKGROUND,
                )
            except Conflict:
                continue

    def _secret(
        self,
        key: CellKey,
        revision: RevisionId,
        index: int,
        chunks: tuple[bytes, ...],
        digest: str,
    ) -> dict[str, Any]:
        service, environment = key
        ref = self._ref(key, revision, index)
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                "labels": {SERVICE_LABEL: service, ENVIRONMENT_LABEL: environment},
                "annotations": {
                    REVISION: revision,
                    CHUNKS: str(len(chunks)),
                    RENDER_DIGEST: digest,
                },
            },
            "type": "reconciler.dev/stored-objects",
            "data": {"objects": base64.b64encode(chunks[index]).decode()},
        }

    def _ref(self, key: CellKey, revision: RevisionId, index: int) -> ObjectRef:
        service, environment = key
        digits = revision.partition(":")[2][:_REVISION_DIGITS]
        name = f"stored-{service}.{environment}-{digits}-{index}"
        return ObjectRef("v1", "Secret", self._namespace, name)


def _is_same(there: KubeObject, wanted: KubeObject) -> bool:
    """What was damaged is written again; it need not be readable for that."""
    kept, annotations = there["metadata"], wanted["metadata"]["annotations"]
    found = kept.get("annotations") or {}
    return bool(there.get("data") == wanted["data"]) and all(
        found.get(name) == value for name, value in annotations.items()
    )


def _notes(secret: KubeObject) -> tuple[int, str]:
    """Returns how many chunks there are, and the digest that the objects were rendered with."""
    annotations = secret["metadata"].get("annotations") or {}
    return _chunks(secret), str(annotations.get(RENDER_DIGEST, ""))


def _chunks(secret: KubeObject) -> int:
    text = str((secret["metadata"].get("annotations") or {}).get(CHUNKS, ""))
    if not text.isdecimal() or not 1 <= int(text) <= CHUNKS_MAX:
        raise _damaged(secret, f"its annotation {CHUNKS} is not a number of chunks")
    return int(text)


def _content(secret: KubeObject, revision: RevisionId) -> bytes:
    if (secret["metadata"].get("annotations") or {}).get(REVISION) != revision:
        raise _damaged(secret, "it holds another revision")
    try:
        return base64.b64decode((secret.get("data") or {})["objects"], validate=True)
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(secret, "it holds no objects") from error


def _damaged(secret: KubeObject, why: str) -> InvalidInput:
    meta = secret["metadata"]
    return InvalidInput(
        f"Secret/{meta.get('namespace')}/{meta.get('name')}",
        "it cannot be put back",
        why,
        "delete it; it is written again with the next delivery",
    )
