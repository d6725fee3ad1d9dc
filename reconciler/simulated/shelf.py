"""Where a simulated cluster's objects lie: by kind, namespace and name, with versions and a log to watch."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from reconciler.simulated import answers
from reconciler.simulated.selecting import Selection

Object = dict[str, Any]

LOG_MAX = 20_000
"""Changes of a kind remembered for watches; a real API server keeps about five minutes of them."""


class Key(NamedTuple):
    """Names one object whatever its API version."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Logged:
    """One change, as a watch is told of it."""

    version: int
    change: str
    obj: Object


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    before: Object | None
    after: Object | None
    last: Object
    """What a deleted object was, with the version of its deletion."""

    def told(self, selection: Selection) -> Logged | None:
        """An object that is selected no more is deleted, as far as a watch of the selected goes."""
        was, is_ = selection.has(self.before), selection.has(self.after)
        if is_:
            return Logged(self.version, "MODIFIED" if was else "ADDED", self.last)
        if not was:
            return None
        if self.after is None:
            return Logged(self.version, "DELETED", self.last)
        former = {**(self.before or {})}
        version = {"resourceVersion": str(self.version)}
        return Logged(
            self.version, "DELETED", {**former, "metadata": {**former["metadata"], **version}}
        )


class Shelf:
    """Objects of one cluster; hold `lock` over whatever must be seen together.

    What is stored is never changed in place, so that whoever hears of it may be handed the object itself.

    Args:
        on_change: Told of the kind of each change, while `lock` is held.

    Attributes:
        versions: The version of the newest change of each namespace.
    """

    def __init__(self, on_change: Callable[[str], None] = lambda kind: None) -> None:
        self._on_change = on_change
        self.lock = threading.RLock()
        self.version = 1
        self.versions: dict[str, int] = {}
        # Each kind has its own: hundreds of watches wait on one cluster, and few are of what has changed.
        self._changes: defaultdict[tuple[str, str], threading.Condition] = defaultdict(
            lambda: threading.Condition(self.lock)
        )
        self._objects: dict[tuple[str, str], dict[str, dict[str, Object]]] = {}
        self._log: dict[tuple[str, str], deque[_Entry]] = {}
        self._forgotten: dict[tuple[str, str], int] = {}
        self._forgotten_all = 0

    def get(self, key: Key) -> Object | None:
        """Returns the stored object itself, which nobody may change in place."""
        with self.lock:
            return self._objects.get(key[:2], {}).get(key.namespace, {}).get(key.name)

    def all(self, group: str, kind: str, namespace: str | None = None) -> list[Object]:
        """Returns the stored objects of a kind themselves, in order of namespace and name."""
        with self.lock:
            spaces = self._objects.get((group, kind), {})
            names = sorted(spaces) if namespace is None else [namespace]
            return [obj for n in names for _, obj in sorted(spaces.get(n, {}).items())]

    def everything(self) -> Iterator[tuple[Key, Object]]:
        """Yields everything there is at this moment."""
        with self.lock:
            found = [
                (Key(group, kind, namespace, name), obj)
                for (group, kind), spaces in self._objects.items()
                for namespace, names in spaces.items()
                for name, obj in names.items()
            ]
        yield from found

    def put(self, key: Key, obj: Object) -> Object:
        """Stores an object under the next version, and returns it."""
        with self.lock:
            spaces = self._objects.setdefault(key[:2], {})
            before = spaces.get(key.namespace, {}).get(key.name)
            self.version += 1
            obj["metadata"]["resourceVersion"] = str(self.version)
            spaces.setdefault(key.namespace, {})[key.name] = obj
            self._note(key, before, obj, obj)
            return obj

    def drop(self, key: Key) -> Object:
        """Takes an object away and returns it as it was, with the version of its deletion."""
        with self.lock:
            before = self._objects[key[:2]][key.namespace].pop(key.name)
            self.version += 1
            version = {"resourceVersion": str(self.version)}
            last = {**before, "metadata": {**before["metadata"], **version}}
            self._note(key, before, None, last)
            return last

    def _note(self, key: Key, before: Object | None, after: Object | None, last: Object) -> None:
        log = self._log.setdefault(key[:2], deque(maxlen=LOG_MAX))
        if len(log) == LOG_MAX:
            self._forgotten[key[:2]] = log[0].version
        log.append(_Entry(self.version, before, after, last))
        self.versions[key.namespace] = self.version
        self._changes[key[:2]].notify_all()
        self._on_change(key.kind)

    def wait(self, group: str, kind: str, version: int, timeout_s: float) -> None:
        """Waits until something may have happened to a kind after a version, or a time is up."""
        with self.lock:
            log = self._log.get((group, kind))
            latest = max(self._oldest(group, kind), log[-1].version if log else 0)
            if latest <= version:
                self._changes[group, kind].wait(timeout_s)

    def wake(self) -> None:
        """Ends every wait."""
        with self.lock:
            for change in self._changes.values():
                change.notify_all()

    def _oldest(self, group: str, kind: str) -> int:
        return max(self._forgotten_all, self._forgotten.get((group, kind), 0))

    def since(
        self, group: str, kind: str, version: int, selection: Selection
    ) -> tuple[list[Logged], int]:
        """Returns the changes of a kind after a version, and the version they lead up to.

        A version that is yet to come has no changes after it, and nothing says so.

        Raises:
            Answer: 410, some of them are forgotten.
        """
        with self.lock:
            oldest = self._oldest(group, kind)
            if version < oldest:
                raise answers.expired(version, oldest)
            found: list[Logged] = []
            for entry in reversed(self._log.get((group, kind), ())):
                if entry.version <= version:
                    break
                told = entry.told(selection)
                if told is not None:
                    found.append(told)
            return found[::-1], max(version, self.version)

    def forget(self) -> None:
        """Forgets all changes so far, so that every watch from before them is too old."""
        with self.lock:
            self._log.clear()
            self._forgotten_all = self.version
            self.wake()
