"""Every verb asks for a reason, and says it in a trailer of its commit."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from reconciler.cli.committing import Beside, Change
from reconciler.cli.root import reconciler

VERBS = ("approve", "freeze", "lift", "pause", "promote", "resume", "retry", "rollback", "thaw")


def arguments(verb: str) -> list[str]:
    command = reconciler.commands[verb]
    named = [p.name for p in command.params if isinstance(p, click.Argument)]
    return [{"scope": "fleet"}.get(str(name), "web") for name in named]


def test_these_are_the_verbs() -> None:
    with_reason = {
        name
        for name, command in reconciler.commands.items()
        if any(p.name == "reason" for p in command.params)
    }
    assert with_reason == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("reason", [[], ["--reason", ""], ["--reason", " \n"]])
def test_no_verb_goes_without_a_reason(verb: str, reason: list[str]) -> None:
    told = CliRunner().invoke(reconciler, [verb, *arguments(verb), *reason])
    assert told.exit_code == 2
    assert "--reason" in told.output


def test_a_reason_is_one_line_in_the_trailers_after_what_is_told() -> None:
    change = Change(
        "pause", "Pause web", "pin.yaml", "pin", lambda _, octets: octets, {"Service": "web"}
    )
    beside = Beside({}, {"Environments": "prod"}, "More.\n\n")
    assert change.message("a\nsale", beside) == (
        "Pause web\n\na\nsale\n\nMore.\n\nReconciler-Action: pause\nReconciler-Service: web\n"
        "Reconciler-Environments: prod\nReconciler-Reason: a sale\n"
    )
