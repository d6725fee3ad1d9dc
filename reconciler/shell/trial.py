"""What only rendering tells of a snapshot: what does not render, is claimed twice, comes back, or cannot be proven."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from reconciler.core.assembly import Unrenderable
from reconciler.core.health import holds_back
from reconciler.core.identity import OVERLAYS, is_rendered
from reconciler.core.rejections import repeats
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Fault, Pin, QuarantineEntry, Severity, Snapshot
from reconciler.model.fleet import Cluster
from reconciler.model.names import BlobId, ClusterName, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.release import Revision
from reconciler.ports.clock import Clock
from reconciler.ports.git import History
from reconciler.ports.render import Builder
from reconciler.schema.manifests import Place, place_of
from reconciler.schema.snapshot import Files, Reading
from reconciler.schema.yaml_text import dotted
from reconciler.shell.asking import Asker
from reconciler.shell.digest_key import KEY_BYTES
from reconciler.shell.rendering import Renderer
from reconciler.shell.sources import Sources

_Found = dict[tuple[str, ...], Fault]
"""By what they are about, so that each is told once."""


class Trial:
    """Renders every pin of a snapshot for every cluster, only to see what comes of it.

    Args:
        files: Where the snapshot is from.
        reading: What was read of it.
        builder: Makes raw objects.
        clock: For how long an error is kept.
        root: The subfolder that is the env repo.
    """

    def __init__(
        self, files: Files, reading: Reading, builder: Builder, clock: Clock, root: str
    ) -> None:
        assert reading.snapshot is not None
        history = cast("History", files)
        # No digest of this leaves the process, so any key will do.
        key = secrets.token_bytes(KEY_BYTES)
        renderer = Renderer(history, builder, clock=clock, key=lambda: key)
        self._history = history
        self._reading = reading
        self._snapshot: Snapshot = reading.snapshot
        self._asker = Asker(reading.snapshot, Sources(history, root), renderer)
        self._owners: dict[tuple[ClusterName, ObjectRef], ServiceName] = {}
        self._found: _Found = {}

    def faults(self) -> list[Fault]:
        """Returns a fault for each pin that does not render, and for each object with two owners.

        A field that keeps Pods on an older template is warned of, where it stands.

        What is not supported yet is left out: it is a fault already, and may not render.
        """
        for (environment, service), pin in sorted(self._snapshot.pins.items()):
            declared = self._snapshot.services.get(service)
            if declared is None or declared.unsupported or pin.unsupported:
                continue
            path = _pin_path(environment, service)
            try:
                self._render(path, pin)
            except Unrenderable as error:
                for one in error.faults:
                    self._note(one, path)
            except ReconcilerError as error:
                self._note(error, path)
        return list(self._found.values())

    def quarantined_again(self, before: Snapshot | None) -> Iterator[Fault]:
        """Yields a fault for each pin that asks, newly, for what is quarantined where it stands.

        An entry that the change itself deletes still counts: only `lifted` lifts one.
        """
        former = before.pins if before else {}
        for (environment, service), pin in sorted(self._snapshot.pins.items()):
            was = former.get((environment, service))
            if was is not None and _asks(was) == _asks(pin):
                continue
            try:
                revision = self._asker.revision(pin, pin.source or self._snapshot.commit)
            except ReconcilerError:
                continue
            for entry in self._entries(service, before):
                held = revision is not None and environment in entry.environments
                if held and revision is not None and repeats(revision, entry):
                    yield self._again(pin, entry)

    def _entries(
        self, service: ServiceName, before: Snapshot | None
    ) -> tuple[QuarantineEntry, ...]:
        now = self._snapshot.quarantine.get(service, ())
        here = {(entry.revision, entry.rejected_at) for entry in now}
        gone = before.quarantine.get(service, ()) if before else ()
        return tuple(
            entry
            for entry in (*now, *(e for e in gone if (e.revision, e.rejected_at) not in here))
            if entry.lifted is None
        )

    def _again(self, pin: Pin, entry: QuarantineEntry) -> Fault:
        path, field = _pin_path(pin.environment, pin.service), "release"
        place = self._reading.documents[path].place((field,))
        why = f"its {entry.part} failed on {entry.rejected_at}: {entry.reason}"
        fix = (
            f"pin another release, or lift the entry in quarantine/{pin.service}.yaml with a reason"
        )
        what = f"{pin.version} is quarantined in {pin.environment}"
        return Fault(path, place.line, place.column, "Quarantined", what, why, fix, field)

    def _render(self, path: str, pin: Pin) -> None:
        if pin.source and self._history.resolve(pin.source) is None:
            why = f"its `source` {pin.source} is no commit of the repository that is looked at"
            fix = (
                "fetch the whole history, which a shallow clone does not hold, or correct `source`"
            )
            raise InvalidInput(path, "it cannot be rendered", why, fix)
        revision = self._asker.revision(pin, pin.source or self._snapshot.commit)
        if revision is None:
            why = f"{pin.source or 'HEAD'} holds no services/{pin.service}"
            raise InvalidInput(path, "it does not render", why, "correct `source`")
        for cluster in self._asker.clusters(pin.service, pin.environment) or ():
            self._render_for(path, pin, revision, cluster)

    def _render_for(self, path: str, pin: Pin, revision: Revision, cluster: Cluster) -> None:
        rendered = self._asker.rendered(pin.service, pin.environment, cluster, revision)
        for obj in rendered.objects if rendered is not None else ():
            ref = ObjectRef.of(obj)
            owner = self._owners.setdefault((cluster.name, ref), pin.service)
            self._warn(path, pin, obj)
            if owner != pin.service:
                why = f"{owner} renders it, too; on {cluster.name} it can have one owner"
                fix = "rename it in one of the services"
                what = f"{ref} is claimed twice"
                self._found[(str(ref), owner)] = Fault(path, 0, 0, "TwoOwners", what, why, fix)

    def _warn(self, path: str, pin: Pin, obj: KubeObject) -> None:
        """Warns of a field that keeps Pods from the release that they are to prove."""
        held = holds_back(obj)
        if held is None:
            return
        ref = ObjectRef.of(obj)
        place = self._stands(path, pin, ref, held.field)
        what = f"{ref.kind}/{ref.name} may never be proven"
        why = f"{held.why}, and a release is proven by Pods that all carry its template"
        fault = Fault(
            place.file,
            place.line,
            place.column,
            held.reason,
            what,
            why,
            held.fix,
            dotted(held.field),
            Severity.WARNING,
        )
        self._found[(f"{place} {ref.kind}/{ref.name}", held.reason)] = fault

    def _stands(self, path: str, pin: Pin, ref: ObjectRef, field: tuple[str, ...]) -> Place:
        """Returns where a service gives a field, overlays first; at `source`, where another commit does."""
        folder = f"services/{pin.service}"
        if pin.source is not None:
            span = self._reading.documents[path].place(("release", "source"))
            return Place(path, span.line, span.column)
        at = self._asker.sources.at(pin.service, self._snapshot.commit)
        entries = sorted(at.tree if at else (), key=lambda e: not e.path.startswith(OVERLAYS))
        files = {
            f"{folder}/{entry.path}": self._history.blob(BlobId(entry.blob))
            for entry in entries
            if is_rendered(entry.path, pin.environment)
        }
        return place_of(files, ref.kind, ref.name, field) or Place(f"{folder}/service.yaml", 0, 0)

    def _note(self, error: ReconcilerError, path: str) -> None:
        """Places a fault at the manifest that it names, or at the field of the pin, or at the pin."""
        place, _, line = error.object.partition(":")
        number = int(line.partition(":")[0]) if line.partition(":")[0].isdecimal() else 0
        what, fix = f"{error.object}: {error.what}", error.fix or "correct it"
        # What is wrong with a manifest is told once, and not for each environment.
        fault, key = Fault(path, 0, 0, "DoesNotRender", what, error.why, fix), error.object
        span = self._reading.documents[path].named(error.object)
        if place.startswith(("services/", "environments/")):
            fault = replace(fault, path=place, line=number, what=error.what)
        elif span is not None:
            fault = replace(fault, line=span.line, column=span.column, field=error.object)
            key = f"{path} {error.object}"
        self._found[(key, error.what, error.why)] = fault


def _asks(pin: Pin) -> tuple[object, ...]:
    return pin.images, pin.source, pin.values, pin.cluster_values


def _pin_path(environment: EnvironmentName, service: ServiceName) -> str:
    return f"environments/{environment}/{service}.yaml"
