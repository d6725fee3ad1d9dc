"""What is written down of a run, and by which names things go there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.simulated.cluster import Written

WORKLOADS = ("Deployment", "StatefulSet")
OBJECTS = (*WORKLOADS, "ConfigMap", "Service", "Secret", "Job")
RECORDS = ("PromotionRecord", "ServiceRecord")
OURS = "reconciler-system"

OBSERVED_AFTER_S = 3.0
"""A batch that was begun before a commit was accepted may be written after it."""

SEEN_AFTER_S = 20.0
"""After trouble with a cluster, by when it has surely been seen as it is."""

SLACK_S = 1.0
"""By which what is seen of a cluster is older than what is true there."""


class Identity(NamedTuple):
    """What moves from environment to environment, as a workload shows it."""

    version: str
    tree: str


@dataclass(frozen=True, slots=True)
class Given:
    """One write of a workload.

    Attributes:
        was: What it was before.
        record: Epoch and holder of the cluster's record of it at that moment.
        asked: The version that the last accepted commit pinned there then; None: no such pin.
        unproven: Where it had to be proven before, and was not.
        not_rendered: Where its renderer, which is another than before, had to be proven before, and was not.
        number: How many came before it.
        is_observed: Whether the last accepted commit said that it is only observed, for a while already.
    """

    at_s: float
    at: datetime
    holder: str
    service: str
    environment: str
    cluster: str
    identity: Identity
    replicas: int
    was: Identity | None
    record: tuple[int, str] | None
    asked: str | None
    unproven: tuple[str, ...]
    is_observed: bool
    not_rendered: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a daemon, in the order of all clusters together.

    Attributes:
        newest: Of a deletion: what the cluster had been given of the service then.
        is_proven: Whether that was proven there.
        is_after_another: Of a Job: whether the cluster had been given anything of the service before.
    """

    at_s: float
    holder: str
    cluster: str
    written: Written
    newest: Identity | None = None
    is_proven: bool = False
    is_after_another: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """One record of a cluster that begins to ask for what was never proven there.

    Attributes:
        stopped_by: What people had said by then that should have kept it from that.
    """

    at_s: float
    holder: str
    service: str
    cluster: str
    version: str
    stopped_by: tuple[str, ...]


@dataclass(slots=True)
class Rejected:
    """A rejection, as it was first written to a record: of the home, or of a cluster while the home was out of reach.

    Attributes:
        failure: When it was rejected, and which part: two that fail at the same moment are two.
        written_on: The clusters whose records hold it, or once held it; after how many writes of workloads each.
        back_s: When its clusters were said to be back, or the rejection stood in the record no more.
        goes_back: Whether there is anything to go back to.
    """

    service: str
    failure: str
    at_s: float
    version: str
    part: str
    environments: tuple[str, ...]
    written_on: dict[str, int] = field(default_factory=dict)
    back_s: float = float("inf")
    goes_back: bool = False


def failure_of(entry: Mapping[str, Any]) -> str:
    """Returns what an entry of a quarantine file is known by, as its rejection is."""
    return f"{entry['rejected_at']} {entry['part_digest']}"
