"""Several services of one commit turn bad in one turn: a commit for each, and one push for all of them."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.names import CommitId
from reconciler.ports.git import PushResult
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World
from tests.simulation.test_fuses import is_on_main, proven_world, release

BAD = "1.1.0"
BOTH = ("api", "web")


def count_pushes(world: World) -> list[tuple[CommitId, str]]:
    """Notes each push from now on: which commit, and to which branch."""
    pushed: list[tuple[CommitId, str]] = []
    push = world.git.push

    def noted(commit: CommitId, branch: str) -> PushResult:
        pushed.append((commit, branch))
        return push(commit, branch)

    world.git.push = noted  # type: ignore[method-assign]
    return pushed


def fail_together(world: World) -> None:
    world.git.merge(release(BAD, *BOTH, fate=Fate.CRASH), "both at once")
    assert world.until(lambda: world.told(EventKind.REVERT_PUSHED) != [])
    world.pass_(5)


def commits(world: World) -> dict[str, CommitId | None]:
    records = {service: world.record("dev", service) for service in BOTH}
    return {
        service: record.rejections[0].revert.commit
        for service, record in records.items()
        if record is not None and record.rejections
    }


def test_each_has_its_own_commit_and_all_go_in_one_push() -> None:
    world = proven_world(*BOTH)
    pushed = count_pushes(world)
    fail_together(world)
    assert [branch for _, branch in pushed] == ["main"]
    made = commits(world)
    assert len(set(made.values())) == 2 and pushed[0][0] in made.values()
    for service in BOTH:
        assert is_on_main(world, BAD, service)
        message = world.git.commit_facts(made[service] or CommitId("")).message
        assert f"Reconciler-Service: {service}\n" in message
    told = [event.service for event in world.told(EventKind.REVERT_PUSHED)]
    assert sorted(map(str, told)) == list(BOTH)


def test_where_others_push_in_between_all_of_them_are_made_again() -> None:
    world = proven_world(*BOTH)
    pushed = count_pushes(world)
    noted, was_overtaken = world.git.push, False

    def overtaken(commit: CommitId, branch: str) -> PushResult:
        nonlocal was_overtaken
        if not was_overtaken:
            was_overtaken = True
            world.git.merge({"README.md": "somebody was first\n"})
        return noted(commit, branch)

    world.git.push = overtaken  # type: ignore[method-assign]
    fail_together(world)
    assert [branch for _, branch in pushed] == ["main", "main"]
    assert all(is_on_main(world, BAD, service) for service in BOTH)
    assert world.git.read("README.md") == b"somebody was first\n"
    assert len(world.told(EventKind.REVERT_PUSHED)) == 2


def test_a_process_that_dies_after_the_push_finds_both_of_them_made() -> None:
    world = proven_world(*BOTH)
    pushed = count_pushes(world)
    noted = world.git.push

    def dies(commit: CommitId, branch: str) -> PushResult:
        result = noted(commit, branch)
        world.kill()
        return result

    world.git.push = dies  # type: ignore[method-assign]
    world.git.merge(release(BAD, *BOTH, fate=Fate.CRASH), "both at once")
    assert world.until(lambda: bool(pushed))
    world.git.push = noted  # type: ignore[method-assign]
    world.engine = world.start("one")
    assert world.until(lambda: len(commits(world)) == 2 and None not in commits(world).values())
    world.pass_(30)
    assert len(pushed) == 1 and all(is_on_main(world, BAD, service) for service in BOTH)


def test_a_branch_that_refuses_has_one_branch_for_each() -> None:
    world = proven_world(*BOTH)
    world.git.refuse = lambda branch: "it is protected" if branch == "main" else ""
    world.git.merge(release(BAD, *BOTH, fate=Fate.CRASH), "both at once")
    assert world.until(lambda: len(world.told(EventKind.REVERT_REFUSED)) == 2)
    names = [name for name in world.git.branches if name.startswith("reconciler/revert-")]
    assert len(names) == 2
    for name in names:
        changed = world.git.commit_facts(world.git.branches[name])
        assert changed.message.count("Reconciler-Service: ") == 1
        assert changed.parents == (world.git.branches["main"],)
