"""Services that turn bad together are held as the platform's, unless their failures name their releases."""

from __future__ import annotations

import pytest

from reconciler.model.events import EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, MANIFESTS, World, image, pin, pins

GOOD, BAD, NEWER = "1.0.0", "1.1.0", "1.2.0"
BOTH = ("web", "api")
API = {
    "services/api/service.yaml": "source: manifests\npolicy: line\nnamespace: web\n",
    "services/api/api.yaml": MANIFESTS.replace("name: web", "name: api").replace(
        "app: web", "app: api"
    ),
}


WEB = {"services/web/web.yaml": MANIFESTS}
ALONE = {
    path: text.replace(
        "spec:\n  replicas: 2\n", "spec:\n  strategy: {type: Recreate}\n  replicas: 2\n"
    )
    for path, text in {**WEB, **API}.items()
}


def release(version: str, *services: str) -> dict[str, str]:
    """Returns the pins of a version for some services in every environment."""
    return {
        f"environments/{e}/{service}.yaml": pin(version) for e in CLUSTERS for service in services
    }


@pytest.fixture
def world() -> World:
    """A fleet on which two services are proven everywhere; the next release of either crashes in dev.

    Old Pods go before new ones come, so that none of them can tell that the platform is well.
    """
    made = World()
    made.git.merge({**ALONE, **release(GOOD, *BOTH)})
    assert made.until(lambda: all(made.proven("prod", GOOD, service) for service in BOTH))
    made.fates["dev-1", BAD] = Fate.CRASH
    return made


def paged(world: World) -> set[str]:
    """Returns the services for which a person was paged because of an incident."""
    return {
        str(e.service)
        for e in world.told(EventKind.HELD)
        if e.reason == "PlatformIncident" and ("page", "true") in e.detail
    }


def has_reverts(world: World) -> bool:
    log = world.git.log(world.git.branches["main"], path=None, most=100)
    return any("Reconciler-Action" in facts.message for facts in log)


def held_together(world: World) -> None:
    world.git.merge(release(BAD, *BOTH), "two releases at once")
    assert world.until(lambda: paged(world) == set(BOTH))


def test_two_services_that_turn_bad_together_are_held_and_nothing_is_taken_back(
    world: World,
) -> None:
    held_together(world)
    world.pass_(300)
    assert not world.told(EventKind.REJECTED)
    assert not has_reverts(world)
    assert [world.image("dev-1", service) for service in BOTH] == [image(BAD)] * 2
    assert [world.image("staging-1", service) for service in BOTH] == [image(GOOD)] * 2
    # Nor does another release of theirs move forward meanwhile.
    world.git.merge(pins(NEWER))
    world.pass_(60)
    assert world.image("dev-1") == image(BAD)


def test_several_bad_services_of_one_commit_are_each_handled_alone_where_old_pods_live(
    world: World,
) -> None:
    world.git.merge({**WEB, **API})
    world.pass_(60)
    world.git.merge(release(BAD, *BOTH), "two releases at once")
    assert world.until(lambda: len(world.told(EventKind.ROLLED_BACK)) == 2)
    assert {e.service for e in world.told(EventKind.REJECTED)} == set(BOTH)
    assert [world.image("dev-1", service) for service in BOTH] == [image(GOOD)] * 2
    assert not paged(world)


def test_it_is_over_once_they_are_healthy_again(world: World) -> None:
    held_together(world)
    world.pass_(60)
    del world.fates["dev-1", BAD]
    assert world.until(lambda: all(world.proven("prod", BAD, service) for service in BOTH))
    assert not world.told(EventKind.REJECTED) and not has_reverts(world)


def test_it_is_over_once_people_have_gone_back_to_what_is_proven(world: World) -> None:
    held_together(world)
    world.pass_(200)
    world.git.merge(release(GOOD, *BOTH), "back")
    assert world.until(
        lambda: {world.image("dev-1", service) for service in BOTH} == {image(GOOD)}, 10
    )
    world.git.merge(release(NEWER, *BOTH), "a better one")
    assert world.until(lambda: all(world.proven("prod", NEWER, service) for service in BOTH))
    assert not world.told(EventKind.REJECTED) and not has_reverts(world)


def test_people_can_go_back_from_what_was_proven_a_moment_ago_too(world: World) -> None:
    del world.fates["dev-1", BAD]
    world.git.merge(release(BAD, *BOTH))
    assert world.until(lambda: all(world.proven("dev", BAD, service) for service in BOTH))
    world.fates["dev-1", BAD] = Fate.CRASH
    assert world.until(lambda: paged(world) == set(BOTH))
    world.git.merge(release(GOOD, *BOTH), "back")
    assert world.until(
        lambda: {world.image("dev-1", service) for service in BOTH} == {image(GOOD)}, 10
    )
    assert not world.told(EventKind.REJECTED) and not has_reverts(world)


def test_one_that_goes_on_failing_alone_is_taken_back(world: World) -> None:
    held_together(world)
    # Long after the other has recovered, and by nothing but its own fault.
    world.git.merge(release(GOOD, "api"), "one of them goes back")
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert {e.service for e in world.told(EventKind.REJECTED)} == {"web"}
    assert world.image("dev-1") == image(GOOD)


@pytest.mark.parametrize(
    ("apart_s", "is_together"),
    [
        pytest.param(60.0, True, id="a minute apart"),
        pytest.param(180.0, False, id="three minutes apart"),
    ],
)
def test_the_second_to_turn_bad_is_held_only_within_two_minutes_of_the_first(
    apart_s: float, is_together: bool, world: World
) -> None:
    world.git.merge(release(BAD, "web"))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    world.pass_(apart_s)
    world.git.merge(release(BAD, "api"))
    world.pass_(60)
    rejected = {e.service for e in world.told(EventKind.REJECTED)}
    assert rejected == ({"web"} if is_together else {"web", "api"})
    assert ("api" in paged(world)) is is_together
    assert world.image("dev-1", "api") == image(BAD if is_together else GOOD)


def test_the_second_is_judged_by_itself_once_the_first_has_been_back_for_two_minutes(
    world: World,
) -> None:
    """What going back has healed was no incident: the second was held for ever."""
    world.git.merge(release(BAD, "web"))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    world.git.merge(release(BAD, "api"))
    assert world.until(lambda: "api" in paged(world), 60)
    assert world.until(lambda: world.image("dev-1", "api") == image(GOOD), 240)
    assert {e.service for e in world.told(EventKind.REJECTED)} == {"web", "api"}


def test_a_registry_that_denies_all_takes_nothing_back_though_old_pods_live() -> None:
    world = World()
    world.git.merge({**WEB, **API, **release(GOOD, *BOTH)})
    assert world.until(lambda: all(world.proven("prod", GOOD, service) for service in BOTH))
    world.fates["dev-1", BAD] = Fate.DENIED
    held_together(world)
    world.pass_(60)
    assert not world.told(EventKind.REJECTED)
