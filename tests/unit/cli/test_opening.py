"""Which cluster is the home: named, or the one that it runs in, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.cli.asking import _waits
from reconciler.cli.opening import home_of
from reconciler.config.settings import Settings
from reconciler.errors import InvalidInput

INSIDE, OUTSIDE = {"in_cluster": True}, {"kubeconfig": "/kubeconfig"}


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"repo": {"url": "/env"}, **given})


@pytest.mark.parametrize(
    ("given", "home"),
    [
        ({"home": "a", "clusters": {"a": OUTSIDE, "b": INSIDE}}, "a"),
        ({"clusters": {"a": OUTSIDE, "b": INSIDE}}, "b"),
    ],
)
def test_the_home_is_the_one_named_or_the_one_it_runs_in(given: dict[str, Any], home: str) -> None:
    assert home_of(settings(**given)) == home


@pytest.mark.parametrize(
    "given",
    [{}, {"clusters": {"a": OUTSIDE}}, {"clusters": {"a": INSIDE, "b": INSIDE}}],
    ids=["no cluster", "none that it runs in", "two that it runs in"],
)
def test_there_is_no_guess(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="the home cluster is not known"):
        home_of(settings(**given))


@pytest.mark.parametrize(
    ("phase", "gates", "waits"),
    [
        ("Proven", ["open", "open"], False),
        ("Proven", [], False),
        ("Proven", ["open", "closed"], True),
        ("Proven", ["unknown"], True),
        ("Orphaned", [], True),
        ("Soaking", ["open"], True),
    ],
)
def test_an_environment_waits_for_a_gate_or_for_what_has_none(
    phase: str, gates: list[str], *, waits: bool
) -> None:
    row = {"phase": phase, "gates": [{"state": state} for state in gates]}
    assert _waits(row) is waits
