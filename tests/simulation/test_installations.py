"""Two installations meant for the same clusters by mistake: the second writes nothing where the first works."""

from __future__ import annotations

import pytest

from reconciler.model.reasons import Reason
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, Write, image, pins

GOOD, NEWER, BAD = "1.0.0", "1.1.0", "1.2.0"
NAMESPACE = "reconciler-system"
OWN = {"reconciler", "reconciler-clusters", "reconciler-digest-key", "reconciler-head"}
"""What a daemon keeps for itself in its home, by name."""

ANYBODYS = {"CustomResourceDefinition", "Event", "Namespace"}


def another(world: World, *, home: str, installation: str, **settings: object) -> None:
    """Starts a second daemon of another installation, whose epoch is higher wherever it leads."""
    changes = {"home": home, "installation": installation, **settings}
    world.settings = world.settings.model_copy(update=changes)
    if home != "dev-1":
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "reconciler", "namespace": NAMESPACE},
            "spec": {"holderIdentity": "", "leaseTransitions": 50, "leaseDurationSeconds": 1},
        }
        world.clusters[home].client().create(lease)
    world.engine = world.start("two")


def proven_world(installation: str = "blue") -> World:
    world = World()
    world.settings = world.settings.model_copy(update={"installation": installation})
    world.kill()
    world.engine = world.start("first")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    return world


def elsewhere(world: World, holder: str) -> list[Write]:
    """Returns what a daemon has written but for its own things."""
    return [
        write
        for write in world.writes
        if write.holder == holder
        and write.written.name not in OWN
        and write.written.kind not in ANYBODYS
    ]


def reasons(world: World) -> set[str]:
    """Returns why the daemon that was started last holds web, by its own page."""
    view = world.engine.view
    planned = view.services.get("web") if view is not None else None  # type: ignore[call-overload]
    return {str(action.reason) for action in planned.actions} if planned is not None else set()


def owners(world: World) -> set[str]:
    """Returns whom the records name."""
    found = [world.record(environment) for environment in CLUSTERS]
    there = [world.service_record(name) for names in CLUSTERS.values() for name in names]
    return {record.installation for record in (*found, *there) if record is not None}


@pytest.mark.parametrize("home", ["staging-1", "dev-1"], ids=["another home", "the same home"])
def test_the_second_of_two_installations_writes_nothing_where_the_first_works(home: str) -> None:
    world = proven_world()
    another(world, home=home, installation="green")
    world.pass_(10)
    if home == "dev-1":
        # It leads only once the first is gone.
        world.stall("first")
        assert world.until(lambda: Reason.OTHER_INSTALLATION in reasons(world), 60)
        world.resume("first")
    world.git.merge(pins(NEWER))
    world.pass_(60)
    assert reasons(world) == {Reason.OTHER_INSTALLATION}
    assert elsewhere(world, "two") == []
    assert owners(world) == {"blue"}
    if home == "dev-1":
        return
    # The first goes on as if there were no other, also on the way back.
    assert world.until(lambda: world.proven("prod", NEWER))
    world.fates["staging-1", BAD] = Fate.CRASH
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.image("staging-1") == image(BAD))
    assert world.until(lambda: world.image("staging-1") == image(NEWER))
    world.pass_(10)
    assert elsewhere(world, "two") == []


@pytest.mark.parametrize("former", ["blue", "default"])
def test_an_installation_that_was_renamed_goes_on_once_it_says_so(former: str) -> None:
    world = proven_world(former)
    world.kill()
    another(world, home="dev-1", installation="green")
    world.git.merge(pins(NEWER))
    assert world.until(lambda: reasons(world) == {Reason.OTHER_INSTALLATION}, 60)
    world.pass_(30)
    assert elsewhere(world, "two") == [] and owners(world) == {former}
    world.kill()
    world.settings = world.settings.model_copy(update={"installation_formerly": (former,)})
    world.engine = world.start("three")
    assert world.until(lambda: world.proven("prod", NEWER))
    assert owners(world) == {"green"}
    # From then on the former name is not needed any more.
    world.kill()
    world.settings = world.settings.model_copy(update={"installation_formerly": ()})
    world.engine = world.start("four")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.image("prod-3") == image(GOOD))
