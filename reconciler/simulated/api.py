"""What a simulated API server does with a request, but for watches: reads, lists in pages, writes, deletes."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from reconciler.simulated import answers
from reconciler.simulated.discovery import discovered
from reconciler.simulated.patches import patched
from reconciler.simulated.requests import Request, Target
from reconciler.simulated.shelf import Object
from reconciler.simulated.store import Store
from reconciler.simulated.tables import table
from reconciler.simulated.trees import copied

LISTS_KEPT = 50
"""Lists under way, each the whole of its pages; a real server keeps them for five minutes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    tree: Object
    code: int = 200


@dataclass(slots=True)
class Api:
    """One cluster's API over its store."""

    store: Store
    _lists: OrderedDict[str, tuple[list[Object], int]] = field(default_factory=OrderedDict)

    def answer(self, request: Request) -> Reply:
        """Answers a request.

        Raises:
            Answer: It is refused.
        """
        found = discovered(self.store, request.steps)
        if found is not None:
            return Reply(found)
        if request.steps[:3] == ["apis", "authorization.k8s.io", "v1"] and request.body:
            return Reply({**request.mapping(), "status": {"allowed": True}}, 201)
        target = self.target(request)
        if target.subresource == "scale":
            return self._scale(request, target)
        match request.verb:
            case "get" if target.name:
                obj = self.store.get(target.kind, target.namespace, target.name)
                return Reply(
                    table(target.kind, [obj], self.store.now) if request.wants_table else obj
                )
            case "get":
                return self._list(request, target)
            case "create" if not target.name:
                return Reply(self._create(request, target), 201)
            case "update" if target.name:
                return Reply(self._update(request, target))
            case "patch" if target.name:
                return self._patch(request, target)
            case "delete":
                return Reply(self._delete(request, target))
            case _:
                raise answers.not_allowed()

    def target(self, request: Request) -> Target:
        """Returns what a request is about."""
        target = Target.of(self.store, request.steps)
        if target is None:
            raise answers.no_such_path()
        return target

    # Reads.

    def _list(self, request: Request, target: Target) -> Reply:
        limit = int(request.query.get("limit") or 0)
        token = request.query.get("continue")
        if token:
            items, version, start = self._continued(token)
        else:
            items, version = self.store.listed(target.kind, *target.selection(request.query))
            start = 0
        page = items[start : start + limit] if limit else items[start:]
        meta: Object = {"resourceVersion": str(version)}
        if start + len(page) < len(items):
            meta["continue"] = self._keep(items, version, start + len(page))
            meta["remainingItemCount"] = len(items) - start - len(page)
        if request.wants_table:
            return Reply({**table(target.kind, page, self.store.now), "metadata": meta})
        kind = {"kind": f"{target.kind.kind}List", "apiVersion": target.kind.api_version}
        return Reply({**kind, "metadata": meta, "items": page})

    def _keep(self, items: list[Object], version: int, start: int) -> str:
        """Keeps what is left of a list: later pages are of the same moment as the first."""
        name = secrets.token_hex(8)
        with self.store.lock:
            self._lists[name] = (items, version)
            while len(self._lists) > LISTS_KEPT:
                self._lists.popitem(last=False)
        return f"{name}.{start}"

    def _continued(self, token: str) -> tuple[list[Object], int, int]:
        name, _, start = token.partition(".")
        with self.store.lock:
            kept = self._lists.get(name)
        if kept is None or not start.isdecimal():
            why = "The provided continue parameter is too old to display a consistent list result."
            raise answers.Answer(410, "Expired", why)
        return (*kept, int(start))

    def forget_lists(self) -> None:
        """Makes every list under way too old to go on with."""
        with self.store.lock:
            self._lists.clear()

    # Writes.

    def _create(self, request: Request, target: Target) -> Object:
        obj = {**target.typed, **request.mapping()}
        if target.namespace:
            obj["metadata"] = {"namespace": target.namespace, **(obj.get("metadata") or {})}
        return self.store.create(
            obj, request.manager, dry_run=request.dry_run, strict=request.strict
        )

    def _update(self, request: Request, target: Target) -> Object:
        sub = target.subresource or None
        obj = {**target.typed, **request.mapping()}
        if (obj.get("metadata") or {}).get("name") != target.name:
            raise answers.bad_request("the name of the object does not match the name on the URL")
        return self.store.replace(
            obj,
            request.manager,
            subresource=sub,
            dry_run=request.dry_run,
            strict=request.strict,
        )

    def _patch(self, request: Request, target: Target) -> Reply:
        store, dry_run = self.store, request.dry_run
        if "apply-patch" in request.content_type:
            body = request.mapping()
            metadata = {**(body.get("metadata") or {}), "name": target.name}
            if target.namespace:
                metadata["namespace"] = target.namespace
            force = request.query.get("force") == "true"
            obj = {**body, "metadata": metadata}
            with store.lock:
                is_new = not store.has(target.kind, target.namespace, target.name)
                stored = store.apply(obj, request.manager, force=force, dry_run=dry_run)
            return Reply(stored, 201 if is_new else 200)
        with store.lock:
            was = store.get(target.kind, target.namespace, target.name)
            new = patched(was, request.body, request.content_type)
            sub = target.subresource or None
            return Reply(store.replace(new, request.manager, subresource=sub, dry_run=dry_run))

    def _scale(self, request: Request, target: Target) -> Reply:
        """The replicas of a workload, as `kubectl scale` sets them."""
        store = self.store
        with store.lock:
            obj = store.get(target.kind, target.namespace, target.name)
            if request.verb == "patch":
                wanted = patched(_scale_of(obj), request.body, request.content_type)
            elif request.verb == "update":
                wanted = request.mapping()
            else:
                return Reply(_scale_of(obj))
            new = copied(obj)
            new["spec"]["replicas"] = int(wanted["spec"]["replicas"])
            stored = store.replace(
                new, request.manager, subresource="scale", dry_run=request.dry_run
            )
            return Reply(_scale_of(stored))

    def _delete(self, request: Request, target: Target) -> Object:
        options: Object = request.body if isinstance(request.body, dict) else {}
        wanted: dict[str, Any] = options.get("preconditions") or {}
        orphan = options.get("propagationPolicy") == "Orphan"
        if not target.name:
            items, _ = self.store.listed(target.kind, *target.selection(request.query))
            for obj in items:
                meta = obj["metadata"]
                self.store.delete(target.kind, meta.get("namespace", ""), meta["name"])
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        if request.dry_run:
            return self.store.get(target.kind, target.namespace, target.name)
        return self.store.delete(
            target.kind,
            target.namespace,
            target.name,
            uid=str(wanted.get("uid") or ""),
            version=str(wanted.get("resourceVersion") or ""),
            orphan=orphan,
        )


def _scale_of(obj: Object) -> Object:
    meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": meta,
        "spec": {"replicas": obj["spec"].get("replicas", 1)},
        "status": {"replicas": (obj.get("status") or {}).get("replicas", 0)},
    }
