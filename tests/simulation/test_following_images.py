"""A registry that the first environment follows, in virtual time: forward, once, and never on a bad answer."""

from __future__ import annotations

import pytest

from reconciler.config.settings import RegistrySettings
from reconciler.core import reporting
from reconciler.model.answers import NotKnown
from reconciler.model.events import EventKind
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.world import SERVICE, World, env_repo, image, pins
from tests.simulation.test_promoting import DEV_PIN, commits, policy

REPOSITORY = "registry.example.com/web"
GOOD, NEXT, LATER = "1.0.0", "1.1.0", "1.2.0"
POLL_S = 20.0


def followed(text: str, by: str = "auto") -> str:
    """Returns a policy whose first environment follows, too."""
    return text.replace("  dev: {", f"  dev: {{promote: {by}, ")


def world(
    semver: str = "'>=1.0 <2'", more: str = "", by: str = "auto", start: str = GOOD
) -> tuple[World, MemoryRegistry]:
    """Returns a fleet whose first release is proven everywhere, and the registry that it came from."""
    registry = MemoryRegistry()
    push(registry, GOOD)
    push(registry, start)
    made = World(registry=registry)
    made.kill()
    registries = {"registry.example.com": RegistrySettings(poll_s=POLL_S)}
    made.settings = made.settings.model_copy(update={"registries": registries})
    image_policy = f"image_policy: {{repository: {REPOSITORY}, semver: {semver}{more}}}\n"
    files = {
        "services/web/service.yaml": SERVICE + image_policy,
        "policies/line.yaml": followed(policy(), by),
    }
    made.git.merge({**files, **pins(start)})
    made.engine = made.start("first")
    assert made.until(lambda: made.proven("prod", start))
    return made, registry


def push(registry: MemoryRegistry, version: str, fate: Fate = Fate.READY) -> None:
    registry.put(REPOSITORY, version, digest_for(fate, version))


def in_dev(made: World) -> str:
    text = made.git.read(DEV_PIN).decode()
    return text.partition("version: ")[2].partition(" ")[0].strip("'\"")


def explained(made: World) -> dict[str, str]:
    made.engine.turn()
    view = made.engine.view
    assert view is not None
    (row,) = reporting.explain(view, ServiceName("web"), EnvironmentName("dev"))["environments"]
    return {"phase": row["phase"], **row["next"]}


def test_a_tag_that_is_pushed_reaches_every_cluster() -> None:
    made, registry = world()
    push(registry, NEXT)
    push(registry, "2.0.0")
    assert made.until(lambda: made.proven("prod", NEXT), 300)
    assert made.image("prod-1") == image(NEXT) and in_dev(made) == NEXT
    assert len(commits(made)) == 3
    first = commits(made)[-1]
    assert first.startswith(f"Promote web to {NEXT} in dev\n")
    assert "Reconciler-Reason: ImagePolicy\n" in first
    text = made.git.read(DEV_PIN).decode()
    assert text.startswith("# who: the web team") and "# the tag" in text
    made.pass_(10 * POLL_S)
    assert len(commits(made)) == 3


def test_a_tag_that_is_pushed_again_changes_nothing() -> None:
    made, registry = world()
    push(registry, GOOD, Fate.CRASH)
    made.pass_(10 * POLL_S)
    assert commits(made) == [] and explained(made)["reason"] == "Settled"


def test_what_failed_is_not_chosen_again_and_the_next_one_is() -> None:
    made, registry = world()
    push(registry, NEXT, Fate.CRASH)
    assert made.until(lambda: bool(made.told(EventKind.REVERT_PUSHED)), 300)
    made.pass_(10 * POLL_S)
    assert in_dev(made) == GOOD and len(commits(made)) == 1
    push(registry, LATER)
    # The fuse of the service is whole again after an hour.
    assert made.until(lambda: made.proven("prod", LATER), 2 * 3600)


def test_what_a_person_took_back_is_not_chosen_again() -> None:
    made, registry = world()
    push(registry, NEXT)
    assert made.until(lambda: made.proven("prod", NEXT), 300)
    made.git.merge(pins(GOOD), "no")
    made.pass_(10 * POLL_S)
    assert in_dev(made) == GOOD


@pytest.mark.parametrize(
    ("away", "reason"),
    [
        pytest.param(NotKnown("Unreachable", "no answer"), "RegistryUnknown", id="no answer"),
        pytest.param(NotKnown("Denied", "401"), "RegistryUnknown", id="it may not"),
    ],
)
def test_a_registry_that_does_not_answer_moves_nothing_and_is_told(
    away: NotKnown, reason: str
) -> None:
    made, registry = world()
    registry.away = away
    made.pass_(3 * POLL_S)
    said = explained(made)
    assert (said["phase"], said["reason"], said["message"]) == ("Held", reason, away.message)
    assert commits(made) == []
    push(registry, NEXT)
    registry.away = None
    assert made.until(lambda: made.proven("prod", NEXT), 600)


@pytest.mark.parametrize("empty", [True, False], ids=["no tags at all", "none that fits"])
def test_a_registry_without_a_tag_moves_nothing_and_is_told(*, empty: bool) -> None:
    made, registry = world()
    registry.delete(REPOSITORY, digest_for(Fate.READY, GOOD))
    if not empty:
        push(registry, "latest")
    made.pass_(3 * POLL_S)
    assert explained(made)["reason"] == "NothingToFollow"
    assert commits(made) == [] and in_dev(made) == GOOD


@pytest.mark.parametrize(
    ("more", "version"), [("", NEXT), (", downgrade: true", GOOD)], ids=["it stays", "it goes back"]
)
def test_what_is_older_is_followed_only_where_the_policy_says_so(more: str, version: str) -> None:
    made, registry = world("1.x", more)
    push(registry, NEXT)
    assert made.until(lambda: made.proven("prod", NEXT), 300)
    narrow = f"image_policy: {{repository: {REPOSITORY}, semver: '<1.1'{more}}}\n"
    made.git.merge({"services/web/service.yaml": SERVICE + narrow})
    made.pass_(5 * POLL_S)
    assert in_dev(made) == version
    if not more:
        assert "older than 1.1.0" in explained(made)["message"]


def test_where_only_people_pin_nothing_is_asked() -> None:
    made, registry = world(by="manual")
    push(registry, NEXT)
    asked = registry.asked
    made.pass_(5 * POLL_S)
    assert registry.asked == asked and in_dev(made) == GOOD
    said = explained(made)
    assert "its image policy moves nothing" in said["unblock"]


def test_a_change_of_the_policy_alone_is_no_new_release() -> None:
    made, _ = world()
    record = made.record("prod")
    assert record is not None
    was = record.admitted
    text = SERVICE + f"image_policy: {{repository: {REPOSITORY}, semver: '1.x'}}\n"
    made.git.merge({"services/web/service.yaml": text})
    made.pass_(60)
    record = made.record("prod")
    assert record is not None and was is not None and record.admitted is not None
    assert record.admitted.identity == was.identity
    assert env_repo()["services/web/service.yaml"] == SERVICE


def test_a_daemon_that_comes_after_chooses_the_same_once() -> None:
    made, registry = world()
    push(registry, NEXT)
    made.git.breaks_off = True
    assert made.until(lambda: in_dev(made) == NEXT, 200)
    made.kill()
    made.git.breaks_off = False
    made.start("two")
    assert made.until(lambda: made.proven("prod", NEXT), 300)
    assert len(commits(made)) == 3
