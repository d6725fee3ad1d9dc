"""What a person's tool applied, and is ours since: it comes over, is checked on every front, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from reconciler.errors import Conflict
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.shell.executor.applying import FIELD_CONFLICT, CannotApply, apply_all
from tests.contract.kube_fronts import CONNECTED, SOMEBODY, Front, kubectl
from tests.contract.kube_objects import Object, config_map, delete, deployment, ref, until

APPLY = ("apply",)
HOWS = [APPLY, ("apply", "--server-side"), ("create",), ("create", "--save-config")]
LATER = "example.com/a:2"


def by_hand(front: Front, obj: Object, how: Iterable[str] = APPLY) -> None:
    """Writes an object with the real kubectl."""
    kubectl(front.kubeconfig, *how, "-f", "-", text=json.dumps(obj))


def release(front: Front, obj: Object, *, force: bool = False) -> Object:
    """Delivers an object as the shell does."""
    stored: list[KubeObject] = []
    apply_all(
        front.api,
        (obj,),
        key=(ServiceName("web"), EnvironmentName("dev")),
        forced={ref(obj)} if force else frozenset(),
        known=front.api.get,
        on_stored=stored.append,
    )
    return dict(stored[0])


def live(front: Front, obj: Object) -> Object:
    found = front.api.get(ref(obj))
    assert found is not None
    return dict(found)


def managers(obj: KubeObject) -> set[tuple[str, str, str]]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in obj["metadata"]["managedFields"]
    }


def container(obj: KubeObject) -> Object:
    return dict(obj["spec"]["template"]["spec"]["containers"][0])


def without_env(obj: Object) -> Object:
    del obj["spec"]["template"]["spec"]["containers"][0]["env"]
    return obj


# The port.


def test_managers_are_written_and_nothing_else(front: Front, space: str) -> None:
    front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    front.somebody_replaces({**live(front, config_map(space)), "data": {"x": "1", "y": "2"}})
    was = live(front, config_map(space))
    ours = [e for e in was["metadata"]["managedFields"] if e["manager"] != SOMEBODY]
    assert len(ours) < len(was["metadata"]["managedFields"])
    now = front.api.reassign(was, ours)
    assert now["metadata"]["managedFields"] == ours
    assert now["metadata"]["resourceVersion"] != was["metadata"]["resourceVersion"]
    for obj in (was, now):
        obj["metadata"].update(managedFields=None, resourceVersion=None)
    assert now == was
    now = front.api.apply(config_map(space, x="1", y="3"), force=False, dry_run=False)
    assert now["data"] == {"x": "1", "y": "3"}


def test_managers_are_written_to_the_version_that_was_seen_alone(front: Front, space: str) -> None:
    was = front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    front.api.apply(config_map(space, x="2"), force=False, dry_run=False)
    with pytest.raises(Conflict):
        front.api.reassign(was, was["metadata"]["managedFields"])
    now = live(front, config_map(space))
    delete(front, now)
    with pytest.raises(Conflict):
        front.api.reassign(now, now["metadata"]["managedFields"])
    again = front.api.apply(config_map(space, x="1"), force=False, dry_run=False)
    with pytest.raises(Conflict):
        front.api.reassign(now, now["metadata"]["managedFields"])
    assert live(front, config_map(space)) == again


def test_what_controllers_hold_of_a_status_is_kept(front: Front, space: str) -> None:
    front.api.apply(deployment(space), force=False, dry_run=False)
    status = ("kube-controller-manager", "Update", "status")

    def written() -> bool:
        was = live(front, deployment(space))
        if status not in managers(was):
            return False
        try:
            now = front.api.reassign(was, was["metadata"]["managedFields"])
        except Conflict:
            return False
        return status in managers(now)

    until(front, written)


@pytest.mark.parametrize(("subresource", "is_taken"), [(None, True), ("status", False)])
def test_managers_that_come_with_a_whole_object_are_taken_from_it_alone(
    front: Front, space: str, subresource: str | None, is_taken: bool
) -> None:
    front.api.apply(deployment(space), force=False, dry_run=False)

    def written() -> bool:
        was = live(front, deployment(space))
        entry = next(e for e in was["metadata"]["managedFields"] if e["operation"] == "Apply")
        was["metadata"]["managedFields"] = [{**entry, "manager": SOMEBODY}]
        try:
            front.api.replace(was, subresource=subresource)
        except Conflict:
            return False
        return True

    until(front, written)
    found = {name for name, how, _ in managers(live(front, deployment(space))) if how == "Apply"}
    assert found == ({SOMEBODY} if is_taken else {"reconciler"})


# By the real kubectl.


@CONNECTED
@pytest.mark.parametrize("how", HOWS, ids=" ".join)
def test_the_release_after_an_adoption_changes_what_kubectl_had_applied(
    front: Front, space: str, how: tuple[str, ...]
) -> None:
    by_hand(front, deployment(space), how)
    was = live(front, deployment(space))
    adopted = release(front, deployment(space))
    assert adopted["metadata"]["generation"] == was["metadata"]["generation"]
    assert adopted["spec"] == was["spec"], "an adoption changes nothing of what runs"
    wanted = without_env(deployment(space, replicas=3, image=LATER))
    # kubectl holds what the server filled in.
    wanted["spec"]["revisionHistoryLimit"] = 3
    now = release(front, wanted)
    assert (now["spec"]["replicas"], now["spec"]["revisionHistoryLimit"]) == (3, 3)
    assert container(now)["image"] == LATER
    assert not container(now).get("env"), "what a release leaves out is removed"


@CONNECTED
@pytest.mark.parametrize("how", HOWS[:2], ids=" ".join)
def test_what_was_adopted_before_anything_was_taken_over_is_helped_by_the_next_release(
    front: Front, space: str, how: tuple[str, ...]
) -> None:
    """As an earlier daemon left it, or one that died just after it had applied."""
    by_hand(front, deployment(space), how)
    front.api.apply(deployment(space), force=False, dry_run=False)
    with pytest.raises(Conflict):
        front.api.apply(deployment(space, image=LATER), force=False, dry_run=False)
    now = release(front, without_env(deployment(space, image=LATER)))
    assert container(now)["image"] == LATER and not container(now).get("env")


@CONNECTED
def test_what_kubectl_applied_and_we_never_named_stays_as_it_is(front: Front, space: str) -> None:
    by_hand(front, config_map(space, x="1", theirs="1"))
    release(front, config_map(space, x="1"))
    assert release(front, config_map(space, x="2"))["data"] == {"x": "2", "theirs": "1"}
    assert release(front, config_map(space, x="2", theirs="3"))["data"]["theirs"] == "3"


@CONNECTED
@pytest.mark.parametrize("how", [APPLY, ("apply", "--server-side", "--force-conflicts")])
def test_what_kubectl_applies_after_an_adoption_is_a_conflict_as_ever(
    front: Front, space: str, how: tuple[str, ...]
) -> None:
    by_hand(front, config_map(space, x="1", y="1"))
    release(front, config_map(space, x="1", y="1"))
    by_hand(front, config_map(space, x="by hand", y="1"), how)
    for asked in (config_map(space, x="1", y="1"), config_map(space, x="2", y="1")):
        with pytest.raises(CannotApply) as caught:
            release(front, asked)
        assert caught.value.reason == FIELD_CONFLICT
    assert live(front, config_map(space))["data"] == {"x": "by hand", "y": "1"}
    assert release(front, config_map(space, x="1"), force=True)["data"] == {"x": "1"}


@CONNECTED
def test_what_is_edited_after_an_adoption_is_a_conflict_as_ever(front: Front, space: str) -> None:
    by_hand(front, config_map(space, x="1"))
    release(front, config_map(space, x="1"))
    patch = ("patch", "configmap", "one", "-n", space, "-p", '{"data": {"x": "by hand"}}')
    kubectl(front.kubeconfig, *patch)
    with pytest.raises(CannotApply) as caught:
        release(front, config_map(space, x="2"))
    assert 'conflict with "kubectl-patch"' in str(caught.value.error)


@CONNECTED
def test_what_was_scaled_is_left_to_who_scaled_it(front: Front, space: str) -> None:
    by_hand(front, deployment(space))
    kubectl(front.kubeconfig, "scale", "deployment", "a", "-n", space, "--replicas=5")
    release(front, deployment(space, replicas=5))
    with pytest.raises(CannotApply) as caught:
        release(front, deployment(space, replicas=3))
    assert caught.value.reason == FIELD_CONFLICT
    assert ("kubectl", "Update", "scale") in managers(live(front, deployment(space)))


@CONNECTED
def test_the_field_of_a_controller_is_no_persons(front: Front, space: str) -> None:
    by_hand(front, config_map(space, x="1", y="1"))
    front.somebody_replaces({**live(front, config_map(space)), "data": {"x": "2", "y": "1"}})
    release(front, config_map(space, x="2", y="1"))
    with pytest.raises(CannotApply) as caught:
        release(front, config_map(space, x="3", y="2"))
    assert f'1 conflict: conflict with "{SOMEBODY}"' in str(caught.value.error)
