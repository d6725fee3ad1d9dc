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
        "Frozen",
        "OutsideWindow",
    }
)
"""Reasons for which nothing is left once nobody does anything any more."""

WITHOUT_A_GATE = frozenset({"AdoptionDiffers", "PlatformIncident"})
"""Reasons that hold a cell although every gate is open for what HEAD asks for."""


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
        settled: set[tuple[str, str]] = set()
        rows = dict(self._rows(leading[0].holder))
        for service in self.people.fleet.services:
            for one in self.people.fleet.environments:
                if (service.name, one.name) not in rows:
                    yield f"{service.name} in {one.name} is unknown"
        for key, row in rows.items():
            what = self._stuck(key, row)
            if what:
                yield f"{key[0]} in {key[1]} {what}"
            elif row["next"]["reason"] == "Settled":
                settled.add(key)
        yield from self._clusters(settled)

    def _stuck(self, key: tuple[str, str], row: Mapping[str, Any]) -> str:
        """Returns what is wrong with where a cell is, or stands; nothing where it is at rest or held as is told."""
        following = row["next"]
        if following is None:
            return f"has nothing planned: {row['summary']}"
        if following["action"] != "Hold":
            return f"is to {following['action']}: {following['message']}"
        reason = following["reason"]
        if self.world.witness.lost_s and reason == "AdoptionPending":
            # What failed as the home lost its records is a person's to judge: it waits for one.
            return ""
        if reason in MOVING:
            return f"is held: {reason}: {following['message']}"
        if row["phase"] == "RollingBack" or self._is_owed(row, key[0]):
            return f"is {row['phase']}: {row['summary']}"
        if not following["message"] or not following["unblock"]:
            return f"is held, and nothing says why or what would change it: {row['summary']}"
        return self._unexplained(row)

    def _unexplained(self, row: Mapping[str, Any]) -> str:
        """What HEAD asks for and is not let in is kept out by a gate that says why, and what would open it."""
        shut = [gate for gate in row["gates"] if gate["state"] != "open"]
        tells_little = self._tells_little(row)
        if tells_little:
            return tells_little
        is_in = row["wanted"] is None or _revision(row["wanted"]) == _revision(row["admitted"])
        if is_in or shut or row["next"]["reason"] in WITHOUT_A_GATE:
            return ""
        return f"is held as {row['next']['reason']}, and no gate is shut: {row['summary']}"

    def _tells_little(self, row: Mapping[str, Any]) -> str:
        for gate in row["gates"]:
            tells = gate["reason"] and gate["message"] and gate["unblock"]
            if gate["state"] != "open" and not tells:
                return f"has a gate that tells too little: {gate}"
        return ""

    def unexplained(self) -> Iterator[str]:
        """Yields each cell that is held now, at any time, without a word of why and of what would change it."""
        for process in self.world.alive():
            if not self.world.engines[process.holder].lease.leads:
                continue
            for key, row in self._rows(process.holder):
                following = row["next"]
                if following is not None and following["action"] == "Hold":
                    if not following["message"] or not following["unblock"]:
                        yield f"{key[0]} in {key[1]} says too little: {following}"
                    elif tells_little := self._tells_little(row):
                        yield f"{key[0]} in {key[1]} {tells_little}"

    def _is_owed(self, row: Mapping[str, Any], service: str) -> bool:
        """Whether Git is owed a commit that no person has on a branch of its own."""
        branch = f"reconciler/revert-{service}-"
        has_branch = any(name.startswith(branch) for name in self.world.git.branches)
        return row["phase"] == "RevertPending" and not has_branch

    def _rows(self, holder: str) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
        view = self.world.engines[holder].view
        for service in self.people.fleet.services if view is not None else ():
            assert view is not None
            rows = explain(view, ServiceName(service.name), None)["environments"]
            found = {row["environment"]: row for row in rows}
            for one in self.people.fleet.environments:
                if one.name in found:
                    yield (service.name, one.name), found[one.name]

    def _clusters(self, settled: set[tuple[str, str]]) -> Iterator[str]:
        """Yields each cluster that does not run what its record says, or what Git asks for where all is said to be."""
        witness = self.world.witness
        for service in self.people.fleet.services:
            for one in self.people.fleet.environments:
                pin = witness.repo.pin(service.name, one.name)
                for cluster in self.people.fleet.goes_to(service, one):
                    record = witness.stored(cluster, "ServiceRecord", f"{service.name}.{one.name}")
                    live = witness.live(cluster, service)
                    identity = witness.identity(live) if live is not None else None
                    version = identity.version if identity is not None else None
                    about = f"{service.name} on {cluster} is {identity}"
                    if (service.name, one.name) in settled and pin is not None:
                        if version != pin[0] or not _is_applied(record):
                            yield f"{about}, said to be settled, and Git asks for {pin[0]}"
                    elif _is_applied(record) and version != self._version(record):
                        yield f"{about}, and its record says {self._version(record)}"

    def _version(self, record: Mapping[str, Any] | None) -> str | None:
        release = record["spec"]["revision"]["release"] if record is not None else {"images": [()]}
        return self.world.witness.repo.versions.get("@".join(release["images"][0]))

    def wrong(self) -> list[str]:
        """Returns what is said that is not so, once all is settled."""
        return []


def _is_applied(record: Mapping[str, Any] | None) -> bool:
    """Whether a record says that what it asks for is applied; why it is not is a reason of its cell."""
    status = (record.get("status") or {}) if record is not None else {}
    return (
        record is not None
        and status.get("state") == "Applied"
        and status.get("applied") == record["spec"]["revision"]["id"]
        and status.get("observedGeneration") == record["metadata"]["generation"]
    )


def _revision(document: Mapping[str, Any] | None) -> str | None:
    return document["revision"] if document is not None else None
