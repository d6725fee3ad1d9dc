"""What people read at a terminal: whole texts, as they are shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from reconciler.cli import texts
from reconciler.core import reporting
from reconciler.core.reporting import Document, blank
from reconciler.model.env_repo import Fault
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet import ClusterState
from reconciler.model.freezes import Freeze, Scope
from reconciler.model.names import CommitId
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.records import RevertProgress
from reconciler.model.skips import Hotfix, Skip, Skippable, Vouched
from reconciler.model.view import Head, View
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    WEB,
    ask,
    cell,
    policy,
    record,
    rejection,
    rollout,
)
from tests.fakes.records import revision
from tests.fakes.views import followed, head, seen

PROVEN = cell(DEV, record(DEV))
LAST = "mode enforce, main at cccccccccccc, fetched 10 s ago\n"


def status(view: View) -> str:
    return texts.status(reporting.status(view, NOW, branch="main"), NOW)


def table(view: View) -> list[str]:
    """Returns the lines of the first part."""
    return status(view).partition("\n\n")[0].splitlines()


def noted(view: View) -> list[str]:
    """Returns the lines between the table and the last one."""
    return status(view).splitlines()[3:-2]


# status


def test_status_is_a_table_of_services_by_environments_and_then_what_is_not_settled() -> None:
    rolling = record(STAGING, V2, rollout=rollout(V2, STAGING))
    view = seen(
        cell(DEV, record(DEV, V2)),
        cell(STAGING, rolling, members={"staging-1": {"healthy_s": 20.0}}),
        cell(PROD, record(PROD), ask(V2, PROD)),
        others={"api": (PROVEN,)},
    )
    assert status(view) == (
        "SERVICE  DEV           STAGING                  PROD\n"
        "api      1.0.0 Proven  -                        -\n"
        "web      2.0.0 Proven  2.0.0 Soaking 40 s left  1.0.0 → 2.0.0 Waiting\n"
        "\n"
        "web in prod: WaitingForProof: 2.0.0 is not proven in staging\n"
        "web in staging: WaitingForSoak: 2.0.0 is healthy on staging-1; 40 s of its soak are left\n"
        "\n" + LAST
    )


def test_of_a_settled_fleet_only_the_table_and_the_head_are_told() -> None:
    assert status(seen(PROVEN)) == f"SERVICE  DEV\nweb      1.0.0 Proven\n\n{LAST}"


ROLLING = record(PROD, V2, rollout=rollout(V2, PROD))


@pytest.mark.parametrize(
    ("view", "text"),
    [
        pytest.param(
            seen(
                cell(
                    PROD,
                    ROLLING,
                    on={"prod-2": V1, "prod-3": V1},
                    members={"prod-1": {"healthy_s": 1.0}},
                )
            ),
            "2.0.0 Soaking wave 1/2 59 s left",
            id="the wave, where there are several",
        ),
        pytest.param(
            seen(cell(PROD, ROLLING, members={"prod-3": AWAY})),
            "2.0.0 Unknown wave 2/2",
            id="no soak is counted for what is not known",
        ),
        pytest.param(
            seen(cell(DEV, None, ask(V2))), "- → 2.0.0 Waiting", id="nothing is admitted yet"
        ),
        pytest.param(
            seen(cell(DEV, record(DEV), ask(None, reason=Reason.INVALID_PIN, message="x"))),
            "1.0.0 Held",
            id="nothing is known to be wanted",
        ),
        pytest.param(
            seen(
                cell(DEV, record(DEV), ask(revision("1.0.0", tree="d" * 40), paused=True)),
            ),
            "1.0.0 → 1.0.0* Paused",
            id="another revision of the same version has a star",
        ),
    ],
)
def test_a_cell_of_the_table_says(view: View, text: str) -> None:
    _, row = table(view)
    assert row == f"web      {text}"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param(head(), LAST, id="well"),
        pytest.param(
            head(fetched_at=NOW - timedelta(minutes=7)),
            "mode enforce, main at cccccccccccc, fetched 7 min ago (stale)\n",
            id="stale",
        ),
        pytest.param(
            head(fetched_at=NOW - timedelta(hours=30), commit=CommitId("d" * 40)),
            "mode enforce, main at cccccccccccc, fetched 30 h ago (stale)\n",
            id="what is followed, not what was fetched",
        ),
        pytest.param(Head(), "mode enforce, main at nothing yet (stale)\n", id="nothing yet"),
    ],
)
def test_the_last_line_says_what_is_followed_and_since_when(given: Head, text: str) -> None:
    told = status(seen(PROVEN, head=given))
    assert told.endswith(f"\n\n{text}")


def test_without_services_it_says_so() -> None:
    view = replace(seen(), services={})
    assert status(view) == f"No services are known.\n\n{LAST}"


def test_what_was_taken_back_is_told_in_the_environment_where_it_failed() -> None:
    bad = rejection(V2, STAGING)
    view = seen(
        cell(STAGING, record(STAGING, rejections=(bad,))),
        cell(PROD, record(PROD, rejections=(bad,))),
    )
    assert status(view) == (
        "SERVICE  STAGING       PROD\n"
        "web      1.0.0 Proven  1.0.0 Proven\n"
        "\n"
        "web 2.0.0 was taken back in staging 5 h ago: CrashLoopBackOff, reverted by aaaaaaaaaaaa\n"
        "\n" + LAST
    )


@pytest.mark.parametrize(
    ("branch", "waits"),
    [
        pytest.param(None, "", id="on no branch"),
        pytest.param(
            "reconciler/revert-1", "; it waits on branch reconciler/revert-1", id="on one"
        ),
    ],
)
def test_a_revert_that_git_is_owed_is_told(branch: str | None, waits: str) -> None:
    owed = rejection(V2, STAGING, revert=RevertProgress(branch=branch))
    assert noted(seen(cell(STAGING, record(STAGING, rejections=(owed,))))) == [
        f"web: the revert for prod, staging is owed to Git since 2026-01-01 07:00:00Z{waits}",
        "web in staging: Settled: 1.0.0 is proven here",
        "",
        "web 2.0.0 was taken back in staging 5 h ago: CrashLoopBackOff, not in Git yet",
    ]


def test_what_halts_the_fleet_and_broken_files_come_first() -> None:
    halted = FleetSummary(halted="all is new", halted_reason=Reason.HISTORY_REWRITTEN)
    fault = Fault("a.yaml", 3, 7, "X", "it is wrong", "of this", "mend it")
    broken = {"a.yaml": (fault, replace(fault, line=0, column=0))}
    view = seen(PROVEN, fleet=halted, head=head(snapshot=followed(broken=broken)))
    assert noted(view) == [
        "No forward moves anywhere: HistoryRewritten: all is new",
        "a.yaml:3:7: it is wrong: of this; mend it",
        "a.yaml:1:1: it is wrong: of this; mend it",
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(AWAY, "does not answer", id="away"),
        pytest.param({"drift": 3}, "has drift in 3 fields", id="drift"),
        pytest.param({"health": CRASHING}, "fails: Pod web-1: it ended twice", id="failing"),
        pytest.param(
            {"health": replace(CRASHING, message=""), "drift": 1},
            "fails: CrashLoopBackOff, and has drift in 1 fields",
            id="both",
        ),
    ],
)
def test_a_cluster_in_trouble_has_a_line(changes: dict[str, Any], text: str) -> None:
    view = seen(cell(DEV, record(DEV), members={"dev-1": changes}))
    assert f"web in dev: dev-1 {text}" in noted(view)


def test_one_that_drains_may_be_away_without_a_line() -> None:
    away = {**AWAY, "state": ClusterState.DRAINING}
    assert noted(seen(cell(DEV, record(DEV), members={"dev-1": away}))) == []


# explain


def explain(view: View) -> str:
    return texts.explain(reporting.explain(view, WEB, None))


def test_explain_tells_who_skips_a_gate_and_why() -> None:
    vouched = Vouched(Skip((Skippable.FREEZE,), V2.id, "it burns", "Kim"), ("kim@example.com",))
    rules = policy(hotfix=Hotfix(("kim@example.com",), tuple(Skippable)))
    frozen = Freeze(Scope.of("fleet"), None, "a sale")
    wants = ask(V2, policy=rules, freezes=(frozen,), skip=vouched, paused=True)
    told = explain(seen(cell(DEV, record(DEV), wants)))
    assert (
        "  skipped   NotFrozen: kim@example.com skips it: it burns; without that: fleet is frozen until it is "
        "thawed: a sale\n"
    ) in told
    assert "NotFrozen" not in told.partition("  open ")[2]


def test_explain_tells_each_environment_in_the_order_of_promotion() -> None:
    rolling = record(DEV, V2, rollout=rollout(V2))
    view = seen(
        cell(DEV, rolling, members={"dev-1": {"healthy_s": 20.0}}),
        cell(STAGING, record(STAGING), ask(V2, STAGING, quarantine=None)),
        cell(PROD, record(PROD)),
    )
    assert explain(view) == (
        "web in dev is Soaking: 2.0.0 is healthy on dev-1; 40 s of its soak are left\n"
        "  wanted    2.0.0\n"
        "  admitted  2.0.0\n"
        f"  changes   {CHANGES[Reason.WAITING_FOR_SOAK]}\n"
        "  next look 2026-01-01 12:00:40Z\n"
        "  open      Approved, BelowMaxRollouts, ChecksPassed, ClustersReachable, DependsOn, FuseIntact, InWindow, "
        "NoPlatformIncident, NotFrozen, NotHalted, NotOvertaking, NotPaused, NotQuarantined, NotRejected, "
        "ProvenBefore, ReturnTrip, RollBackComplete, StillSupported\n"
        "\n"
        "web in staging is Held: quarantine/web.yaml could not be read\n"
        "  wanted    2.0.0\n"
        "  admitted  1.0.0\n"
        f"  changes   {CHANGES[Reason.QUARANTINE_UNREADABLE]}\n"
        "  unknown   NotQuarantined: quarantine/web.yaml could not be read\n"
        "            correct quarantine/web.yaml\n"
        "  closed    ProvenBefore: 2.0.0 is not proven in dev\n"
        "            dev must run it healthy for its whole soak\n"
        "            next look 2026-01-01 12:00:40Z\n"
        "  open      Approved, BelowMaxRollouts, ChecksPassed, ClustersReachable, DependsOn, FuseIntact, InWindow, "
        "NoPlatformIncident, NotFrozen, NotHalted, NotOvertaking, NotPaused, NotRejected, "
        "ReturnTrip, RollBackComplete, StillSupported\n"
        "\n"
        "web in prod is Proven: 1.0.0 is proven here\n"
        "  wanted    1.0.0\n"
        "  admitted  1.0.0\n"
        "  open      NotHalted, NotQuarantined, NotRejected, RollBackComplete, StillSupported\n"
    )


def test_explain_of_what_nobody_wants_has_no_gates() -> None:
    broken = ask(None, reason=Reason.INVALID_PIN, message="it is broken")
    assert explain(seen(cell(DEV, record(DEV), broken))) == (
        "web in dev is Held: it is broken\n"
        "  wanted    -\n"
        "  admitted  1.0.0\n"
        f"  changes   {CHANGES[Reason.INVALID_PIN]}\n"
    )


def test_explain_says_of_a_settled_pin_only_how_it_floats_again() -> None:
    fixed = explain(seen(cell(DEV, record(DEV), ask(V1, source="9f31c02"))))
    assert "  changes   A new pin. Its pin stays at `source: 9f31c02`" in fixed
    assert "  changes " not in explain(seen(cell(DEV, record(DEV))))


# plan


def test_plan_tells_what_would_be_done_then_what_is_held_and_counts_the_rest() -> None:
    view = seen(
        cell(DEV, record(DEV), ask(V2)),
        cell(STAGING, record(STAGING), ask(V2, STAGING)),
        others={"api": (PROVEN,)},
    )
    assert texts.plan(reporting.plan(view)) == (
        "ACTION  SERVICE  WHERE  WHY\n"
        "Admit   web      dev    every gate is open for 2.0.0\n"
        "\n"
        "HELD             SERVICE  WHERE    WHY\n"
        "WaitingForProof  web      staging  2.0.0 is not proven in dev\n"
        "\n"
        "At cccccccccccc: 1 of 3 are as they should be.\n"
    )
    assert texts.plan(reporting.plan(seen(PROVEN, head=Head()))) == (
        "Nothing to do.\n\nAt nothing: 1 of 1 are as they should be.\n"
    )


# diff and render


def differing(name: str, change: str, **more: Any) -> Document:
    place = {"service": "web", "environment": "dev", "cluster": "dev-1", "api_version": "v1"}
    found = {**place, "kind": "ConfigMap", "namespace": "web", "name": name, "change": change}
    return {**found, "fields": [], **more}


def field(path: str, live: Any, desired: Any, *, manager: str | None = None) -> Document:
    at = "2026-01-01T12:00:00.5Z" if manager else None
    found = {"path": path, "live": live, "desired": desired, "manager": manager}
    return {**found, "first_seen_at": at}


def test_diff_tells_each_object_that_differs_and_how() -> None:
    fields = [
        field("data.a", "x", None),
        field("spec.replicas", 3, 2, manager="kubectl-scale"),
        field("spec.paused", True, False),
    ]
    objects = [
        differing("b", "configured", fields=fields),
        differing("c", "created"),
        differing("d", "deleted"),
        differing("e", "skipped", kind="Namespace", namespace=None),
        differing("f", "unchanged"),
        differing("g", "created", cluster="dev-2"),
    ]
    assert texts.diff(blank("diff", objects=objects)) == (
        "dev-1  ConfigMap/web/b: it differs\n"
        "    data.a: live x, admitted nothing\n"
        "    spec.replicas: live 3, admitted 2, by kubectl-scale at 2026-01-01 12:00:00Z\n"
        "    spec.paused: live true, admitted false\n"
        "dev-1  ConfigMap/web/c: it is admitted and not there\n"
        "dev-1  ConfigMap/web/d: it is admitted no more, and goes once what is admitted is proven\n"
        "dev-1  Namespace/e: it is admitted no more, and a guard keeps it\n"
        "dev-2  ConfigMap/web/g: it is admitted and not there\n"
        "5 of 6 objects differ."
    )
    same = [differing("a", "unchanged"), differing("b", "unchanged")]
    assert texts.diff(blank("diff", objects=same)) == "None of 2 objects differ."


def test_render_is_a_stream_of_objects_under_the_name_of_each_cluster() -> None:
    objects = [{"kind": "ConfigMap", "data": {"b": "1", "a": "2"}}, {"kind": "Service"}]
    items = [
        {"cluster": name, "render_digest": f"sha256:{name}", "objects": objects}
        for name in ("prod-1", "prod-2")
    ]
    text = texts.render(blank("render", items=items))
    assert text.startswith("# prod-1 sha256:prod-1\n---\nkind: ConfigMap\ndata:\n  b: '1'\n")
    assert "\n---\n# prod-2 sha256:prod-2\n---\n" in text
    assert [one for one in yaml.safe_load_all(text) if one is not None] == [*objects, *objects]


def test_what_could_not_be_looked_at_is_not_nothing() -> None:
    blind = [{"object": "cluster dev-1", "what": "a", "why": "b", "fix": ""}]
    assert texts.history(blank("history", errors=blind)) == "What has happened is not known.\n"
    assert texts.history(blank("history")) == "Nothing has happened yet.\n"
    assert texts.diff(blank("diff")) == "No objects were compared."
