"""The chart on real clusters: its daemon does the main job with the rights that it is given, and has no others."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.served import Way
from tests.install.conftest import Installed
from tests.install.contained import ContainedDaemon, require_containers
from tests.install.helm import VALUES, Object, any_version, helm
from tests.install.pods import account_kubeconfig, daemon_of, secret
from tests.system.daemon import MANY, QUICK_LEASE
from tests.system.envrepo import digest, env_repo, policy

HOME = "dev-1"
RELEASE = "reconciler"
GOOD, NEXT, BAD, LAST = "1.0.0", "1.1.0", "1.2.0", "1.3.0"
LIMIT_S = 180
"""Each step takes seconds; four clusters on two busy cores are given much more."""


@dataclass(frozen=True, slots=True)
class ByChart:
    """An installation by the chart, whose daemon has done its main job.

    Attributes:
        made: The env repo and the clusters.
        account: The daemon's user name, the same on every cluster.
    """

    made: Fleet
    account: str
    daemon: ContainedDaemon

    def requests(self, cluster: str) -> list[Object]:
        """Returns what the account asked of a cluster, by its audit log."""
        return self.made.planes[cluster].writes(self.account)


@pytest.fixture(scope="module", name="by_chart")
def fixture_by_chart(planes: dict[str, ControlPlane], installed: Installed) -> Iterator[ByChart]:
    """Installs the chart on every cluster, starts its Pod as a kubelet would, and lets it work."""
    require_containers()
    folder = Path(tempfile.mkdtemp(dir=installed.folder))
    with fleet(planes, folder / "fleet", way=Way.SSH) as made:
        for plane in planes.values():
            plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": made.namespace}})
        members = [name for name in planes if name != HOME]
        chart = any_version(folder / "chart")
        for name in members:
            install(chart, planes[name], made, VALUES / "member.yaml")
        give_secrets(made, members)
        install(chart, planes[HOME], made, values_for(made, members, folder))
        made.merge(env_repo([made.service], made.name, policy_text=policy(drift="correct")))
        try:
            with daemon_of(
                planes[HOME], made.namespace, RELEASE, installed, folder / "pod"
            ) as daemon:
                account = f"system:serviceaccount:{made.namespace}:{RELEASE}"
                worked = ByChart(made, account, daemon)
                do_the_main_job(worked)
                yield worked
        finally:
            for plane in planes.values():
                helm("uninstall", RELEASE, *where(plane, made))
    shutil.rmtree(folder)


def install(chart: Path, plane: ControlPlane, made: Fleet, values: Path) -> None:
    """Installs the chart on a cluster, where other tests may have put the definitions already."""
    held = [f"--set=rbac.writeTo={{{made.name}}}", "--set=rbac.namespaces=false"]
    options = [f"--values={values}", *held, "--take-ownership", "--force-conflicts"]
    helm("install", RELEASE, str(chart), *where(plane, made), *options)


def where(plane: ControlPlane, made: Fleet) -> list[str]:
    return [f"--namespace={made.namespace}", f"--kubeconfig={plane.admin_kubeconfig}"]


def give_secrets(made: Fleet, members: list[str]) -> None:
    """Makes the Secrets that the values name: the ssh key, and a kubeconfig for each member."""
    access = made.served.access
    assert access.ssh_key_file is not None and access.ssh_known_hosts_file is not None
    git = secret(
        "git",
        identity=access.ssh_key_file.read_text(),
        known_hosts=access.ssh_known_hosts_file.read_text(),
    )
    kubeconfigs = [
        secret(name, kubeconfig=account_kubeconfig(made.planes[name], made.namespace, RELEASE))
        for name in members
    ]
    for each in (git, *kubeconfigs):
        made.planes[HOME].request("POST", f"/api/v1/namespaces/{made.namespace}/secrets", each)


def values_for(made: Fleet, members: list[str], folder: Path) -> Path:
    access = made.served.access
    values = {
        "repo": {
            "url": access.url,
            "credentials": {
                "secret": "git",
                "sshKey": "identity",
                "knownHostsKey": "known_hosts",
            },
        },
        "clusters": {HOME: {"inCluster": True}, **{name: {"secret": name} for name in members}},
        "mode": "enforce",
        "settings": {
            "repo": {"poll_s": 0.5, "username": access.username},
            "lease": QUICK_LEASE,
            "fuses": {"service_an_hour": MANY, "fleet_an_hour": MANY},
            "installation": made.name,
        },
    }
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return file


def do_the_main_job(by_chart: ByChart) -> None:
    """A pin is proven everywhere, a hand edit put right, a bad release taken back, and a later one let in."""
    made, daemon = by_chart.made, by_chart.daemon
    daemon.wait_ready()
    for version in (GOOD, NEXT):
        made.merge(made.pins(version), f"release {version}")
        daemon.until(lambda v=version: made.is_proven("prod", v), f"{version} is proven", LIMIT_S)  # type: ignore[misc]
    plane = made.planes["prod-1"]
    path = f"/apis/apps/v1/namespaces/{made.name}/deployments/{made.service}"
    plane.request("PATCH", path, {"spec": {"replicas": 5}})
    daemon.until(
        lambda: plane.request("GET", path)["spec"]["replicas"] == 2, "it is put right", LIMIT_S
    )
    made.merge(made.pins(BAD, marker=CRASHES_IN_STAGING), "a bad release")
    daemon.until(made.reverts, "the revert is on the branch", LIMIT_S)
    daemon.until(lambda: made.runs("staging-1", digest(NEXT)), "staging is back", LIMIT_S)
    made.merge(made.pins(LAST), "a later release")
    daemon.until(lambda: made.is_proven("prod", LAST), "the later one is proven", LIMIT_S)


def test_it_has_done_its_main_job(by_chart: ByChart) -> None:
    (revert,) = by_chart.made.reverts()
    assert revert.trailers["Environments"] == "staging, prod"
    (corrected,) = by_chart.daemon.logged("DriftCorrected")
    assert corrected["field"] == "spec.replicas"
    for cluster in by_chart.made.planes:
        assert by_chart.made.runs(cluster, digest(LAST))


def test_no_request_of_it_was_refused(by_chart: ByChart) -> None:
    for cluster in by_chart.made.planes:
        requests = by_chart.requests(cluster)
        assert len(requests) > 20, cluster
        refused = [
            (entry["verb"], entry["requestURI"])
            for entry in requests
            if (entry.get("responseStatus") or {}).get("code") in (401, 403)
        ]
        assert not refused, cluster
    log = by_chart.daemon.log.read_text()
    assert "HTTP 403" not in log and "grant the right" not in log


def test_a_command_in_its_pod_sees_what_it_sees(by_chart: ByChart) -> None:
    done = by_chart.daemon.exec(
        "status", "--config", "/etc/reconciler/settings.yaml", "--output", "json"
    )
    status = json.loads(done.stdout)
    assert done.returncode == 0, (status["errors"], done.stderr)
    phases = {cell["environment"]: cell["phase"] for cell in status["cells"]}
    assert phases == {"dev": "Proven", "staging": "Proven", "prod": "Proven"}
    assert status["errors"] == []


SELDOM = {
    ("secrets", "update"): "stored objects that were damaged are written again",
    ("promotionrecords", "get"): "a record that somebody else wrote meanwhile is read again",
}
"""Rights that the main job does not use when nothing goes wrong."""


def test_every_right_in_its_own_namespace_is_one_that_it_uses(by_chart: ByChart) -> None:
    used, given = set(), set()
    for cluster in by_chart.made.planes:
        used |= {
            (_resource(ref), entry["verb"])
            for entry in by_chart.requests(cluster)
            if (ref := entry.get("objectRef") or {}).get("namespace") == by_chart.made.namespace
        }
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{by_chart.made.namespace}/roles"
        role = by_chart.made.planes[cluster].request("GET", f"{path}/{RELEASE}")
        given |= {
            (resource, verb)
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
    assert given - used == set(SELDOM)


def _resource(ref: Object) -> str:
    return "/".join(filter(None, (ref["resource"], ref.get("subresource"))))


@pytest.mark.parametrize("cluster", [HOME, "prod-1"])
@pytest.mark.parametrize(
    ("verb", "group", "resource", "namespace", "name"),
    [
        ("get", "", "secrets", "kube-system", ""),
        ("list", "", "secrets", "", ""),
        ("get", "", "secrets", "THEIRS", ""),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", ""),
        ("create", "rbac.authorization.k8s.io", "rolebindings", "OWN", ""),
        ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "cluster-admin"),
        ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", ""),
        ("impersonate", "", "users", "", ""),
        ("create", "", "serviceaccounts/token", "OWN", ""),
        ("create", "", "pods", "THEIRS", ""),
        ("create", "", "pods/exec", "THEIRS", ""),
        ("create", "apps", "deployments", "default", ""),
        ("patch", "apps", "deployments", "kube-system", ""),
        ("update", "apps", "deployments", "THEIRS", ""),
        ("delete", "", "pods", "default", ""),
        ("deletecollection", "apps", "deployments", "THEIRS", ""),
        ("create", "", "namespaces", "", ""),
        ("delete", "", "namespaces", "", "THEIRS"),
        ("create", "apiextensions.k8s.io", "customresourcedefinitions", "", ""),
        ("get", "", "nodes", "", ""),
        ("delete", "reconciler.dev", "promotionrecords", "OWN", ""),
        ("delete", "coordination.k8s.io", "leases", "OWN", "reconciler"),
        ("update", "coordination.k8s.io", "leases", "kube-system", ""),
    ],
)
def test_it_may_not(
    by_chart: ByChart,
    cluster: str,
    verb: str,
    group: str,
    resource: str,
    namespace: str,
    name: str,
) -> None:
    places = {"OWN": by_chart.made.namespace, "THEIRS": by_chart.made.name}
    kind, _, subresource = resource.partition("/")
    asked = {
        "verb": verb,
        "group": group,
        "resource": kind,
        "subresource": subresource,
        "namespace": places.get(namespace, namespace),
        "name": places.get(name, name),
    }
    assert not may(by_chart, cluster, asked)


def test_the_question_that_the_others_ask_has_a_yes_too(by_chart: ByChart) -> None:
    theirs = {"group": "apps", "resource": "deployments", "namespace": by_chart.made.name}
    assert may(by_chart, HOME, {"verb": "patch", **theirs})


def may(by_chart: ByChart, cluster: str, asked: dict[str, Any]) -> bool:
    """Asks the API server whether the account may do something."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": by_chart.account,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": asked,
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = by_chart.made.planes[cluster].request("POST", path, review)
    return bool(answer["status"]["allowed"])
