"""When things happened on real clusters, as the API servers' own audit logs tell it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.cluster.fleet import Fleet


def written(fleet: Fleet, entries: Iterable[dict[str, Any]]) -> tuple[datetime, datetime]:
    """Returns when the first and when the last of a service's objects was first written; all of them were."""
    first: dict[str, datetime] = {}
    for entry in entries:
        if entry["objectRef"].get("namespace") == fleet.name:
            first.setdefault(entry["objectRef"]["resource"], received_at(entry))
    assert set(first) == {"configmaps", "deployments", "services"}
    return min(first.values()), max(first.values())


def proven_at(fleet: Fleet, environment: str, version: str, *, service: str = "") -> datetime:
    """Returns when the proof of a version in an environment was first written to the home."""
    for entry in fleet.writes("dev-1"):
        if entry["objectRef"]["resource"] != "promotionrecords":
            continue
        spec = (entry.get("requestObject") or {}).get("spec") or {}
        is_asked = spec.get("service") == (service or fleet.service)
        if (
            is_asked
            and spec.get("environment") == environment
            and any(
                p["revision"]["release"]["version"] == version and p["opensGates"]
                for p in spec.get("proofs") or []
            )
        ):
            return received_at(entry)
    raise AssertionError(f"{version} was never proven in {environment}")


def received_at(entry: dict[str, Any]) -> datetime:
    """Returns when an API server got a request, to the microsecond, by the clock that all of them share."""
    return datetime.fromisoformat(entry["requestReceivedTimestamp"])


def rejected_at(fleet: Fleet, environment: str, version: str) -> datetime:
    """Returns when the home had first taken a rejection of a version in an environment."""
    for entry in fleet.writes("dev-1"):
        spec = (entry.get("requestObject") or {}).get("spec") or {}
        versions = [r["revision"]["release"]["version"] for r in spec.get("rejections") or ()]
        is_taken = entry["responseStatus"]["code"] < 300
        if spec.get("environment") == environment and version in versions and is_taken:
            return datetime.fromisoformat(entry["stageTimestamp"])
    raise AssertionError(f"{version} was never rejected in {environment}")


def put_back_at(fleet: Fleet, cluster: str, bad: str, good: str) -> datetime:
    """Returns when a cluster was first asked for the good digest after the bad one."""
    had_bad = False
    for entry in fleet.writes(cluster):
        if entry["objectRef"]["resource"] != "deployments":
            continue
        asked = json.dumps(entry.get("requestObject"))
        had_bad = had_bad or bad in asked
        if had_bad and good in asked:
            return received_at(entry)
    raise AssertionError(f"{cluster} was never put back")
