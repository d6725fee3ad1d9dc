"""What revisions render to, kept by everything that it depends on, so that equal input costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from reconciler.core.assembly import ASSEMBLY, Unrenderable, assemble, effective_values
from reconciler.core.identity import is_rendered, overlay_digest, tree_digest
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Service, ServiceSource, SourceKind
from reconciler.model.fleet import Allowed, Cluster
from reconciler.model.names import BlobId, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, Rendered
from reconciler.model.release import Revision, TreeEntry
from reconciler.ports.clock import Clock
from reconciler.ports.git import History
from reconciler.ports.render import Builder
from reconciler.shell.bugs import bug
from reconciler.shell.building import BeingRendered, BuildQueue

CACHE_BYTES_MAX = 32 * 1024 * 1024
"""Of objects as text, for each of the two caches; in memory they take some five times as much."""

AGAIN_MIN_S, AGAIN_MAX_S = 60.0, 600.0
AGAIN_TIMES = 20
"""What did not build is built again after so many times as long as that took: it may burn a core."""

_ERROR_WEIGHT = 1_000
"""An error's share of a cache: it counts, so that errors alone cannot grow without end."""

_LINK, _SUBMODULE = 0o120000, 0o160000

Value = TypeVar("Value")
Made = TypeVar("Made")
_Objects = tuple[KubeObject, ...]
_Build = Callable[[], _Objects]


class Renderer:
    """Renders revisions.

    Safe to use from several threads; two that ask for one thing at once may both render it.

    Attributes:
        queue: What is built for those who do not wait; it must be started before anybody asks so.

    Args:
        history: Where the files come from.
        builder: Makes raw objects of them.
        clock: For when an error is looked into again.
        key: Of this installation, for digests of Secrets; None while it is not known.
        on_built: Told of a service when something that was not waited for is there.
        cache_bytes_max: Of objects as text, for each of the two caches.
    """

    def __init__(
        self,
        history: History,
        builder: Builder,
        *,
        clock: Clock,
        key: Callable[[], bytes | None],
        on_built: Callable[[ServiceName], None] = lambda service: None,
        cache_bytes_max: int = CACHE_BYTES_MAX,
    ) -> None:
        self._history = history
        self._builder = builder
        self._clock = clock
        self._key = key
        self._raw: _Cache[_Objects] = _Cache(cache_bytes_max, _weight)
        self._rendered: _Cache[Rendered] = _Cache(
            cache_bytes_max, lambda rendered: _weight(rendered.objects)
        )
        self.queue = BuildQueue(clock, on_built)

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
        waits: bool = True,
    ) -> Rendered:
        """Returns what a revision renders to on one cluster; nobody may change the objects.

        Args:
            service: Its service.yaml.
            source: Its files at `revision.release.source`.
            revision: The images and values to put in.
            environment: Names overlay and namespace.
            cluster: Its name and labels may stand in values.
            allowed: What fleet.yaml lets services touch.
            waits: False for who must not wait for a build, which may take as long as it is allowed.

        Raises:
            InvalidInput: It does not render; with every fault that was found.
            BeingRendered: It was not waited for, and is being built.
            TransientError: The build ran into its time limit, the mirror could not be read, or the
                key is needed and not known.
        """
        secret_key = self._key()
        values = effective_values(revision, cluster)
        files = (tree_digest(source.tree, b""), overlay_digest(source.tree, environment))
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
        kept = self._rendered.find(rests_on)
        if kept is None:
            objects = self._objects(service, source.tree, environment, files, waits=waits)

            def assembled() -> Rendered:
                return assemble(
                    objects,
                    service=service,
                    environment=environment,
                    cluster=cluster,
                    revision=revision,
                    allowed=allowed,
                    key=secret_key,
                )

            # A bug is not kept: what it is met with may be memory that was short for a moment.
            make = partial(self._rendered.make, rests_on, assembled)
            kept = _guarded(_what(service, environment), make)()
        return kept.get()

    def _objects(
        self,
        service: Service,
        tree: tuple[TreeEntry, ...],
        environment: EnvironmentName,
        files: Hashable,
        *,
        waits: bool,
    ) -> _Objects:
        """Returns raw objects; for who does not wait an error stands until another build has ended."""
        key = (service.name, service.source, environment, files)
        build = partial(self._build, service, tree, environment)
        kept = self._raw.find(key)
        if kept is None or kept.due_s <= self._clock.monotonic_s():
            if waits:
                kept = self._keep(key, build)
            else:
                # Unkept, a bug would be met again as fast as a core can.
                guarded = _guarded(_what(service, environment), build)
                self.queue.put(service.name, key, partial(self._keep, key, guarded))
        if kept is None:
            raise BeingRendered(
                f"service {service.name}", "it waits for a moment", "it is being rendered"
            )
        return kept.get()

    def _keep(self, key: Hashable, build: _Build) -> _Kept[_Objects]:
        """Builds, and keeps what comes of it; an error until it is time to look into it again."""
        began_s = self._clock.monotonic_s()
        kept = self._raw.make(key, build)
        if isinstance(kept.answer, ReconcilerError):
            ended_s = self._clock.monotonic_s()
            wait_s = min(AGAIN_MAX_S, max(AGAIN_MIN_S, AGAIN_TIMES * (ended_s - began_s)))
            kept = self._raw.keep(key, replace(kept, due_s=ended_s + wait_s))
        return kept

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
                _what(service, environment),
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


def _what(service: Service, environment: EnvironmentName) -> str:
    return f"service {service.name} in {environment}"


def _guarded(what: str, make: Callable[[], Made]) -> Callable[[], Made]:
    """Makes a bug of ours an error like any other, which is that of one service and is tried again."""

    def guarded() -> Made:
        try:
            return make()
        except ReconcilerError:
            raise
        except Exception as error:
            raise bug(what, error) from error

    return guarded


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Value]):
    """An answer, or the error that stood in its place.

    Attributes:
        answer: One of the two.
        weight: Its share of a cache.
        due_s: When an error is looked into again, on the clock; never where equal input makes equal errors.
    """

    answer: Value | ReconcilerError
    weight: int
    due_s: float = float("inf")

    def get(self) -> Value:
        """Returns the answer, or raises the error."""
        if isinstance(self.answer, ReconcilerError):
            # Without the frames of those who were told before.
            raise self.answer.with_traceback(None)
        return self.answer


class _Cache(Generic[Value]):
    """Answers by key, the least recently used forgotten first, and the newest of them never.

    Args:
        weight_max: Of all that is kept together.
        weight: Of one answer.
    """

    def __init__(self, weight_max: int, weight: Callable[[Value], int]) -> None:
        self._weight_max = weight_max
        self._weight = weight
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> _Kept[Value] | None:
        """Returns what is kept, or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def make(self, key: Hashable, make: Callable[[], Value]) -> _Kept[Value]:
        """Makes an answer, or its error, and keeps it in place of what was there."""
        try:
            answer = make()
        except ReconcilerError as error:
            return self.keep(key, _Kept(error, _ERROR_WEIGHT))
        return self.keep(key, _Kept(answer, self._weight(answer)))

    def keep(self, key: Hashable, kept: _Kept[Value]) -> _Kept[Value]:
        """Keeps it in place of what was there."""
        with self._lock:
            replaced = self._kept.pop(key, None)
            self._total += kept.weight - (replaced.weight if replaced else 0)
            self._kept[key] = kept
            while self._total > self._weight_max and len(self._kept) > 1:
                _, forgotten = self._kept.popitem(last=False)
                self._total -= forgotten.weight
        return kept


def _weight(objects: Iterable[KubeObject]) -> int:
    return sum(len(repr(obj)) for obj in objects)
