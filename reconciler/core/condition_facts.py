"""What a condition may look at: the same facts make the same text, which is all that its answer rests on."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.facts import Cell, Member
from reconciler.model.fleet import Cluster
from reconciler.model.health import HealthStatus
from reconciler.model.names import ServiceName
from reconciler.model.release import Revision, Values
from reconciler.model.times import rfc3339


def condition_facts(
    service: ServiceName,
    cell: Cell,
    revision: Revision,
    clusters: tuple[Cluster, ...],
    now: datetime,
) -> str:
    """Returns the facts as JSON with sorted keys.

    Args:
        service: Whose.
        cell: Where it may be admitted.
        revision: What.
        clusters: Those of the fleet that it goes to there.
        now: Cut to the minute, so that an answer can be had before its question is another.
    """
    admitted = cell.record.admitted if cell.record is not None else None
    labels = {cluster.name: dict(cluster.labels) for cluster in clusters}
    release = revision.release
    return Values.of(
        {
            "service": service,
            "environment": cell.environment,
            "version": release.version,
            "revision": revision.id,
            "identity": revision.identity,
            "source": release.source,
            "images": dict(release.images),
            "unpinned": revision.unpinned,
            "values": revision.values.tree(),
            "admitted": admitted.release.version if admitted is not None else "",
            "now": rfc3339(now.replace(second=0, microsecond=0)),
            "clusters": [
                _member(member, labels.get(member.cluster, {})) for member in cell.members
            ],
        }
    ).text


def _member(member: Member, labels: dict[str, str]) -> dict[str, object]:
    runs = member.record.revision.release.version if member.record is not None else ""
    # Of one that was not read, what it was is no word on what it is.
    health = member.health.status if member.known else HealthStatus.UNKNOWN
    return {
        "name": member.cluster,
        "labels": labels,
        "state": member.state.value,
        "reachable": member.reachable,
        "version": runs if member.known else "",
        "health": health.value,
        "drift": member.drift,
    }
