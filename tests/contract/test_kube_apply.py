"""Server-side apply as the shell relies on it, checked on every front of a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.core.handing_over import keeping_replicas
from reconciler.errors import Conflict, Refused, TransientError
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.shell.executor.applying import apply_all
from tests.contract.kube_fronts import CONNECTED, SOMEBODY, Front, kubectl
from tests.contract.kube_objects import (
    Object,
    config_map,
    definition,
    delete,
    deployment,
    ref,
    thing,
    until,
)


def test_a_field_left_out_of_an_apply_is_removed(front: Front, space: str) -> None:
    front.api.apply(config_map(space, x="1", y="2"), force=False, dry_run=False)
    now = front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    assert now["data"] == {"x": "1"}


def test_an_apply_of_the_same_changes_nothing(front: Front, space: str) -> None:
    once = front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    again = front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    assert once["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


CONTAINER = ("spec", "template", "spec", "containers", 0)


def named(api_version: str, kind: str, space: str, **rest: Any) -> Object:
    metadata = {"name": "a", "namespace": space}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def service(space: str) -> Object:
    return named("v1", "Service", space, spec={"selector": {"app": "a"}})


def having(obj: Object, path: tuple[str | int, ...], items: list[Any]) -> Object:
    """Returns an object with a list of it replaced."""
    below: Any = obj
    for step in path[:-1]:
        below = below[step]
    below[path[-1]] = items
    return obj


def found_in(obj: KubeObject, path: tuple[str | int, ...]) -> list[Any]:
    """Returns a list of an object; of what its tests write, the server fills nothing in."""
    found: Any = obj
    for step in path:
        found = found[step]
    return list(found)


BY_KEYS = pytest.mark.parametrize(
    ("made", "path", "one", "other"),
    [
        pytest.param(
            deployment,
            (*CONTAINER, "env"),
            {"name": "X", "value": "1"},
            {"name": "Y", "value": "2"},
            id="variables by name",
        ),
        pytest.param(
            deployment,
            (*CONTAINER, "ports"),
            {"containerPort": 53, "protocol": "UDP"},
            {"containerPort": 53, "protocol": "TCP"},
            id="ports of a container by two keys",
        ),
        pytest.param(
            service,
            ("spec", "ports"),
            {"name": "a", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "b", "port": 53, "protocol": "TCP", "targetPort": 53},
            id="ports of a Service by two keys",
        ),
        pytest.param(
            config_map,
            ("metadata", "finalizers"),
            "example.com/one",
            "example.com/other",
            id="a set",
        ),
    ],
)


@BY_KEYS
def test_lists_are_applied_by_their_keys(
    made: Callable[[str], Object],
    path: tuple[str | int, ...],
    one: Any,
    other: Any,
    front: Front,
    space: str,
) -> None:
    for items in ([one], [other, one], [one]):
        now = front.api.apply(having(made(space), path, items), force=False, dry_run=False)
        assert found_in(now, path) == items


def test_another_managers_field_is_a_conflict_unless_forced(front: Front, space: str) -> None:
    front.api.apply(deployment(space, replicas=2), force=False, dry_run=False)
    _scaled_by_somebody(front, space, 5)
    with pytest.raises(Conflict) as caught:
        front.api.apply(deployment(space, replicas=3), force=False, dry_run=False)
    assert "replicas" in str(caught.value)
    assert SOMEBODY in str(caught.value)
    now = front.api.apply(deployment(space, replicas=3), force=True, dry_run=False)
    assert now["spec"]["replicas"] == 3


@CONNECTED
def test_of_two_who_apply_the_later_takes_a_field_only_by_force(front: Front, space: str) -> None:
    ours, theirs = config_map(space, x="1"), config_map(space, x="2", theirs="3")
    apply = ("apply", "--server-side", "-f", "-")
    front.api.apply(ours, force=False, dry_run=False)
    with pytest.raises(AssertionError) as refused:
        kubectl(front.kubeconfig, *apply, text=json.dumps(theirs))
    assert 'conflict with "reconciler": .data.x' in str(refused.value)
    found = front.api.get(ref(ours))
    assert found is not None and found["data"] == {"x": "1"}
    kubectl(front.kubeconfig, *apply, "--force-conflicts", text=json.dumps(theirs))
    found = front.api.get(ref(ours))
    assert found is not None and found["data"] == {"x": "2", "theirs": "3"}
    with pytest.raises(Conflict) as caught:
        front.api.apply(ours, force=False, dry_run=False)
    assert 'conflict with "kubectl"' in str(caught.value) and ".data.x" in str(caught.value)
    now = front.api.apply(ours, force=True, dry_run=False)
    assert now["data"] == {"x": "1", "theirs": "3"}


def test_two_managers_who_agree_share_a_field_and_neither_removes_it_alone(
    front: Front, space: str
) -> None:
    front.api.apply(deployment(space, replicas=2), force=False, dry_run=False)
    _scaled_by_somebody(front, space, 5)
    now = front.api.apply(deployment(space, replicas=5), force=False, dry_run=False)
    assert now["spec"]["replicas"] == 5
    now = front.api.apply(deployment(space, replicas=None), force=False, dry_run=False)
    assert now["spec"]["replicas"] == 5


def test_a_field_we_do_not_name_stays_with_its_manager(front: Front, space: str) -> None:
    front.api.apply(deployment(space, replicas=None), force=False, dry_run=False)
    _scaled_by_somebody(front, space, 5)
    now = front.api.apply(
        deployment(space, replicas=None, image="example.com/a:2"), force=False, dry_run=False
    )
    assert now["spec"]["replicas"] == 5


def test_replicas_are_handed_over_as_they_are(front: Front, space: str) -> None:
    left_out = deployment(space, replicas=None)
    front.api.apply(deployment(space, replicas=3), force=False, dry_run=False)
    dropped = front.api.apply(left_out, force=False, dry_run=True)
    assert dropped["spec"].get("replicas", 1) == 1, "so it is not enough to leave them out"

    def live() -> Object:
        return dict(front.api.get(ref(left_out)) or {})

    now = front.api.apply(keeping_replicas(left_out, live()), force=False, dry_run=False)
    assert now["spec"]["replicas"] == 3
    _scaled_by_somebody(front, space, 5)
    assert keeping_replicas(left_out, live()) == left_out
    now = front.api.apply(left_out, force=True, dry_run=False)
    assert now["spec"]["replicas"] == 5


@BY_KEYS
def test_an_item_that_another_added_to_a_list_by_keys_stays(
    made: Callable[[str], Object],
    path: tuple[str | int, ...],
    one: Any,
    other: Any,
    front: Front,
    space: str,
) -> None:
    wanted = having(made(space), path, [one])
    front.api.apply(wanted, force=False, dry_run=False)
    added_by_somebody(front, wanted, path, other)
    wanted["metadata"]["labels"] = {"later": "true"}
    now = front.api.apply(wanted, force=False, dry_run=False)
    assert now["metadata"]["labels"] == {"later": "true"}
    assert found_in(now, path) == [one, other]
    now = front.api.apply(having(wanted, path, []), force=False, dry_run=False)
    assert found_in(now, path) == [other]


def test_a_list_that_is_one_value_is_anothers_as_a_whole(front: Front, space: str) -> None:
    """The list of the same name in a Pod's spec is one by keys."""
    path, ours, theirs = ("imagePullSecrets",), {"name": "ours"}, {"name": "theirs"}
    wanted = having(named("v1", "ServiceAccount", space), path, [ours])
    front.api.apply(wanted, force=False, dry_run=False)
    added_by_somebody(front, wanted, path, theirs)
    with pytest.raises(Conflict) as caught:
        front.api.apply(wanted, force=False, dry_run=False)
    assert ".imagePullSecrets" in str(caught.value)
    now = front.api.apply(wanted, force=True, dry_run=False)
    assert found_in(now, path) == [ours]


def added_by_somebody(front: Front, obj: Object, path: tuple[str | int, ...], item: Any) -> None:
    def add() -> bool:
        found = json.loads(json.dumps(front.api.get(ref(obj))))
        return _written_by_somebody(front, having(found, path, [*found_in(found, path), item]))

    until(front, add)


def _scaled_by_somebody(front: Front, space: str, replicas: int) -> None:
    def scale() -> bool:
        found = front.api.get(ref(deployment(space)))
        assert found is not None
        return _written_by_somebody(
            front, {**found, "spec": {**found["spec"], "replicas": replicas}}
        )

    until(front, scale)


def _written_by_somebody(front: Front, obj: KubeObject) -> bool:
    """A controller may have written since it was read; whoever writes by hand tries again."""
    try:
        front.somebody_replaces(obj)
    except AssertionError as error:
        assert "the object has been modified" in str(error)
        return False
    return True


def test_who_owns_a_field_is_told(front: Front, space: str) -> None:
    front.api.apply(deployment(space, replicas=2), force=False, dry_run=False)
    _scaled_by_somebody(front, space, 5)
    found = front.api.get(ref(deployment(space)))
    assert found is not None
    owners = {
        entry["manager"]: entry
        for entry in found["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }
    assert set(owners) == {SOMEBODY}
    assert owners[SOMEBODY]["operation"] == "Update"
    assert owners[SOMEBODY]["time"].endswith("Z")


def test_a_dry_run_tells_and_changes_nothing(front: Front, space: str) -> None:
    stored = front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    would_be = front.api.apply(config_map(space, x="7"), force=True, dry_run=True)
    assert would_be["data"] == {"x": "7"}
    found = front.api.get(ref(config_map(space)))
    assert found is not None
    assert found["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


def test_a_dry_run_of_what_is_wrong_is_refused(front: Front, space: str) -> None:
    wrong = deployment(space)
    del wrong["spec"]["template"]["spec"]["containers"][0]["name"]
    wrong["spec"]["template"]["spec"]["containers"] = []
    with pytest.raises(Refused):
        front.api.apply(wrong, force=False, dry_run=True)


def test_an_object_that_is_wrong_is_refused_with_its_field(front: Front, space: str) -> None:
    wrong = deployment(space)
    del wrong["spec"]["template"]["spec"]["containers"][0]["image"]
    with pytest.raises(Refused) as caught:
        front.api.apply(wrong, force=False, dry_run=False)
    assert "image" in str(caught.value)


def test_an_immutable_field_is_refused(front: Front, space: str) -> None:
    front.api.apply(deployment(space), force=False, dry_run=False)
    other = deployment(space)
    other["spec"]["selector"] = {"matchLabels": {"app": "b"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
    with pytest.raises(Refused) as caught:
        front.api.apply(other, force=True, dry_run=False)
    assert "immutable" in str(caught.value)


def test_a_definition_goes_before_what_it_defines_whatever_order_they_come_in(
    front: Front, space: str
) -> None:
    group = f"{space}.example.com"
    stored: list[KubeObject] = []

    def applied() -> bool:
        """A server takes a moment to serve what was just defined; the shell tries again, too."""
        try:
            apply_all(
                front.api,
                (thing(space, group, size=3), definition(group)),
                key=(ServiceName("web"), EnvironmentName("dev")),
                forced=frozenset(),
                known=lambda ref: None,
                on_stored=stored.append,
            )
        except TransientError:
            return False
        return True

    until(front, applied)
    assert [obj["kind"] for obj in (stored[0], stored[-1])] == ["CustomResourceDefinition", "Thing"]
    delete(front, stored[0])
