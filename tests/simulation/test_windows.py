"""Windows in the whole daemon: a roll-out waits for its window, and goes on when that opens."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.events import EventKind
from tests.fakes.world import CLUSTERS, POLICY, World, image, pins

GOOD, NEWER = "1.0.0", "1.1.0"


def test_a_roll_out_waits_for_its_window_and_begins_as_it_opens() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    opens = (world.clock.now() + timedelta(minutes=6)).replace(second=0, microsecond=0)
    window = f"{{zone: UTC, for_s: 3600, cron: '{opens.minute} {opens.hour} * * *'}}"
    rules = POLICY.replace("DRIFT", "report").replace(
        "  prod:\n", f"  prod:\n    windows: {{allow: [{window}]}}\n"
    )
    world.git.merge({"policies/line.yaml": rules, **pins(NEWER)})
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_((opens - world.clock.now()).total_seconds() - 5)
    assert {world.image(name) for name in CLUSTERS["prod"]} == {image(GOOD)}
    told = [e for e in world.told(EventKind.HELD) if e.reason == "OutsideWindow"]
    assert told and f"{opens:%H:%M}:00Z" in told[-1].message
    assert world.until(lambda: world.image("prod-1") == image(NEWER), 10)
    # The home keeps the windows with the roll-out, and gives them back.
    record = world.record("prod")
    assert record is not None and record.rollout is not None
    assert record.rollout.policy.windows.allow[0].zone == "UTC"
    assert world.until(lambda: world.proven("prod", NEWER))
