"""Times as text: RFC 3339, UTC, with `Z`, and back without loss."""

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Returns an aware time as `2026-01-31T12:00:00Z`, with microseconds only where there are some."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Reads what `rfc3339` wrote, or any RFC 3339 time.

    Raises:
        ValueError: It is no such time, has no zone, or is out of range in UTC.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is in no year that UTC has") from error
