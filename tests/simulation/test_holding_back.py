"""A set that keeps Pods of an older template: its release is not proven before every Pod carries the new one."""

from __future__ import annotations

import pytest

from reconciler.model.events import PAGE, EventKind
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from tests.fakes.world import World, image, pins
from tests.simulation.test_unknowns import DEADLINE_S, GOOD, NEW, held, is_taken_back

SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: registry.example.com/web}]
  updateStrategy: STRATEGY
"""


def released(strategy: str) -> World:
    """Returns a fleet with a proven release of a set, to which a new one has come in dev."""
    world = World()
    world.git.merge({"services/web/db.yaml": SET.replace("STRATEGY", strategy), **pins(GOOD)})
    # A set that is made new has no older Pods.
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(NEW))
    assert world.until(lambda: world.image("dev-1", "db", "StatefulSet") == image(NEW), 20)
    return world


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("{type: OnDelete}", "0 of 2 replicas are updated: spec.updateStrategy.type is OnDelete"),
        (
            "{rollingUpdate: {partition: 1}}",
            "1 of 2 replicas are updated: spec.updateStrategy.rollingUpdate.partition is 1",
        ),
    ],
)
def test_it_waits_says_which_field_it_waits_for_and_takes_nothing_back(
    strategy: str, words: str
) -> None:
    world = released(strategy)
    world.pass_(DEADLINE_S + 30)
    late = held(world)[-1]
    assert (late.reason, PAGE in late.detail) == ("ProgressDeadline", True)
    assert words in late.message and "; " in late.message
    assert not world.proven("dev", NEW) and not is_taken_back(world)
    assert world.image("staging-1", "db", "StatefulSet") == image(GOOD)


def test_it_goes_on_once_a_person_has_deleted_the_older_pods() -> None:
    world = released("{type: OnDelete}")
    world.pass_(15)
    assert not world.proven("dev", NEW)
    api = world.clusters["dev-1"].client()
    for pod in api.list("v1", "Pod", namespace="web", label_selector="app=db").items:
        meta = pod["metadata"]
        seen = {"uid": str(meta["uid"]), "resource_version": str(meta["resourceVersion"])}
        api.delete(ObjectRef.of(pod), **seen, propagation=Propagation.BACKGROUND)
    assert world.until(lambda: world.proven("dev", NEW))
    assert not world.told(EventKind.REJECTED)
