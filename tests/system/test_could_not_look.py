"""Commands while the home, a record or Git cannot be read: what is not known is told, and never "nothing"."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.simulated.faults import answering
from tests.system.documents import check
from tests.system.served import ServedFleet, Told

pytestmark = [pytest.mark.xdist_group("could-not-look"), pytest.mark.git_server]

LOOKING = ("status", "explain web prod", "plan", "history", "diff web prod", "render web prod")
NAMED = ("explain {0}", "history {0}", "diff {0}", "render {0} prod")
ROLLBACK = "rollback web prod --reason x"

HOME = "dev-1"
NO_GIT = {"RECONCILER_REPO": "http://127.0.0.1:9/env.git"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    """A fleet on which a first release went out."""
    with ServedFleet() as served:
        assert served.settle().code == 0
        yield served


@pytest.fixture
def homeless(fleet: ServedFleet) -> Iterator[ServedFleet]:
    """The same, with a home that does not answer."""
    fleet.faults[HOME].is_down = True
    yield fleet
    fleet.faults[HOME].is_down = False


@pytest.fixture
def hidden(fleet: ServedFleet) -> Iterator[ServedFleet]:
    """The same, with a home that answers and does not give its promotion records away."""

    def refuse(verb: str, steps: list[str]) -> None:
        del verb
        if "promotionrecords" in steps:
            raise answering(403, "Forbidden")

    fleet.faults[HOME].rules.append(refuse)
    yield fleet
    fleet.faults[HOME].rules.remove(refuse)


def could_not_look(fleet: ServedFleet, command: str, **variables: str) -> Told:
    told = fleet.cli(*command.split(), "-o", "json", variables=variables)
    check(command.split()[0], told.document)
    assert told.code == 3, (command, told.out, told.err)
    assert told.document["errors"] == sorted(told.document["errors"], key=lambda e: e["object"])
    return told


@pytest.mark.parametrize("command", LOOKING)
def test_a_home_that_does_not_answer_is_told(homeless: ServedFleet, command: str) -> None:
    told = could_not_look(homeless, command)
    assert f"cluster {HOME}" in told.err


def test_one_cluster_that_does_not_answer_is_told_and_hides_nothing(fleet: ServedFleet) -> None:
    fleet.faults["prod-2"].is_down = True
    try:
        for command in ("status", "explain web prod", "plan", "history", "diff"):
            told = fleet.cli(*command.split(), "-o", "json")
            check(command.split()[0], told.document)
            assert told.code == 3
            (error,) = told.document["errors"]
            assert error["object"] == "cluster prod-2" and error["why"]
        assert len(fleet.cli("status", "-o", "json").document["cells"]) == 12
        assert fleet.cli("explain", "web", "dev").code == 0, "it does not matter there"
        assert "prod-2" in fleet.cli("status").err
    finally:
        fleet.faults["prod-2"].is_down = False


def test_records_that_may_not_be_read_are_no_empty_history(hidden: ServedFleet) -> None:
    told = could_not_look(hidden, "history")
    assert told.document["items"] == []
    assert f"cluster {HOME}" in {error["object"] for error in told.document["errors"]}


def test_nothing_is_compared_with_what_is_only_wanted(homeless: ServedFleet) -> None:
    assert could_not_look(homeless, "diff web prod").document["objects"] == []


def test_nothing_is_rolled_back_to_what_is_not_known(homeless: ServedFleet) -> None:
    head = homeless.log()[-1]["commit"]
    told = could_not_look(homeless, ROLLBACK)
    assert told.document["pushed"] is False
    assert homeless.log()[-1]["commit"] == head


@pytest.mark.parametrize("command", [*NAMED, "rollback {0} prod --reason x"])
def test_a_git_that_does_not_answer_knows_no_names(fleet: ServedFleet, command: str) -> None:
    could_not_look(fleet, command.format("web"), **NO_GIT)
    could_not_look(fleet, command.format("nobody"), **NO_GIT)


def test_a_commit_cannot_be_looked_up_without_git(fleet: ServedFleet) -> None:
    could_not_look(fleet, "plan 0123456789", **NO_GIT)


@pytest.mark.parametrize("command", NAMED)
def test_a_service_that_nobody_knows_is_wrong_use(fleet: ServedFleet, command: str) -> None:
    told = fleet.cli(*command.format("nobody").split(), "-o", "json")
    check(command.split()[0], told.document)
    assert told.code == 2
    (error,) = told.document["errors"]
    assert error["object"].startswith("service nobody") and "web" in error["why"]


@pytest.mark.parametrize("command", ["explain", "diff", "render"])
def test_an_environment_that_nobody_knows_is_wrong_use(fleet: ServedFleet, command: str) -> None:
    told = fleet.cli(command, "web", "prot", "-o", "json")
    check(command, told.document)
    assert told.code == 2
    (error,) = told.document["errors"]
    assert error["object"] == "service web in prot" and "prod" in error["why"]
