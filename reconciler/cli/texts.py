"""Documents as text for people at a terminal; whatever scripts need is in the document itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

import yaml

from reconciler.cli.output import Document, table
from reconciler.core.reporting import columns
from reconciler.model.reasons import Reason
from reconciler.model.times import from_rfc3339

_STILL = frozenset({"Settled"})
"""Reasons of a Hold that nobody needs to read about."""

_CHANGES = {
    "created": "it is admitted and not there",
    "configured": "it differs",
    "deleted": "it is admitted no more, and goes once what is admitted is proven",
    "skipped": "it is admitted no more, and a guard keeps it",
}


def status(document: Document, now: datetime) -> str:
    """Returns services by environments, then what is not as it should be, and why."""
    cells = document["cells"]
    environments = columns(cells)
    services: dict[str, dict[str, Document]] = {}
    for cell in cells:
        services.setdefault(cell["service"], {})[cell["environment"]] = cell
    rows = [["SERVICE", *(name.upper() for name in environments)]]
    rows += [[name, *(_cell(by.get(e)) for e in environments)] for name, by in services.items()]
    parts = [table(rows) if services else "No services are known.\n"]
    parts += [_noted(document), _rejected(document, now)]
    head = document["head"]
    fetched = f", fetched {_ago(head['fetched_at'], now)}" if head["fetched_at"] else ""
    stale = " (stale)" if head["stale"] else ""
    at = (head["accepted"] or "nothing yet")[:12]
    parts += [f"mode {document['mode']}, {head['branch']} at {at}{fetched}{stale}\n"]
    return "\n".join(filter(None, parts))


def _cell(cell: Document | None) -> str:
    if cell is None:
        return "-"
    wave = cell["wave"]
    left = cell["soak_left_s"]
    parts = [
        _versions(cell["admitted"], cell["wanted"]),
        cell["phase"],
        f"wave {wave['index']}/{wave['of']}" if wave and wave["of"] > 1 else "",
        f"{left:.0f} s left" if left and cell["phase"] == "Soaking" else "",
    ]
    return " ".join(filter(None, parts))


def _versions(admitted: Document | None, wanted: Document | None) -> str:
    """Names what runs and, where that is something else, what is asked for."""
    now = admitted["version"] if admitted else "-"
    if wanted is None or (admitted and wanted["revision"] == admitted["revision"]):
        return str(now)
    # Other values or manifests under the same version are another revision all the same.
    return f"{now} → {wanted['version']}{'*' if wanted['version'] == now else ''}"


def _noted(document: Document) -> str:
    lines = []
    if document["halted"]:
        lines.append(f"No forward moves anywhere: {document['halted']}")
    for fault in document["head"]["broken"]:
        place = f"{fault['path']}:{fault['line'] or 1}:{fault['column'] or 1}"
        lines.append(f"{place}: {fault['what']}: {fault['why']}; {fault['fix']}")
    for pending in document["reverts_pending"]:
        where = ", ".join(pending["environments"])
        waits = f"; it waits on branch {pending['branch']}" if pending["branch"] else ""
        lines.append(
            f"{pending['service']}: the revert for {where} is owed to Git since "
            f"{_clock(pending['since'])}{waits}"
        )
    for cell in document["cells"]:
        name = f"{cell['service']} in {cell['environment']}"
        if cell["phase"] != "Proven":
            lines.append(f"{name}: {cell['reason']}: {cell['message']}")
        lines += [
            f"{name}: {cluster['name']} {_trouble(cluster)}"
            for cluster in cell["clusters"]
            if _trouble(cluster)
        ]
    return "".join(f"{line}\n" for line in lines)


def _rejected(document: Document, now: datetime) -> str:
    """Names what was taken back and still stands: all may be well again, and is no less true."""
    lines = []
    for cell in document["cells"]:
        found = cell["last_rejection"]
        if found is None or found["failed_in"] != cell["environment"]:
            continue
        commit = f"reverted by {found['commit'][:12]}" if found["commit"] else "not in Git yet"
        lines.append(
            f"{cell['service']} {found['revision']['version']} was taken back in "
            f"{cell['environment']} {_ago(found['rejected_at'], now)}: {found['reason']}, {commit}"
        )
    return "".join(f"{line}\n" for line in lines)


def _trouble(cluster: Document) -> str:
    if not cluster["reachable"]:
        return "" if cluster["state"] == "draining" else "does not answer"
    told = []
    if cluster["health"] == "Failed":
        told.append(f"fails: {cluster['message'] or cluster['reason']}")
    if cluster["drift"]:
        told.append(f"has drift in {cluster['drift']} fields")
    return ", and ".join(told)


def explain(document: Document) -> str:
    """Returns, for each environment in order, the sentence that matters and then what leads to it."""
    rows = sorted(document["environments"], key=lambda row: int(row["step"]))
    return "\n".join("\n".join(_explained(row)) + "\n" for row in rows)


def _explained(row: Document) -> Iterable[str]:
    wanted, admitted = row["wanted"], row["admitted"]
    yield row["summary"]
    yield (
        f"  wanted    {wanted['version'] if wanted else '-'}\n"
        f"  admitted  {admitted['version'] if admitted else '-'}"
    )
    following = row["next"]
    is_still = following and following["reason"] in _STILL and not row["fixed_source"]
    if following and following["unblock"] and not is_still:
        yield f"  changes   {following['unblock']}"
    if following and following["next_check_at"]:
        yield f"  next look {_clock(following['next_check_at'])}"
    shut = [gate for gate in row["gates"] if gate["state"] != "open"]
    for gate in shut:
        yield f"  {gate['state']:<8}  {gate['name']}: {gate['message']}"
        if gate["unblock"]:
            yield f"            {gate['unblock']}"
        if gate["next_check_at"]:
            yield f"            next look {_clock(gate['next_check_at'])}"
    passed = [gate for gate in row["gates"] if gate["state"] == "open"]
    for gate in passed:
        # A person lets it through; who and why is what the next one asks.
        if gate["reason"] == Reason.SKIPPED:
            yield f"  skipped   {gate['name']}: {gate['message']}"
    opened = [gate["name"] for gate in passed if gate["reason"] != Reason.SKIPPED]
    if opened:
        yield f"  open      {', '.join(opened)}"


def plan(document: Document) -> str:
    """Returns what would be done, then what is held; what is as it should be is only counted."""
    actions = sorted(document["actions"], key=lambda a: (a["service"], a["step"]))
    doing = [a for a in actions if a["kind"] != "Hold"]
    held = [a for a in actions if a["kind"] == "Hold" and a["reason"] not in _STILL]
    rows = [[a["kind"], a["service"], _where(a), a["message"]] for a in doing]
    told = table([["ACTION", "SERVICE", "WHERE", "WHY"], *rows]) if rows else "Nothing to do.\n"
    if held:
        rows = [[a["reason"], a["service"], _where(a), a["message"]] for a in held]
        told += "\n" + table([["HELD", "SERVICE", "WHERE", "WHY"], *rows])
    still = len(actions) - len(doing) - len(held)
    at = (document["commit"] or "nothing")[:12]
    return f"{told}\nAt {at}: {still} of {len(actions)} are as they should be.\n"


def _where(action: Document) -> str:
    return str(action["cluster"] or action["environment"])


def history(document: Document) -> str:
    """Returns what happened, oldest first."""
    rows = [
        [
            _clock(item["at"]),
            item["service"],
            item["environment"],
            item["event"],
            item["revision"]["version"] if item["revision"] else "-",
            item["reason"],
            (item["commit"] or "-")[:12],
        ]
        for item in document["items"]
    ]
    header = ["AT", "SERVICE", "ENVIRONMENT", "EVENT", "VERSION", "REASON", "COMMIT"]
    if not rows and document["errors"]:
        return "What has happened is not known.\n"
    return table([header, *rows]) if rows else "Nothing has happened yet.\n"


def diff(document: Document) -> str:
    """Returns each object that differs, by cluster."""
    if not document["objects"]:
        return "No objects were compared."
    lines = []
    differing = [obj for obj in document["objects"] if obj["change"] != "unchanged"]
    for cluster, objects in groupby(differing, key=lambda obj: obj["cluster"]):
        for obj in objects:
            name = "/".join(filter(None, (obj["kind"], obj["namespace"], obj["name"])))
            lines.append(f"{cluster}  {name}: {_CHANGES[obj['change']]}")
            lines += [_field(field) for field in obj["fields"]]
    lines.append(f"{len(differing) or 'None'} of {len(document['objects'])} objects differ.")
    return "\n".join(lines)


def _field(field: Document) -> str:
    by = f", by {field['manager']}" if field["manager"] else ""
    at = f" at {_clock(field['first_seen_at'])}" if field["first_seen_at"] else ""
    return f"    {field['path']}: live {_value(field['live'])}, admitted {_value(field['desired'])}{by}{at}"


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def render(document: Document) -> str:
    """Returns the objects as YAML, cluster by cluster."""
    parts = []
    for item in document["items"]:
        parts.append(f"# {item['cluster']} {item['render_digest']}")
        parts += [yaml.safe_dump(dict(o), sort_keys=False).rstrip() for o in item["objects"]]
    return "\n---\n".join(parts)


def _clock(at: str) -> str:
    """Returns a time to the second: nobody reads microseconds."""
    return f"{from_rfc3339(at):%Y-%m-%d %H:%M:%SZ}"


def _ago(at: str, now: datetime) -> str:
    seconds = max(0, round((now - from_rfc3339(at)).total_seconds()))
    if seconds < 120:
        return f"{seconds} s ago"
    minutes = seconds // 60
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"
