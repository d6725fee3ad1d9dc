"""Render every pin of a snapshot for every cluster, only to see what does not render."""

from __future__ import annotations

from typing import cast

from reconciler.core.assembly import Unrenderable
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Fault, Snapshot
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.ports.clock import Clock
from reconciler.ports.git import History
from reconciler.ports.render import Builder
from reconciler.schema.snapshot import Files
from reconciler.shell.asking import Asker, Sources
from reconciler.shell.rendering import Renderer


def render_faults(
    files: Files, snapshot: Snapshot, builder: Builder, clock: Clock, root: str
) -> list[Fault]:
    """Returns a fault for each pin that does not render; what is not supported yet is left out."""
    history = cast("History", files)
    asker = Asker(snapshot, Sources(history, root), Renderer(history, builder, clock=clock))
    found: dict[tuple[str, str], Fault] = {}
    for environment, service in snapshot.pins:
        declared = snapshot.services.get(service)
        pin = snapshot.pins[(environment, service)]
        if declared is None or declared.unsupported or pin.unsupported:
            continue
        path = f"environments/{environment}/{service}.yaml"
        try:
            _render(asker, snapshot.commit, path, environment, service)
        except Unrenderable as error:
            for fault in error.faults:
                key = (fault.object, fault.why)
                found[key] = _fault(path, fault)
        except ReconcilerError as error:
            found[(path, error.why)] = _fault(path, error)
    return list(found.values())


def _render(asker: Asker, head: CommitId, path: str, environment: str, service: str) -> None:
    name, where = ServiceName(service), EnvironmentName(environment)
    pin = asker.snapshot.pins[(where, name)]
    revision = asker.revision(pin, pin.source or head)
    if revision is None:
        why = f"{pin.source or 'HEAD'} holds no services/{service}"
        raise InvalidInput(path, "it does not render", why, "correct `source`")
    for cluster in asker.clusters(where):
        asker.rendered(name, where, cluster, revision)


def _fault(path: str, error: ReconcilerError) -> Fault:
    """Places a fault at the manifest it names, or at the pin."""
    place, _, line = error.object.partition(":")
    where = place if place.startswith(("services/", "environments/")) else path
    number = int(line.partition(":")[0]) if line.partition(":")[0].isdecimal() else 0
    what = error.what if where != path else f"{error.object}: {error.what}"
    return Fault(where, number, 0, "DoesNotRender", what, error.why, error.fix)
