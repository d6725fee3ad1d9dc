"""The simulation finds deliberate bugs: one line of the product is broken, and the invariant that it breaks is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import delivering, gates
from reconciler.schema.edit import set_release
from tests.simulation.fleet.play import play
from tests.simulation.fleet.script import written
from tests.simulation.fleet.shrinking import failing

SEEDS_MAX = 5
Break = Callable[[pytest.MonkeyPatch], None]


def without(*left_out: gates.GateCheck) -> Break:
    """Returns a bug: some gates are never looked at."""

    def broken(patch: pytest.MonkeyPatch) -> None:
        for name in ("FORWARD", "EACH_WAVE", "BACKWARD"):
            checks = [check for check in getattr(gates, name) if check not in left_out]
            patch.setattr(gates, name, tuple(checks))

    return broken


def prunes_at_once(patch: pytest.MonkeyPatch) -> None:
    order = delivering._order
    patch.setattr(delivering, "_order", lambda *about: replace(order(*about), proven=True))


def drops_comments(patch: pytest.MonkeyPatch) -> None:
    def dropped(*about: Any) -> bytes:
        lines = set_release(*about).split(b"\n")
        return b"\n".join(line.partition(b" #")[0] for line in lines)

    patch.setattr("reconciler.shell.reverting.set_release", dropped)


MUTANTS: dict[str, tuple[Break, str]] = {
    "01 not proven before": (without(gates._proven_before), "i01"),
    "05 comments are dropped": (drops_comments, "i05"),
    "13 pruned before it is proven": (prunes_at_once, "i13"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_simulation_finds(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_, invariant = MUTANTS[mutant]
    break_(monkeypatch)
    found: set[str] = set()
    for seed in range(1, 1 + SEEDS_MAX):
        found |= failing(play(written(seed)))
        if any(name.startswith(invariant) for name in found):
            return
    pytest.fail(f"{SEEDS_MAX} seeds found {found or 'nothing'}")
