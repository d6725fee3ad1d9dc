"""Commands that render: diff, what is live against what is admitted, and render itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from reconciler.cli import texts
from reconciler.cli.asking import unknown
from reconciler.cli.looking import Look, look
from reconciler.cli.opening import settings_from, settings_options
from reconciler.cli.output import Document, end, error_document, fail, output_option
from reconciler.core.diff import MASKED, differences, is_copy
from reconciler.core.pruning import BurialPlan, PrunePlan, plan_burial, plan_prune
from reconciler.core.reporting import blank, by_object, unseen
from reconciler.errors import InvalidInput, ReconcilerError, Unreachable
from reconciler.model.env_repo import Snapshot
from reconciler.model.facts import Cell, Member
from reconciler.model.fleet import ClusterState
from reconciler.model.names import ClusterName, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef, Rendered
from reconciler.model.release import Revision
from reconciler.shell.executor.inventory import Inventories
from reconciler.shell.executor.live import cell_of
from reconciler.shell.executor.stored import StoredObjects


@click.command(short_help="What is live against what is admitted.")
@click.argument("service", required=False)
@click.argument("environment", required=False)
@settings_options
@output_option
def diff(service: str | None, environment: str | None, output: str, **flags: Any) -> None:
    """Compare what is live with what is admitted, field by field; values of Secrets are masked."""
    document = blank("diff")
    try:
        seen = look(settings_from(flags))
        cells = list(_cells(seen, service, environment))
    except ReconcilerError as error:
        fail(error, document, output)
    members = {member.cluster for _, cell in cells for member in cell.members}
    comparing = _Comparing(seen)
    for name, cell in cells:
        comparing.cell(name, cell)
    document["objects"] = sorted(comparing.objects, key=_order)
    unordered = [*unseen(seen.view, among=members), *comparing.errors]
    document["errors"] = sorted(unordered, key=by_object)
    found = any(obj["change"] != "unchanged" for obj in document["objects"])
    end(document, output, texts.diff, found=found)


def _cells(
    seen: Look, service: str | None, environment: str | None
) -> Iterator[tuple[ServiceName, Cell]]:
    """Yields what is asked for; a name that nobody knows is an error and no empty answer."""
    found = [
        (name, cell)
        for name, planned in seen.view.services.items()
        for cell in planned.facts.cells
        if service in (None, name) and environment in (None, cell.environment)
    ]
    if not found and service is not None:
        raise unknown(seen, service, environment)
    yield from found


def _kept(revision: Revision) -> Callable[[Member], Revision | None]:
    """Returns what each cluster is compared with: one that drains, with what it was given."""

    def kept(member: Member) -> Revision | None:
        if member.state is not ClusterState.DRAINING:
            return revision
        return member.record.revision if member.record is not None else None

    return kept


class _Comparing:
    """Collects objects and errors: what cannot be read of one cluster hides nothing of the others."""

    def __init__(self, seen: Look) -> None:
        self._seen = seen
        self.objects: list[Document] = []
        self.errors: list[Document] = []

    def cell(self, service: ServiceName, cell: Cell) -> None:
        """Compares one cell on every cluster that answers."""
        admitted = cell.record.admitted if cell.record else None
        revision = admitted or cell.ask.wanted
        where = f"service {service} in {cell.environment}"
        if not cell.record_known:
            return  # What is admitted is not known, which is an error of the whole document.
        if revision is None:
            why = cell.ask.message or "nothing is known to be wanted"
            self._fault(
                InvalidInput(
                    where, "nothing is admitted", why, f"see `reconciler explain {service}`"
                )
            )
            return
        try:
            for cluster, found in rendered(self._seen, service, cell, _kept(revision)):
                if cluster not in self._seen.view.unreachable:
                    self._cluster(service, cell, cluster, found.objects)
        except ReconcilerError as error:
            self._fault(error)

    def _cluster(
        self,
        service: ServiceName,
        cell: Cell,
        cluster: ClusterName,
        objects: tuple[KubeObject, ...],
    ) -> None:
        place = {"service": service, "environment": cell.environment, "cluster": cluster}
        api = self._seen.engine.api(cluster)
        try:
            for desired in objects:
                ref = ObjectRef.of(desired)
                live = api.get(ref) if api.kind(ref.api_version, ref.kind) else None
                self.objects.append(_compared(place, desired, live))
            self._leftovers(place, (service, cell), cluster, {ObjectRef.of(o) for o in objects})
        except ReconcilerError as error:
            self._fault(error)

    def _leftovers(
        self,
        place: Document,
        of: tuple[ServiceName, Cell],
        cluster: ClusterName,
        wanted: set[ObjectRef],
    ) -> None:
        """Adds what was delivered once and is rendered no more: it goes, unless a guard keeps it."""
        api = self._seen.engine.api(cluster)
        key = (of[0], of[1].environment)
        owned = Inventories(api, self._seen.engine.namespace).load(key).refs
        live = {ref: api.get(ref) for ref in owned - wanted if api.kind(ref.api_version, ref.kind)}
        found: PrunePlan | BurialPlan
        if wanted:
            found = plan_prune(
                owned, wanted, live=live.get, is_ours=lambda obj: cell_of(obj) == key
            )
        else:
            found = plan_burial(owned, live=live.get, is_ours=lambda obj: cell_of(obj) == key)
            self.objects += [_object(place, ref, "deleted", []) for ref in found.going]
        self.objects += [_object(place, ref, "deleted", []) for ref in found.delete]
        self.objects += [_object(place, ref, "skipped", []) for ref, _ in found.kept]

    def _fault(self, error: ReconcilerError) -> None:
        self.errors.append(error_document(error))


def _compared(place: Document, desired: KubeObject, live: KubeObject | None) -> Document:
    fields = [
        {
            "path": field.path,
            "live": field.live,
            "desired": field.desired,
            "manager": field.manager or None,
            "first_seen_at": field.at or None,
        }
        for field in (differences(desired, live) if live is not None else ())
    ]
    change = "created" if live is None else "configured" if fields else "unchanged"
    ordered = sorted(fields, key=lambda field: str(field["path"]))
    return _object(place, ObjectRef.of(desired), change, ordered)


def _object(place: Document, ref: ObjectRef, change: str, fields: list[Document]) -> Document:
    return {
        **place,
        "api_version": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace or None,
        "name": ref.name,
        "change": change,
        "fields": fields,
    }


def _order(obj: Document) -> tuple[str, ...]:
    keys = ("service", "environment", "cluster", "kind", "namespace", "name", "api_version")
    return tuple(obj[key] or "" for key in keys)


def rendered(
    seen: Look, service: ServiceName, cell: Cell, of: Callable[[Member], Revision | None]
) -> Iterator[tuple[ClusterName, Rendered]]:
    """Yields what a revision renders to on each cluster of a cell, as `of` says which.

    What another version rendered cannot be rendered again; it is stored where it was applied.

    Raises:
        InvalidInput: It does not render, or there is nothing to render it from.
        Unreachable: The env repo was not read.
    """
    snapshot = _followed(seen)
    asker = seen.engine.asker_of(snapshot)
    # Where it is meant to be, as the turn has seen it: a broken service.yaml hides none of them.
    for member in cell.members:
        cluster, revision = snapshot.fleet.cluster(member.cluster), of(member)
        if cluster is None or revision is None:
            continue
        found = asker.rendered(service, cell.environment, cluster, revision)
        if found is None and cluster.name in seen.view.unreachable:
            continue
        if found is None:
            stored = StoredObjects(seen.engine.api(cluster.name), seen.engine.namespace)
            found = stored.load((service, cell.environment), revision.id)
        if found is None:
            why = f"commit {revision.release.source} or services/{service} in it is not there, or "
            why += "another version rendered it and it is not stored on the cluster"
            raise InvalidInput(
                f"service {service} in {cell.environment}", "it cannot be rendered", why
            )
        yield cluster.name, found


def _followed(seen: Look) -> Snapshot:
    head = seen.view.head
    if head.snapshot is None:
        raise Unreachable("env repo", "nothing can be rendered", head.error or "it is not known")
    return head.snapshot


@click.command(short_help="What HEAD's pin renders to.")
@click.argument("service")
@click.argument("environment")
@settings_options
@output_option
def render(service: str, environment: str, output: str, **flags: Any) -> None:
    """Print what HEAD's pin renders to, for each cluster of an environment."""
    document = blank("render")
    try:
        seen = look(settings_from(flags))
        name, cell = next(iter(_cells(seen, service, environment)))
        _followed(seen)
        wanted = cell.ask.wanted
        if wanted is None:
            where = f"service {service} in {environment}"
            raise InvalidInput(where, "it does not render", cell.ask.message)
        items = [
            {
                "cluster": cluster,
                "render_digest": found.digest,
                "objects": [masked(obj) for obj in found.objects],
            }
            for cluster, found in rendered(seen, name, cell, lambda member: wanted)
        ]
    except ReconcilerError as error:
        fail(error, document, output)
    document["items"] = sorted(items, key=lambda item: str(item["cluster"]))
    missing = {member.cluster for member in cell.members} - {item["cluster"] for item in items}
    document["errors"] = unseen(seen.view, among=missing)
    end(document, output, texts.render)


def masked(obj: KubeObject) -> KubeObject:
    """Returns an object as people may see it: without a Secret's values, and copies of them."""
    meta = obj["metadata"]
    notes = meta.get("annotations")
    if isinstance(notes, Mapping) and any(map(is_copy, notes)):
        shown = {key: MASKED if is_copy(key) else value for key, value in notes.items()}
        obj = {**obj, "metadata": {**meta, "annotations": shown}}
    if obj.get("kind") != "Secret":
        return obj
    values = [part for part in ("data", "stringData") if isinstance(obj.get(part), Mapping)]
    return {**obj, **{part: dict.fromkeys(obj[part], MASKED) for part in values}}
