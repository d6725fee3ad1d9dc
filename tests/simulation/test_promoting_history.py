"""What pins were before, in virtual time: remembered past any edits, and read without anybody waiting."""

from __future__ import annotations

import pytest

from reconciler.shell.pin_history import IN_TURN_MAX, PinHistory
from tests.fakes.world import World, pin, pins
from tests.simulation.test_promoting import DEV_PIN, GOOD, NEXT, PROD_PIN, pinned, policy, world


def test_a_person_s_no_outlasts_any_number_of_edits_of_values() -> None:
    made = world()
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("prod", NEXT))
    made.git.merge({PROD_PIN: pin(GOOD)}, "no")
    made.pass_(30)
    for number in range(50):
        edit = pin(GOOD) + f"values: {{replicas: {2 + number % 3}}}\n"
        made.git.merge({PROD_PIN: edit}, "scale")
        made.pass_(3)
    made.pass_(60)
    assert pinned(made, "prod") == GOOD


def test_a_long_history_is_read_behind_the_scenes_and_the_pin_moves_then() -> None:
    made = World()
    for number in range(5 * IN_TURN_MAX):
        made.git.merge({"README.md": str(number)})
    made.git.merge({"policies/line.yaml": policy(), **pins(GOOD)})
    assert made.until(lambda: made.proven("prod", GOOD))
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("prod", NEXT))


def test_nothing_is_read_of_pins_that_people_move(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    former = PinHistory.of

    def of(self: PinHistory, *args: object, **options: object) -> object:
        asked.append(args)
        return former(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(PinHistory, "of", of)
    made = world("manual")
    made.git.merge({DEV_PIN: pin(NEXT)})
    assert made.until(lambda: made.proven("dev", NEXT))
    made.pass_(30)
    assert not asked
    made.git.merge({"policies/line.yaml": policy("auto")})
    assert made.until(lambda: made.proven("prod", NEXT)) and asked
