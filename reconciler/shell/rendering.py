"""What revisions render to, kept by everything that it depends on, so that equal input costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from reconciler.core.assembly import ASSEMBLY, Unrenderable, assemble, effective_values
from reconciler.core.identity import is_rendered, overlay_digest, tree_digest
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Service, ServiceSource, SourceKind
from reconciler.model.fleet import Allowed, Cluster
from reconciler.model.names import BlobId, EnvironmentName
from reconciler.model.objects import KubeObject, Rendered
from reconciler.model.release import Revision, TreeEntry
from reconciler.ports.clock import Clock
from reconciler.ports.git import History
from reconciler.ports.render import Builder

CACHE_BYTES_MAX = 32 * 1024 * 1024
"""Of objects as text, for each of the two caches; in memory they take some five times as much."""

ERROR_KEPT_S = 60
"""So that a build that runs into its time limit is not tried again at every turn of the loop."""

_ERROR_WEIGHT = 1_000
"""An error's share of a cache: it counts, so that errors alone cannot grow without end."""

_LINK, _SUBMODULE = 0o120000, 0o160000

Value = TypeVar("Value")


class Renderer:
    """Renders revisions.

    Safe to use from several threads; two that ask for one thing at once both render it.

    Args:
        history: Where the files come from.
        builder: Makes raw objects of them.
        clock: For how long an error is kept.
        key: Of this installation, for digests of Secrets; None while it is not known.
        cache_bytes_max: Of objects as text, for each of the two caches.
    """

    def __init__(
        self,
        history: History,
        builder: Builder,
        *,
        clock: Clock,
        key: Callable[[], bytes | None],
        cache_bytes_max: int = CACHE_BYTES_MAX,
    ) -> None:
        self._history = history
        self._builder = builder
        self._key = key
        self._raw: _Cache[tuple[KubeObject, ...]] = _Cache(clock, cache_bytes_max, _weight)
        self._rendered: _Cache[Rendered] = _Cache(
            clock, cache_bytes_max, lambda rendered: _weight(rendered.objects)
        )

    def version(self, kind: SourceKind) -> str:
        """Returns what renders a kind of source, with versions."""
        return " ".join(part for part in (ASSEMBLY, self._builder.version(kind)) if part)

    def render(
        self,
        *,
        service: Service,
        source: ServiceSource,
        revision: Revision,
        environment: EnvironmentName,
        cluster: Cluster,
        allowed: Allowed,
    ) -> Rendered:
        """Returns what a revision renders to on one cluster; nobody may change the objects.

        Args:
            service: Its service.yaml.
            source: Its files at `revision.release.source`.
            revision: The images and values to put in.
            environment: Names overlay and namespace.
            cluster: Its name and labels may stand in values.
            allowed: What fleet.yaml lets services touch.

        Raises:
            InvalidInput: It does not render; with every fault that was found.
            TransientError: The build ran into its time limit, the mirror could not be read, or the
                key is needed and not known.
        """
        secret_key = self._key()
        values = effective_values(revision, cluster)
        files = (tree_digest(source.tree, b""), overlay_digest(source.tree, environment))

        def raw() -> tuple[KubeObject, ...]:
            return self._build(service, source.tree, environment)

        def rendered() -> Rendered:
            return assemble(
                self._raw.get((service.name, service.source, environment, files), raw),
                service=service,
                environment=environment,
                cluster=cluster,
                revision=revision,
                allowed=allowed,
                key=secret_key,
            )

        # Of the revision only images and values count, and of the cluster only what is in them.
        rests_on = (
            service,
            environment,
            files,
            revision.release.images,
            values,
            allowed,
            secret_key,
        )
        return self._rendered.get(rests_on, rendered)

    def _build(
        self, service: Service, tree: Iterable[TreeEntry], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        entries = [entry for entry in tree if is_rendered(entry.path, environment)]
        files = {entry.path: self._file(service, entry) for entry in entries}
        try:
            return self._builder.build(service.source, files, environment)
        except InvalidInput as error:
            # The builder knows paths within the service alone.
            faults = error.faults if isinstance(error, Unrenderable) else (error,)
            raise Unrenderable(
                f"service {service.name} in {environment}",
                [
                    InvalidInput(f"services/{service.name}/{f.object}", f.what, f.why, f.fix)
                    for f in faults
                ],
            ) from error

    def _file(self, service: Service, entry: TreeEntry) -> bytes:
        path = f"services/{service.name}/{entry.path}"
        if entry.mode in (_LINK, _SUBMODULE):
            raise InvalidInput(
                path,
                "it cannot be rendered",
                "it is a symbolic link" if entry.mode == _LINK else "it is a submodule",
                "commit the files themselves",
            )
        try:
            return self._history.blob(BlobId(entry.blob))
        except InvalidInput as error:
            # Too large: the history knows its blob alone.
            raise InvalidInput(path, error.what, error.why, error.fix) from error


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Value]):
    """An answer, or the error that stood in its place."""

    answer: Value | ReconcilerError
    weight: int
    until_s: float


class _Cache(Generic[Value]):
    """Answers by key, the least recently used forgotten first.

    Args:
        clock: For errors, which are kept for a while only.
        weight_max: Of all that is kept together.
        weight: Of one answer.
    """

    def __init__(self, clock: Clock, weight_max: int, weight: Callable[[Value], int]) -> None:
        self._clock = clock
        self._weight_max = weight_max
        self._weight = weight
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Returns what is kept, or makes it; an error is raised again while it is kept."""
        kept = self._find(key)
        if kept is None:
            kept = self._make(make)
            self._keep(key, kept)
        if isinstance(kept.answer, ReconcilerError):
            # Without the frames of those who were told before.
            raise kept.answer.with_traceback(None)
        return kept.answer

    def _make(self, make: Callable[[], Value]) -> _Kept[Value]:
        try:
            answer = make()
        except ReconcilerError as error:
            return _Kept(error, _ERROR_WEIGHT, self._clock.monotonic_s() + ERROR_KEPT_S)
        return _Kept(answer, self._weight(answer), float("inf"))

    def _find(self, key: Hashable) -> _Kept[Value] | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.until_s <= self._clock.monotonic_s():
                return None
            self._kept.move_to_end(key)
            return kept

    def _keep(self, key: Hashable, kept: _Kept[Value]) -> None:
        with self._lock:
            replaced = self._kept.pop(key, None)
            self._total += kept.weight - (replaced.weight if replaced else 0)
            self._kept[key] = kept
            while self._total > self._weight_max:
                _, forgotten = self._kept.popitem(last=False)
                self._total -= forgotten.weight


def _weight(objects: Iterable[KubeObject]) -> int:
    return sum(len(repr(obj)) for obj in objects)
