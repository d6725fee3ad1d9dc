"""The simulation finds deliberate bugs: one line of the product is broken, and the invariant that it breaks is told."""

from __future__ import annotations

import pytest

from tests.simulation.fleet.mutants import MUTANTS, NOT_FOUND
from tests.simulation.fleet.play import play
from tests.simulation.fleet.script import written
from tests.simulation.fleet.shrinking import failing

MORE = range(1, 6)
"""Seeds that are tried where the one that is known to find a bug does not any more."""


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_simulation_finds(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: set[str] = set()
    MUTANTS[mutant].break_(monkeypatch)
    for seed in (MUTANTS[mutant].seed, *MORE):
        found |= failing(play(written(seed)))
        if any(name.startswith(f"i{mutant[:2]}") for name in found):
            return
    pytest.fail(f"{1 + len(MORE)} seeds found {found or 'nothing'}")


def test_every_invariant_has_a_bug_of_its_own() -> None:
    names = {name[:2] for name in (*MUTANTS, *NOT_FOUND)}
    assert names == {f"{number:02}" for number in range(1, 19)}
