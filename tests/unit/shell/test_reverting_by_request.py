"""A revert that the branch refuses: its branch gets a pull request, one, and none again once a person has closed it."""

from __future__ import annotations

import pytest

from reconciler.model.answers import NotKnown
from reconciler.model.events import EventKind
from reconciler.model.forge import PullRequestState
from tests.fakes.incident import Incident


@pytest.fixture
def incident() -> Incident:
    made = Incident()
    made.serve()
    made.refuse_main()
    return made


def test_it_is_opened_once_and_told_with_the_refusal(incident: Incident) -> None:
    forge = incident.forge
    assert forge is not None
    incident.step()
    for _ in range(3):
        incident.pass_()
    (branch,) = incident.own_branches()
    (pull,) = forge.pulls
    assert (pull.branch, pull.base, pull.state) == (branch, "main", PullRequestState.OPEN)
    (event,) = [e for e in incident.events if e.kind is EventKind.REVERT_REFUSED]
    assert event.message.endswith(f"protected branch; see {pull.url}")
    incident.restart()
    incident.pass_()
    assert len(forge.pulls) == 1


def test_merging_it_is_the_revert(incident: Incident) -> None:
    incident.step()
    assert incident.forge is not None
    incident.forge.close(1, merged=True)
    incident.pass_()
    assert incident.progress.commit == incident.git.branches["main"]


def test_one_that_a_person_closed_is_not_opened_again(incident: Incident) -> None:
    forge = incident.forge
    assert forge is not None
    incident.step()
    forge.close(1, merged=False)
    incident.pass_()
    incident.restart()
    incident.pass_()
    assert [pull.state for pull in forge.pulls] == [PullRequestState.CLOSED]


def test_a_fuse_that_is_blown_asks_by_one_too(incident: Incident) -> None:
    incident.git.refuse = lambda branch: ""
    incident.owe(direct=False)
    incident.reverter.step()
    assert incident.forge is not None and len(incident.forge.pulls) == 1


def test_a_forge_that_does_not_answer_keeps_nothing_from_being_pushed(incident: Incident) -> None:
    forge = incident.forge
    assert forge is not None
    forge.away = NotKnown("Unreachable", "no answer")
    incident.step()
    (branch,) = incident.own_branches()
    assert incident.progress.branch == branch and not forge.pulls
    forge.away = None
    incident.pass_()
    assert [pull.branch for pull in forge.pulls] == [branch]
