"""A daemon whose renderer is another version: what it renders otherwise goes in order, or nowhere at all."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.core.assembly import ASSEMBLY
from reconciler.model.env_repo import SourceKind
from reconciler.model.events import EventKind
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject
from tests.fakes.world import CLUSTERS, World, pins

NEWER = f"{ASSEMBLY} builder/2"

GOOD = "1.0.0"


class NewerBuilder(ServiceBuilder):
    """The same builder as a later version of it, which may add an annotation to Pod templates.

    Args:
        annotations: What it adds.
    """

    def __init__(self, **annotations: str) -> None:
        super().__init__()
        self._annotations = annotations

    def version(self, kind: SourceKind) -> str:
        return "builder/2"

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        return tuple(self._changed(obj) for obj in super().build(kind, files, environment))

    def _changed(self, obj: KubeObject) -> KubeObject:
        if obj["kind"] != "Deployment" or not self._annotations:
            return obj
        spec = obj["spec"]
        template = {**spec["template"], "metadata": {**spec["template"]["metadata"]}}
        template["metadata"]["annotations"] = self._annotations
        return {**obj, "spec": {**spec, "template": template}}


def upgraded(builder: NewerBuilder) -> World:
    """Returns a fleet on which a release was proven, with a daemon of the next version."""
    world = World(drift="correct")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.kill()
    for cluster in world.clusters.values():
        cluster.audit.clear()
    world.events.clear()
    world.builder = builder
    world.engine = world.start("two")
    return world


def renderers(world: World) -> list[str]:
    """Returns what each environment's newest proof was rendered by."""
    records = [world.record(environment) for environment in CLUSTERS]
    return [record.proofs[0].revision.renderer if record else "" for record in records]


def written(world: World) -> list[tuple[Any, ...]]:
    """Returns when each cluster's Deployment was written."""
    return sorted(
        (audited.at, name)
        for name, cluster in world.clusters.items()
        for audited in cluster.audit
        if audited.kind == "Deployment" and audited.verb == "apply"
    )


def test_what_renders_to_the_same_is_proven_at_once_and_writes_to_no_workload() -> None:
    world = upgraded(NewerBuilder())
    assert world.until(lambda: renderers(world) == [NEWER] * 3, 20)
    world.pass_(20)
    assert written(world) == []
    admitted = world.told(EventKind.ADMITTED)
    assert [event.reason for event in admitted] == ["SameRender"] * 3
    assert not world.told(EventKind.PROVEN)


def test_what_renders_otherwise_goes_through_environments_and_waves_and_never_out_as_drift() -> (
    None
):
    world = upgraded(NewerBuilder(rendered="otherwise"))
    assert world.until(lambda: renderers(world) == [NEWER] * 3, 120)
    order = [name for _, name in written(world)]
    assert order[:3] == ["dev-1", "staging-1", "prod-1"]
    assert sorted(order[3:]) == ["prod-2", "prod-3"]
    assert [event.reason for event in world.told(EventKind.ADMITTED)] == ["RenderChanged"] * 3
    assert not world.told(EventKind.DRIFT_SEEN)
    # Each waited for the soak of the one before.
    times = [at for at, _ in written(world)]
    assert all((later - sooner).total_seconds() >= 5 for sooner, later in pairwise(times[:4]))


def test_what_the_new_renderer_breaks_goes_back_to_what_the_old_one_rendered() -> None:
    world = upgraded(NewerBuilder(broken="by the renderer"))
    dev = world.clusters["dev-1"]
    kind = dev.store.served("v1", "Pod")
    assert kind is not None

    def crash() -> float:
        for pod in dev.store.listed(kind, "web")[0]:
            if "broken" in (pod["metadata"].get("annotations") or {}):
                dev.store.replace({**pod, "status": CRASHED}, "kubelet", subresource="status")
        return 0.05

    world.runner.spawn("a kubelet", crash)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)), 60)
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)), 60)
    world.pass_(60)
    assert {name for _, name in written(world)} == {"dev-1"}
    assert len(world.told(EventKind.REJECTED)) == 1
    quarantine = world.git.read("quarantine/web.yaml").decode()
    assert "part: renderer" in quarantine
    # No pin can choose its renderer, so none is edited.
    assert "source:" not in world.git.read("environments/dev/web.yaml").decode()


CRASHED = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "False"}],
    "containerStatuses": [
        {
            "name": "web",
            "ready": False,
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
        }
    ],
}
