"""What a revision renders to on one cluster, and every fault that stops it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.core.assembly import Unrenderable, assemble
from reconciler.core.assembly.faults import FAULTS_MAX
from reconciler.core.identity import revision_of
from reconciler.model.env_repo import Service, SourceKind
from reconciler.model.fleet import Allowed, Cluster, ClusterState, Mode
from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    PolicyName,
    ServiceName,
)
from reconciler.model.objects import KubeObject, Rendered
from reconciler.model.release import Values

Tree = dict[str, Any]

PROD = EnvironmentName("prod")
DIGEST = "sha256:" + "4f" * 32
IMAGE = "registry.example.com:5000/team/web"
ANYTHING = Allowed(namespaces=None, kinds=None)
SERVICE = Service(
    name=ServiceName("web"),
    source=SourceKind.MANIFESTS,
    policy=PolicyName("line"),
    namespace="web",
    namespaces=((PROD, "web-prod"),),
    depends_on=(),
    owners=(),
    cluster_scoped=("ClusterRole/web", "ClusterIssuer/ours"),
    immediate=(),
    mode=Mode.ENFORCE,
)
CLUSTER = Cluster(
    name=ClusterName("prod-1"),
    environment=PROD,
    labels=(("region", "eu"), ("size", "7")),
    state=ClusterState.ACTIVE,
)


def obj(kind: str, name: str = "web", api_version: str = "v1", **fields: Any) -> Tree:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def meta(base: Tree, **fields: Any) -> Tree:
    """Returns an object with fields added to its metadata."""
    return base | {"metadata": base["metadata"] | fields}


def workload(
    kind: str = "Deployment", name: str = "web", api_version: str = "apps/v1", **pod: Any
) -> Tree:
    spec = {"containers": [{"name": "web", "image": f"{IMAGE}:old"}], **pod}
    return obj(kind, name, api_version, spec={"replicas": 1, "template": {"spec": spec}})


def render(
    *raw: KubeObject,
    images: Sequence[tuple[str, str]] | None = None,
    values: Tree | None = None,
    cluster_values: Tree | None = None,
    allowed: Allowed = ANYTHING,
    key: bytes | None = b"k" * 32,
) -> Rendered:
    if images is None:
        images = [(IMAGE, DIGEST)] if IMAGE in str(raw) else []
    revision = revision_of(
        version="1",
        images=images,
        source=CommitId("9" * 40),
        values=Values.of(values or {}),
        cluster_values=Values.of(cluster_values or {}),
        entries=(),
        service_yaml_identity=b"",
        environment=PROD,
        renderer="assembly/1",
    )
    return assemble(
        raw,
        service=SERVICE,
        environment=PROD,
        cluster=CLUSTER,
        revision=revision,
        allowed=allowed,
        key=key,
    )


def rendered_one(*raw: KubeObject, **how: Any) -> Tree:
    """Returns the first of the objects in apply order."""
    return dict(render(*raw, **how).objects[0])


def faults(*raw: KubeObject, **how: Any) -> list[str]:
    with pytest.raises(Unrenderable) as caught:
        render(*raw, **how)
    return [str(fault) for fault in caught.value.faults]


def test_what_was_built_is_not_changed() -> None:
    built = workload()
    before = copy.deepcopy(built)
    render(built, values={"replicas": 3})
    assert built == before


def test_of_a_great_many_faults_the_first_are_told_and_the_rest_are_counted() -> None:
    told = faults(*(obj("Namespace", f"n{number}") for number in range(FAULTS_MAX + 7)))
    assert len(told) == FAULTS_MAX + 1
    assert "n0" in told[0] and f"n{FAULTS_MAX - 1}" in told[-2]
    assert "it has more faults: 7 more were left out; correct those" in told[-1]


def test_the_same_input_renders_to_the_same_digest_in_whatever_order_it_was_built() -> None:
    one, other = obj("ConfigMap", "a"), obj("ConfigMap", "b")
    assert render(one, other) == render(other, one)
    assert render(one).digest != render(other).digest


def test_labels_say_whose_an_object_is_but_not_on_pod_templates() -> None:
    rendered = rendered_one(workload())
    assert rendered["metadata"]["labels"] == {
        "reconciler.dev/service": "web",
        "reconciler.dev/environment": "prod",
    }
    assert "metadata" not in rendered["spec"]["template"]


@pytest.mark.parametrize(
    ("raw", "namespace"),
    [
        pytest.param(obj("ConfigMap"), "web-prod", id="the environment's namespace is the default"),
        pytest.param(meta(obj("Secret"), namespace="x"), "x", id="one that is written stays"),
        pytest.param(
            obj("Widget", api_version="e.io/v1"), "web-prod", id="an unknown kind has one"
        ),
        pytest.param(
            obj("ClusterRole", api_version="rbac.authorization.k8s.io/v1"),
            None,
            id="a cluster-scoped object gets none",
        ),
        pytest.param(
            obj("ClusterIssuer", "ours", "cert-manager.io/v1"),
            None,
            id="a custom object that service.yaml calls cluster-scoped gets none",
        ),
    ],
)
def test_the_namespace(raw: Tree, namespace: str | None) -> None:
    assert rendered_one(raw)["metadata"].get("namespace") == namespace


def test_what_only_the_server_fills_in_is_left_out() -> None:
    rendered = rendered_one(
        meta(obj("ConfigMap", status={"x": 1}), creationTimestamp=None, annotations=None)
    )
    assert "status" not in rendered
    assert set(rendered["metadata"]) == {"name", "namespace", "labels"}


def test_every_fault_is_told_at_once() -> None:
    found = faults(
        workload(containers=[{"name": "x", "image": "other:1"}]),
        obj("ClusterRole", "any", "rbac.authorization.k8s.io/v1"),
        images=[("unused", "1")],
        values={"colour": "red"},
    )
    assert len(found) == 4


CRD = "apiextensions.k8s.io/v1"


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param((), "holds no objects", id="nothing is never a render"),
        pytest.param(("text",), "object 1 (no kind): it is no object", id="a text"),
        pytest.param(({"kind": "Secret"},), "object 1 (Secret): it is no object", id="a bare kind"),
        pytest.param(
            (obj("ConfigMap") | {"metadata": {}},), "it has no name", id="an object with no name"
        ),
        pytest.param((obj("ConfigMap", "../x"),), "it has no name", id="a name that is a path"),
        pytest.param((obj("ConfigMap", ".."),), "it has no name", id="a name that is a folder"),
        pytest.param((obj("ConfigMap", "x" * 4096),), "it has no name", id="a name of 4 KiB"),
        pytest.param((obj("Config/Map"),), "its kind is wrong", id="a kind that is a path"),
        pytest.param((obj("X", api_version="a/b/v1"),), "its apiVersion is wrong", id="a deep API"),
        pytest.param((obj("X", api_version="v1%2e"),), "its apiVersion is wrong", id="an odd API"),
        pytest.param(
            (meta(obj("Secret"), namespace="a/b"),), "its namespace is wrong", id="an odd namespace"
        ),
        pytest.param(
            (meta(obj("Secret"), generateName="x-"),), "no name of its own", id="a generated name"
        ),
        pytest.param(
            (meta(obj("Secret"), annotations={"a": 1}),),
            "its annotations have the wrong shape",
            id="an annotation that is a number",
        ),
        pytest.param(
            (meta(obj("Secret"), labels=["a"]),),
            "its labels have the wrong shape",
            id="labels that are a list",
        ),
        pytest.param((meta(obj("Secret"), uid="u"),), "only a server writes", id="a live object"),
        pytest.param(
            (meta(obj("Secret"), ownerReferences=[{}]),), "only a server writes", id="an owned one"
        ),
        pytest.param(
            (meta(obj("Secret"), annotations={"reconciler.dev/suspend-until": "x"}),),
            "is for live objects",
            id="break-glass in a manifest",
        ),
        pytest.param(
            (meta(obj("Secret"), labels={"reconciler.dev/service": "other"}),),
            "is another's",
            id="another service's label",
        ),
        pytest.param(
            (obj("ConfigMap", data={"x": "x" * 1_500_000}),), "too large", id="a large ConfigMap"
        ),
        pytest.param((obj("ConfigMap", data={"x": float("nan")}),), "as JSON", id="not a number"),
        pytest.param((obj("ConfigMap", data={"x": "\ud800"}),), "as JSON", id="half a character"),
        pytest.param(
            (
                obj("Ingress", api_version="networking.k8s.io/v1beta1"),
                obj("Ingress", api_version="networking.k8s.io/v1"),
            ),
            "Ingress/web-prod/web: it is there twice",
            id="one object in two versions",
        ),
        pytest.param(
            (obj("ConfigMap"), meta(obj("ConfigMap"), namespace="web-prod")),
            "it is there twice",
            id="one object with and without its namespace",
        ),
        pytest.param(
            (obj("ClusterRole", "any", "rbac.authorization.k8s.io/v1"),),
            "add ClusterRole/any to cluster_scoped",
            id="a cluster-scoped object that service.yaml does not name",
        ),
        pytest.param(
            (
                meta(
                    obj("ClusterRole", api_version="rbac.authorization.k8s.io/v1"), namespace="web"
                ),
            ),
            "it has a namespace",
            id="a cluster-scoped object with a namespace",
        ),
        pytest.param(
            (obj("Thing", api_version="reconciler.dev/v1"),), "is the reconciler's own", id="ours"
        ),
        pytest.param(
            (meta(obj("Secret"), namespace="reconciler-system"),),
            "may not touch this namespace",
            id="our own namespace",
        ),
        pytest.param(
            (meta(obj("Secret"), namespace="kube-system"),),
            "may not touch this namespace",
            id="a namespace of the system",
        ),
    ],
)
def test_an_object_that_cannot_go_out(raw: tuple[Any, ...], fault: str) -> None:
    found = faults(*raw)
    assert len(found) == 1
    assert fault in found[0]


def test_a_definition_in_the_reconcilers_own_group_is_refused() -> None:
    found = faults(obj("CustomResourceDefinition", "servicerecords.reconciler.dev", CRD))
    assert any("is the reconciler's own" in fault for fault in found)


def test_objects_that_are_small_each_and_too_large_together_are_refused() -> None:
    large = [obj("ConfigMap", f"c{i}", data={"x": "x" * 1_000_000}) for i in range(17)]
    assert "together its objects have more than" in faults(*large)[0]


def test_the_scope_of_a_custom_object_is_what_the_crd_of_the_same_release_says() -> None:
    names = {"kind": "Gadget", "plural": "gadgets"}
    crd = obj(
        "CustomResourceDefinition",
        "gadgets.e.io",
        CRD,
        spec={"group": "e.io", "scope": "Cluster", "names": names},
    )
    found = faults(crd, obj("Gadget", "g", "e.io/v1"))
    assert [f.partition(":")[0] for f in found] == [
        "CustomResourceDefinition/gadgets.e.io",
        "Gadget/g",
    ]


@pytest.mark.parametrize(
    ("allowed", "raw", "is_allowed"),
    [
        pytest.param(("web-*", None), obj("Secret"), True, id="a namespace by pattern"),
        pytest.param(("shop",), obj("Secret"), False, id="no other namespace"),
        pytest.param(("*",), meta(obj("Secret"), namespace="kube-system"), False, id="no wildcard"),
        pytest.param(
            ("kube-system",), meta(obj("Secret"), namespace="kube-system"), True, id="by its name"
        ),
        pytest.param((None, "Secret"), obj("Secret"), True, id="a kind"),
        pytest.param((None, "apps/Deployment"), workload(), True, id="a kind with its group"),
        pytest.param((None, "Deployment"), obj("Secret"), False, id="no other kind"),
    ],
)
def test_what_the_fleet_allows(
    allowed: tuple[str | None, ...], raw: Tree, is_allowed: bool
) -> None:
    namespace, kind = (*allowed, None)[:2]
    limits = Allowed(
        namespaces=(namespace,) if namespace else None, kinds=(kind,) if kind else None
    )
    if is_allowed:
        render(raw, allowed=limits)
    else:
        assert "services may not" in faults(raw, allowed=limits)[0]


def test_a_namespace_object_counts_as_its_namespace() -> None:
    found = faults(obj("Namespace", "kube-system"))
    assert any("cluster_scoped" in f for f in found)
    assert any("may not touch this namespace" in f for f in found)


def test_too_many_objects_are_refused() -> None:
    found = faults(*(obj("ConfigMap", f"c{i}") for i in range(2_001)))
    assert "2001 objects, and 2000 are allowed" in found[0]


def test_a_secrets_value_is_in_no_fault() -> None:
    canary = "canary-7f3a"
    secret = obj("Secret", stringData={"token": canary}, data={"x": float("inf"), "y": canary})
    large = obj("Secret", "large", stringData={"token": canary * 200_000})
    assert canary not in str(faults(secret, large, meta(obj("Secret"), annotations=[canary])))
