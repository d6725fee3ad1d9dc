"""Only what is really otherwise is a difference."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from reconciler.core.diff import differences

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def deployment(**container: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "web", "image": "a", **container}]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"ports": list(ports)},
    }


def account(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}, **parts}


def secret(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, **parts}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("case", "mine", "theirs"),
    [
        ("a default that the server wrote", deployment(), deployment(imagePullPolicy="Always")),
        (
            "a quantity in another form",
            deployment(resources={"limits": {"cpu": "1000m", "memory": "1Gi"}}),
            deployment(resources={"limits": {"cpu": "1", "memory": "1024Mi"}}),
        ),
        (
            "a quantity written as a number",
            deployment(resources={"limits": {"cpu": 2}}),
            deployment(resources={"limits": {"cpu": "2"}}),
        ),
        ("an empty mapping that the server dropped", deployment(resources={}), deployment()),
        ("false that the server dropped", deployment(tty=False), deployment()),
        (
            "lists by key in another order",
            deployment(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
            deployment(env=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
        ),
        (
            "an item that somebody else added",
            deployment(env=[{"name": "A", "value": "1"}]),
            deployment(env=[{"name": "A", "value": "1"}, {"name": "S", "value": "x"}]),
        ),
        (
            "a protocol that was left out",
            service({"port": 80}),
            service({"port": 80, "protocol": "TCP", "targetPort": 80}),
        ),
        (
            "ports of one number in another order",
            deployment(ports=[{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]),
            deployment(
                ports=[
                    {"containerPort": 53, "protocol": "UDP"},
                    {"containerPort": 53, "protocol": "TCP"},
                ]
            ),
        ),
        (
            "a claim that somebody else added",
            deployment(resources={"claims": [{"name": "a"}]}),
            deployment(resources={"claims": [{"name": "b"}, {"name": "a"}]}),
        ),
        (
            "a finalizer that somebody else added",
            account(metadata={"name": "a", "finalizers": ["a/a"]}),
            account(metadata={"name": "a", "finalizers": ["b/b", "a/a"]}),
        ),
        (
            "a target port as text",
            service({"port": 80, "targetPort": "8080"}),
            service({"port": 80, "protocol": "TCP", "targetPort": 8080}),
        ),
        (
            "a Secret's text and its stored form",
            secret(stringData={"a": "x"}),
            secret(data={"a": encoded("x")}),
        ),
    ],
)
def test_no_difference_is(case: str, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert differences(mine, theirs) == (), case


@pytest.mark.parametrize(
    ("case", "mine", "theirs", "path"),
    [
        (
            "another image",
            deployment(),
            deployment(image="b"),
            "spec.template.spec.containers[name=web].image",
        ),
        (
            "a field that is gone",
            deployment(args=["x"]),
            deployment(),
            "spec.template.spec.containers[name=web].args",
        ),
        (
            "an item more in a list that is one value",
            deployment(args=["x"]),
            deployment(args=["x", "y"]),
            "spec.template.spec.containers[name=web].args",
        ),
        (
            "a secret more in an account's list, which is one value",
            account(imagePullSecrets=[{"name": "a"}]),
            account(imagePullSecrets=[{"name": "a"}, {"name": "b"}]),
            "imagePullSecrets",
        ),
        (
            "another quantity",
            deployment(resources={"limits": {"cpu": "1"}}),
            deployment(resources={"limits": {"cpu": "2"}}),
            "spec.template.spec.containers[name=web].resources.limits.cpu",
        ),
        (
            "a quantity larger than any number",
            deployment(resources={"limits": {"example.com/r": "1e5"}}),
            deployment(resources={"limits": {"example.com/r": "1e9999999"}}),
            "spec.template.spec.containers[name=web].resources.limits.example.com/r",
        ),
        (
            "an item that is gone",
            deployment(env=[{"name": "A", "value": "1"}]),
            deployment(env=[]),
            "spec.template.spec.containers[name=web].env[name=A]",
        ),
        (
            "true where it was false",
            deployment(tty=False),
            deployment(tty=True),
            "spec.template.spec.containers[name=web].tty",
        ),
        (
            "a number for a truth",
            deployment(x=1),
            deployment(x=True),
            "spec.template.spec.containers[name=web].x",
        ),
    ],
)
def test_a_difference_is(
    case: str, mine: dict[str, Any], theirs: dict[str, Any], path: str
) -> None:
    (found,) = differences(mine, theirs)
    assert found.path == path, case


def test_a_secrets_values_are_masked() -> None:
    (found,) = differences(secret(stringData={"a": "hunter2"}), secret(data={"a": encoded("x")}))
    assert (found.path, found.live, found.desired) == ("data.a", "***", "***")


def test_the_manager_who_wrote_a_field_is_named() -> None:
    live = deployment(image="b")
    image: dict[str, Any] = {
        "f:spec": {
            "f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}
        }
    }
    live["metadata"]["managedFields"] = [
        {"manager": "reconciler", "time": "2026-01-02T00:00:00Z", "fieldsV1": image},
        {"manager": "kubectl-edit", "time": "2026-01-01T00:00:00Z", "fieldsV1": image},
    ]
    (found,) = differences(deployment(), live)
    assert (found.manager, found.at) == ("kubectl-edit", "2026-01-01T00:00:00Z")


def test_scalars_are_shown_as_they_are_and_larger_values_as_json() -> None:
    mine = deployment(tty=True, stdin=False, args=["a"], env=[{"name": "A", "value": "1"}])
    theirs = deployment(tty=False, stdin=True, args=["a", "b"], env=[])
    found = {d.path.rpartition(".")[2]: (d.live, d.desired) for d in differences(mine, theirs)}
    assert found == {
        "tty": (False, True),
        "stdin": (True, False),
        "args": ('["a", "b"]', '["a"]'),
        "env[name=A]": (None, '{"name": "A", "value": "1"}'),
    }


@pytest.mark.parametrize("live", [{}, {"annotations": {}}, {"annotations": {LAST_APPLIED: "old"}}])
def test_an_annotation_that_repeats_the_object_is_masked(live: dict[str, Any]) -> None:
    mine = secret(data={})
    mine["metadata"] = {"name": "a", "annotations": {LAST_APPLIED: '{"data": "hunter2"}'}}
    theirs = {**mine, "metadata": {"name": "a", **live}}
    (found,) = differences(mine, theirs)
    assert found.desired == "***"
    assert found.live in (None, "***")
