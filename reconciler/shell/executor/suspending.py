"""Break-glass: an annotation that stops all writes to an object, a service or a cluster for a while.

It can only stop, and for four hours at most, so that a forgotten one ends by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model.objects import KubeObject
from reconciler.model.times import from_rfc3339

UNTIL = "reconciler.dev/suspend-until"
REASON = "reconciler.dev/suspend-reason"
LONGEST = timedelta(hours=4)


def suspended(obj: KubeObject | None, now: datetime) -> str:
    """Returns why an object is suspended at a time, or nothing when it is not.

    A time that cannot be read stops for as long as it stands there: who wrote it wanted a stop. One
    further away than is allowed counts from when it was written.
    """
    if obj is None:
        return ""
    annotations = obj["metadata"].get("annotations") or {}
    text = annotations.get(UNTIL)
    if not text:
        return ""
    reason = str(annotations.get(REASON) or "no reason given")
    try:
        until = from_rfc3339(str(text))
    except ValueError:
        return f"{reason} ({UNTIL} is no time: {str(text)[:40]})"
    written = _written_at(obj)
    if written is not None:
        until = min(until, written + LONGEST)
    return f"{reason}, until {text}" if now < until else ""


def _written_at(obj: KubeObject) -> datetime | None:
    """Returns when the annotation was last written, by the API server's own clock."""
    field = f"f:{UNTIL}"
    for entry in obj["metadata"].get("managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        annotations = (fields.get("f:metadata") or {}).get("f:annotations") or {}
        if field in annotations and entry.get("time"):
            try:
                return from_rfc3339(str(entry["time"]))
            except ValueError:
                return None
    return None
