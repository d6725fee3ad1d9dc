"""For how long a break-glass annotation stops writes: four hours at most, whatever it says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.suspending import suspended, suspension_fault
from reconciler.model.times import rfc3339
from tests.fakes.facts import NOW

HOUR = timedelta(hours=1)
UNTIL, REASON = "reconciler.dev/suspend-until", "reconciler.dev/suspend-reason"


def owner(manager: str, at: datetime | None, key: str = UNTIL) -> dict[str, Any]:
    """Returns an entry of managedFields: who wrote an annotation, and when."""
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {".": {}, f"f:{key}": {}}}}
    entry = {"manager": manager, "operation": "Update", "fieldsType": "FieldsV1"}
    return {**entry, "fieldsV1": fields, **({} if at is None else {"time": rfc3339(at)})}


def noted(text: str, *owners: dict[str, Any]) -> dict[str, Any]:
    """Returns an object with the annotation."""
    notes = {UNTIL: text, REASON: "an incident"}
    meta: dict[str, Any] = {"name": "web", "namespace": "web", "annotations": notes}
    if owners:
        meta["managedFields"] = list(owners)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def stops_for(obj: dict[str, Any]) -> timedelta:
    """Returns how long from now an object stays suspended, by the quarter of an hour; up to a day."""
    quarters = (n * HOUR / 4 for n in range(4 * 24))
    return next((spent for spent in quarters if not suspended(obj, NOW + spent)), 24 * HOUR)


IN_2_H, IN_4_H, IN_9_H = (rfc3339(NOW + n * HOUR) for n in (2, 4, 9))
BY_HAND = owner("kubectl-annotate", NOW)


@pytest.mark.parametrize(
    ("obj", "hours"),
    [
        pytest.param(noted(IN_2_H, BY_HAND), 2, id="until the time that it names"),
        pytest.param(noted(IN_4_H, BY_HAND), 4, id="four hours are allowed"),
        pytest.param(noted(IN_9_H, BY_HAND), 4, id="and no more, from when it was written"),
        pytest.param(
            noted(IN_9_H, owner("kubectl-edit", NOW - 3 * HOUR)), 1, id="long ago, if it was then"
        ),
        pytest.param(
            noted(IN_9_H, owner("kubectl-edit", NOW - 5 * HOUR)), 0, id="and it is over by then"
        ),
        pytest.param(
            noted(IN_9_H, BY_HAND, owner("argocd", NOW - 3 * HOUR)),
            1,
            id="two own it: it has stood there since the earlier",
        ),
        pytest.param(noted("for ever", BY_HAND), 4, id="what is no time stops for four hours"),
        pytest.param(noted("2026-01-01T04:00:00", BY_HAND), 4, id="a time without a zone is none"),
        pytest.param(
            noted("9999-12-31T23:59:59-12:00", BY_HAND), 4, id="a time past all years is none"
        ),
        pytest.param(noted(rfc3339(NOW - HOUR), BY_HAND), 0, id="a time that is past"),
        pytest.param(noted("", BY_HAND), 0, id="no time at all"),
        pytest.param(noted(IN_2_H), 2, id="nobody knows when it was written: it is near enough"),
        pytest.param(noted(IN_2_H, owner("a", None)), 2, id="an owner without a time is nobody"),
        pytest.param(
            noted(IN_2_H, owner("a", NOW - 9 * HOUR, REASON)), 2, id="of another annotation too"
        ),
        pytest.param(noted("for ever"), 0, id="nobody knows since when, and it names no end"),
    ],
)
def test_it_stops_for_so_long(obj: dict[str, Any], hours: int) -> None:
    assert stops_for(obj) == hours * HOUR


def test_one_of_which_nobody_knows_the_start_counts_for_four_hours_in_all() -> None:
    obj = noted(IN_9_H)
    stopped = [n for n in range(24) if suspended(obj, NOW + n * HOUR)]
    assert stopped == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (IN_2_H, f"an incident, until {IN_2_H}"),
        (IN_9_H, f"an incident, until {IN_4_H} (four hours is the longest; it asks for {IN_9_H})"),
        ("for ever", f"an incident, until {IN_4_H} ({UNTIL} is no time: for ever)"),
    ],
)
def test_it_tells_why_and_until_when(text: str, told: str) -> None:
    found = suspended(noted(text, BY_HAND), NOW)
    assert found is not None and found.why == told
    assert rfc3339(found.until) == (IN_2_H if text == IN_2_H else IN_4_H)


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (noted("for ever", BY_HAND), ["'for ever' is no time", "2026-01-31T12:00:00Z"]),
        (noted(IN_9_H), ["last four hours", "managedFields", "write it again"]),
        (noted("for ever"), ["stops nothing", "managedFields", "write it again"]),
    ],
)
def test_one_that_is_written_wrongly_is_an_error_about_its_object(
    obj: dict[str, Any], words: list[str]
) -> None:
    fault = str(suspension_fault(obj))
    assert fault.startswith(f"ConfigMap/web/web: {UNTIL}: ")
    assert all(word in fault for word in words), fault


@pytest.mark.parametrize("obj", [None, noted(IN_2_H, BY_HAND), noted(IN_9_H, BY_HAND), noted("")])
def test_there_is_nothing_wrong_with_one_that_ends_or_with_none(obj: dict[str, Any] | None) -> None:
    assert suspension_fault(obj) is None
