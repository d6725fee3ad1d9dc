"""The key of this installation, by which digests tell nothing of the Secrets in them.

Made once, by whoever is first; a lost one is made anew, and what rests on it is rendered anew.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable

import structlog

from reconciler.errors import Conflict, ReconcilerError
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import KubeApi

KEY_BYTES = 32
"""As long as the digests that it keys; a longer one adds nothing."""

RETRY_S, IDLE_S = 2.0, 3600.0

_log = structlog.get_logger(__name__)


class DigestKey:
    """A Secret in the home's reconciler namespace. Its `step` is one task.

    Where nothing may be written and there is none, a throw-away one stands in for it: then nothing is
    stored either that could rest on it.

    Args:
        api: The home cluster.
        namespace: The reconciler's own.
        may_write: False in observe mode.
        entropy: Returns so many random bytes.
        on_known: Called once the key is known.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        *,
        may_write: Callable[[], bool],
        entropy: Callable[[int], bytes],
        on_known: Callable[[], None],
    ) -> None:
        self._api = api
        self._ref = ObjectRef("v1", "Secret", namespace, "reconciler-digest-key")
        self._may_write = may_write
        self._entropy = entropy
        self._on_known = on_known
        self._lock = threading.Lock()
        self._kept: bytes | None = None
        self._thrown_away: bytes | None = None

    def get(self) -> bytes | None:
        """Returns the key, or None while it is not known."""
        with self._lock:
            if self._kept is not None:
                return self._kept
            return None if self._may_write() else self._thrown_away

    def step(self) -> float:
        """Reads it, or makes it; returns seconds until the next try."""
        if self._kept is not None:
            return IDLE_S
        try:
            found = self._found()
        except ReconcilerError as error:
            _log.warning("digest-key-unknown", error=str(error))
            return RETRY_S
        with self._lock:
            self._kept = found
            if found is None and self._thrown_away is None:
                self._thrown_away = self._entropy(KEY_BYTES)
        self._on_known()
        return RETRY_S if found is None else IDLE_S

    def _found(self) -> bytes | None:
        """Returns the stored key, made if it may be; None when there is none and none may be made."""
        there = self._api.get(self._ref)
        if there is None and self._may_write():
            try:
                there = self._api.create(self._object(self._entropy(KEY_BYTES)))
            except Conflict:
                there = self._api.get(self._ref)
        return _read(there) if there is not None else None

    def _object(self, key: bytes) -> KubeObject:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._ref.name, "namespace": self._ref.namespace},
            "type": "reconciler.dev/digest-key",
            # Another key would make other digests of the same Secrets, and restart what uses them.
            "immutable": True,
            "data": {"key": base64.b64encode(key).decode()},
        }


def _read(secret: KubeObject) -> bytes:
    try:
        key = base64.b64decode(secret["data"]["key"], validate=True)
    except (KeyError, TypeError, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        meta = secret["metadata"]
        raise ReconcilerError(
            f"Secret/{meta.get('namespace')}/{meta.get('name')}",
            "it cannot be used",
            f"its data holds no key of {KEY_BYTES} bytes",
            "delete it; a new one is made, and what uses Secrets of a release is restarted in order",
        )
    return key
