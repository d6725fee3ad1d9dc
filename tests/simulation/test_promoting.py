"""Pins that write themselves, in virtual time: in order, once, never backwards, and whatever dies in between."""

from __future__ import annotations

import pytest

from reconciler.core import reporting
from reconciler.errors import Unreachable
from reconciler.model.events import EventKind
from reconciler.model.fleet import Mode
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.release import Release
from reconciler.schema.edit import promote
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.world import CLUSTERS, FLEET, MANIFESTS, POLICY, SERVICE, World, image, pin, pins

GOOD, NEXT, LATER = "1.0.0", "1.1.0", "1.2.0"
DEV_PIN, STAGING_PIN, PROD_PIN = (f"environments/{e}/web.yaml" for e in CLUSTERS)


def policy(by: str = "auto", **others: str) -> str:
    """Returns the world's policy, in which some environments have their pins moved."""
    text = POLICY.replace("DRIFT", "report")
    for environment in ("staging", "prod"):
        said = others.get(environment, by)
        head, found, tail = text.partition(f"  {environment}: {{")
        if found:
            text = f"{head}{found}promote: {said}, {tail}"
        else:
            text = text.replace(f"  {environment}:\n", f"  {environment}:\n    promote: {said}\n")
    return text


def world(by: str = "auto", **options: object) -> World:
    """Returns a fleet on which a first release is proven everywhere."""
    made = World(**options)  # type: ignore[arg-type]
    made.git.merge({"policies/line.yaml": policy(by), **pins(GOOD)})
    assert made.until(lambda: made.proven("prod", GOOD))
    return made


def pinned(made: World, environment: str, service: str = "web") -> str:
    """Returns the image's digest in a pin, by the version that it is made from."""
    text = made.git.read(f"environments/{environment}/{service}.yaml").decode()
    versions = (GOOD, NEXT, LATER)
    return next(v for v in versions if digest_for(Fate.READY, v) in text)


def commits(made: World, branch: str = "main") -> list[str]:
    """Returns the messages of the daemon's promotions, newest first."""
    log = made.git.log(made.git.branches[branch], path=None, most=100)
    return [f.message for f in log if "Reconciler-Action: promote\n" in f.message]


def explained(made: World, environment: str) -> dict[str, str]:
    """Returns what `explain` says comes next in an environment."""
    made.engine.turn()
    view = made.engine.view
    assert view is not None
    document = reporting.explain(view, ServiceName("web"), EnvironmentName(environment))
    (row,) = document["environments"]
    return {"phase": row["phase"], **row["next"]}


def test_a_release_pinned_in_the_first_environment_goes_to_the_last_by_itself() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: pinned(made, "staging") == NEXT)
    # Not before it was proven in dev, and no further than that.
    assert made.proven("dev", NEXT) and not made.proven("staging", NEXT)
    assert pinned(made, "prod") == GOOD
    assert made.until(lambda: made.proven("prod", NEXT))
    assert len(commits(made)) == 2
    text = made.git.read(PROD_PIN).decode()
    assert text.startswith("# who: the web team") and "# the tag" in text
    newest = commits(made)[0]
    assert newest.startswith("Promote web to 1.1.0 in prod\n")
    record = made.record("prod")
    assert record is not None and record.admitted is not None
    assert f"Reconciler-To: {record.admitted.id}\n" in newest
    assert "Reconciler-Service: web\nReconciler-Environments: prod\n" in newest
    assert len(made.told(EventKind.PIN_MOVED)) == 2


def test_a_person_s_revert_is_not_promoted_again() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("staging", NEXT))
    made.git.merge({STAGING_PIN: pin(GOOD), PROD_PIN: pin(GOOD)}, "no, it is slow")
    made.pass_(120)
    assert (pinned(made, "staging"), pinned(made, "prod")) == (GOOD, GOOD)
    # The next one has its turn.
    made.git.merge({DEV_PIN: pin(LATER)})
    assert made.until(lambda: made.proven("prod", LATER))


@pytest.mark.parametrize("by", ["a person", "the daemon"])
def test_what_lies_between_two_releases_is_not_promoted_once_the_later_was_gone_back_from(
    by: str,
) -> None:
    made = world()
    made.git.merge(
        {"fleet.yaml": FLEET + "freezes: [{scope: environment/staging, reason: a sale}]\n"}
    )
    for version in (NEXT, LATER):
        made.git.merge({DEV_PIN: pin(version)})
        assert made.until(lambda version=version: made.proven("dev", version))  # type: ignore[misc]
    if by == "the daemon":
        made.fates[("staging-1", LATER)] = Fate.CRASH
    made.git.merge({"fleet.yaml": FLEET})
    assert made.until(lambda: pinned(made, "staging") == LATER)
    if by == "a person":
        assert made.until(lambda: made.proven("prod", LATER))
        made.git.merge({STAGING_PIN: pin(GOOD), PROD_PIN: pin(GOOD)}, "back to what is known")
    assert made.until(lambda: pinned(made, "staging") == GOOD)
    made.pass_(120)
    assert (pinned(made, "staging"), pinned(made, "prod")) == (GOOD, GOOD)


def test_what_was_gone_back_from_before_is_not_promoted() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT), STAGING_PIN: pin(GOOD, note=", paused") + "paused: true\n"})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(30)
    assert pinned(made, "staging") == GOOD
    made.git.merge({DEV_PIN: pin(GOOD)}, "back")
    assert made.until(lambda: made.image("dev-1") == image(GOOD))
    made.git.merge({STAGING_PIN: pin(GOOD)}, "go on")
    made.pass_(60)
    assert (pinned(made, "staging"), commits(made)) == (GOOD, [])


def test_a_pin_that_is_ahead_does_not_go_back() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT), STAGING_PIN: pin(LATER)}, "a hotfix")
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(60)
    assert pinned(made, "staging") == LATER and pinned(made, "prod") == GOOD
    # What is asked for in dev after that is newer.
    made.git.merge({DEV_PIN: pin(LATER)})
    assert made.until(lambda: made.proven("prod", LATER))


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        pytest.param({STAGING_PIN: pin(GOOD) + "paused: true\n"}, "Paused", id="paused"),
        pytest.param(
            {"fleet.yaml": FLEET + "freezes: [{scope: fleet, reason: a sale}]\n"},
            "Frozen",
            id="frozen",
        ),
    ],
)
def test_nothing_is_pinned_while_people_hold_it(edits: dict[str, str], reason: str) -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.image("dev-1") == image(NEXT))
    made.git.merge(edits)
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(30)
    assert (pinned(made, "staging"), commits(made)) == (GOOD, [])
    said = explained(made, "staging")
    assert (
        said["reason"] == reason and "1.1.0 is proven in dev, and is not pinned" in said["message"]
    )
    made.git.merge({"fleet.yaml": FLEET, STAGING_PIN: pin(GOOD)}, "go on")
    assert made.until(lambda: made.proven("prod", NEXT))


def test_what_fails_on_the_way_is_taken_back_and_not_promoted_again() -> None:
    made = world()
    made.fates[("staging-1", NEXT)] = Fate.CRASH
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: bool(made.told(EventKind.REVERT_PUSHED)))
    made.pass_(120)
    assert (pinned(made, "dev"), pinned(made, "staging"), pinned(made, "prod")) == (
        NEXT,
        GOOD,
        GOOD,
    )
    assert len(commits(made)) == 1
    # One rejection of the service is believed in an hour; then the fuse is whole again.
    made.git.merge({DEV_PIN: pin(LATER)})
    assert made.until(lambda: made.proven("prod", LATER))
    # The revert wrote a source out; where one stands it is that of what is pinned.
    assert "source: " in made.git.read(STAGING_PIN).decode()


def test_manual_waits_for_a_person_and_says_so() -> None:
    made = world("manual")
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(30)
    assert (pinned(made, "staging"), commits(made)) == (GOOD, [])
    said = explained(made, "staging")
    assert said["reason"] == "Settled"
    assert "1.1.0 is proven in dev: `reconciler promote web staging`" in said["unblock"]


def test_observe_says_what_it_would_do() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT), 60)
    made.settings = made.settings.model_copy(update={"mode": Mode.OBSERVE})
    made.pass_(60)
    assert commits(made) == [] and pinned(made, "staging") == GOOD
    would = [e.message for e in made.events if e.message.startswith("would CommitPin")]
    assert would == ["would CommitPin: pin 1.1.0, which is proven in dev"]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"services/web/service.yaml": f"{SERVICE}mode: observe\n"}, id="service"),
        pytest.param({"fleet.yaml": FLEET.replace("enforce", "observe")}, id="fleet"),
    ],
)
def test_what_was_due_before_it_is_only_observed_is_not_made(edit: dict[str, str]) -> None:
    made = world()
    made.git.drops_pushes = True
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(10)
    made.git.merge(edit)
    made.pass_(10)
    made.git.drops_pushes = False
    made.pass_(120)
    assert (pinned(made, "staging"), commits(made)) == (GOOD, [])


def two_services(made: World) -> None:
    other = {
        "services/api/service.yaml": SERVICE.replace("web", "api"),
        "services/api/api.yaml": MANIFESTS.replace("web", "api"),
    }
    for cluster in made.clusters.values():
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "api"}}
        cluster.client().create(namespace)
    api = {f"environments/{e}/api.yaml": pin(GOOD).replace("/web", "/api") for e in CLUSTERS}
    made.git.merge({**other, **api})
    assert made.until(lambda: made.proven("prod", GOOD, "api"))


@pytest.mark.parametrize("apart_s", [0.0, 1.0])
def test_what_is_due_together_goes_in_one_commit(apart_s: float) -> None:
    made = world()
    two_services(made)
    often = made.settings.repo.model_copy(update={"poll_s": 0.2})
    made.settings = made.settings.model_copy(update={"repo": often})
    made.pass_(5)
    made.git.merge({DEV_PIN: pin(NEXT)})
    made.pass_(apart_s)
    made.git.merge({"environments/dev/api.yaml": pin(NEXT).replace("/web", "/api")})
    assert made.until(lambda: made.proven("prod", NEXT) and made.proven("prod", NEXT, "api"))
    assert len(commits(made)) == 2
    assert "Reconciler-Service: api\nReconciler-Environments: staging\n" in commits(made)[1]
    assert "Reconciler-Service: web\nReconciler-Environments: staging\n" in commits(made)[1]


def test_a_person_s_merge_in_between_is_never_lost() -> None:
    made = world()
    raced: list[str] = []

    def race() -> None:
        if len(raced) < 3:
            raced.append(made.git.merge({"README.md": f"{len(raced)}"}, "by a person"))

    made.git.before_push = race
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("prod", NEXT))
    head = made.git.branches["main"]
    assert len(raced) == 3 and all(made.git.is_ancestor(one, head) for one in raced)  # type: ignore[arg-type]
    assert len(commits(made)) == 2


def test_what_was_merged_since_it_was_decided_is_decided_on_first() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.image("dev-1") == image(NEXT))
    # From now on only the one who commits looks for a newer HEAD.
    repo = made.settings.repo.model_copy(update={"poll_s": 3600})
    made.settings = made.settings.model_copy(update={"repo": repo})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.git.merge({STAGING_PIN: pin(LATER)}, "a hotfix")
    made.pass_(60)
    assert pinned(made, "staging") == LATER and commits(made) == []


def test_a_person_who_pins_the_same_at_the_same_time_is_first() -> None:
    made = world()

    def race() -> None:
        made.git.before_push = lambda: None
        made.git.merge({STAGING_PIN: pin(LATER)}, "a hotfix")

    made.git.before_push = race
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: pinned(made, "staging") == LATER)
    made.pass_(60)
    assert pinned(made, "staging") == LATER and commits(made) == []


@pytest.mark.parametrize("when", ["before", "in the middle", "after"])
def test_whoever_dies_makes_no_second_commit(when: str) -> None:
    made = world()

    def die() -> None:
        made.git.before_push = lambda: None
        made.kill()
        if when == "before":
            raise Unreachable("git", "the push failed", "the process is gone")

    made.git.before_push = die
    made.git.breaks_off = when == "in the middle"
    made.git.merge({DEV_PIN: pin(NEXT)})
    made.until(lambda: made.git.before_push is not die)
    made.git.before_push, made.git.breaks_off = lambda: None, False
    assert (pinned(made, "staging") == NEXT) is (when != "before")
    made.start("two")
    assert made.until(lambda: made.proven("prod", NEXT), 300)
    assert len(commits(made)) == 2


def test_two_daemons_make_one_commit_a_step() -> None:
    made = world()
    made.start("two")
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.stall("one")
    assert made.until(lambda: made.proven("staging", NEXT), 300)
    made.resume("one")
    assert made.until(lambda: made.proven("prod", NEXT), 300)
    assert len(commits(made)) == 2


def test_a_push_that_was_dropped_is_made_again() -> None:
    made = world()
    made.git.drops_pushes = True
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(30)
    assert explained(made, "staging")["reason"] == "PinNotMoved"
    made.git.drops_pushes = False
    assert made.until(lambda: made.proven("prod", NEXT), 300)


def test_the_daemon_s_edit_is_the_person_s() -> None:
    made = world()
    before = made.git.read(STAGING_PIN)
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: pinned(made, "staging") == NEXT)
    record = made.record("dev")
    assert record is not None
    release: Release = record.proofs[0].revision.release
    assert made.git.read(STAGING_PIN) == promote(STAGING_PIN, before, release)


def test_a_source_that_a_revert_wrote_out_before_holds_nothing_up() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT, Fate.CRASH)})
    assert made.until(lambda: bool(made.told(EventKind.REVERT_PUSHED)))
    assert "source: " in made.git.read(DEV_PIN).decode()
    source = made.git.read(DEV_PIN).decode().partition("source: ")[2].partition("\n")[0]
    made.git.merge({DEV_PIN: pin(LATER) + f"  source: {source}\n"})
    assert made.until(lambda: made.proven("prod", LATER), 2 * 3600)
