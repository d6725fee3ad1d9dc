"""Whether the checks of a commit let it pass."""

from __future__ import annotations

import pytest

from reconciler.core.commit_checks import Passage, passage
from reconciler.model.actions import GateState
from reconciler.model.answers import NotKnown
from reconciler.model.forge import CommitStatus, Statuses, StatusState
from reconciler.model.names import CommitId

COMMIT = CommitId("c" * 40)


def seen(**states: str) -> Statuses:
    checks = (CommitStatus(name, StatusState(state)) for name, state in states.items())
    return Statuses(COMMIT, tuple(sorted(checks)))


@pytest.mark.parametrize(
    ("statuses", "required", "state", "message"),
    [
        pytest.param(
            seen(), (), "closed", "no check has said anything yet", id="nobody has looked"
        ),
        pytest.param(seen(), ("ci",), "closed", "not passed yet: ci", id="a check is missing"),
        pytest.param(seen(ci="success"), (), "open", "", id="all that there are"),
        pytest.param(
            seen(ci="success", e2e="failure"), ("ci",), "open", "", id="the one that counts"
        ),
        pytest.param(seen(ci="skipped"), ("ci",), "open", "", id="one that was not needed"),
        pytest.param(seen(ci="pending"), ("ci",), "closed", "not passed yet: ci", id="one at work"),
        pytest.param(
            seen(ci="warning"), ("ci",), "closed", "failed: ci (warning)", id="one that warns"
        ),
        pytest.param(
            seen(a="error", b="failure"),
            (),
            "closed",
            "failed: a (error), b (failure)",
            id="two that failed",
        ),
        pytest.param(
            seen(a="unknown", b="failure"),
            (),
            "closed",
            "failed: b (failure)",
            id="a failure is certain",
        ),
        pytest.param(
            seen(a="unknown", b="pending"),
            (),
            "unknown",
            "said in a word that is not known: a",
            id="a new word",
        ),
        pytest.param(
            seen(b="pending"),
            ("c", "b", "a"),
            "closed",
            "not passed yet: a, b, c",
            id="all that are waited for",
        ),
    ],
)
def test_a_commit_passes_by_its_checks(
    statuses: Statuses, required: tuple[str, ...], state: str, message: str
) -> None:
    assert passage(statuses, required) == Passage(GateState(state), message)


def test_a_forge_that_does_not_answer_is_no_word_of_its_checks() -> None:
    found = passage(NotKnown("Throttled", "commit c: HTTP 429", 7.0), ())
    assert found == Passage(GateState.UNKNOWN, "commit c: HTTP 429", 7.0)


@pytest.mark.parametrize("state", StatusState)
def test_only_what_has_passed_opens(state: StatusState) -> None:
    is_open = passage(seen(ci=state), ("ci",)).state is GateState.OPEN
    assert is_open == (state in (StatusState.SUCCESS, StatusState.SKIPPED))
