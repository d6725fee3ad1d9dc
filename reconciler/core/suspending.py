"""Break-glass: an annotation that stops all writes to an object, a service or a cluster for a while.

It can only stop, and for four hours at most, so that a forgotten one ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from reconciler.errors import InvalidInput
from reconciler.model.facts import Suspension
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.times import from_rfc3339, rfc3339

UNTIL = "reconciler.dev/suspend-until"
REASON = "reconciler.dev/suspend-reason"
LONGEST = timedelta(hours=4)

_TEXT_MAX = 40
"""Of what stands for a time: enough to find it by."""


def suspended(obj: KubeObject | None, now: datetime) -> Suspension | None:
    """Returns why an object is suspended at a time, and until when; None when it is not.

    A time further away than is allowed, and one that cannot be read, stop for four hours from when
    they were written: who wrote them wanted a stop. Where the object does not tell when that was, there
    is nothing to count from, and only a time that is at most four hours away is heeded.

    Args:
        obj: As the API server gave it, or at least its metadata; None: there is none.
        now: Wall time, UTC.
    """
    text = _text(obj)
    if obj is None or not text:
        return None
    asked, written = _time(text), _written_at(obj)
    ends = _ends(asked, written, now)
    if ends is None or now >= ends:
        return None
    return Suspension(_told(obj, text, asked, ends), ends)


def _told(obj: KubeObject, text: str, asked: datetime | None, ends: datetime) -> str:
    reason = str(obj["metadata"]["annotations"].get(REASON) or "no reason given")
    if asked is None:
        return f"{reason}, until {rfc3339(ends)} ({UNTIL} is no time: {text[:_TEXT_MAX]})"
    if ends < asked:
        return f"{reason}, until {rfc3339(ends)} (four hours is the longest; it asks for {text})"
    return f"{reason}, until {text}"


def suspension_fault(obj: KubeObject | None) -> InvalidInput | None:
    """Returns what is wrong with how an object's suspension is written, or None; whether it stops or not."""
    text = _text(obj)
    if obj is None or not text:
        return None
    subject = f"{ObjectRef.of(obj)}: {UNTIL}"
    if _written_at(obj) is None:
        why = "its managedFields do not say when it was written"
        fix = "write it again, with a time at most four hours away"
        return InvalidInput(subject, "it stops nothing, or its last four hours only", why, fix)
    if _time(text) is None:
        what = "it stops for four hours from when it was written"
        fix = "write a time as 2026-01-31T12:00:00Z"
        return InvalidInput(subject, what, f"{text[:_TEXT_MAX]!r} is no time", fix)
    return None


def _ends(asked: datetime | None, written: datetime | None, now: datetime) -> datetime | None:
    """Returns when a suspension ends; None: it does not count."""
    if written is not None:
        longest = written + LONGEST
        return longest if asked is None else min(asked, longest)
    return asked if asked is not None and asked <= now + LONGEST else None


def _text(obj: KubeObject | None) -> str:
    return "" if obj is None else str((obj["metadata"].get("annotations") or {}).get(UNTIL) or "")


def _written_at(obj: KubeObject) -> datetime | None:
    """Returns since when the annotation stands there at the latest, by the API server's own clock.

    Who owns one and the same value together with others has found it there, or has changed something
    else since: the earliest counts.
    """
    return min(_owned_since(obj), default=None)


def _owned_since(obj: KubeObject) -> Iterator[datetime]:
    field = f"f:{UNTIL}"
    for entry in obj["metadata"].get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        at = _time(str(entry.get("time") or ""))
        if at is not None and field in (fields.get("f:annotations") or {}):
            yield at


def _time(text: str) -> datetime | None:
    try:
        return from_rfc3339(text)
    except ValueError:
        return None
