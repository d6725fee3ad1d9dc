"""A cluster that takes no claim: what is told is steady, names the object, and wakes a person in time."""

from __future__ import annotations

import pytest

from reconciler.errors import AdmissionDenied, Denied, OperatorError, Refused
from reconciler.model.events import PAGE, Event, EventKind
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World, image, pins

GOOD, NEW = "1.0.0", "1.1.0"
DEADLINE_S = 60.0
"""The world's policy's."""

RECORD = "ServiceRecord/reconciler-system/web.staging"
REFUSALS = [
    Denied(RECORD, "cannot update it", "HTTP 403, Forbidden", "grant the right by RBAC"),
    AdmissionDenied(RECORD, "cannot update it", "denied the request", "change the rule"),
    Refused(RECORD, "cannot update it", "a rule of its definition"),
]


def proven_world() -> World:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.pass_(DEADLINE_S)
    return world


def refuse(world: World, cluster: str, error: OperatorError) -> None:
    """Lets a cluster take no service record any more."""

    def meet(holder: str, asked: str, verb: str, kind: str) -> None:
        if (asked, kind) == (cluster, "ServiceRecord") and verb in ("create", "update"):
            raise error

    world.before = meet


def mend(world: World) -> None:
    world.before = lambda *asked: None


def restart(world: World, cluster: str) -> None:
    """Deletes the Pods of web on a cluster."""
    store, client = world.clusters[cluster].store, world.clusters[cluster].client()
    served = store.served("v1", "Pod")
    assert served is not None
    for pod in list(store.peek(served, "web")):
        meta = pod["metadata"]
        client.delete(
            ObjectRef("v1", "Pod", "web", meta["name"]),
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            propagation=Propagation.BACKGROUND,
        )


def holds(world: World, environment: str) -> list[Event]:
    """Returns the holds since the first failure of a claim."""
    began = world.told(EventKind.APPLY_FAILED)[0].at
    return [e for e in world.told(EventKind.HELD) if e.environment == environment and e.at >= began]


@pytest.mark.parametrize("error", REFUSALS, ids=["403", "a webhook", "the definition"])
def test_it_is_told_steadily_and_pages_after_the_deadline(error: OperatorError) -> None:
    world = proven_world()
    refuse(world, "staging-1", error)
    world.git.merge(pins(NEW))
    assert world.until(lambda: bool(world.told(EventKind.APPLY_FAILED)))
    world.pass_(DEADLINE_S - 5)
    (told,) = holds(world, "staging")
    assert (told.reason, PAGE in told.detail) == ("Progressing", False)
    assert RECORD in told.message and error.why in told.message and error.fix in told.message
    world.pass_(2 * DEADLINE_S)
    _, late = holds(world, "staging")
    assert (late.reason, PAGE in late.detail) == ("ProgressDeadline", True)
    assert DEADLINE_S - 1 <= (late.at - told.at).total_seconds() <= DEADLINE_S + 30
    assert RECORD in late.message
    assert world.image("staging-1") == image(GOOD) and not world.told(EventKind.REJECTED)
    mend(world)
    assert world.until(lambda: world.proven("prod", NEW))


def test_a_way_back_that_may_not_be_claimed_says_so_and_pages() -> None:
    world = proven_world()
    world.fates["dev-1", NEW] = Fate.CRASH
    world.git.merge(pins(NEW))
    assert world.until(lambda: world.image("dev-1") == image(NEW))
    refuse(world, "dev-1", REFUSALS[0])
    assert world.until(lambda: bool(world.told(EventKind.APPLY_FAILED)))
    world.pass_(2 * DEADLINE_S)
    last = holds(world, "dev")[-1]
    assert (last.reason, PAGE in last.detail) == ("RollingBack", True) and RECORD in last.message
    mend(world)
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.image("dev-1") == image(GOOD)


def test_what_is_rejected_is_given_to_no_further_cluster_where_nothing_is_proven() -> None:
    world = World()
    refuse(world, "prod-2", REFUSALS[0])
    world.git.merge(pins(NEW))
    assert world.until(lambda: bool(world.told(EventKind.APPLY_FAILED)))
    world.fates["prod-1", NEW] = Fate.CRASH
    restart(world, "prod-1")
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)))
    mend(world)
    world.pass_(DEADLINE_S)
    assert world.image("prod-1") == image(NEW) and world.image("prod-2") is None
    assert holds(world, "prod")[-1].reason == "NothingProven"


def test_what_was_ordered_before_a_person_went_back_does_not_come_later() -> None:
    world = proven_world()
    refuse(world, "prod-2", REFUSALS[0])
    world.git.merge(pins(NEW))
    assert world.until(lambda: bool(world.told(EventKind.APPLY_FAILED)))
    assert world.image("prod-1") == image(NEW)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.image("prod-1") == image(GOOD))
    mend(world)
    world.pass_(2 * DEADLINE_S)
    applied = [e for e in world.told(EventKind.APPLIED) if e.cluster == "prod-2"]
    assert {e.revision.release.version for e in applied if e.revision} == {GOOD}


def test_what_was_rejected_is_not_given_later_to_a_cluster_that_is_being_read() -> None:
    world = proven_world()
    refuse(world, "prod-2", REFUSALS[0])
    refused = world.before

    def unread(holder: str, cluster: str, verb: str, kind: str) -> None:
        if (cluster, kind) == ("prod-2", "Pod") and verb in ("list", "watch"):
            raise Denied(f"{kind} on prod-2", "cannot be listed", "HTTP 403, Forbidden")

    def both(*asked: str) -> None:
        refused(*asked)
        unread(*asked)

    world.git.merge(pins(NEW))
    assert world.until(lambda: bool(world.told(EventKind.APPLY_FAILED)))
    world.before = both
    world.clusters["prod-2"].store.forget()
    world.pass_(DEADLINE_S)  # The watch of its Pods has ended, and cannot begin again.
    world.fates["prod-1", NEW] = Fate.CRASH
    restart(world, "prod-1")
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)))
    world.before = unread
    world.pass_(2 * DEADLINE_S)
    assert world.image("prod-1") == image(GOOD)
    assert world.image("prod-2") == image(GOOD)
