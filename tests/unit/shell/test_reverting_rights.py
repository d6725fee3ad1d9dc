"""Git is written to only while that is ours: we lead and enforce, and whatever hung before may have outlasted both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.names import CommitId
from tests.fakes.incident import Incident


@pytest.fixture
def incident() -> Incident:
    return Incident()


def before(incident: Incident) -> None:
    """Nothing was begun."""
    incident.may_push = False


def as_it_fetches(incident: Incident) -> None:
    fetch = incident.git.fetch

    def hang() -> CommitId:
        incident.may_push = False
        incident.git.fetch = fetch  # type: ignore[method-assign]
        return fetch()

    incident.git.fetch = hang  # type: ignore[method-assign]


def as_its_push_is_refused(incident: Incident) -> None:
    """What is refused would go to a branch for a person."""

    def refuse(branch: str) -> str:
        incident.may_push = False
        incident.git.refuse = lambda branch: ""
        return "protected branch"

    incident.git.refuse = refuse


@pytest.mark.parametrize("lost", [before, as_it_fetches, as_its_push_is_refused])
def test_what_is_ours_no_more_is_not_pushed_and_is_once_it_is_again(
    lost: Callable[[Incident], None], incident: Incident
) -> None:
    lost(incident)
    for _ in range(3):
        incident.pass_()
    assert incident.git.branches["main"] == incident.bad_commit
    assert incident.own_branches() == []
    incident.may_push = True
    incident.pass_()
    assert len(incident.made("revert")) == 1
