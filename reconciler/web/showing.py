"""What the pages show of the documents: signs and tones, what to look at first, and how long ago."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.core.reporting import columns
from reconciler.model.times import from_rfc3339

_TONES = {
    "Proven": ("good", "✔"),
    "RollingOut": ("busy", "▶"),
    "Soaking": ("busy", "▶"),
    "Waiting": ("wait", "…"),
    "Held": ("wait", "‖"),
    "Paused": ("wait", "‖"),
    "Absent": ("wait", "–"),
}
"""Tone and sign by phase: a colour alone tells nothing to many. What is not here is bad."""

_QUIET_PHASES = frozenset({"Proven", "RollingOut", "Soaking", "Waiting", "Paused", "Absent"})
"""Nobody has to look at these: they go on by themselves, or a person wants them so."""

_HEALTH = {"Current": "good", "InProgress": "busy", "Terminating": "wait", "Unknown": "wait"}

_APPLY_STATES = {"Pending": "to be applied", "Applying": "being applied", "Applied": "just applied"}
"""Why the health is not known yet, where that is nobody's fault."""

NEWS_S = 24 * 3_600
"""How long the board speaks of what was taken back: until whoever is on duty next has read it."""

Row = dict[str, Any]


def tone(phase: str) -> str:
    """Returns the class of a phase."""
    return _TONES.get(phase, ("bad", "✖"))[0]


def sign(phase: str) -> str:
    """Returns the sign of a phase."""
    return _TONES.get(phase, ("bad", "✖"))[1]


def cluster_tone(cluster: Mapping[str, Any]) -> str:
    """Returns the class of one cluster of a cell."""
    if not cluster["reachable"]:
        # One that drains may be switched off.
        return "wait" if cluster["state"] == "draining" else "bad"
    return "wait" if cluster["drift"] else _HEALTH.get(cluster["health"], "bad")


def cluster_words(cluster: Mapping[str, Any]) -> str:
    """Returns what one cluster of a cell is like, in a few words."""
    words = _words(cluster)
    return words if cluster["state"] == "active" else f"{cluster['state']}, {words}"


def _words(cluster: Mapping[str, Any]) -> str:
    if not cluster["reachable"]:
        return "does not answer"
    if cluster["health"] == "Unknown" and cluster["reason"] in _APPLY_STATES:
        return _APPLY_STATES[cluster["reason"]]
    words = [str(cluster["health"])]
    if cluster["health"] not in ("Current", "InProgress") and cluster["reason"]:
        words.append(str(cluster["reason"]))
    if cluster["drift"]:
        words.append(f"{cluster['drift']} fields drifted")
    return ", ".join(words)


def ago(at: str, now: datetime) -> str:
    """Returns how long ago a time was, as a person says it."""
    seconds = max(0, round((now - from_rfc3339(at)).total_seconds()))
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name} ago"
    return f"{seconds} s ago"


def board_rows(document: Mapping[str, Any], now: datetime) -> Row:
    """Returns services by environments in order of promotion, and what to look at first."""
    services: dict[str, Row] = {}
    for cell in document["cells"]:
        services.setdefault(cell["service"], {})[cell["environment"]] = cell
    found = alerts(document)
    proven = sum(cell["phase"] == "Proven" for cell in document["cells"])
    return {
        "status": document,
        "environments": columns(document["cells"]),
        "services": services,
        "alerts": found,
        "news": news(document, now),
        "proven": proven,
        "total": len(document["cells"]),
        "title": f"{len(found)} to look at · reconciler" if found else "reconciler",
    }


def alerts(document: Mapping[str, Any]) -> list[Row]:
    """Returns what a person should look at, the widest first."""
    found: list[Row] = []
    if document["halted"]:
        found.append(_alert("No forward moves anywhere", document["halted"]))
    for error in document["errors"]:
        found.append(_alert(f"{error['object']}: {error['what']}", error["why"], error["fix"]))
    for fault in document["head"]["broken"]:
        place = ":".join(str(p) for p in (fault["path"], fault["line"], fault["column"]) if p)
        found.append(_alert(place, f"{fault['what']}: {fault['why']}", fault["fix"]))
    for pending in document["reverts_pending"]:
        where = ", ".join(pending["environments"])
        why = f"the revert for {where} is not on the branch yet, since {pending['since'][:19]}Z"
        fix = f"it waits on {pending['branch']}: merge it" if pending["branch"] else ""
        found.append(_alert(pending["service"], why, fix, service=pending["service"]))
    for cell in document["cells"]:
        where = f"{cell['service']} in {cell['environment']}"
        if cell["phase"] not in _QUIET_PHASES:
            what = f"{where} is {cell['phase']}"
            why = f"{cell['reason']}: {cell['message']}"
            found.append(_alert(what, why, service=cell["service"]))
        found += [
            _alert(f"{where} on {cluster['name']}", cluster_words(cluster), service=cell["service"])
            for cluster in cell["clusters"]
            if cluster["reachable"] and (cluster["drift"] or cluster["health"] == "Failed")
        ]
    return found


def news(document: Mapping[str, Any], now: datetime) -> list[Row]:
    """Returns what was taken back lately, the newest first: all may be well again, and is no less true."""
    found = []
    for cell in document["cells"]:
        rejection = cell["last_rejection"]
        if rejection is None or rejection["failed_in"] != cell["environment"]:
            continue
        age_s = (now - from_rfc3339(rejection["rejected_at"])).total_seconds()
        if age_s <= NEWS_S:
            found.append({"service": cell["service"], **rejection})
    return sorted(found, key=lambda row: str(row["rejected_at"]), reverse=True)


def _alert(what: str, why: str, fix: str = "", *, service: str = "") -> Row:
    return {"what": what, "why": why, "fix": fix, "service": service}
