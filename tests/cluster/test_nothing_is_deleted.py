"""Absence asks for nothing, and an error is never "empty": whatever goes missing, what runs goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, fleet, holds_for
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import LIMITED, ControlPlane
from tests.gitservers.served import Way
from tests.system.envrepo import CLUSTERS, digest
from tests.system.installation import HOME

GOOD, NEXT, BAD = "1.0.0", "1.1.0", "1.2.0"
QUIET_S = 4.0

LOOKED_AT = (
    *("pods", "replicasets", "deployments", "services", "configmaps", "secrets"),
    *("servicerecords", "promotionrecords", "customresourcedefinitions"),
)
"""What a daemon may have to list; a role cannot name what it does not allow."""

SERVICES = ("services", "Service")
CONFIG_MAPS = ("configmaps", "ConfigMap")
SERVICE_RECORDS = ("servicerecords", "ServiceRecord")
PROMOTION_RECORDS = ("promotionrecords", "PromotionRecord")


def folder_gone(fleet: Fleet) -> None:
    gone: dict[str, bytes | None] = {
        f"services/{fleet.service}/{name}": None
        for name in ("service.yaml", f"{fleet.service}.yaml")
    }
    fleet.merge(gone, "remove the service's folder")


def pins_gone(fleet: Fleet) -> None:
    fleet.merge(dict.fromkeys(fleet.pins(GOOD)), "remove the pins")


def all_files_gone(fleet: Fleet) -> None:
    listed = fleet.served.repository.git("ls-tree", "-r", "--name-only", "main").splitlines()
    fleet.merge({path: None for path in listed}, "remove everything")


def branch_gone(fleet: Fleet) -> None:
    fleet.served.repository.git("update-ref", "-d", "refs/heads/main")


def fleet_broken(fleet: Fleet) -> None:
    fleet.merge({"fleet.yaml": b"environments: [\n"}, "break fleet.yaml")


def force_pushed(fleet: Fleet) -> None:
    fleet.served.repository.commit({"README.md": b"anew\n"}, orphan=True, message="start anew")


@pytest.mark.parametrize(
    ("proven", "break_it", "is_told"),
    [
        (Way.HTTP, folder_gone, "Orphaned"),
        (Way.HTTP, pins_gone, "Orphaned"),
        (Way.HTTP, all_files_gone, "no env repo"),
        (Way.HTTP, branch_gone, "the repo is empty"),
        (Way.SSH, branch_gone, "the repo is empty"),
        (Way.HTTP, fleet_broken, "fleet.yaml:"),
        (Way.HTTP, force_pushed, "HistoryRewritten"),
        (Way.SSH, force_pushed, "HistoryRewritten"),
    ],
    indirect=["proven"],
)
def test_what_goes_missing_in_git_deletes_nothing(
    proven: Fleet, break_it: Callable[[Fleet], None], is_told: str
) -> None:
    before = {cluster: len(proven.writes(cluster)) for cluster in CLUSTERS}
    assert is_told not in _said(proven), "what is told of a sound repo tells of no fault"
    break_it(proven)
    proven.daemon.until(lambda: is_told in _said(proven), f"it is told: {is_told}")
    holds_for(QUIET_S, lambda: all(_is_whole(proven, cluster) for cluster in CLUSTERS))
    for cluster in CLUSTERS:
        since = proven.writes(cluster)[before[cluster] :]
        assert [e for e in since if e["verb"] in ("delete", "deletecollection")] == []
        assert [e for e in since if e["objectRef"].get("namespace") == proven.name] == []


def test_a_right_that_is_taken_away_deletes_nothing(
    planes: dict[str, ControlPlane], tmp_path: Path
) -> None:
    for plane in planes.values():
        _may_list_all_but(plane)
    with fleet(planes, tmp_path, user=LIMITED) as made:
        made.start_with(GOOD)
        made.daemon.kill()
        for plane in planes.values():
            _may_list_all_but(plane, "deployments")
        before = {cluster: len(made.writes(cluster)) for cluster in CLUSTERS}
        made.daemon.start()
        made.daemon.until(
            lambda: "deployments" in made.daemon.log.read_text() and _is_unknown(made),
            "status says that it is not known",
        )
        made.merge(made.pins(NEXT), "release 1.1.0")
        holds_for(QUIET_S, lambda: all(_is_whole(made, cluster) for cluster in CLUSTERS))
        for cluster in CLUSTERS:
            since = made.writes(cluster)[before[cluster] :]
            assert [e for e in since if e["verb"] == "delete"] == []
        assert made.reverts() == []
        for plane in planes.values():
            _may_list_all_but(plane)
        made.wait_proven("prod", NEXT)


def test_a_kind_that_may_not_be_listed_is_told_and_deletes_nothing(
    planes: dict[str, ControlPlane], tmp_path: Path
) -> None:
    for plane in planes.values():
        _may_list_all_but(plane)
    with fleet(planes, tmp_path, user=LIMITED) as made:
        made.start_with(GOOD)
        before = {cluster: len(made.writes(cluster)) for cluster in CLUSTERS}
        for denied in (
            {"dev-1": SERVICES, "staging-1": CONFIG_MAPS, "prod-2": SERVICE_RECORDS},
            {HOME: PROMOTION_RECORDS},
        ):
            made.daemon.stop()
            for cluster, plane in planes.items():
                _may_list_all_but(plane, *denied.get(cluster, ())[:1])
            made.daemon.start()
            told = {f"cluster {c}": f"{kind} on {c}" for c, (_, kind) in denied.items()}
            made.daemon.until(lambda told=told: _denied(made) == told, "status tells of all")  # type: ignore[misc]
            made.merge(made.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
            holds_for(QUIET_S, lambda: all(_is_whole(made, cluster) for cluster in CLUSTERS))
        # Stored objects are read one by one: the way back needs no list of them.
        made.daemon.stop()
        for plane in planes.values():
            _may_list_all_but(plane, "secrets")
        made.daemon.start()
        made.daemon.until(made.reverts, "the revert is on the branch")
        made.daemon.until(lambda: _is_whole(made, "staging-1"), "staging is back")
        for cluster in CLUSTERS:
            since = made.writes(cluster)[before[cluster] :]
            assert [e for e in since if e["verb"] in ("delete", "deletecollection")] == []


def _denied(fleet: Fleet) -> dict[str, str]:
    """Returns what status says that may not be listed, by cluster."""
    errors = fleet.daemon.status()["errors"]
    return {
        error["object"]: error["why"].partition(": cannot be listed: HTTP 403")[0]
        for error in errors
        if error["what"] == "not all of it may be watched"
    }


def _said(fleet: Fleet) -> str:
    return str(fleet.daemon.status()) + fleet.daemon.log.read_text()


def _is_whole(fleet: Fleet, cluster: str) -> bool:
    path = f"/api/v1/namespaces/{fleet.name}"
    plane, name = fleet.planes[cluster], fleet.service
    return fleet.runs(cluster, digest(GOOD)) and all(
        plane.find(f"{path}/{kind}/{name}") is not None for kind in ("services", "configmaps")
    )


def _is_unknown(fleet: Fleet) -> bool:
    cell: dict[str, Any] | None = fleet.daemon.cell(fleet.service, "dev")
    return cell is not None and cell["clusters"][0]["health"] == "Unknown"


def _may_list_all_but(plane: ControlPlane, *denied: str) -> None:
    """Gives the limited user every right but to list and watch some resources."""
    verbs = ["get", "create", "patch", "update", "delete"]
    groups = ("", "apps", "coordination.k8s.io", "reconciler.dev", "apiextensions.k8s.io")
    looks = [name for name in LOOKED_AT if name not in denied]
    rules: list[dict[str, Any]] = [
        {"apiGroups": groups, "resources": ["*"], "verbs": verbs},
        {"apiGroups": groups, "resources": looks, "verbs": ["list", "watch"]},
    ]
    group = "/apis/rbac.authorization.k8s.io/v1"
    role = {"metadata": {"name": "limited"}, "rules": rules}
    binding = {
        "metadata": {"name": "limited"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "limited",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}],
    }
    if plane.find(f"{group}/clusterroles/limited") is None:
        plane.request("POST", f"{group}/clusterroles", role)
        plane.request("POST", f"{group}/clusterrolebindings", binding)
    else:
        plane.request("PUT", f"{group}/clusterroles/limited", role)
