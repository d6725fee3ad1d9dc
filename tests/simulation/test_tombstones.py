"""`release: absent`: a service goes from each environment in order, behind every gate, and comes back when asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.core.phase import Phase
from reconciler.core.pruning import NUMBER_MAX, PRUNE_ANNOTATION
from reconciler.errors import Denied
from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.model.reasons import Reason
from tests.fakes.tombstones import (
    EVERY,
    GOOD,
    OWNED,
    TOMBSTONE,
    TOMBSTONES,
    begun,
    gone,
    hold,
    left,
    phase,
)
from tests.fakes.world import (
    CLUSTERS,
    FLEET,
    MANIFESTS,
    POLICY,
    World,
    Write,
    image,
    pin,
    pins,
)


def test_it_goes_in_order_wave_by_wave_and_each_environment_only_once_the_one_before_stayed_without() -> (
    None
):
    world = begun()
    seen: list[tuple[str, ...]] = []

    def look() -> bool:
        now = tuple(name for name in EVERY if not left(world, name))
        if not seen or seen[-1] != now:
            seen.append(now)
        for earlier, later in (("dev", "staging"), ("staging", "prod")):
            touched = any(len(left(world, name)) < len(OWNED) for name in CLUSTERS[later])
            assert not touched or gone(world, earlier), f"{later} before {earlier} was proven gone"
        first_is_whole = left(world, "prod-1") != []
        assert not first_is_whole or left(world, "prod-2") == [r.kind for r in OWNED]
        return gone(world, "prod")

    world.git.merge(TOMBSTONES)
    assert world.until(look)
    assert seen[-1] == tuple(EVERY)
    world.pass_(5)
    assert {phase(world, e) for e in CLUSTERS} == {Phase.ABSENT}
    assert hold(world, "prod")[:2] == (Reason.SETTLED, "it is gone, and stayed so for its soak")
    assert not world.told(EventKind.REJECTED)
    told = [(e.cluster, e.message) for e in world.told(EventKind.PRUNED)]
    assert sorted(told) == sorted((name, str(ref)) for name in EVERY for ref in OWNED)


def test_what_is_put_back_is_there_again_at_once_and_a_later_tombstone_is_proven_anew() -> None:
    world = begun()
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: gone(world, "prod"))
    world.git.merge(pins(GOOD))
    assert world.until(lambda: all(world.image(name) == image(GOOD) for name in EVERY), 10)
    assert world.until(lambda: phase(world, "prod") is Phase.PROVEN)
    world.git.merge({"environments/prod/web.yaml": TOMBSTONE})
    world.pass_(60)
    assert all(left(world, name) for name in EVERY), "it went from nowhere before"
    assert hold(world, "prod")[:2] == (Reason.WAITING_FOR_PROOF, "it is not gone from dev")


def test_a_pin_that_is_put_back_in_mid_roll_out_brings_back_what_went_already() -> None:
    world = begun()
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: not left(world, "prod-1"))
    world.git.merge(pins(GOOD))
    assert world.until(lambda: all(world.image(name) == image(GOOD) for name in EVERY), 10)
    assert all(len(left(world, name)) == len(OWNED) for name in EVERY)


def test_what_is_half_gone_while_the_pin_asks_for_what_is_not_let_in_wakes_a_person() -> None:
    world = begun()
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: not left(world, "prod-1"))
    world.git.merge({**pins(GOOD), "environments/prod/web.yaml": pin("2.0.0")})
    world.pass_(60)
    assert not left(world, "prod-1") and len(left(world, "prod-3")) == len(OWNED)
    reason, message, page = hold(world, "prod")
    assert reason is Reason.NOT_ASKED_FOR and page
    assert "prod-1 stays without the service" in message and f"pin {GOOD}" in message
    world.git.merge(pins(GOOD))
    assert world.until(lambda: len(left(world, "prod-1")) == len(OWNED), 20)


def test_a_missing_pin_deletes_nothing() -> None:
    world = begun()
    world.git.merge({f"environments/{e}/web.yaml": None for e in CLUSTERS})
    world.pass_(60)
    assert all(len(left(world, name)) == len(OWNED) for name in EVERY)
    assert hold(world, "prod")[0] is Reason.ORPHANED


def test_it_is_frozen_like_any_other_forward_move() -> None:
    freeze = FLEET + "freezes: [{scope: environment/staging, reason: a holiday}]\n"
    world = begun()
    world.git.merge({"fleet.yaml": freeze, **TOMBSTONES})
    assert world.until(lambda: gone(world, "dev"))
    world.pass_(60)
    assert len(left(world, "staging-1")) == len(OWNED)
    assert hold(world, "staging")[0] is Reason.FROZEN
    world.git.merge({"fleet.yaml": FLEET})
    assert world.until(lambda: gone(world, "prod"))


def test_one_cluster_that_is_not_known_keeps_it_from_being_proven() -> None:
    policy = POLICY.replace("DRIFT", "report").replace(
        "prod:\n", "prod:\n    quorum: 50%\n    unreachable: {skip_after_s: 1}\n"
    )
    world = begun(files={"policies/line.yaml": policy})
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: not left(world, "prod-1"))
    world.hang("prod-3", 0.1)
    world.pass_(60)
    assert not left(world, "prod-2") and left(world, "prod-3") and not gone(world, "prod")
    world.before = lambda *asked: None
    assert world.until(lambda: gone(world, "prod"))


def hold_back(world: World, finalizers: list[str]) -> None:
    """Writes finalizers to an object in dev, as a person would."""
    store = world.clusters["dev-1"].store
    kind = store.served("v1", "ConfigMap")
    assert kind is not None
    obj = store.get(kind, "web", "web")
    obj["metadata"]["finalizers"] = finalizers
    store.replace(obj, "kubectl-edit")


def test_what_is_being_deleted_when_it_is_asked_for_again_is_made_anew_once_it_is_gone() -> None:
    world = begun()
    hold_back(world, ["example.com/held"])
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: left(world, "dev-1") == ["ConfigMap"])
    world.git.merge(pins(GOOD))
    world.pass_(20)
    assert "ConfigMap/web/web" in hold(world, "dev")[1] and "deleted" in hold(world, "dev")[1]
    hold_back(world, [])
    assert world.until(lambda: len(left(world, "dev-1")) == len(OWNED), 60)
    world.pass_(40)
    assert len(left(world, "dev-1")) == len(OWNED) and phase(world, "dev") is Phase.PROVEN


def test_finalizers_that_do_not_let_go_are_told_and_are_never_gone() -> None:
    world = begun()
    hold_back(world, ["example.com/held"])
    world.git.merge(TOMBSTONES)
    world.pass_(90)
    assert left(world, "dev-1") == ["ConfigMap"] and not gone(world, "dev")
    assert len(left(world, "staging-1")) == len(OWNED)
    reason, message, page = hold(world, "dev")
    assert reason is Reason.PROGRESS_DEADLINE and page
    assert "ConfigMap/web/web is being deleted, and waits for example.com/held" in message
    hold_back(world, [])
    assert world.until(lambda: gone(world, "prod"))


def test_what_may_not_be_deleted_is_told_and_is_never_gone() -> None:
    world = begun()

    def forbid(holder: str, cluster: str, verb: str, kind: str) -> None:
        if (cluster, verb, kind) == ("dev-1", "delete", "Service"):
            raise Denied("Service/web/web", "delete failed", "403: forbidden", "grant it")

    world.before = forbid
    world.git.merge(TOMBSTONES)
    world.pass_(90)
    assert "Service" in left(world, "dev-1") and not gone(world, "dev")
    reason, message, page = hold(world, "dev")
    assert reason is Reason.PROGRESS_DEADLINE and page and "403: forbidden" in message
    assert any("forbidden" in event.message for event in world.told(EventKind.APPLY_FAILED))
    world.before = lambda *asked: None
    assert world.until(lambda: gone(world, "prod"), 300)


@pytest.mark.parametrize("is_let_go", [True, False])
def test_a_claim_goes_only_when_the_env_repo_says_so_or_a_person_deletes_it(
    is_let_go: bool,
) -> None:
    note = f'{PRUNE_ANNOTATION}: "true"' if is_let_go else ""
    claim = f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, annotations: {{{note}}}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
"""
    world = begun(files={"services/web/web.yaml": claim + MANIFESTS})
    ref = ObjectRef("v1", "PersistentVolumeClaim", "web", "data")
    world.git.merge(TOMBSTONES)
    if not is_let_go:
        world.pass_(40)
        assert not left(world, "dev-1") and not gone(world, "dev")
        assert world.clusters["dev-1"].client().get(ref) is not None
        assert "PersistentVolumeClaim is only deleted with" in hold(world, "dev")[1]
        store = world.clusters["dev-1"].store
        kind = store.served("v1", "PersistentVolumeClaim")
        assert kind is not None
        store.delete(kind, "web", "data")
        assert world.until(lambda: gone(world, "dev"))
        return
    assert world.until(lambda: gone(world, "prod"))
    assert all(world.clusters[name].client().get(ref) is None for name in EVERY)


def test_so_many_objects_go_in_an_hour_and_the_others_in_the_next() -> None:
    more = "".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: more-{n}}}\ndata: {{a: b}}\n---\n"
        for n in range(NUMBER_MAX)
    )
    world = begun(files={"services/web/web.yaml": more + MANIFESTS})

    def deletes() -> list[Write]:
        return [w for w in world.writes if w.cluster == "dev-1" and w.written.verb == "delete"]

    world.git.merge(TOMBSTONES)
    world.pass_(120)
    assert len(deletes()) == NUMBER_MAX and not gone(world, "dev")
    assert f"{NUMBER_MAX} are allowed" in hold(world, "dev")[1]
    world.pass_(timedelta(hours=1).total_seconds())
    assert world.until(lambda: gone(world, "dev"), 60)


def test_a_daemon_that_dies_again_and_again_ends_it_all_the_same() -> None:
    world = begun()
    world.git.merge(TOMBSTONES)
    for number in range(40):
        world.pass_(1.3)
        world.kill()
        world.engine = world.start("one")
        for earlier, later in (("dev", "staging"), ("staging", "prod")):
            touched = any(len(left(world, name)) < len(OWNED) for name in CLUSTERS[later])
            assert not touched or gone(world, earlier), number
    assert world.until(lambda: gone(world, "prod"), 300)


def test_what_may_not_be_looked_for_by_name_is_not_gone() -> None:
    world = begun()

    def forbid(holder: str, cluster: str, verb: str, kind: str) -> None:
        if (cluster, verb, kind) == ("dev-1", "get", "Service"):
            raise Denied("Service/web/web", "get failed", "403: forbidden", "grant it")

    world.before = forbid
    world.git.merge(TOMBSTONES)
    world.pass_(30)
    assert not left(world, "dev-1") and not gone(world, "dev")
    assert "403: forbidden" in hold(world, "dev")[1]
    world.before = lambda *asked: None
    assert world.until(lambda: gone(world, "dev"), 60)


def test_an_inventory_that_is_gone_in_the_middle_does_not_say_that_nothing_is_left() -> None:
    world = begun()

    def forbid(holder: str, cluster: str, verb: str, kind: str) -> None:
        if (cluster, verb, kind) == ("dev-1", "delete", "Service"):
            raise Denied("Service/web/web", "delete failed", "403: forbidden", "grant it")

    world.before = forbid
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: len(left(world, "dev-1")) < len(OWNED))
    store = world.clusters["dev-1"].store
    kind = store.served("v1", "ConfigMap")
    assert kind is not None
    store.delete(kind, "reconciler-system", "inventory-web.dev")
    world.before = lambda *asked: None
    world.pass_(90)
    assert "Service" in left(world, "dev-1") and not gone(world, "dev")
    reason, message, page = hold(world, "dev")
    assert reason is Reason.PROGRESS_DEADLINE and page and "its inventory is gone" in message
    world.git.merge(pins(GOOD))
    assert world.until(lambda: len(left(world, "dev-1")) == len(OWNED))
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: gone(world, "prod"))
