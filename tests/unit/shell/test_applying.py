"""In which order the objects of a delivery reach a cluster, however they are handed over."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import Refused
from reconciler.model.events import EventKind
from reconciler.model.health import HealthStatus
from tests.fakes.at_work import AtWork, labelled

GROUP = "example.com"
SHOP = "shop"


def of(kind: str, api_version: str = "v1", *, space: str = SHOP, **content: Any) -> dict[str, Any]:
    """Returns an object of the service, of its own namespace or of the whole cluster."""
    metadata = {"name": "web", **({"namespace": space} if space else {})}
    return labelled({"apiVersion": api_version, "kind": kind, "metadata": metadata, **content})


def definition(*others: str) -> dict[str, Any]:
    """Returns a CustomResourceDefinition of Things, which have a size, and other numbers."""
    spec = {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {n: {"type": "integer"} for n in ("size", *others)},
                    }
                },
            }
        ],
    }
    made = of("CustomResourceDefinition", "apiextensions.k8s.io/v1", space="", spec=spec)
    return {**made, "metadata": {**made["metadata"], "name": f"things.{GROUP}"}}


def namespace() -> dict[str, Any]:
    """Returns the namespace that everything else is in."""
    made = of("Namespace", space="")
    return {**made, "metadata": {**made["metadata"], "name": SHOP}}


def deployment() -> dict[str, Any]:
    """Returns a Deployment that needs all the others."""
    pod = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": pod}
    return of("Deployment", "apps/v1", spec=spec)


IN_ORDER = (
    definition(),
    namespace(),
    of("Role", "rbac.authorization.k8s.io/v1", rules=[]),
    of("ConfigMap", data={"a": "b"}),
    of("Service", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
    deployment(),
    of("Thing", f"{GROUP}/v1", size=3),
)
"""One of each layer that a simulated cluster serves: what comes before is needed by what comes after."""


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(IN_ORDER[::-1], id="the last first"),
        pytest.param((IN_ORDER[-1], *IN_ORDER[:-1]), id="an instance before its definition"),
        pytest.param((*IN_ORDER[2:], *IN_ORDER[:2]), id="what is in a namespace before it"),
        pytest.param(IN_ORDER, id="in order"),
    ],
)
def test_objects_arrive_layer_by_layer_whatever_order_they_are_handed_over_in(
    objects: tuple[dict[str, Any], ...],
) -> None:
    work = AtWork()
    work.cluster.audit.clear()
    work.delivered("1", *objects)
    applied = [written.kind for written in work.cluster.audit if written.verb == "apply"]
    assert applied == [obj["kind"] for obj in IN_ORDER], "each once, since none had to wait"
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)


def thing(**content: Any) -> dict[str, Any]:
    """Returns a Thing, which is in a namespace of its own service."""
    return of("Thing", f"{GROUP}/v1", **content)


def test_an_instance_that_is_refused_when_its_definition_has_just_changed_is_tried_again() -> None:
    """A server goes on judging by the former one for a moment, and the release is not bad for that."""
    work = AtWork()
    work.delivered("1", namespace(), definition(), thing(size=3))
    asked: list[str] = []

    def lag(verb: str, kind: str) -> None:
        if (verb, kind) == ("apply", "Thing"):
            asked.append(kind)
            if len(asked) == 1:
                raise Refused("Thing/shop/web", "it cannot be applied", ".depth is not declared")

    work.cluster.faults.before = lag
    work.delivered("2", namespace(), definition("depth"), thing(size=3, depth=1))
    assert len(asked) == 2
    assert all(
        written.obj.get("status", {}).get("reason", "") == ""
        for written in work.writes("ServiceRecord")
    )
    assert "not declared" in work.told_of(EventKind.APPLY_FAILED)[0].message


def test_an_instance_that_does_not_fit_its_changed_definition_is_refused_in_the_end() -> None:
    work = AtWork()
    work.delivered("1", namespace(), definition(), thing(size=3))
    work.deliver("2", namespace(), definition("depth"), thing(size=3, width=1))
    assert work.until(lambda: work.record().reason == "ApplyRefused", 20)  # type: ignore[union-attr]
    assert "width" in work.record().message  # type: ignore[union-attr]


def test_a_field_that_nobody_knows_is_refused_at_once() -> None:
    work = AtWork()
    wrong = of("ConfigMap", dat={"a": "b"})
    work.deliver("1", namespace(), wrong)
    work.pass_(2)
    record = work.record()
    assert record is not None and record.reason == "ApplyRefused"
    assert "dat" in record.message
