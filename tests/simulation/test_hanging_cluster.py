"""While one cluster hangs, roll-backs and the repair of drift elsewhere take as long as they always do."""

from __future__ import annotations

from functools import cache

import pytest

from reconciler.model.events import EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World, Write, image, pin, pins

GOOD, BAD = "1.0.0", "1.1.0"
HOME, STAGING, DRIFTED, ANOTHER = "dev-1", "staging-1", "prod-1", "prod-2"
TIMEOUT_S = 10.0
SPREAD_S = 1.0
"""What the order of tasks, and how often a watch of virtual time looks, make of it."""


def measured(hanging: str, for_s: float) -> tuple[float, float]:
    """Lets a cluster hang for a while, then a release fail in staging and drift come up in prod.

    Args:
        hanging: The cluster; empty for none.
        for_s: How long it has hung by then.

    Returns:
        Seconds from the failure to the roll-back's write, and from the edit to its correction's.
    """
    world = World(drift="correct")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge({f"environments/{e}/web.yaml": pin(BAD) for e in ("dev", "staging")})
    assert world.until(lambda: world.proven("staging", BAD))
    if hanging:
        world.hang(hanging, TIMEOUT_S)
    world.pass_(for_s)
    world.fates[STAGING, BAD] = Fate.CRASH
    edit(world)
    began = world.clock.now()
    mark = len(world.writes)
    world.pass_(40)
    times = {
        write.cluster: (write.written.at - began).total_seconds()
        for write in reversed(world.writes[mark:])
        if is_deployment(write, {STAGING: image(GOOD), DRIFTED: image(GOOD)})
    }
    assert world.told(EventKind.ROLLED_BACK) or hanging == HOME
    return times[STAGING], times[DRIFTED]


def edit(world: World) -> None:
    """Scales the Deployment as a person does."""
    store = world.clusters[DRIFTED].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    found = store.get(kind, "web", "web")
    found["spec"]["replicas"] = 5
    store.replace(found, "kubectl-edit")


def is_deployment(write: Write, images: dict[str, str]) -> bool:
    """Whether a write applies a Deployment with the image that is meant for its cluster."""
    if write.written.kind != "Deployment" or write.cluster not in images:
        return False
    containers = write.written.obj["spec"]["template"]["spec"]["containers"]
    return bool(containers[0]["image"] == images[write.cluster])


@cache
def usual() -> tuple[float, float]:
    return measured("", 0.0)


@pytest.mark.parametrize(
    ("hanging", "for_s"),
    [
        pytest.param(ANOTHER, 0.0, id="another cluster, from now on"),
        pytest.param(ANOTHER, 30.0, id="another cluster, for half a minute"),
        pytest.param(HOME, 30.0, id="the home, for half a minute"),
    ],
)
def test_a_cluster_that_hangs_slows_nobody_else(hanging: str, for_s: float) -> None:
    assert measured(hanging, for_s) == pytest.approx(usual(), abs=SPREAD_S)


def test_a_home_that_has_just_begun_to_hang_delays_a_roll_back_by_one_request_at_most() -> None:
    back_s, corrected_s = measured(HOME, 0.0)
    usual_back_s, usual_corrected_s = usual()
    assert back_s <= usual_back_s + TIMEOUT_S + SPREAD_S
    assert corrected_s == pytest.approx(usual_corrected_s, abs=SPREAD_S)
