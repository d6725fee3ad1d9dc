"""When a cluster's word makes a revision bad, healthy, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.judging import APPLY_REFUSED, badness, is_healthy
from reconciler.model.facts import Member, MemberHealth
from reconciler.model.health import Cause, HealthStatus
from reconciler.model.records import ApplyState
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    CURRENT,
    DEV,
    STARTING,
    STUCK,
    UNREAD,
    V1,
    V2,
    cell,
    record,
)

SUSPECT = replace(STARTING, reason="Exited", cause=Cause.RELEASE)
REFUSED: dict[str, Any] = {"state": ApplyState.FAILED, "applied": None, "reason": APPLY_REFUSED}


def member(*, of: dict[str, Any] | None = None, **changes: Any) -> Member:
    """Returns a cluster on version 2; `of` changes its record."""
    (found,) = cell(DEV, record(DEV, V2)).members
    assert found.record is not None
    return replace(found, record=replace(found.record, **(of or {})), **changes)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(member(), None, id="it is well"),
        pytest.param(member(health=CRASHING), "CrashLoopBackOff", id="its Pods crash"),
        pytest.param(
            member(health=replace(CRASHING, cause=Cause.PLATFORM)), None, id="the platform fails"
        ),
        pytest.param(member(health=STUCK), None, id="it fails, and nobody knows by whose fault"),
        pytest.param(
            member(health=replace(CRASHING, status=HealthStatus.UNKNOWN)), None, id="it is unknown"
        ),
        pytest.param(
            member(health=replace(CRASHING, status=HealthStatus.TERMINATING)),
            None,
            id="it is being deleted",
        ),
        pytest.param(member(health=CRASHING, **AWAY), None, id="it was seen before it went away"),
        pytest.param(member(health=CRASHING, **UNREAD), None, id="it has not been read anew"),
        pytest.param(
            member(health=CRASHING, of={"observed_generation": 0}),
            None,
            id="its status speaks of something before",
        ),
        pytest.param(
            member(health=CRASHING, of={"applied": V1.id}), None, id="it is not applied whole"
        ),
        pytest.param(
            member(health=CRASHING, of={"revision": V1}), None, id="it runs something else"
        ),
        pytest.param(
            replace(member(health=CRASHING), record=None),
            None,
            id="it was asked for nothing",
        ),
        pytest.param(member(of=REFUSED), APPLY_REFUSED, id="the API server calls it wrong"),
        pytest.param(member(of=REFUSED, **AWAY), None, id="what it refused was seen long ago"),
        pytest.param(
            member(of={**REFUSED, "observed_generation": 0}),
            None,
            id="what it called wrong was something before",
        ),
        pytest.param(
            member(of={**REFUSED, "reason": "FieldConflict"}),
            None,
            id="another manager is in the way",
        ),
        pytest.param(member(health=SUSPECT), None, id="a Pod exited once"),
        pytest.param(
            member(health=SUSPECT, waiting_s=600.0),
            "Exited",
            id="a Pod exited once, in all that time",
        ),
        pytest.param(
            member(health=STARTING, waiting_s=9999.0),
            None,
            id="it is late, without a cause in its Pods",
        ),
        pytest.param(
            member(health=replace(SUSPECT, cause=Cause.PLATFORM), waiting_s=9999.0),
            None,
            id="it is late by the platform's fault",
        ),
        pytest.param(
            member(health=replace(SUSPECT, status=HealthStatus.UNKNOWN), waiting_s=9999.0),
            None,
            id="it is late and unknown",
        ),
    ],
)
def test_a_cluster_makes_a_revision_bad_or_not(given: Member, reason: str | None) -> None:
    bad = badness((given,), V2, deadline_s=600.0)
    assert (bad.reason if bad else None) == reason
    if bad is not None:
        assert bad.member is given
        assert bad.message.startswith("dev-1: ")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param(member(health=CRASHING), False, id="it fails"),
        pytest.param(member(health=replace(CRASHING, names_release=True)), True, id="by its name"),
        pytest.param(member(of=REFUSED), True, id="the API server calls its object wrong"),
    ],
)
def test_what_names_its_release_says_so(given: Member, names: bool) -> None:
    bad = badness((given,), V2)
    assert bad is not None and bad.names_release is names


def test_without_a_deadline_nothing_is_late() -> None:
    assert badness((member(health=SUSPECT, waiting_s=9999.0),), V2) is None


def test_the_first_bad_cluster_speaks() -> None:
    first, second = member(health=CRASHING), member(of=REFUSED)
    bad = badness((member(), first, second), V2)
    assert bad is not None and bad.member is first


@pytest.mark.parametrize(
    ("given", "healthy"),
    [
        pytest.param(member(healthy_s=60.0), True, id="seen healthy for just long enough"),
        pytest.param(member(healthy_s=59.9), False, id="not for long enough"),
        pytest.param(member(health=STARTING), False, id="healthy long ago, and not now"),
        pytest.param(member(health=MemberHealth()), False, id="unknown"),
        pytest.param(member(**AWAY), False, id="away"),
        pytest.param(member(**UNREAD), False, id="not read anew"),
        pytest.param(
            member(of={"revision": V1, "applied": V1.id}), False, id="on another revision"
        ),
        pytest.param(
            member(of={"observed_generation": 0}), False, id="its status is of something before"
        ),
        pytest.param(replace(member(), record=None), False, id="without a record"),
    ],
)
def test_a_cluster_is_healthy_for_a_soak_or_not(given: Member, healthy: bool) -> None:
    assert is_healthy(given, V2, for_s=60.0) is healthy


def test_a_roll_back_is_complete_as_soon_as_it_is_seen_healthy() -> None:
    assert is_healthy(member(health=CURRENT, healthy_s=0.0), V2, for_s=0.0)
    assert not is_healthy(member(health=STARTING), V2, for_s=0.0)
