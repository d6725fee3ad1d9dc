"""What Git is owed waits no longer than it must: a new HEAD, or one that can be had again, is looked at."""

from __future__ import annotations

import pytest

from reconciler.errors import Unreachable
from reconciler.shell.reverting import BETWEEN_S
from tests.fakes.incident import Incident

TRIES = 8
"""After so many the next is half a minute away."""


@pytest.fixture
def incident() -> Incident:
    return Incident()


def be_out(incident: Incident) -> None:
    """Lets the remote be out until it has been asked in vain for long."""
    fetch = incident.git.fetch

    def is_out() -> None:
        raise Unreachable("the remote", "cannot be fetched", "it is out")

    incident.git.fetch = is_out  # type: ignore[assignment, method-assign]
    for _ in range(TRIES):
        incident.pass_()
    incident.git.fetch = fetch  # type: ignore[method-assign]


def test_a_merged_branch_is_seen_with_the_head_that_holds_it(incident: Incident) -> None:
    incident.refuse_main()
    incident.step()
    (branch,) = incident.own_branches()
    incident.git.branches["main"] = incident.git.branches[branch]
    incident.pass_(BETWEEN_S)
    assert incident.progress.commit is None
    incident.heads.refresh()
    incident.step()
    assert incident.progress.commit == incident.git.branches[branch]


def test_a_remote_that_was_out_is_given_its_commit_when_it_is_back(incident: Incident) -> None:
    be_out(incident)
    incident.pass_(BETWEEN_S)
    assert incident.made("revert") == []
    incident.heads.refresh()
    incident.step()
    assert len(incident.made("revert")) == 1


def test_a_head_that_changes_all_the_time_is_no_reason_to_try_all_the_time(
    incident: Incident,
) -> None:
    incident.git.refuse = lambda branch: "read-only"
    incident.step()
    asked = incident.git.fetches
    for number in range(10):
        incident.git.merge({"README.md": str(number)})
        incident.heads.refresh()
        incident.pass_(BETWEEN_S / 100)
    # Each of these fetches is the merge's own; the commit was tried once and not again.
    assert incident.git.fetches == asked + 10
