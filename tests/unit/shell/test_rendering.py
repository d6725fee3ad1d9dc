"""What is rendered again, and what is not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.core.assembly import ASSEMBLY, Unrenderable
from reconciler.core.identity import revision_of
from reconciler.errors import InvalidInput, ReconcilerError, TransientError
from reconciler.model.env_repo import Service, ServiceSource, SourceKind
from reconciler.model.fleet import Allowed, Cluster, ClusterState, Mode
from reconciler.model.names import (
    BlobId,
    ClusterName,
    CommitId,
    EnvironmentName,
    PolicyName,
    ServiceName,
)
from reconciler.model.objects import KubeObject, Rendered
from reconciler.model.release import TreeEntry, Values
from reconciler.shell.building import BeingRendered
from reconciler.shell.rendering import AGAIN_MAX_S, AGAIN_MIN_S, Renderer
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit

PROD = EnvironmentName("prod")
IMAGE = "r.example.com/web"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"template": {"spec": {"containers": [{"name": "web", "image": IMAGE}]}}},
}
SERVICE = Service(
    name=ServiceName("web"),
    source=SourceKind.MANIFESTS,
    policy=PolicyName("line"),
    namespace="web",
    namespaces=(),
    depends_on=(),
    owners=(),
    cluster_scoped=(),
    immediate=(),
    mode=Mode.ENFORCE,
)
EVERYTHING = Allowed(namespaces=None, kinds=None)


class Blobs(MemoryGit):
    """A History whose blobs hold their own names."""

    def __init__(self) -> None:
        super().__init__(VirtualClock())

    def blob(self, blob: BlobId) -> bytes:
        return blob.encode()


@dataclass
class CountingBuilder:
    """Builds one Deployment, or fails, and keeps what it was asked for."""

    error: ReconcilerError | None = None
    asked: list[Mapping[str, bytes]] = field(default_factory=list)
    more: tuple[KubeObject, ...] = ()
    on_build: Callable[[], object] = lambda: None

    def version(self, kind: SourceKind) -> str:
        return "kubectl/1.2.3" if kind is SourceKind.KUSTOMIZE else ""

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        self.asked.append(files)
        self.on_build()
        if self.error:
            raise self.error
        return (DEPLOYMENT, *self.more)


@dataclass
class MovedClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic_s(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


class World:
    """A renderer, and one question to it that each test changes a little."""

    def __init__(self, **how: Any) -> None:
        self.builder = CountingBuilder()
        self.clock = MovedClock()
        self.key: bytes | None = b"k" * 32
        self.renderer = Renderer(
            Blobs(), self.builder, clock=self.clock, key=lambda: self.key, **how
        )

    def render(
        self,
        *,
        service: Service = SERVICE,
        tag: str = "1.0",
        version: str = "1",
        blob: str = "aa",
        values: Mapping[str, Any] | None = None,
        cluster: str = "prod-1",
        region: str = "eu",
        environment: EnvironmentName = PROD,
        allowed: Allowed = EVERYTHING,
        more: tuple[TreeEntry, ...] = (),
        waits: bool = True,
    ) -> Rendered:
        tree = (TreeEntry("web.yaml", 0o100644, blob), *more)
        revision = revision_of(
            version=version,
            images=[(IMAGE, tag)],
            source=CommitId("9" * 40),
            values=Values.of(values or {}),
            cluster_values=Values(),
            entries=tree,
            service_yaml_identity=b"",
            environment=environment,
            renderer=self.renderer.version(service.source),
        )
        return self.renderer.render(
            service=service,
            source=ServiceSource(CommitId("9" * 40), tree),
            revision=revision,
            environment=environment,
            cluster=Cluster(
                ClusterName(cluster), environment, (("region", region),), ClusterState.ACTIVE
            ),
            allowed=allowed,
            waits=waits,
        )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="the same again"),
        pytest.param({"version": "2"}, id="another name for the release"),
        pytest.param({"cluster": "prod-2", "region": "us"}, id="a cluster that no value speaks of"),
        pytest.param({"more": (TreeEntry("README.md", 0o100644, "bb"),)}, id="documentation"),
        pytest.param(
            {"more": (TreeEntry("overlays/dev/x.yaml", 0o100644, "bb"),)}, id="another's overlay"
        ),
    ],
)
def test_equal_input_is_not_rendered_twice(change: dict[str, Any]) -> None:
    world = World()
    first = world.render()
    assert world.render(**change) is first


@pytest.mark.parametrize(
    ("change", "builds"),
    [
        pytest.param({"blob": "bb"}, 2, id="a changed file is built anew"),
        pytest.param(
            {"more": (TreeEntry("overlays/prod/x.yaml", 0o100644, "bb"),)}, 2, id="its own overlay"
        ),
        pytest.param({"environment": EnvironmentName("dev")}, 2, id="another environment"),
        pytest.param({"service": replace(SERVICE, source=SourceKind.KUSTOMIZE)}, 2, id="its kind"),
        pytest.param({"tag": "2.0"}, 1, id="another image is only put in"),
        pytest.param({"values": {"replicas": 3}}, 1, id="values are only put in"),
        pytest.param({"service": replace(SERVICE, namespace="x")}, 1, id="another namespace"),
    ],
)
def test_changed_input_is_rendered_anew(change: dict[str, Any], builds: int) -> None:
    world = World()
    first = world.render()
    assert world.render(**change) is not first
    assert len(world.builder.asked) == builds


def test_what_a_value_says_of_the_cluster_makes_another_render() -> None:
    world = World()
    digests = {
        world.render(values={"replicas": "${cluster.labels.region}"}, region=region).digest
        for region in ("2", "3", "3")
    }
    assert len(digests) == 2
    assert len(world.builder.asked) == 1


def test_a_stricter_fleet_is_asked_each_time() -> None:
    world = World()
    world.render()
    with pytest.raises(Unrenderable, match="services may not own this kind"):
        world.render(allowed=Allowed(namespaces=None, kinds=("Secret",)))


def test_the_builder_sees_only_what_counts() -> None:
    world = World()
    names = ("service.yaml", "docs/a.md", "overlays/dev/a.yaml", "overlays/prod/a.yaml")
    world.render(more=tuple(TreeEntry(name, 0o100644, "bb") for name in names))
    assert world.builder.asked == [{"web.yaml": b"aa", "overlays/prod/a.yaml": b"bb"}]


ENDED = TransientError("kustomization .", "the render was ended", "30 s")


def test_an_error_is_kept_for_a_while_and_is_never_an_empty_answer() -> None:
    world = World()
    world.builder.error = ENDED
    for _ in range(3):
        with pytest.raises(TransientError, match="was ended"):
            world.render()
    assert len(world.builder.asked) == 1
    world.builder.error = None
    world.clock.seconds = AGAIN_MIN_S
    assert world.render().objects
    assert len(world.builder.asked) == 2


@pytest.mark.parametrize(
    ("takes_s", "again_s"),
    [
        pytest.param(0.1, AGAIN_MIN_S, id="a full disk is seen at once, and may be freed soon"),
        pytest.param(10.0, 200.0, id="what takes long is not begun again as often"),
        pytest.param(35.0, AGAIN_MAX_S, id="what takes as long as it may"),
    ],
)
def test_what_did_not_build_is_built_again_the_later_the_longer_it_took(
    takes_s: float, again_s: float
) -> None:
    world = World()
    world.builder.error = ENDED
    world.builder.on_build = lambda: world.clock.pass_(takes_s)
    for builds in (1, 2):
        for passes_s in (again_s - 0.1, 0.2):
            with pytest.raises(TransientError, match="was ended"):
                world.render()
            assert len(world.builder.asked) == builds
            world.clock.pass_(passes_s)


def test_what_cannot_be_put_together_is_built_once_however_often_it_is_asked_for() -> None:
    world = World()
    for _ in range(3):
        with pytest.raises(Unrenderable):
            world.render(allowed=Allowed(namespaces=None, kinds=("Secret",)))
        world.clock.seconds += AGAIN_MAX_S
    assert len(world.builder.asked) == 1


# Without waiting.


def test_who_does_not_wait_is_told_when_it_is_there() -> None:
    told: list[ServiceName] = []
    world = World(on_built=told.append)
    with pytest.raises(BeingRendered, match=r"service web: .*being rendered"):
        world.render(waits=False)
    assert (world.builder.asked, told) == ([], [])
    world.renderer.queue.step()
    assert told == [SERVICE.name]
    assert world.render(waits=False) is world.render()
    assert len(world.builder.asked) == 1


def test_who_does_not_wait_is_told_of_an_error_once_it_is_known_and_while_it_is_looked_into() -> (
    None
):
    world = World()
    world.builder.error = ENDED
    with pytest.raises(BeingRendered):
        world.render(waits=False)
    world.renderer.queue.step()
    for seconds in (0.0, AGAIN_MIN_S):
        world.clock.seconds = seconds
        with pytest.raises(TransientError, match="was ended"):
            world.render(waits=False)
    world.builder.error = None
    world.renderer.queue.step()
    assert world.render(waits=False).objects
    assert len(world.builder.asked) == 2


def test_a_bug_in_a_build_is_an_error_that_is_kept_for_who_does_not_wait() -> None:
    world = World()

    def fail() -> None:
        raise ZeroDivisionError("division by zero")

    world.builder.on_build = fail
    with pytest.raises(BeingRendered):
        world.render(waits=False)
    world.renderer.queue.step()
    for _ in range(3):
        with pytest.raises(TransientError, match=r"a bug of ours: ZeroDivisionError; report it"):
            world.render(waits=False)
    assert len(world.builder.asked) == 1
    world.clock.pass_(AGAIN_MAX_S)
    # Whoever waits meets the bug itself.
    with pytest.raises(ZeroDivisionError):
        world.render()


@pytest.mark.parametrize("waits", [True, False])
def test_a_bug_in_an_assembly_is_an_error_that_is_met_anew(
    waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.render()
    with monkeypatch.context() as patched, capture_logs():
        patched.setattr("reconciler.shell.rendering.assemble", lambda *_, **__: 1 / 0)
        with pytest.raises(TransientError, match=r"a bug of ours: ZeroDivisionError; report it"):
            world.render(tag="2.0", waits=waits)
    assert world.render(tag="2.0", waits=waits).objects


def test_what_is_larger_than_the_cache_is_there_all_the_same_for_who_does_not_wait() -> None:
    world = World(cache_bytes_max=10)
    for tag in ("1.0", "2.0"):
        with contextlib.suppress(BeingRendered):
            world.render(tag=tag, waits=False)
        world.renderer.queue.step()
        assert world.render(tag=tag, waits=False).objects


def test_a_fault_names_the_file_from_the_top_of_the_repo() -> None:
    world = World()
    world.builder.error = InvalidInput("web.yaml:3", "it cannot be read", "a key is given twice")
    with pytest.raises(Unrenderable) as caught:
        world.render()
    assert [fault.object for fault in caught.value.faults] == ["services/web/web.yaml:3"]


@pytest.mark.parametrize(("mode", "what"), [(0o120000, "a symbolic link"), (0o160000, "submodule")])
def test_a_link_or_a_submodule_is_refused_unread(mode: int, what: str) -> None:
    world = World()
    with pytest.raises(InvalidInput, match=rf"services/web/link: .*{what}"):
        world.render(more=(TreeEntry("link", mode, "bb"),))
    assert world.builder.asked == []


def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    size = len(repr(World().render().objects[0]))
    world = World(cache_bytes_max=3 * size)
    kept = {tag: world.render(tag=tag) for tag in ("1.0", "2.0", "3.0")}
    assert world.render(tag="1.0") is kept["1.0"]
    world.render(tag="4.0")
    assert world.render(tag="1.0") is kept["1.0"]
    assert world.render(tag="3.0") is kept["3.0"]
    assert world.render(tag="2.0") is not kept["2.0"]


def test_an_answer_larger_than_the_cache_is_kept_until_the_next() -> None:
    world = World(cache_bytes_max=10)
    assert world.render() is world.render()
    world.render(blob="bb")
    world.render()
    assert len(world.builder.asked) == 3


def test_what_could_not_be_rendered_without_the_key_is_rendered_as_soon_as_it_is_known() -> None:
    world = World()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    world.builder.more = (secret,)
    world.key = None
    with pytest.raises(TransientError, match="the key"):
        world.render()
    world.key = b"k" * 32
    assert world.render().objects


def test_the_version_names_all_that_renders() -> None:
    renderer = World().renderer
    assert renderer.version(SourceKind.MANIFESTS) == ASSEMBLY
    assert renderer.version(SourceKind.KUSTOMIZE) == f"{ASSEMBLY} kubectl/1.2.3"
