"""The chart as helm renders it: what it gives the daemon, and what it does not."""

from __future__ import annotations

import json
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from reconciler.cli.root import reconciler
from reconciler.config.reading import read_settings
from reconciler.config.settings import RepoSettings, Settings
from reconciler.schema.crds import crds
from reconciler.web.probes import probes
from tests.install import dockerfile
from tests.install.helm import CHART, NAMESPACE, ROOT, VALUES, Object, Refused, Rendered, helm
from tests.install.helm import render as render_anew

pytestmark = [pytest.mark.slow, pytest.mark.helm, pytest.mark.xdist_group("helm")]

render = cache(render_anew)
"""Each rendering takes a moment and is looked at by several tests."""

ALL = ("least", "all", "member")
WITH_DAEMON = ("least", "all")
CLUSTER_SCOPED = ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")


# The chart itself.


@pytest.mark.parametrize("values", [None, *ALL])
def test_helm_finds_nothing_to_complain_about(values: str | None) -> None:
    given = [f"--values={VALUES / values}.yaml"] if values else []
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), *given)


def test_every_value_is_in_the_schema_says_what_it_is_and_no_other_is_let_in() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)
    _check(schema, values, "values")


def _check(schema: Object, values: Any, at: str) -> None:
    assert schema.get("description"), at
    properties = schema.get("properties")
    if properties is None:
        return
    assert schema["additionalProperties"] is False, at
    for name, inner in properties.items():
        _check(inner, values.get(name) if isinstance(values, dict) else None, f"{at}.{name}")
    if isinstance(values, dict):
        assert set(values) <= set(properties), at


def test_the_settings_that_may_be_given_are_those_that_the_daemon_has_and_the_chart_does_not_make() -> (
    None
):
    schema = json.loads((CHART / "values.schema.json").read_text())
    made = render("least").settings()
    given = set(schema["properties"]["settings"]["properties"])
    by_kubeconfig = {"kubeconfig", "kubeconfig_allow", "home"}
    assert given == {*set(Settings.model_fields) - set(made) - by_kubeconfig, "repo"}
    files = {"token_file", "ssh_key_file", "known_hosts_file", "ca_file", "allowed_signers_file"}
    of_repo = set(schema["properties"]["settings"]["properties"]["repo"]["properties"])
    assert of_repo == set(RepoSettings.model_fields) - set(made["repo"]) - files


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("repo.url=", "repo.url: the env repo's address is needed"),
        ("repo.url=http://git.example.com/env.git", "at '/repo/url'"),
        ("repo.branch=", "at '/repo/branch'"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("replica=2", "additional properties 'replica' not allowed"),
        ("mode=enforced", "at '/mode': value must be one of 'observe', 'enforce'"),
        ("clusters.prod-2.context=x", "at '/clusters/prod-2': missing property 'secret'"),
        (
            "clusters.Prod.inCluster=true",
            "at '/clusters': additional properties 'Prod' not allowed",
        ),
        ("runAs.user=0", "at '/runAs/user'"),
        ("image.digest=sha256:1", "at '/image/digest'"),
        ("rbac.workloads[0].resources[0]=*", "at '/rbac/workloads/0/resources/0'"),
        ("settings.listen=1:1", "additional properties 'listen' not allowed"),
        ("settings.fuses.fleet_an_hour=0", "at '/settings/fuses/fleet_an_hour'"),
        ("repo.credentials.tokenKey=token", "name the Secret that has these keys"),
        ("repo.credentials.secret=git", "say under which keys"),
        ("serviceAccount.create=false", "serviceAccount.name: name the service account"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(wrong: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        render_anew("least", wrong)
    assert told in str(refused.value)


def test_a_fleet_without_clusters_is_refused() -> None:
    with pytest.raises(Refused, match="clusters: name at least one cluster"):
        render_anew(None, "repo.url=https://git.example.com/env.git")


# Every object.


@pytest.mark.parametrize("values", ALL)
def test_every_object_is_of_the_release_and_none_is_there_twice(values: str) -> None:
    found = render(values).objects
    for obj in found:
        meta = obj["metadata"]
        assert meta["labels"]["app.kubernetes.io/instance"] == "reconciler", obj
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm", obj
        if obj["kind"] in CLUSTER_SCOPED:
            assert "namespace" not in meta, obj
        else:
            assert meta["namespace"] in (NAMESPACE, "web", "api"), obj
    keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in found]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("values", WITH_DAEMON)
def test_no_secret_is_made_or_copied(values: str) -> None:
    made = render(values).of("Secret")
    assert all(s["type"] == "kubernetes.io/service-account-token" for s in made)
    assert not [s for s in made if "data" in s or "stringData" in s]


def test_the_definitions_are_those_of_the_code() -> None:
    rendered = {obj["metadata"]["name"]: obj["spec"] for obj in _definitions("least")}
    assert rendered == {d["metadata"]["name"]: d["spec"] for d in crds()}
    for obj in _definitions("least"):
        assert obj["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for obj in _definitions("all"):
        assert "annotations" not in obj["metadata"]
    assert not render_anew("least", "crds.install=false").of("CustomResourceDefinition")


def _definitions(values: str) -> list[Object]:
    return render(values).of("CustomResourceDefinition")


# The Pod.


@pytest.mark.parametrize("values", WITH_DAEMON)
def test_the_pod_has_no_right_on_its_node(values: str) -> None:
    rendered = render(values)
    spec, container = rendered.pod()["spec"], rendered.container()
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostAliases"} & set(spec)
    assert not {"env", "envFrom", "lifecycle"} & set(container)
    assert spec["enableServiceLinks"] is False
    assert "limits" in container["resources"] and "requests" in container["resources"]
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"emptyDir", "projected"}


def test_it_runs_as_the_image_does_and_may_write_where_the_image_says() -> None:
    rendered = render("least")
    context = rendered.pod()["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == dockerfile.user()
    assert context["fsGroup"] == context["runAsGroup"]
    empty = {v["name"]: v["emptyDir"] for v in rendered.pod()["spec"]["volumes"] if "emptyDir" in v}
    assert all(volume["sizeLimit"] for volume in empty.values())
    mounts = rendered.container()["volumeMounts"]
    writable = {m["mountPath"] for m in mounts if not m.get("readOnly")}
    assert writable == set(dockerfile.volumes())
    assert {m["name"] for m in mounts if not m.get("readOnly")} == set(empty)


def test_it_leaves_user_and_group_to_the_cluster_where_it_is_told_to() -> None:
    rendered = render_anew("least", "runAs.user=null", "runAs.group=null")
    assert set(rendered.pod()["spec"]["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


@pytest.mark.parametrize("values", WITH_DAEMON)
def test_its_command_and_its_probes_are_those_that_the_daemon_has(values: str) -> None:
    container = render(values).container()
    assert "command" not in container
    assert container["args"][0] in reconciler.commands
    routes = {
        route.path  # type: ignore[attr-defined]
        for route in probes(problems=lambda: [], metrics=lambda: b"", content_type="").routes
    }
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = render(values).settings()
    assert settings["listen"] == f"0.0.0.0:{ports['board']}"
    assert settings["probes_listen"] == f"0.0.0.0:{ports['probes']}"
    for probe, path in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "probes"}
        assert path in routes


@pytest.mark.parametrize("values", WITH_DAEMON)
def test_the_daemon_accepts_its_settings_and_every_file_that_they_name_is_there(
    values: str, tmp_path: Any
) -> None:
    rendered = render(values)
    file = tmp_path / "settings.yaml"
    file.write_text(rendered.one("ConfigMap")["data"]["settings.yaml"])
    settings = read_settings(file, environment={}, flags={})
    assert settings.namespace == NAMESPACE
    named = [
        settings.repo.token_file,
        settings.repo.ssh_key_file,
        settings.repo.known_hosts_file,
        settings.repo.ca_file,
        settings.repo.allowed_signers_file,
        *(cluster.kubeconfig for cluster in settings.clusters.values()),
    ]
    there = files_of(rendered)
    assert rendered.container()["args"][-1] in there
    for path in filter(None, named):
        assert str(path) in there
    assert (values == "all") == any(named)


def files_of(rendered: Rendered) -> set[str]:
    """Returns every file that a Pod finds in its read-only volumes."""
    volumes = {v["name"]: v for v in rendered.pod()["spec"]["volumes"]}
    found = set()
    for mount in rendered.container()["volumeMounts"]:
        for source in volumes[mount["name"]].get("projected", {}).get("sources", ()):
            names = (
                [item["path"] for item in source["secret"]["items"]]
                if "secret" in source
                else rendered.one("ConfigMap")["data"]
            )
            found |= {str(PurePosixPath(mount["mountPath"], name)) for name in names}
    return found


def test_all_values_end_up_where_they_belong() -> None:
    settings = render("all").settings()
    assert settings["home"] == "prod-1" and settings["mode"] == "enforce"
    assert settings["repo"]["branch"] == "release" and settings["repo"]["poll_s"] == 30
    assert settings["bootstrap"] is True
    assert settings["clusters"]["prod-2"]["context"] == "admin"
    assert settings["clusters"]["prod-2"]["uid"].startswith("0d7f3a4e-1111")
    rendered = render("all")
    assert rendered.container()["image"].endswith("@sha256:" + "0" * 63 + "1")
    assert rendered.pod()["spec"]["serviceAccountName"] == "robot"
    assert rendered.pod()["metadata"]["labels"]["example.com/team"] == "platform"


def test_a_token_is_given_to_the_pod_only_where_it_is_used() -> None:
    assert render("least").pod()["spec"]["automountServiceAccountToken"] is True
    url = "repo.url=https://git.example.com/env.git"
    alone = render_anew(None, url, "clusters.prod-2.secret=prod-2", "home=prod-2")
    assert alone.pod()["spec"]["automountServiceAccountToken"] is False
    assert render("least").one("ServiceAccount")["automountServiceAccountToken"] is False


def test_other_settings_make_another_pod() -> None:
    one = render("least").pod()["metadata"]["annotations"]
    other = render_anew("least", "mode=enforce").pod()["metadata"]["annotations"]
    assert one["checksum/settings"] != other["checksum/settings"]


# Rights.


@pytest.mark.parametrize("values", ALL)
def test_no_right_is_for_everything_or_leads_to_more(values: str) -> None:
    for role in (*render(values).of("Role"), *render(values).of("ClusterRole")):
        for rule in role["rules"]:
            for key in ("apiGroups", "resources", "verbs"):
                assert rule[key] and "*" not in rule[key], rule
            assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])
            assert "rbac.authorization.k8s.io" not in rule["apiGroups"]
            assert not [r for r in rule["resources"] if r.startswith(("pods/", "serviceaccounts/"))]


def test_secrets_are_its_own_alone_unless_services_may_have_some() -> None:
    assert not _cluster_rules("least", "secrets")
    assert not _cluster_rules("member", "secrets")
    assert _cluster_rules("all", "secrets")
    (own,) = [r for r in render("least").one("Role")["rules"] if r["resources"] == ["secrets"]]
    # It finds its stored objects by list, and no watch would tell it anything.
    assert "watch" not in own["verbs"]


def test_definitions_and_namespaces_are_made_only_where_it_bootstraps() -> None:
    assert not _cluster_rules("least", "customresourcedefinitions")
    made = _cluster_rules("all", "customresourcedefinitions")
    assert {verb for rule in made for verb in rule["verbs"]} == {"create", "get", "patch"}
    for rule in made:
        assert rule["verbs"] == ["create"] or len(rule["resourceNames"]) == 2


def test_what_is_the_home_s_alone_is_given_in_the_home_alone() -> None:
    for values, given in (("least", True), ("member", False)):
        resources = {r for rule in render(values).one("Role")["rules"] for r in rule["resources"]}
        assert ("leases" in resources) is given
        assert ("promotionrecords" in resources) is given


def test_writing_can_be_held_to_some_namespaces() -> None:
    every = [b["roleRef"]["name"] for b in render("least").of("ClusterRoleBinding")]
    assert f"{NAMESPACE}:reconciler:write" in every
    held = [b["roleRef"]["name"] for b in render("all").of("ClusterRoleBinding")]
    assert held == [f"{NAMESPACE}:other"]
    bound = {
        b["metadata"]["namespace"]: b["roleRef"]["name"]
        for b in render("all").of("RoleBinding")
        if b["roleRef"]["kind"] == "ClusterRole"
    }
    assert set(bound.values()) == {f"{NAMESPACE}:other:write"} and set(bound) == {"web", "api"}
    reading = next(r for r in render("all").of("ClusterRole") if ":write" not in str(r["metadata"]))
    for rule in reading["rules"]:
        if rule["resources"] not in (["namespaces"], ["customresourcedefinitions"]):
            assert set(rule["verbs"]) <= {"get", "list", "watch"}


@pytest.mark.parametrize("values", ALL)
def test_every_binding_is_to_its_own_account(values: str) -> None:
    account = render(values).one("ServiceAccount")["metadata"]["name"]
    for binding in (*render(values).of("RoleBinding"), *render(values).of("ClusterRoleBinding")):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
        ]


def _cluster_rules(values: str, resource: str) -> list[Object]:
    roles = render(values).of("ClusterRole")
    return [rule for role in roles for rule in role["rules"] if resource in rule["resources"]]


# The rest.


def test_without_the_daemon_there_are_its_account_its_rights_and_its_definitions() -> None:
    assert {obj["kind"] for obj in render("member").objects} == {
        "ServiceAccount",
        "Secret",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
    }


def test_the_alerts_are_those_of_the_policies_with_links_that_lead_somewhere() -> None:
    shipped = yaml.safe_load((ROOT / "policies/prometheus/reconciler.yaml").read_text())
    rendered = render("all").one("PrometheusRule")["spec"]
    for group in shipped["groups"]:
        for rule in group["rules"]:
            link = rule["annotations"]["runbook_url"]
            rule["annotations"]["runbook_url"] = f"https://docs.example.com/{link}"
    assert rendered == shipped


def test_what_is_optional_is_left_out_by_default() -> None:
    optional = {"PodMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget"}
    assert not optional & {obj["kind"] for obj in render("least").objects}
    assert optional <= {obj["kind"] for obj in render("all").objects}


def test_what_selects_pods_selects_the_daemon_s() -> None:
    rendered = render("all")
    labels = rendered.pod()["metadata"]["labels"]
    for selector in (
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        rendered.one("PodMonitor")["spec"]["selector"]["matchLabels"],
        rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector and selector.items() <= labels.items()
    names = {port["name"] for port in rendered.container()["ports"]}
    assert rendered.one("Service")["spec"]["ports"][0]["targetPort"] in names
    assert rendered.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] in names


def test_a_network_policy_that_names_nobody_lets_nobody_in() -> None:
    policy = render_anew("least", "networkPolicy.enabled=true").one("NetworkPolicy")["spec"]
    assert policy["ingress"] == [] and policy["policyTypes"] == ["Ingress"]
    asked = render("all").one("NetworkPolicy")["spec"]
    assert [rule["ports"][0]["port"] for rule in asked["ingress"]] == ["board", "probes"]
    assert all(rule["from"] for rule in asked["ingress"])
    assert asked["policyTypes"] == ["Ingress", "Egress"]
