"""A way back over many clusters: all at once, or as many at a time as the policy says."""

from __future__ import annotations

import pytest

from reconciler.model.objects import ObjectRef
from tests.fakes.world import CLUSTERS, POLICY, World, image, pins

WEB = ObjectRef("apps/v1", "Deployment", "web", "web")
GOOD, BAD = "1.0.0", "1.1.0"


def is_changing(world: World, cluster: str) -> bool:
    """Whether a cluster was asked to go back, and its Pods are not all there yet."""
    record = world.service_record(cluster)
    if record is None or record.revision.release.version != GOOD:
        return False
    found = world.clusters[cluster].client().get(WEB)
    assert found is not None
    status = found.get("status") or {}
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return world.image(cluster) != image(GOOD) or not is_seen or counts != [2, 2, 2]


@pytest.mark.parametrize(("limit", "most"), [("", 3), ("return_at_once: 1", 1)])
def test_no_more_clusters_are_on_their_way_at_once_than_may_be(limit: str, most: int) -> None:
    world = World()
    prod = f"prod:\n    {limit}\n" if limit else "prod:\n"
    policy = POLICY.replace("DRIFT", "report").replace("prod:\n", prod)
    world.git.merge({"policies/line.yaml": policy, **pins(GOOD)})
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.proven("prod", BAD))
    world.git.merge(pins(GOOD))
    seen = 0

    def is_back() -> bool:
        nonlocal seen
        changing = [name for name in CLUSTERS["prod"] if is_changing(world, name)]
        seen = max(seen, len(changing))
        return all(world.image(name) == image(GOOD) for name in CLUSTERS["prod"])

    assert world.until(is_back, 60)
    assert seen == most
