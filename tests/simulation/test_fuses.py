"""Fuses at their default limits: what is over them waits for a person; the way back never does."""

from __future__ import annotations

from reconciler.config.settings import FuseSettings
from reconciler.model.events import EventKind
from reconciler.model.records import Rejection, RevertProgress
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.world import CLUSTERS, MANIFESTS, World, image, pin

GOOD, NEWER = "1.0.0", "1.9.0"
HOUR_S = 3600.0
INCIDENT_S = 120.0
"""Services that fail closer together than this are held, and not taken back."""


def release(version: str, *services: str, fate: Fate = Fate.READY) -> dict[str, str]:
    """Returns the pins of a version for some services in every environment."""
    return {
        f"environments/{e}/{service}.yaml": pin(version, fate)
        for e in CLUSTERS
        for service in services
    }


def proven_world(*services: str) -> World:
    """Returns a fleet on which a first release of some services is proven everywhere."""
    world = World()
    edits = release(GOOD, *services)
    for service in services:
        manifests = MANIFESTS.replace("name: web", f"name: {service}")
        edits[f"services/{service}/service.yaml"] = (
            "source: manifests\npolicy: line\nnamespace: web\n"
        )
        edits[f"services/{service}/web.yaml"] = manifests.replace("app: web", f"app: {service}")
    world.git.merge(edits)
    assert world.until(lambda: all(world.proven("prod", GOOD, service) for service in services))
    return world


def fails(world: World, version: str, service: str = "web") -> Rejection:
    """Merges a release that crashes, and returns its rejection once Git has a commit of it."""
    world.git.merge(release(version, service, fate=Fate.CRASH), f"{service} {version}")

    def found() -> Rejection | None:
        record = world.record("dev", service)
        rejections = record.rejections if record is not None else ()
        return next((r for r in rejections if r.revision.release.version == version), None)

    def is_over() -> bool:
        now = found()
        is_told = now is not None and bool(now.revert.commit or now.revert.branch)
        return is_told and now is not None and now.rolled_back_at is not None

    assert world.until(is_over), world.events[-3:]
    now = found()
    assert now is not None
    # What the fuse never stops.
    assert world.image("dev-1", service) == image(GOOD)
    return now


def restart(world: World, *, away_s: float) -> None:
    """Ends the daemon, and starts another one later; it knows what the records say."""
    world.kill()
    world.clock.advance(away_s)
    holder = f"after {away_s:g} s"
    world.engine = world.start(holder)


def is_on_main(world: World, version: str, service: str = "web") -> bool:
    """Whether main takes a version of a service back."""
    reverted = (
        digest_for(Fate.READY, GOOD) in world.git.read(f"environments/prod/{service}.yaml").decode()
    )
    return reverted and version.encode() in world.git.read(f"quarantine/{service}.yaml")


def holds(world: World, service: str) -> set[str]:
    """Returns for what reasons a service was held."""
    return {e.reason for e in world.told(EventKind.HELD) if e.service == service}


def test_the_second_revert_of_a_service_within_an_hour_waits_for_a_person() -> None:
    world = proven_world("web")
    first = fails(world, "1.1.0")
    assert first.revert.branch is None and is_on_main(world, "1.1.0")
    restart(world, away_s=HOUR_S / 2)
    second = fails(world, "1.2.0")
    assert second.revert.commit is None and second.revert.branch in world.git.branches
    assert not is_on_main(world, "1.2.0")
    assert digest_for(Fate.CRASH, "1.2.0") in world.git.read("environments/prod/web.yaml").decode()
    # Nor does another release of it move on, until the hour since the first one is over.
    restart(world, away_s=60)
    world.git.merge(release(NEWER, "web"))
    world.pass_(60)
    assert "FuseBlown" in holds(world, "web") and world.image("dev-1") == image(GOOD)
    restart(world, away_s=HOUR_S / 2)
    assert world.until(lambda: world.proven("prod", NEWER))


def test_the_second_revert_goes_to_main_again_after_an_hour() -> None:
    world = proven_world("web")
    fails(world, "1.1.0")
    restart(world, away_s=HOUR_S)
    second = fails(world, "1.2.0")
    assert second.revert.branch is None and is_on_main(world, "1.2.0")


def test_the_fourth_revert_in_the_fleet_within_an_hour_waits_for_a_person() -> None:
    services = ("web", "api", "store", "worker")
    world = proven_world(*services)
    for number, service in enumerate(services[:3]):
        found = fails(world, f"1.1.{number}", service)
        assert found.revert.branch is None and is_on_main(world, f"1.1.{number}", service)
        restart(world, away_s=INCIDENT_S + number)
    fourth = fails(world, "1.1.3", "worker")
    assert fourth.revert.branch in world.git.branches
    assert not is_on_main(world, "1.1.3", "worker")
    # Nothing of the whole fleet moves on.
    world.git.merge(release(NEWER, "web"))
    world.pass_(30)
    assert "FuseBlown" in holds(world, "web") and world.image("dev-1") == image(GOOD)
    restart(world, away_s=HOUR_S)
    assert world.until(lambda: world.proven("prod", NEWER))


def test_what_is_left_of_a_commit_of_which_too_much_failed_waits_for_a_person() -> None:
    services = ("web", "api", "store")
    world = proven_world(*services)
    world.settings = world.settings.model_copy(
        update={"fuses": FuseSettings(service_an_hour=9, commit_an_hour=1, fleet_an_hour=9)}
    )
    bad = release("1.1.0", "web", "api", fate=Fate.CRASH)
    world.git.merge({**bad, **release(NEWER, "store")}, "everything at once")

    def reverts() -> list[RevertProgress]:
        found = (world.record("dev", service) for service in ("web", "api"))
        return [r.revert for record in found if record is not None for r in record.rejections]

    assert world.until(lambda: len([r for r in reverts() if r.commit or r.branch]) == 2)
    # They were rejected within one turn, and neither commit was made before that.
    assert all(revert.branch in world.git.branches for revert in reverts())
    assert [world.image("dev-1", service) for service in ("web", "api")] == [image(GOOD)] * 2
    world.pass_(60)
    assert world.image("dev-1", "store") == image(NEWER)
    assert world.image("staging-1", "store") == image(GOOD) and "FuseBlown" in holds(world, "store")
    world.git.merge({"README.md": "somebody has looked\n"})
    assert world.until(lambda: world.proven("prod", NEWER, "store"))
