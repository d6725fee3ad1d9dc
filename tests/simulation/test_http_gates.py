"""HTTP gates in the whole daemon: a release waits for a word about itself, and keeps nobody else waiting."""

from __future__ import annotations

import pytest

from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.outside import GateWord
from tests.fakes.memory_gate import AWAY, MemoryGate
from tests.fakes.world import CLUSTERS, POLICY, World, image, pin, pins

GOOD, NEWER, NEWEST = "1.0.0", "1.1.0", "1.2.0"
RULES = POLICY.replace("DRIFT", "report").replace("  prod:\n", "  prod:\n    http_gates: [board]\n")


class Asking(World):
    """A fleet whose prod asks a board."""

    def __init__(self) -> None:
        self.board, self.idle = MemoryGate(), MemoryGate()
        super().__init__(gates={"board": self.board, "idle": self.idle})
        self.board.open_for = None
        self.git.merge({"policies/line.yaml": RULES, **pins(GOOD)})
        assert self.until(lambda: self.proven("prod", GOOD))
        self.board.open_for = set()
        self.board.asked.clear()

    def held(self) -> str:
        """Returns why prod waits."""
        view = self.engine.view
        assert view is not None
        holds = view.services[ServiceName("web")].of(EnvironmentName("prod"))
        return " ".join(f"{hold.reason} {hold.message}" for hold in holds)

    def wanted(self) -> RevisionId:
        """Returns the revision that prod asks for."""
        view = self.engine.view
        assert view is not None
        cells = view.services[ServiceName("web")].facts.cells
        wanted = next(c.ask.wanted for c in cells if c.environment == EnvironmentName("prod"))
        assert wanted is not None
        return wanted.id

    def runs(self, version: str) -> bool:
        """Whether all of prod does."""
        return {self.image(name) for name in CLUSTERS["prod"]} == {image(version)}


@pytest.fixture
def world() -> Asking:
    return Asking()


def test_prod_waits_for_the_boards_word_on_exactly_this_revision(world: Asking) -> None:
    commit = world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(60)
    assert world.held() == "GateClosed board is closed: the board meets on Monday"
    assert world.runs(GOOD)
    world.board.word = GateWord.UNKNOWN
    world.pass_(60)
    assert world.held().startswith("GateUnknown board does not know yet") and world.runs(GOOD)
    question = world.board.asked[-1]
    assert (question.service, question.environment, question.version) == ("web", "prod", NEWER)
    assert (question.revision, question.commits) == (world.wanted(), (commit,))
    world.board.open_for = {world.wanted()}
    assert world.until(lambda: world.proven("prod", NEWER))


def test_its_word_on_one_release_is_none_on_the_next(world: Asking) -> None:
    world.git.merge(pins(NEWER) | {"environments/prod/web.yaml": pin(NEWER) + "paused: true\n"})
    assert world.until(lambda: world.proven("staging", NEWER))
    world.board.open_for = {world.wanted()}
    world.pass_(60)
    world.git.merge(pins(NEWEST))
    assert world.until(lambda: world.proven("staging", NEWEST))
    world.pass_(120)
    assert world.held().startswith("GateClosed") and world.runs(GOOD)


def test_a_word_that_was_given_long_ago_counts_no_more(world: Asking) -> None:
    world.git.merge(pins(NEWER) | {"environments/prod/web.yaml": pin(NEWER) + "paused: true\n"})
    assert world.until(lambda: world.proven("staging", NEWER))
    world.board.open_for = {world.wanted()}
    world.pass_(60)
    world.board.away = AWAY
    world.pass_(60)
    world.git.merge({"environments/prod/web.yaml": pin(NEWER)})
    world.pass_(300)
    assert world.held() == f"GateUnknown {AWAY.message}" and world.runs(GOOD)
    world.board.away = None
    assert world.until(lambda: world.proven("prod", NEWER), 330)


def test_it_is_asked_once_the_release_is_proven_before_and_not_once_it_is_in(world: Asking) -> None:
    world.git.merge(pins(NEWER))
    world.until(lambda: world.proven("staging", NEWER))
    assert len(world.board.asked) <= 1
    world.pass_(300)
    asked = [question for question in world.board.asked if question.version == NEWER]
    assert 8 <= len(asked) <= 11, "every thirty seconds"
    world.board.open_for = None
    assert world.until(lambda: world.proven("prod", NEWER))
    world.pass_(150)
    world.board.asked.clear()
    world.pass_(600)
    assert world.board.asked == [] == world.idle.asked


def test_what_goes_back_asks_nobody(world: Asking) -> None:
    world.board.open_for = None
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER))
    world.board.open_for, world.board.away = set(), AWAY
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.runs(GOOD), 30)


def test_a_gate_that_the_settings_do_not_name_holds_its_user_and_says_so(world: Asking) -> None:
    other = RULES.replace("[board]", "[board, ticket]")
    world.board.open_for = None
    world.git.merge({"policies/line.yaml": other, **pins(NEWER)})
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(60)
    assert "NotConfigured the policy names the gate ticket" in world.held()
    assert world.runs(GOOD)
