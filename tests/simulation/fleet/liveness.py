"""Once faults and people have stopped, everything settles: it is at rest, or held for a reason that is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.reporting.explaining import explain
from reconciler.model.names import ServiceName
from tests.simulation.fleet.people import People
from tests.simulation.fleet.world import FleetWorld

MOVING = frozenset(
    {
        "Progressing",
        "WaitingForSoak",
        "RollingBack",
        "Rendering",
        "ClusterUnknown",
        "ClusterUnreachable",
        "GitUnknown",
        "HomeUnreachable",
        "NotLeading",
        "ActionFailed",
        "AdoptionPending",
        "HistoryRewritten",
        "InvalidService",
        "InvalidPin",
        "RenderFailed",
        "Suspended",
        "ModeObserve",
        "Orphaned",
    }
)
"""Reasons for which nothing is left once nobody does anything any more."""


class Liveness:
    """Looks at what the daemon that leads says of each cell, and whether that is so."""

    def __init__(self, world: FleetWorld, people: People) -> None:
        self.world = world
        self.people = people

    def unsettled(self) -> list[str]:
        """Returns what is still on its way, or stands still without a reason."""
        return list(self._unsettled())

    def _unsettled(self) -> Iterator[str]:
        leading = [p for p in self.world.alive() if self.world.engines[p.holder].lease.leads]
        if len(leading) != 1:
            yield f"{len(leading)} daemons lead"
            return
        for about, row in self._rows(leading[0].holder):
            following = row["next"]
            if self.world.witness.lost_s and following and following["reason"] == "AdoptionPending":
                # What failed as the home lost its records is a person's to judge: it waits for one.
                continue
            if following is None:
                yield f"{about} has nothing planned: {row['summary']}"
            elif following["action"] != "Hold":
                yield f"{about} is to {following['action']}: {following['message']}"
            elif following["reason"] in MOVING:
                yield f"{about} is held: {following['reason']}: {following['message']}"
            elif row["phase"] == "RollingBack" or self._is_owed(row, about):
                yield f"{about} is {row['phase']}: {row['summary']}"
            elif not following["unblock"]:
                yield f"{about} is held, and nothing says what would change it: {row['summary']}"
        yield from self._clusters()

    def _is_owed(self, row: Mapping[str, Any], about: str) -> bool:
        """Whether Git is owed a commit that no person has on a branch of its own."""
        branch = f"reconciler/revert-{about.partition(' ')[0]}-"
        has_branch = any(name.startswith(branch) for name in self.world.git.branches)
        return row["phase"] == "RevertPending" and not has_branch

    def _rows(self, holder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        view = self.world.engines[holder].view
        assert view is not None
        for service in self.people.fleet.services:
            rows = explain(view, ServiceName(service.name), None)["environments"]
            found = {row["environment"]: row for row in rows}
            for one in self.people.fleet.environments:
                if one.name not in found:
                    self.world.broken.append(f"liveness: {service.name} in {one.name} is unknown")
                    continue
                yield f"{service.name} in {one.name}", found[one.name]

    def _clusters(self) -> Iterator[str]:
        """Yields each cluster that does not run what its record says."""
        witness = self.world.witness
        for service in self.people.fleet.services:
            for one in self.people.fleet.environments:
                for cluster in self.people.fleet.goes_to(service, one):
                    record = witness.stored(cluster, "ServiceRecord", f"{service.name}.{one.name}")
                    live = witness.live(cluster, service)
                    if record is None or live is None:
                        continue
                    if (record.get("status") or {}).get("state") != "Applied":
                        # Why it is not is a reason of its cell.
                        continue
                    release = record["spec"]["revision"]["release"]
                    image = "@".join(release["images"][0])
                    identity = witness.identity(live)
                    wanted = witness.repo.versions.get(image)
                    if identity is None or identity.version != wanted:
                        yield f"{service.name} on {cluster} is {identity}, and its record {wanted}"

    def wrong(self) -> list[str]:
        """Returns what is said that is not so, once all is settled."""
        return []
