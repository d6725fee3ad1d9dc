"""Pins that a person is asked to move: one pull request for what is next, never a second, and none that is stale."""

from __future__ import annotations

import pytest

from reconciler.errors import Unreachable
from reconciler.model.answers import NotKnown
from reconciler.model.events import EventKind
from reconciler.model.forge import PullRequest, PullRequestState
from reconciler.simulated.behaviour import Fate
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.world import POLICY, SERVICE, World, pin
from tests.simulation.test_promoting import (
    DEV_PIN,
    GOOD,
    LATER,
    NEXT,
    PROD_PIN,
    STAGING_PIN,
    commits,
    explained,
    pinned,
    policy,
)
from tests.simulation.test_promoting import world as proven_world


def world(by: str = "pull-request", *, has_forge: bool = True) -> tuple[World, MemoryForge]:
    """Returns a fleet, with a forge or with one that nobody has told it of."""
    forge = MemoryForge()
    made = proven_world(by, forge=forge if has_forge else None)
    forge.serve(made.git.branches)
    return made, forge


def states(forge: MemoryForge) -> list[PullRequestState]:
    return [pull.state for pull in forge.pulls]


def asked(made: World, forge: MemoryForge) -> PullRequest:
    """Merges the next release in dev, and returns the one pull request that comes of it."""
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: bool(forge.pulls))
    (pull,) = forge.pulls
    return pull


def test_one_is_opened_and_what_is_merged_goes_on() -> None:
    made, forge = world()
    pull = asked(made, forge)
    assert made.proven("dev", NEXT) and pull.branch.startswith("reconciler/promote-web.staging-")
    made.pass_(300)
    assert states(forge) == [PullRequestState.OPEN] and pinned(made, "staging") == GOOD
    said = explained(made, "staging")
    assert (said["phase"], said["reason"]) == ("Waiting", "PromotionAsked")
    assert pull.url in said["message"]
    assert len(commits(made, pull.branch)) == 1
    forge.close(pull.number, merged=True)
    assert made.until(lambda: len(forge.pulls) == 2)
    assert made.proven("staging", NEXT)
    forge.close(forge.pulls[1].number, merged=True)
    assert made.until(lambda: made.proven("prod", NEXT))
    assert len(made.told(EventKind.PIN_ASKED)) == 2


def test_one_that_a_person_closed_is_not_opened_again_for_that_release() -> None:
    made, forge = world()
    forge.close(asked(made, forge).number, merged=False)
    made.pass_(200)
    assert states(forge) == [PullRequestState.CLOSED]
    assert explained(made, "staging")["reason"] == "PromotionClosed"
    made.kill()
    made.start("two")
    made.pass_(200)
    assert states(forge) == [PullRequestState.CLOSED]
    made.git.merge({DEV_PIN: pin(LATER)})
    assert made.until(lambda: len(forge.pulls) == 2)
    assert forge.pulls[1].state is PullRequestState.OPEN


def test_one_that_asks_for_what_is_not_next_any_more_is_closed() -> None:
    made, forge = world()
    asked(made, forge)
    made.git.merge({DEV_PIN: pin(LATER)})
    assert made.until(lambda: len(forge.pulls) == 2, 200)
    assert made.until(lambda: states(forge)[0] is PullRequestState.CLOSED, 200)
    assert states(forge)[1] is PullRequestState.OPEN


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param({STAGING_PIN: pin(NEXT)}, id="it was pinned by hand"),
        pytest.param({DEV_PIN: pin(GOOD)}, id="it was gone back from in dev"),
        pytest.param({"policies/line.yaml": policy("manual")}, id="people pin here now"),
        pytest.param({"policies/line.yaml": policy("auto")}, id="the daemon pins here now"),
    ],
)
def test_a_restarted_daemon_closes_it_where(edits: dict[str, str]) -> None:
    made, forge = world()
    asked(made, forge)
    made.kill()
    made.git.merge(edits)
    made.start("two")
    assert made.until(lambda: states(forge)[0] is PullRequestState.CLOSED, 200)


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param({STAGING_PIN: pin(GOOD) + "paused: true\n"}, id="paused"),
        pytest.param({STAGING_PIN: "release: ["}, id="broken"),
        pytest.param({"quarantine/web.yaml": "entries: ["}, id="not known to be good"),
    ],
)
def test_it_stays_open_while_the_pin_is(edits: dict[str, str]) -> None:
    made, forge = world()
    asked(made, forge)
    made.git.merge(edits)
    made.kill()
    made.start("two")
    made.pass_(300)
    assert states(forge) == [PullRequestState.OPEN]


def test_without_a_forge_there_is_a_branch_and_who_looks_is_told() -> None:
    made, forge = world(has_forge=False)
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: bool(made.told(EventKind.PIN_ASKED)))
    made.pass_(200)
    (branch,) = [name for name in made.git.branches if name.startswith("reconciler/")]
    said = explained(made, "staging")
    assert said["reason"] == "PromotionAsked"
    assert f"merge the branch {branch}; no `forge` is set" in said["message"]
    made.kill()
    made.start("two")
    made.pass_(200)
    assert len(commits(made, branch)) == 1 and not forge.pulls
    assert [name for name in made.git.branches if name.startswith("reconciler/")] == [branch]


def test_a_forge_that_does_not_answer_is_waited_for() -> None:
    made, forge = world()
    forge.away = NotKnown("Unreachable", "no answer")
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(100)
    assert not forge.pulls and explained(made, "staging")["reason"] == "PinNotMoved"
    forge.away = None
    assert made.until(lambda: bool(forge.pulls), 100)


def test_whoever_dies_between_the_branch_and_the_pull_request_opens_one_later() -> None:
    made, forge = world()

    def die(branch: str, base: str, title: str, body: str) -> PullRequest:
        made.kill()
        raise Unreachable(branch, "nothing is opened", "the process is gone")

    opens, forge.pull_request = forge.pull_request, die  # type: ignore[method-assign]
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: any(name.startswith("reconciler/") for name in made.git.branches))
    forge.pull_request = opens  # type: ignore[method-assign]
    made.start("two")
    assert made.until(lambda: bool(forge.pulls), 200)
    made.pass_(100)
    assert states(forge) == [PullRequestState.OPEN]


def test_two_daemons_open_one() -> None:
    made, forge = world()
    made.start("two")
    asked(made, forge)
    made.stall("one")
    made.pass_(200)
    made.resume("one")
    made.pass_(200)
    assert states(forge) == [PullRequestState.OPEN]


def test_a_branch_that_refuses_the_daemon_gets_a_pull_request_for_each_pin() -> None:
    made, forge = world("auto")
    made.git.refuse = lambda branch: "protected branch" if branch == "main" else ""
    pull = asked(made, forge)
    made.pass_(100)
    assert states(forge) == [PullRequestState.OPEN] and pinned(made, "staging") == GOOD
    forge.close(pull.number, merged=True)
    assert made.until(lambda: made.proven("staging", NEXT), 200)


def test_of_what_was_refused_one_release_is_remembered_for_each_pin() -> None:
    made, forge = world("auto")
    made.git.refuse = lambda branch: "protected branch" if branch == "main" else ""
    asked(made, forge)
    made.git.merge({DEV_PIN: pin(LATER)})
    assert made.until(lambda: len(forge.pulls) == 2, 200)
    assert len(made.engine.git.promoter._refused) == 1


def test_what_fails_after_it_was_merged_is_taken_back_and_not_asked_for_again() -> None:
    made, forge = world()
    made.fates[("staging-1", NEXT)] = Fate.CRASH
    forge.close(asked(made, forge).number, merged=True)
    assert made.until(lambda: bool(made.told(EventKind.REVERT_PUSHED)))
    made.pass_(200)
    assert len(forge.pulls) == 1 and pinned(made, "prod") == GOOD


def test_each_environment_has_its_own_way() -> None:
    made, forge = world()
    mixed = {"policies/line.yaml": policy("auto", prod="pull-request")}
    made.git.merge(mixed)
    assert POLICY not in mixed.values()
    pull = asked(made, forge)
    assert pinned(made, "staging") == NEXT and pull.branch.startswith("reconciler/promote-web.prod")
    assert made.git.read(PROD_PIN) != made.git.read(STAGING_PIN)


def test_nothing_is_closed_while_the_service_is_only_observed() -> None:
    made, forge = world()
    asked(made, forge)
    made.git.merge({"services/web/service.yaml": f"{SERVICE}mode: observe\n"})
    made.git.merge({DEV_PIN: pin(GOOD)}, "back")
    made.pass_(150)
    assert states(forge) == [PullRequestState.OPEN]
    made.git.merge({"services/web/service.yaml": SERVICE})
    assert made.until(lambda: states(forge) == [PullRequestState.CLOSED], 150)
