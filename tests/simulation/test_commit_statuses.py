"""Commit statuses in the whole daemon: a release waits for the checks of its own commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from reconciler.model.answers import NotKnown
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from tests.fakes.memory_forge import MemoryForge
from tests.fakes.tombstones import TOMBSTONE
from tests.fakes.world import CLUSTERS, MANIFESTS, POLICY, SERVICE, World, image, pin, pins

GOOD, NEWER = "1.0.0", "1.1.0"
RULES = POLICY.replace("DRIFT", "report").replace(
    "  prod:\n", "  prod:\n    commit_statuses: [ci/unit]\n"
)
AWAY = NotKnown("Unreachable", "forge: it could not be asked: no answer in time")


class Checked(World):
    """A fleet whose prod asks for a check, and the forge that is asked for it."""

    def __init__(self) -> None:
        self.gitea = MemoryForge()
        super().__init__(forge=self.gitea)

    def merge(self, files: Mapping[str, str | None]) -> CommitId:
        """Merges, so that the forge knows of it."""
        commit = self.git.merge(files)
        self.gitea.know(commit)
        return commit

    def begin(self) -> None:
        """Has a release proven everywhere, under the rule."""
        first = self.merge({"policies/line.yaml": RULES, **pins(GOOD)})
        self.gitea.says(first, "ci/unit", "success")
        assert self.until(lambda: self.proven("prod", GOOD))

    def held(self) -> str:
        """Returns why prod waits."""
        view = self.engine.view
        assert view is not None
        holds = view.services[ServiceName("web")].of(EnvironmentName("prod"))
        return " ".join(f"{hold.reason} {hold.message}" for hold in holds)

    def runs(self, version: str) -> bool:
        """Whether all of prod does."""
        return {self.image(name) for name in CLUSTERS["prod"]} == {image(version)}


@pytest.fixture
def world() -> Checked:
    made = Checked()
    made.begin()
    return made


def test_prod_waits_until_the_check_has_passed_on_the_commit_that_pinned_it(world: Checked) -> None:
    commit = world.merge(pins(NEWER))
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(30)
    assert world.held().startswith(f"WaitingForChecks {commit[:12]}: not passed yet: ci/unit")
    for state, told in (("pending", "not passed yet"), ("failure", "failed: ci/unit (failure)")):
        world.gitea.says(commit, "ci/unit", state)
        world.pass_(60)
        assert told in world.held() and world.runs(GOOD)
    # A later commit's word is none for this one, and neither is another check's.
    world.gitea.says(world.merge({"README.md": "a"}), "ci/unit", "success")
    world.gitea.says(commit, "ci/lint", "success")
    world.pass_(60)
    assert "failed" in world.held() and world.runs(GOOD)
    world.gitea.says(commit, "ci/unit", "success")
    assert world.until(lambda: world.proven("prod", NEWER))


def test_a_change_of_the_files_alone_waits_for_the_check_of_its_own_commit(world: Checked) -> None:
    changed = MANIFESTS.replace("replicas: 2", "replicas: 3")
    commit = world.merge({"services/web/web.yaml": changed})
    assert world.until(lambda: "WaitingForChecks" in world.held())
    assert commit[:12] in world.held()
    world.gitea.says(commit, "ci/unit", "success")
    assert world.until(lambda: "Settled" in world.held())


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(lambda world: setattr(world.gitea, "away", AWAY), id="away"),
        pytest.param(lambda world: world.gitea.forget(), id="the commit is not there"),
    ],
)
def test_what_is_not_known_holds_and_ends_by_itself(
    world: Checked, trouble: Callable[[Checked], None]
) -> None:
    commit = world.merge(pins(NEWER))
    world.gitea.says(commit, "ci/unit", "success")
    trouble(world)
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(400)
    assert world.held().startswith("ChecksUnknown") and world.runs(GOOD)
    world.gitea.away = None
    world.gitea.know(commit)
    assert world.until(lambda: world.proven("prod", NEWER), 400)


def test_a_word_that_is_taken_back_while_it_waits_counts_no_more(world: Checked) -> None:
    paused = pins(NEWER) | {"environments/prod/web.yaml": pin(NEWER) + "paused: true\n"}
    commit = world.merge(paused)
    world.gitea.says(commit, "ci/unit", "success")
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(30)
    world.gitea.away = AWAY
    world.pass_(30)
    world.gitea.says(commit, "ci/unit", "failure")
    world.merge({"environments/prod/web.yaml": pin(NEWER)})
    world.pass_(120)
    assert "ChecksUnknown" in world.held() and world.runs(GOOD)
    world.gitea.away = None
    world.pass_(330)
    assert "failed" in world.held() and world.runs(GOOD)


def test_what_goes_back_asks_nobody(world: Checked) -> None:
    world.gitea.says(world.merge(pins(NEWER)), "ci/unit", "success")
    assert world.until(lambda: world.proven("prod", NEWER))
    world.gitea.says(world.merge(pins(GOOD)), "ci/unit", "failure")
    world.gitea.away = AWAY
    assert world.until(lambda: world.runs(GOOD), 30)


def test_a_daemon_without_a_forge_says_so() -> None:
    world = World()
    world.git.merge({"policies/line.yaml": RULES, **pins(GOOD)})
    assert world.until(lambda: world.proven("staging", GOOD))
    world.pass_(30)
    assert world.record("prod") is None or not world.proven("prod", GOOD)
    view = world.engine.view
    assert view is not None
    (hold,) = view.services[ServiceName("web")].of(EnvironmentName("prod"))
    assert hold.reason == "NotConfigured" and "name no `forge`" in hold.message


def test_a_fleet_that_asks_for_no_check_asks_the_forge_for_nothing() -> None:
    forge = MemoryForge()
    world = World(forge=forge)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    assert forge.asked == []


def test_one_commit_is_asked_for_now_and_then_and_not_once_it_is_in(world: Checked) -> None:
    world.pass_(150)
    world.gitea.asked.clear()
    commit = world.merge(pins(NEWER))
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(100)
    assert set(world.gitea.asked) == {commit}
    assert len(world.gitea.asked) <= 20
    world.gitea.says(commit, "ci/unit", "success")
    assert world.until(lambda: world.proven("prod", NEWER))
    world.pass_(150)
    world.gitea.asked.clear()
    world.pass_(600)
    assert world.gitea.asked == []


@pytest.mark.parametrize("folder", [True, False])
def test_what_goes_waits_for_the_check_of_the_commit_that_says_so(
    world: Checked, folder: bool
) -> None:
    files: dict[str, str | None] = {f"environments/{e}/web.yaml": TOMBSTONE for e in CLUSTERS}
    if not folder:
        files |= {"services/web/web.yaml": None, "services/web/service.yaml": SERVICE}
    commit = world.merge(files)
    assert world.until(lambda: "WaitingForChecks" in world.held())
    assert commit[:12] in world.held() and world.runs(GOOD)
    world.gitea.says(commit, "ci/unit", "success")
    assert world.until(lambda: not any(world.image(name) for name in CLUSTERS["prod"]))
