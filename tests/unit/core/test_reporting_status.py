"""The document of `status`: what it says of HEAD, of the fleet, and of what Git is owed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.core.reporting import Document, columns, status
from reconciler.core.reporting.documents import RECORDS_NAMED_MAX
from reconciler.core.reporting.status import BROKEN_MAX, STALE_S
from reconciler.model.env_repo import Fault, Severity
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, CommitId
from reconciler.model.reasons import Reason
from reconciler.model.records import RevertProgress
from reconciler.model.view import Head, View
from tests.fakes.facts import DEV, HEAD, NOW, PROD, STAGING, V2, cell, record, rejection
from tests.fakes.views import followed, head, seen

NEWER = CommitId("d" * 40)


def told(view: View) -> Document:
    return status(view, NOW, branch="main")


def seconds_ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("given", "document"),
    [
        pytest.param(
            Head(),
            {"commit": None, "accepted": None, "fetched_at": None, "stale": True, "error": None},
            id="nothing is known before the first fetch",
        ),
        pytest.param(
            head(commit=NEWER),
            {
                "commit": NEWER,
                "accepted": HEAD,
                "fetched_at": "2026-01-01T11:59:50Z",
                "stale": False,
                "error": None,
            },
            id="what was fetched need not be what is followed",
        ),
        pytest.param(head(fetched_at=seconds_ago(STALE_S)), {"stale": False}, id="just in time"),
        pytest.param(head(fetched_at=seconds_ago(STALE_S + 1)), {"stale": True}, id="too old"),
        pytest.param(
            head(error="the remote hung up"),
            {"stale": True, "error": "the remote hung up"},
            id="an error makes it stale at once",
        ),
    ],
)
def test_of_head_it_says(given: Head, document: Document) -> None:
    found = told(seen(head=given))["head"]
    assert {key: found[key] for key in document} == document
    assert (found["branch"], found["broken"]) == ("main", [])


def test_of_broken_files_it_names_the_errors_by_path_and_not_without_end() -> None:
    fault = Fault("a.yaml", 3, 7, "X", "it is wrong", "of this", "mend it")
    whole = replace(fault, line=0, column=0, what="it is empty")
    warning = replace(fault, severity=Severity.WARNING)
    broken = {"b.yaml": (replace(whole, path="b.yaml"),), "a.yaml": (warning, fault)}
    given = head(snapshot=followed(broken=broken))
    said = {"why": "of this", "fix": "mend it"}
    assert told(seen(head=given))["head"]["broken"] == [
        {"path": "a.yaml", "line": 3, "column": 7, "what": "it is wrong", **said},
        {"path": "b.yaml", "line": None, "column": None, "what": "it is empty", **said},
    ]
    many = head(snapshot=followed(broken={"a.yaml": (fault,) * (BROKEN_MAX + 1)}))
    assert len(told(seen(head=many))["head"]["broken"]) == BROKEN_MAX


@pytest.mark.parametrize(
    ("fleet", "halted"),
    [
        pytest.param(FleetSummary(), None, id="nothing"),
        pytest.param(
            FleetSummary(halted="all is new", halted_reason=Reason.HISTORY_REWRITTEN),
            "HistoryRewritten: all is new",
            id="the reason and its words",
        ),
        pytest.param(FleetSummary(halted="all is new"), "all is new", id="words alone"),
    ],
)
def test_what_halts_the_fleet_is(fleet: FleetSummary, halted: str | None) -> None:
    assert told(seen(fleet=fleet))["halted"] == halted


@pytest.mark.parametrize(
    ("own", "of_fleet", "mode"),
    [
        pytest.param(Mode.ENFORCE, Mode.ENFORCE, "enforce", id="both enforce"),
        pytest.param(Mode.OBSERVE, Mode.ENFORCE, "observe", id="the daemon observes"),
        pytest.param(Mode.ENFORCE, Mode.OBSERVE, "observe", id="the fleet observes"),
        pytest.param(Mode.ENFORCE, None, "enforce", id="no fleet is known"),
    ],
)
def test_the_mode_is_the_stricter_one(own: Mode, of_fleet: Mode | None, mode: str) -> None:
    given = head(snapshot=followed(of_fleet) if of_fleet is not None else None)
    assert told(seen(mode=own, head=given))["mode"] == mode


def test_reverts_that_git_is_owed_are_listed_where_they_failed() -> None:
    bad = rejection(V2, STAGING, revert=RevertProgress(), rejected_at=NOW - timedelta(seconds=7))
    on_branch = replace(bad, revert=RevertProgress(branch="reconciler/revert-1"))
    document = {
        "service": "web",
        "environments": ["prod", "staging"],
        "revision": V2.id,
        "since": "2026-01-01T11:59:53Z",
        "branch": None,
    }
    for one, branch in ((bad, None), (on_branch, "reconciler/revert-1")):
        cells = (
            cell(DEV, record(DEV)),
            cell(STAGING, record(STAGING, rejections=(one,))),
            cell(PROD, record(PROD, rejections=(one,))),
        )
        assert told(seen(*cells))["reverts_pending"] == [{**document, "branch": branch}]
    done = cell(DEV, record(DEV, rejections=(rejection(V2),)))
    assert told(seen(done))["reverts_pending"] == []


def test_what_cannot_be_looked_at_is_an_error() -> None:
    prod = ClusterName("prod-1")
    view = seen(
        head=head(error="it hung up"),
        unreachable={prod: "refused"},
        denied={ClusterName("dev-1"): "no"},
        late={ClusterName("a-1"): "15 s were not enough"},
    )
    found = [(one["object"], one["why"]) for one in told(view)["errors"]]
    assert found == [
        ("cluster a-1", "15 s were not enough"),
        ("cluster dev-1", "no"),
        ("cluster prod-1", "refused"),
        ("env repo", "it hung up"),
    ]


def test_a_cluster_that_drains_may_be_away_and_the_home_may_not() -> None:
    drains, home = ClusterName("prod-3"), ClusterName("home-1")
    away = {drains: "refused", home: "refused"}
    view = seen(head=head(draining=(drains, home)), unreachable=away, home=home)
    assert [one["object"] for one in told(view)["errors"]] == ["cluster home-1"]


def test_records_that_the_home_has_and_nobody_can_read_are_one_error() -> None:
    unread = replace(cell(DEV), record_known=False)
    many = {f"svc{i}": (unread,) for i in range(RECORDS_NAMED_MAX)}
    home = ClusterName("home-1")
    (error,) = told(seen(unread, others=many, home=home))["errors"]
    assert error["object"] == "promotion records" and "home-1" in error["fix"]
    assert error["why"].startswith("svc0 in dev, ") and error["why"].endswith(" and 1 more")
    (error,) = told(seen(unread, home=home, unreachable={home: "refused"}))["errors"]
    assert error["object"] == "cluster home-1", "whose silence says why"
    assert told(seen(cell(DEV), home=home))["errors"] == [], "there is none"


def test_cells_are_sorted_by_name_and_columns_by_the_order_of_promotion() -> None:
    cells = tuple(cell(e, record(e)) for e in (DEV, STAGING, PROD))
    document = told(seen(*cells, others={"api": cells[:1]}))
    assert [(one["service"], one["environment"]) for one in document["cells"]] == [
        ("api", "dev"),
        ("web", "dev"),
        ("web", "prod"),
        ("web", "staging"),
    ]
    assert columns(document["cells"]) == ["dev", "staging", "prod"]
