"""What the shell relies on of a cluster, checked on every front of it."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress

import pytest

from reconciler.errors import Conflict, Expired, NotServed, Refused, TransientError
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Change, WatchEvent
from reconciler.simulated.behaviour import Fate, digest_for
from tests.contract.kube_fronts import Front
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

# Kinds.


def test_a_kind_that_is_served_is_described(front: Front) -> None:
    info = front.api.kind("apps/v1", "Deployment")
    assert info is not None and (info.plural, info.namespaced) == ("deployments", True)
    assert front.api.kind("v1", "Namespace").namespaced is False  # type: ignore[union-attr]


def test_a_kind_that_is_not_served_is_none(front: Front) -> None:
    assert front.api.kind("example.com/v1", "Nothing") is None
    assert front.api.kind("v1", "Nothing") is None


def test_an_object_of_a_kind_that_is_not_served_is_refused(front: Front, space: str) -> None:
    for write in (front.api.create, lambda o: front.api.apply(o, force=False, dry_run=False)):
        with pytest.raises(NotServed):
            write(thing(space, "unserved.example.com"))
    with pytest.raises(NotServed):
        front.api.list("unserved.example.com/v1", "Thing", namespace=None, label_selector="")


def test_a_kind_comes_and_goes_with_its_definition(front: Front, space: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    version = f"{group}/v1"
    assert front.api.kind(version, "Thing") is None
    defined = front.api.apply(definition(group), force=False, dry_run=False)
    until(front, lambda: front.api.kind(version, "Thing") is not None)
    until(front, lambda: _is_listed(front, version))
    front.api.create(thing(space, group, size=3))
    assert len(front.api.list(version, "Thing", namespace=space, label_selector="").items) == 1
    delete(front, defined)
    until(front, lambda: not _is_listed(front, version))
    assert front.api.kind(version, "Thing") is None
    # It comes back under another name of its own.
    other = front.api.apply(definition(group, plural="items"), force=False, dry_run=False)
    until(front, lambda: front.api.kind(version, "Thing") is not None)
    assert front.api.kind(version, "Thing").plural == "items"  # type: ignore[union-attr]
    until(front, lambda: _is_listed(front, version))
    listing = front.api.list(version, "Thing", namespace=space, label_selector="")
    assert not listing.items
    delete(front, other)


def _is_listed(front: Front, version: str) -> bool:
    try:
        front.api.list(version, "Thing", namespace=None, label_selector="")
    except NotServed:
        return False
    return True


# Reads and plain writes.


def test_what_is_not_there_is_none(front: Front, space: str) -> None:
    assert front.api.get(ref(config_map(space))) is None


def test_what_was_created_is_read_back_and_is_not_created_twice(front: Front, space: str) -> None:
    front.api.create(config_map(space, x="1"))
    found = front.api.get(ref(config_map(space)))
    assert found is not None and found["data"] == {"x": "1"}
    with pytest.raises(Conflict):
        front.api.create(config_map(space, x="2"))


def test_a_namespace_that_is_not_there_may_come(front: Front) -> None:
    for write in (front.api.create, lambda o: front.api.apply(o, force=False, dry_run=False)):
        with pytest.raises(TransientError) as caught:
            write(config_map("nowhere"))
        assert "nowhere" in str(caught.value)


def test_a_replace_of_what_is_gone_comes_too_late(front: Front, space: str) -> None:
    made = front.api.create(config_map(space))
    delete(front, made)
    with pytest.raises(Conflict):
        front.api.replace(made, subresource=None)


def test_a_replace_counts_only_on_the_version_it_names(front: Front, space: str) -> None:
    was = front.api.create(config_map(space, x="1"))
    now = front.api.replace({**was, "data": {"x": "2"}}, subresource=None)
    assert now["data"] == {"x": "2"}
    with pytest.raises(Conflict):
        front.api.replace({**was, "data": {"x": "3"}}, subresource=None)


def test_a_replace_counts_only_for_the_object_it_names(front: Front, space: str) -> None:
    was = front.api.create(config_map(space, x="1"))
    delete(front, was)
    front.api.create(config_map(space, x="1"))
    meta = {k: v for k, v in was["metadata"].items() if k != "resourceVersion"}
    with pytest.raises(Conflict):
        front.api.replace({**was, "metadata": meta}, subresource=None)


def test_a_replace_of_the_same_changes_nothing(front: Front, space: str) -> None:
    was = front.api.create(config_map(space, x="1"))
    now = front.api.replace(was, subresource=None)
    assert now["metadata"]["resourceVersion"] == was["metadata"]["resourceVersion"]


def test_text_of_a_secret_is_stored_as_data(front: Front, space: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "one", "namespace": space},
        "stringData": {"x": "hello"},
    }
    stored = front.api.apply(secret, force=False, dry_run=False)
    assert stored["data"] == {"x": "aGVsbG8="}
    assert stored["type"] == "Opaque"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        pytest.param({"data": {"x": "y" * 1_500_000}}, "Too long", id="it is 1.5 MB"),
        pytest.param({"metadata": {"name": "Not A Name"}}, "metadata.name", id="its name"),
    ],
)
def test_an_object_that_cannot_be_is_refused(
    wrong: Object, why: str, front: Front, space: str
) -> None:
    obj = config_map(space)
    obj["data"] = wrong.get("data", {})
    obj["metadata"] |= wrong.get("metadata", {})
    for write in (front.api.create, lambda o: front.api.apply(o, force=False, dry_run=False)):
        with pytest.raises(Refused) as caught:
            write(obj)
        assert why in str(caught.value)


# Deleting.


def test_a_delete_counts_only_for_the_object_it_names(front: Front, space: str) -> None:
    made = front.api.create(config_map(space))
    with pytest.raises(Conflict):
        delete(front, {**made, "metadata": {**made["metadata"], "uid": str(uuid.uuid4())}})
    now = front.api.replace({**made, "data": {"x": "2"}}, subresource=None)
    with pytest.raises(Conflict):
        delete(front, made, version=True)
    delete(front, now, version=True)
    assert front.api.get(ref(made)) is None
    # Once more is nothing to do.
    delete(front, now)


def test_a_recreated_object_is_another_and_is_not_deleted_in_the_place_of_the_first(
    front: Front, space: str
) -> None:
    first = front.api.create(config_map(space))
    delete(front, first)
    second = front.api.create(config_map(space))
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    with pytest.raises(Conflict):
        delete(front, first)
    assert front.api.get(ref(second)) is not None


def test_a_finalizer_holds_what_is_deleted_until_it_is_taken_off(front: Front, space: str) -> None:
    obj = config_map(space)
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    made = front.api.create(obj)
    delete(front, made)
    found = front.api.get(ref(obj))
    assert found is not None and "deletionTimestamp" in found["metadata"]
    front.api.replace(
        {**found, "metadata": {**found["metadata"], "finalizers": []}}, subresource=None
    )
    assert front.api.get(ref(obj)) is None


def test_nothing_new_comes_into_a_namespace_that_is_on_its_way_out(
    front: Front, space: str
) -> None:
    held = config_map(space, "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    front.api.create(held)
    whole = front.api.get(ObjectRef("v1", "Namespace", "", space))
    assert whole is not None
    delete(front, whole)
    for write in (front.api.create, lambda o: front.api.apply(o, force=True, dry_run=False)):
        with pytest.raises(TransientError) as caught:
            write(config_map(space, "late"))
        assert not isinstance(caught.value, Conflict)
        assert "terminated" in str(caught.value)
    assert (front.api.get(ref(whole)) or {})["status"]["phase"] == "Terminating"

    def freed() -> bool:
        if (found := front.api.get(ref(held))) is None:
            return True
        meta = {**found["metadata"], "finalizers": []}
        with suppress(Conflict):  # It may be gone as soon as nothing holds it.
            front.api.replace({**found, "metadata": meta}, subresource=None)
        return False

    until(front, freed)
    until(front, lambda: front.api.get(ObjectRef("v1", "Namespace", "", space)) is None)


# Lists and watches.


def test_a_list_is_whole_and_chosen_by_labels(front: Front, space: str) -> None:
    for number in range(7):
        front.api.create(config_map(space, f"map-{number}"))
    other = config_map(space, "other")
    other["metadata"]["labels"] = {"a": "c"}
    front.api.create(other)
    listing = front.api.list("v1", "ConfigMap", namespace=space, label_selector="a=b")
    assert [o["metadata"]["name"] for o in listing.items] == [f"map-{n}" for n in range(7)]
    assert {o["kind"] for o in listing.items} == {"ConfigMap"}
    everywhere = front.api.list("v1", "ConfigMap", namespace=None, label_selector="a")
    assert len(everywhere.items) >= 8


def watched(
    front: Front, space: str, version: str, count: int, *, selector: str = "", timeout_s: float = 20
) -> list[WatchEvent]:
    """Returns the first events of a watch; bookmarks do not count."""
    found: list[WatchEvent] = []
    events = front.api.watch(
        "v1",
        "ConfigMap",
        namespace=space,
        label_selector=selector,
        resource_version=version,
        timeout_s=timeout_s,
    )
    for event in events:
        if event.change is not Change.BOOKMARK:
            found.append(event)
        if len(found) == count:
            break
    return found


def test_a_watch_tells_what_happened_since(front: Front, space: str) -> None:
    listing = front.api.list("v1", "ConfigMap", namespace=space, label_selector="")
    front.api.create(config_map(space, x="1"))
    last = front.api.apply(config_map(space, x="2"), force=True, dry_run=False)
    delete(front, last)
    seen = watched(front, space, listing.resource_version, 3)
    assert [e.change for e in seen] == [Change.ADDED, Change.MODIFIED, Change.DELETED]
    assert [e.object["data"]["x"] for e in seen] == ["1", "2", "2"]
    versions = [int(e.object["metadata"]["resourceVersion"]) for e in seen]
    assert versions == sorted(set(versions))


def test_an_object_leaves_a_watch_with_the_label_that_chose_it(front: Front, space: str) -> None:
    listing = front.api.list("v1", "ConfigMap", namespace=space, label_selector="a=b")
    made = front.api.create(config_map(space, x="1"))
    meta = {**made["metadata"], "labels": {}}
    without = front.api.replace({**made, "metadata": meta}, subresource=None)
    meta = {**without["metadata"], "labels": {"a": "b"}}
    front.api.replace({**without, "metadata": meta}, subresource=None)
    seen = watched(front, space, listing.resource_version, 3, selector="a=b")
    assert [e.change for e in seen] == [Change.ADDED, Change.DELETED, Change.ADDED]
    assert seen[1].object["metadata"]["resourceVersion"] == without["metadata"]["resourceVersion"]


def test_a_watch_ends_by_itself_and_its_last_bookmark_is_a_place_to_go_on_from(
    front: Front, space: str
) -> None:
    made = front.api.create(config_map(space, x="1"))
    seen: list[WatchEvent] = []

    def follow() -> None:
        version = made["metadata"]["resourceVersion"]
        seen.extend(
            front.api.watch(
                "v1",
                "ConfigMap",
                namespace=space,
                label_selector="",
                resource_version=version,
                timeout_s=5,
            )
        )

    watching = threading.Thread(target=follow)
    watching.start()
    # A bookmark is sent only where there is news: that something happens elsewhere.
    watching.join(0.3)
    elsewhere = front.api.create(config_map("default", f"of-{space}"))
    while watching.is_alive():
        written = config_map("default", f"of-{space}", at=str(time.monotonic()))
        elsewhere = front.api.apply(written, force=True, dry_run=False)
        watching.join(0.3)
    assert {e.change for e in seen} == {Change.BOOKMARK}
    place = seen[-1].object["metadata"]["resourceVersion"]
    assert int(place) >= int(made["metadata"]["resourceVersion"])
    delete(front, elsewhere)
    front.api.apply(config_map(space, x="2"), force=True, dry_run=False)
    (event,) = watched(front, space, place, 1)
    assert event.object["data"] == {"x": "2"}


def test_a_watch_from_too_long_ago_has_expired(front: Front, space: str) -> None:
    front.api.create(config_map(space))
    front.forget_history()
    with pytest.raises(Expired):
        watched(front, space, "1", 1)


def test_a_watch_from_a_version_yet_to_come_is_silent(front: Front, space: str) -> None:
    """As after a restored backup: no event, no bookmark and no error; only its silence tells."""
    version = front.api.create(config_map(space))["metadata"]["resourceVersion"]
    events = front.api.watch(
        "v1",
        "ConfigMap",
        namespace=space,
        label_selector="",
        resource_version=str(int(version) + 1_000_000),
        timeout_s=4,
    )
    assert not list(events)


def test_two_writers_never_both_win(front: Front, space: str) -> None:
    front.api.create(config_map(space, x="0"))
    won: list[int] = []

    def add() -> None:
        for _ in range(10):
            found = front.api.get(ref(config_map(space)))
            assert found is not None
            value = str(int(found["data"]["x"]) + 1)
            try:
                front.api.replace({**found, "data": {"x": value}}, subresource=None)
            except Conflict:
                continue
            won.append(1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = front.api.get(ref(config_map(space)))
    assert found is not None and int(found["data"]["x"]) == len(won)


# Workloads.


def waiting(front: Front, space: str) -> set[tuple[str, int]]:
    """Returns why containers wait, and how often each was started again."""
    pods = front.api.list("v1", "Pod", namespace=space, label_selector="app=a")
    return {
        (container["state"]["waiting"]["reason"], container["restartCount"])
        for pod in pods.items
        for container in pod.get("status", {}).get("containerStatuses") or ()
        if "waiting" in container["state"]
    }


def test_pods_become_ready(front: Front, space: str) -> None:
    front.api.apply(deployment(space), force=False, dry_run=False)

    def available() -> bool:
        found = front.api.get(ref(deployment(space)))
        assert found is not None
        status = found.get("status") or {}
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return bool(current and status.get("availableReplicas") == 2)

    until(front, available)


@pytest.mark.parametrize(
    ("fate", "reasons", "restarts"),
    [
        pytest.param(Fate.CRASH, {"CrashLoopBackOff"}, 2, id="they crash"),
        pytest.param(Fate.NO_IMAGE, {"ErrImagePull", "ImagePullBackOff"}, 0, id="no such image"),
        pytest.param(Fate.NO_CONFIG, {"CreateContainerConfigError"}, 0, id="no such ConfigMap"),
    ],
)
def test_pods_fail_as_their_image_says(
    fate: Fate, reasons: set[str], restarts: int, front: Front, space: str
) -> None:
    image = f"example.com/a@{digest_for(fate)}"
    front.api.apply(deployment(space, image=image, replicas=1), force=False, dry_run=False)

    def seen() -> bool:
        return any(why in reasons and count >= restarts for why, count in waiting(front, space))

    until(front, seen)
