"""The chart on real clusters: its daemon does the main job with the rights that it is given, and has no others."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.served import Way
from tests.install.conftest import Installed
from tests.install.contained import ContainedDaemon
from tests.install.everything import objects, passing, volume
from tests.install.helm import CHART, VALUES, Object, helm
from tests.install.pods import account_kubeconfig, daemon_of, renew_token, secret
from tests.kernel import require_containers
from tests.system.daemon import MANY, QUICK_LEASE
from tests.system.envrepo import digest, env_repo, policy, service

HOME = "dev-1"
SHIPPED = (HOME, "prod-1")
HELD = "staging-1"
"""In some clusters the daemon has the rights that the chart gives by default; in the others, as in this, it may write
to named namespaces alone."""

RELEASE = "reconciler"
GOOD, NEXT, BAD, LAST = "1.0.0", "1.1.0", "1.2.0", "1.3.0"
CREDENTIAL = "authentication.kubernetes.io/credential-id"
"""Under which the API server notes which of an account's tokens a request came with."""

LATER = 50

LIMIT_S = 180
"""Each step takes seconds; four clusters on two busy cores are given much more."""


@dataclass(frozen=True, slots=True)
class ByChart:
    """An installation by the chart, whose daemon has done its main job.

    Attributes:
        made: The env repo and the clusters.
        account: The daemon's user name, the same on every cluster.
        pod: The folder of its Pod.
    """

    made: Fleet
    account: str
    pod: Path
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
            prepare(plane, made)
        members = [name for name in planes if name != HOME]
        for name in members:
            install(planes[name], made, VALUES / "member.yaml")
        give_secrets(made, members)
        install(planes[HOME], made, values_for(made, members, folder))
        made.merge(env_repo_with_everything(made))
        pod = folder / "pod"
        try:
            with daemon_of(planes[HOME], made.namespace, RELEASE, installed, pod) as daemon:
                account = f"system:serviceaccount:{made.namespace}:{RELEASE}"
                worked = ByChart(made, account, pod, daemon)
                do_the_main_job(worked)
                yield worked
        finally:
            for plane in planes.values():
                helm("uninstall", RELEASE, *where(plane, made))
                plane.request("DELETE", f"/api/v1/namespaces/{other_namespace(made)}")
                plane.request("DELETE", f"/api/v1/persistentvolumes/{made.name}")
    shutil.rmtree(folder)


def other_namespace(made: Fleet) -> str:
    return f"{made.name}-other"


def prepare(plane: ControlPlane, made: Fleet) -> None:
    """Makes what a cluster must have: a volume, and where the daemon may make no namespace, those of the service."""
    plane.request("POST", "/api/v1/persistentvolumes", volume(made.name))
    ahead = [made.namespace] if plane.name in SHIPPED else [made.namespace, other_namespace(made)]
    for name in ahead:
        plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def install(plane: ControlPlane, made: Fleet, values: Path) -> None:
    """Installs the chart on a cluster, where other tests may have put the definitions already."""
    options = [f"--values={values}", "--take-ownership", "--force-conflicts"]
    if plane.name not in SHIPPED:
        options.append(f"--set=rbac.writeTo={{{made.name},{other_namespace(made)}}}")
    helm("install", RELEASE, str(CHART), *where(plane, made), *options)


def env_repo_with_everything(made: Fleet) -> dict[str, bytes | None]:
    """Returns an env repo whose service consists of every kind that the chart allows by default."""
    files = env_repo([made.service], made.name, policy_text=policy(drift="correct"))
    other, folder = other_namespace(made), f"services/{made.service}"
    about = f"{service(made.name)}cluster_scoped: [Namespace/{other}]\n"
    kept = objects(made.service, namespace=other, storage_class=made.name)
    return {
        **files,
        f"{folder}/service.yaml": about.encode(),
        f"{folder}/kept.yaml": kept.encode(),
        f"{folder}/passing.yaml": passing(made.service).encode(),
    }


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
    gone = {f"services/{made.service}/passing.yaml": None}
    for version, change in ((GOOD, {}), (NEXT, gone)):
        made.merge({**made.pins(version), **change}, f"release {version}")
        daemon.until(lambda v=version: made.is_proven("prod", v), f"{version} is proven", LIMIT_S)  # type: ignore[misc]
    renew_token(made.planes[HOME], made.namespace, RELEASE, by_chart.pod)
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
    # As docs/alerts.md says that it is found.
    log = by_chart.made.served.repository.git("log", "--grep", "Reconciler-Action", "main")
    assert log.startswith(f"commit {revert.commit}\n") and log.count("\ncommit ") == 0
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


def test_a_new_token_in_its_pod_is_used_and_the_former_no_more(by_chart: ByChart) -> None:
    requests = sorted(by_chart.requests(HOME), key=lambda entry: entry["requestReceivedTimestamp"])
    used = [str(entry["user"]["extra"][CREDENTIAL]) for entry in requests]
    _, new = dict.fromkeys(used)
    # Half of the main job comes after it; a thread that was just about to send the former may have done so.
    assert used[-LATER:] == [new] * LATER


SELDOM = {
    ("secrets", "update"): "stored objects that were damaged are written again",
    ("promotionrecords", "get"): "a record that somebody else wrote meanwhile is read again",
}
"""Rights that the main job does not use when nothing goes wrong."""

KEPT = {
    *("configmaps", "services", "persistentvolumeclaims"),
    *("deployments", "statefulsets", "daemonsets"),
}
"""Kinds of which the main job happens to take nothing away; of all others it deletes one, by the same right."""


def test_every_right_is_one_that_it_uses(by_chart: ByChart) -> None:
    used, given = set(), set()
    for cluster, plane in by_chart.made.planes.items():
        for entry in by_chart.requests(cluster):
            used |= rights_for(entry, by_chart.made.namespace)
        given |= rights_of(plane, by_chart.made.namespace)
    seldom = {(True, *right) for right in SELDOM}
    assert given - used == seldom | {(False, kind, "delete") for kind in KEPT}


Right = tuple[bool, str, str]
"""Whether it is for the daemon's own namespace, of which resource, and the verb."""


def rights_for(entry: Object, own: str) -> set[Right]:
    """Returns the rights that a request needed."""
    ref = entry.get("objectRef")
    if ref is None:
        return set()
    # The API server asks for both where an apply makes what was not there.
    has_made = entry["verb"] == "patch" and (entry.get("responseStatus") or {}).get("code") == 201
    verbs = {entry["verb"], *(["create"] if has_made else [])}
    is_own = ref.get("namespace") == own and ref["resource"] != "namespaces"
    return {(is_own, _resource(ref), verb) for verb in verbs}


def rights_of(plane: ControlPlane, own: str) -> set[Right]:
    """Returns the rights that the chart gives on a cluster."""
    api = "/apis/rbac.authorization.k8s.io/v1"
    of_all = [f"{api}/clusterroles/{own}:{RELEASE}", f"{api}/clusterroles/{own}:{RELEASE}:write"]
    paths = [(True, f"{api}/namespaces/{own}/roles/{RELEASE}"), *((False, p) for p in of_all)]
    return {
        (is_own, resource, verb)
        for is_own, path in paths
        for rule in plane.request("GET", path)["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _resource(ref: Object) -> str:
    return "/".join(filter(None, (ref["resource"], ref.get("subresource"))))


@pytest.mark.parametrize("cluster", [HOME, HELD])
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
        ("update", "apps", "deployments", "THEIRS", ""),
        ("deletecollection", "apps", "deployments", "THEIRS", ""),
        ("delete", "", "namespaces", "", "THEIRS"),
        ("create", "apiextensions.k8s.io", "customresourcedefinitions", "", ""),
        ("get", "", "nodes", "", ""),
        ("delete", "reconciler.dev", "promotionrecords", "OWN", ""),
        ("delete", "reconciler.dev", "servicerecords", "OWN", ""),
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
    assert not may(by_chart, cluster, asking(by_chart, verb, group, resource, namespace, name))


@pytest.mark.parametrize(
    ("verb", "group", "resource", "namespace", "name"),
    [
        ("create", "apps", "deployments", "default", ""),
        ("patch", "apps", "deployments", "kube-system", ""),
        ("delete", "", "configmaps", "default", ""),
        ("delete", "", "pods", "default", ""),
        ("create", "", "namespaces", "", ""),
        ("patch", "", "namespaces", "", "default"),
    ],
)
def test_what_it_may_in_every_namespace_by_default_it_may_in_some_where_these_are_named(
    by_chart: ByChart, verb: str, group: str, resource: str, namespace: str, name: str
) -> None:
    asked = asking(by_chart, verb, group, resource, namespace, name)
    assert may(by_chart, HOME, asked) and not may(by_chart, HELD, asked)


def asking(
    by_chart: ByChart, verb: str, group: str, resource: str, namespace: str, name: str
) -> dict[str, str]:
    """Returns what the API server is asked about, with the places of this installation filled in."""
    places = {"OWN": by_chart.made.namespace, "THEIRS": by_chart.made.name}
    kind, _, subresource = resource.partition("/")
    return {
        "verb": verb,
        "group": group,
        "resource": kind,
        "subresource": subresource,
        "namespace": places.get(namespace, namespace),
        "name": places.get(name, name),
    }


def test_the_question_that_the_others_ask_has_a_yes_too(by_chart: ByChart) -> None:
    theirs = {"group": "apps", "resource": "deployments", "namespace": by_chart.made.name}
    assert may(by_chart, HELD, {"verb": "patch", **theirs})


def may(by_chart: ByChart, cluster: str, asked: dict[str, str]) -> bool:
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
