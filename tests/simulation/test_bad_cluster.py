"""One cluster misbehaves as clusters do: nothing is deleted or reverted, the others go on, it recovers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.errors import (
    AdmissionDenied,
    Conflict,
    Denied,
    Expired,
    ReconcilerError,
    Throttled,
    Unreachable,
)
from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.model.view import View
from reconciler.ports.kube import Propagation
from tests.fakes.world import World, image, pins

GOOD, NEWER = "1.0.0", "1.1.0"
BAD = "prod-2"
"""Of the last wave, beside prod-3."""

Meet = Callable[[str, str], None]


def meeting(error: ReconcilerError, verbs: str = "", kinds: str = "") -> Meet:
    """Meets requests of some verbs and kinds, or all, with an error."""

    def meet(verb: str, kind: str) -> None:
        if (not verbs or verb in verbs.split()) and (not kinds or kind in kinds.split()):
            raise error

    return meet


THEIRS = ("x", "it cannot be done", "the server says so")
CASES = {
    "it refuses our token": meeting(Denied(*THEIRS)),
    "it does not answer in time": meeting(Unreachable(*THEIRS)),
    "it forbids one kind": meeting(Denied(*THEIRS), "list watch", "Deployment"),
    "it says 500 to writes": meeting(Unreachable(*THEIRS), "create update apply delete"),
    "it asks for less": meeting(Throttled(*THEIRS, retry_after_s=3)),
    "its watches expire": meeting(Expired(*THEIRS), "watch"),
    "every write meets another's": meeting(Conflict(*THEIRS), "update apply"),
    "a webhook denies": meeting(AdmissionDenied(*THEIRS), "apply", "Deployment"),
    "lists break off": meeting(Unreachable(*THEIRS), "list"),
}


def test_what_may_not_be_watched_any_more_is_told_at_once() -> None:
    views: list[View] = []
    world = World(on_view=views.append)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.pass_(60)
    assert not views[-1].denied
    world.clusters[BAD].faults.before = CASES["it forbids one kind"]
    assert world.until(lambda: set(views[-1].denied) == {BAD}, 2)


@pytest.mark.parametrize("meet", CASES.values(), ids=CASES.keys())
def test_one_bad_cluster_holds_itself_and_nobody_else(meet: Meet) -> None:
    world = World(drift="correct")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    cluster = world.clusters[BAD]
    cluster.store.forget()
    cluster.faults.before = meet
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.image("prod-3") == image(NEWER), 120), "the others go on"
    world.pass_(60)
    assert not world.told(EventKind.REJECTED)
    assert not [w for w in cluster.audit if w.verb == "delete"]
    assert not world.git.is_down and "Reconciler-Action" not in _last_message(world)
    cluster.faults.before = lambda verb, kind: None
    assert world.until(lambda: world.proven("prod", NEWER), 240), "it recovers by itself"
    assert world.image(BAD) == image(NEWER)


def _last_message(world: World) -> str:
    return world.git.commit_facts(world.git.branches["main"]).message


def test_the_definitions_of_our_records_are_made_again_when_they_are_deleted() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    client = world.clusters[BAD].client()
    name = "servicerecords.reconciler.dev"
    ref = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
    found = client.get(ref)
    assert found is not None
    client.delete(
        ref,
        uid=found["metadata"]["uid"],
        resource_version="",
        propagation=Propagation.BACKGROUND,
    )
    assert world.until(lambda: client.get(ref) is not None, 60)
    assert world.until(lambda: world.service_record(BAD) is not None, 60)
    assert not [
        w for w in world.clusters[BAD].audit if w.kind == "Deployment" and w.verb == "delete"
    ]
    assert world.image(BAD) == image(GOOD)
    assert not world.told(EventKind.REJECTED)


def test_another_cluster_under_a_known_name_is_refused() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    # Somebody swaps two clusters' credentials while the daemon is away.
    world.kill()
    one, other = world.clusters["prod-2"], world.clusters["prod-3"]
    world.clusters["prod-2"], world.clusters["prod-3"] = other, one
    for cluster in world.clusters.values():
        cluster.audit.clear()
    world.engine = world.start("two")
    world.git.merge(pins(NEWER))
    world.pass_(90)
    assert not [w for w in (*one.audit, *other.audit) if w.kind != "Lease"]
    told = [e.message for e in world.told(EventKind.CLUSTER_UNREACHABLE)]
    assert any("it is another cluster" in message for message in told)
