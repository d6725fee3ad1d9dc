"""What goes first, and what waits for what."""

from __future__ import annotations

import random

from reconciler.core.assembly import deletion_layers, layers
from reconciler.core.assembly.order import Layer, layer_of
from tests.unit.core.test_assembly import Tree, obj

IN_ORDER = [
    [obj("CustomResourceDefinition", api_version="apiextensions.k8s.io/v1")],
    [obj("Namespace")],
    [obj("Role", api_version="rbac.authorization.k8s.io/v1"), obj("ServiceAccount")],
    [obj("ConfigMap"), obj("PersistentVolumeClaim"), obj("ResourceQuota"), obj("Secret")],
    [obj("Service")],
    [obj("Deployment", api_version="apps/v1"), obj("Job", api_version="batch/v1")],
    [
        obj("HorizontalPodAutoscaler", api_version="autoscaling/v2"),
        obj("Widget", api_version="e.io/v1"),
        obj("Ingress", api_version="networking.k8s.io/v1"),
    ],
    [obj("ValidatingWebhookConfiguration", api_version="admissionregistration.k8s.io/v1")],
]


def mixed() -> list[Tree]:
    objects = [o for layer in IN_ORDER for o in layer]
    random.Random(7).shuffle(objects)
    return objects


def kinds(grouped: tuple[tuple[object, ...], ...]) -> list[set[str]]:
    return [{o["kind"] for o in layer if isinstance(o, dict)} for layer in grouped]


def test_definitions_come_first_and_webhooks_last() -> None:
    assert kinds(layers(mixed())) == [{o["kind"] for o in layer} for layer in IN_ORDER]


def test_deleting_goes_the_other_way() -> None:
    assert kinds(deletion_layers(mixed())) == kinds(layers(mixed()))[::-1]


def test_the_order_within_a_layer_does_not_depend_on_the_input() -> None:
    objects = [obj("ConfigMap", name) for name in "cab"]
    assert layers(objects) == layers(objects[::-1])


def test_a_kind_of_another_group_with_a_known_name_is_unknown() -> None:
    # Knative has a Service of its own, which needs its definition and not a place before workloads.
    assert layer_of(obj("Service", api_version="serving.knative.dev/v1")) is Layer.OTHERS


def test_no_objects_have_no_layers() -> None:
    assert layers([]) == ()
