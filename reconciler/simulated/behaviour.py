"""How containers behave, chosen by the first digits of their image's digest; one table for every cluster.

The stages of the real control plane's tests are written from the same table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a container."""

    READY = "ready"
    CRASH = "crash"
    OOM = "oom"
    NO_IMAGE = "no-image"
    DENIED = "denied"
    THROTTLED = "throttled"
    PULL_TIMEOUT = "pull-timeout"
    UNSCHEDULABLE = "unschedulable"
    NEVER_READY = "never-ready"
    ONE_EXIT = "one-exit"
    NO_CONFIG = "no-config"


FATES: dict[str, Fate] = {
    "bad00001": Fate.CRASH,
    "bad00002": Fate.OOM,
    "bad00003": Fate.NO_IMAGE,
    "bad00004": Fate.DENIED,
    "bad00005": Fate.THROTTLED,
    "bad00006": Fate.PULL_TIMEOUT,
    "bad00007": Fate.UNSCHEDULABLE,
    "bad00008": Fate.NEVER_READY,
    "bad00009": Fate.ONE_EXIT,
    "bad0000a": Fate.NO_CONFIG,
}

_DIGEST = re.compile(r"@sha256:([0-9a-f]{8})")


def fate_of(image: str) -> Fate:
    """Returns what becomes of a container of an image; one without a marker gets ready."""
    found = _DIGEST.search(image)
    return FATES.get(found[1], Fate.READY) if found else Fate.READY


def digest_for(fate: Fate, salt: str = "0") -> str:
    """Returns a whole digest whose image behaves so."""
    marker = next((m for m, f in FATES.items() if f is fate), "900d0000")
    digits = "".join(f"{ord(c):02x}" for c in salt)
    return f"sha256:{(marker + digits).ljust(64, '0')[:64]}"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a simulated cluster is; quicker than a real one, in the same order.

    Attributes:
        ready_after_s: From a Pod's creation until its readiness.
        crash_every_s: Between two ends of a container that crashes.
    """

    ready_after_s: float = 0.5
    crash_every_s: float = 0.4
    pull_every_s: float = 0.3
