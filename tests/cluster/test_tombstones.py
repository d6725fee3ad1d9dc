"""A service goes from real clusters in order, waits for finalizers, and comes back when its pin asks for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.cluster.audit import proven_at, received_at
from tests.cluster.fleet import Fleet, edit, holds_for
from tests.system.envrepo import CLUSTERS, ENVIRONMENTS, digest

GOOD, ABSENT = "1.0.0", "absent"
TOMBSTONE = b"release: absent\nreason: it is over\n"
QUIET_S = 3.0
OWNED = {"configmaps", "deployments", "services"}


def tombstones(fleet: Fleet) -> dict[str, bytes | None]:
    return {f"environments/{e}/{fleet.service}.yaml": TOMBSTONE for e in ENVIRONMENTS}


def deletes(fleet: Fleet, cluster: str) -> list[dict[str, Any]]:
    """Returns the daemon's deletions of the service's own objects, by the audit log."""
    return [
        entry
        for entry in fleet.writes(cluster)
        if entry["verb"] == "delete" and entry["objectRef"].get("namespace") == fleet.name
    ]


def first_deleted(fleet: Fleet, cluster: str) -> datetime:
    return min(received_at(entry) for entry in deletes(fleet, cluster))


def test_a_service_goes_in_order_and_comes_back(proven: Fleet) -> None:
    daemon = proven.daemon
    uids = {c: proven.deployment(c)["metadata"]["uid"] for c in CLUSTERS}  # type: ignore[index]
    edit(proven, "staging-1", {"metadata": {"finalizers": ["example.com/held"]}})
    proven.merge(tombstones(proven), "it is over")
    proven.wait_proven("dev", ABSENT)
    daemon.until(lambda: _is_going(proven, "staging-1"), "staging waits for a finalizer")
    holds_for(QUIET_S, lambda: not deletes(proven, "prod-1"))
    cell = daemon.cell(proven.service, "staging")
    assert cell is not None and "example.com/held" in cell["message"], cell
    edit(proven, "staging-1", {"metadata": {"finalizers": None}})
    proven.wait_proven("prod", ABSENT)
    daemon.until(lambda: _phases(proven) == {"Absent"}, "all of it is told as absent")

    assert all(proven.deployment(cluster) is None for cluster in CLUSTERS)
    times = {e: proven_at(proven, e, ABSENT) for e in ENVIRONMENTS}
    assert times["dev"] < first_deleted(proven, "staging-1")
    assert times["staging"] < first_deleted(proven, "prod-1") < first_deleted(proven, "prod-2")
    for cluster in CLUSTERS:
        asked = deletes(proven, cluster)
        assert {entry["objectRef"]["resource"] for entry in asked} == OWNED
        wanted = [entry["requestObject"]["preconditions"] for entry in asked]
        assert all(one["uid"] and one["resourceVersion"] for one in wanted)
        assert uids[cluster] in {one["uid"] for one in wanted}

    proven.merge(proven.pins(GOOD), "it is not over")
    daemon.until(lambda: all(proven.runs(c, digest(GOOD)) for c in CLUSTERS), "it is back")
    daemon.until(lambda: _phases(proven) == {"Proven"}, "all of it is told as proven")


def _is_going(fleet: Fleet, cluster: str) -> bool:
    found = fleet.deployment(cluster)
    return found is not None and "deletionTimestamp" in found["metadata"]


def _phases(fleet: Fleet) -> set[str]:
    cells = [fleet.daemon.cell(fleet.service, environment) for environment in ENVIRONMENTS]
    return {cell["phase"] if cell else "" for cell in cells}
