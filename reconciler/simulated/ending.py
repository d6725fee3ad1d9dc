"""How objects go: finalizers hold them, owners take what they own along, namespaces and definitions all in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock
from reconciler.simulated.shelf import Key, Object, Shelf
from reconciler.simulated.trees import copied


class Endings:
    """Deletes objects of a shelf, in the order a real cluster comes to.

    Args:
        shelf: The objects.
        clock: Stamps what is on its way out.
        gone: Called for each object that is gone.
    """

    def __init__(self, shelf: Shelf, clock: Clock, gone: Callable[[Key], None]) -> None:
        self._shelf = shelf
        self._clock = clock
        self._gone = gone

    def begin(self, key: Key, *, orphan: bool = False) -> Object:
        """Deletes an object, or marks it to be deleted once nothing holds it any more."""
        found = self._shelf.get(key)
        assert found is not None
        if "deletionTimestamp" not in found["metadata"] and self._is_held(key, found):
            doomed = copied(found)
            doomed["metadata"]["deletionTimestamp"] = rfc3339(
                self._clock.now().replace(microsecond=0)
            )
            if _is_namespace(key):
                doomed["status"] = {**(doomed.get("status") or {}), "phase": "Terminating"}
            self._shelf.put(key, doomed)
            for below, _ in list(self._inside(key)):
                if self._shelf.get(below) is not None:
                    self.begin(below)
        left = self._shelf.get(key)
        if left is not None and self._is_held(key, left):
            return left
        return self._drop(key, orphan=orphan) if left is not None else found

    def go_on(self, key: Key) -> Object:
        """Ends an object that was marked, if what held it has let go."""
        found = self._shelf.get(key)
        assert found is not None
        return found if self._is_held(key, found) else self._drop(key, orphan=False)

    def _drop(self, key: Key, *, orphan: bool) -> Object:
        gone = self._shelf.drop(key)
        self._gone(key)
        if not orphan:
            for below, _ in list(self._owned(gone)):
                if self._shelf.get(below) is not None:
                    self.begin(below)
        for above in list(self._around(key)):
            found = self._shelf.get(above)
            if found is not None and is_doomed(found):
                self.go_on(above)
        return gone

    def _is_held(self, key: Key, obj: Object) -> bool:
        return bool(obj["metadata"].get("finalizers")) or any(True for _ in self._inside(key))

    def _inside(self, key: Key) -> Iterator[tuple[Key, Object]]:
        """Yields what is in a namespace, or of a definition's kind."""
        if _is_namespace(key):
            yield from ((k, o) for k, o in self._shelf.everything() if k.namespace == key.name)
        elif key.kind == "CustomResourceDefinition":
            found = self._shelf.get(key)
            kind = found["spec"]["names"]["kind"] if found else ""
            group = found["spec"]["group"] if found else ""
            yield from ((k, o) for k, o in self._shelf.everything() if k[:2] == (group, kind))

    def _around(self, key: Key) -> Iterator[Key]:
        """Yields what an object was in: a namespace, and the definition of its kind."""
        if key.namespace:
            yield Key("", "Namespace", "", key.namespace)
        for obj in self._shelf.all("apiextensions.k8s.io", "CustomResourceDefinition"):
            spec = obj["spec"]
            if (spec["group"], spec["names"]["kind"]) == key[:2]:
                group, kind = "apiextensions.k8s.io", "CustomResourceDefinition"
                yield Key(group, kind, "", obj["metadata"]["name"])

    def _owned(self, gone: Object) -> Iterator[tuple[Key, Object]]:
        uid = gone["metadata"]["uid"]
        for key, obj in self._shelf.everything():
            owners = obj["metadata"].get("ownerReferences") or ()
            if any(owner.get("uid") == uid for owner in owners):
                yield key, obj


def is_doomed(obj: Object) -> bool:
    """Whether an object is only held back from going."""
    return "deletionTimestamp" in obj["metadata"]


def _is_namespace(key: Key) -> bool:
    return key[:2] == ("", "Namespace")
