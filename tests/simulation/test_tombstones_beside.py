"""A service goes, and there are others beside it; and what is known of its objects is not all that there is."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.names import ServiceName
from reconciler.model.reasons import Reason
from reconciler.simulated.behaviour import Fate
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
)
from tests.fakes.world import (
    CLUSTERS,
    MANIFESTS,
    SERVICE,
    pin,
)


def service(name: str, *needs: str) -> dict[str, str | None]:
    """Returns one more service, in every environment."""
    text = SERVICE + (f"depends_on: [{', '.join(needs)}]\n" if needs else "")
    manifests = MANIFESTS.replace("name: web", f"name: {name}").replace("app: web", f"app: {name}")
    return {
        f"services/{name}/service.yaml": text,
        f"services/{name}/{name}.yaml": manifests,
        **{f"environments/{e}/{name}.yaml": pin(GOOD) for e in CLUSTERS},
    }


def tombstones(name: str, *environments: str) -> dict[str, str | None]:
    return {f"environments/{e}/{name}.yaml": TOMBSTONE for e in environments or tuple(CLUSTERS)}


def test_what_others_depend_on_goes_after_them() -> None:
    world = begun(files=service("shop", "web"))
    assert world.until(lambda: world.proven("prod", GOOD, "shop"))
    world.git.merge(TOMBSTONES)
    world.pass_(30)
    assert all(len(left(world, name)) == len(OWNED) for name in EVERY)
    assert hold(world, "dev")[:2] == (Reason.STILL_NEEDED, "shop in dev depends on it")
    world.git.merge(tombstones("shop", "dev"))

    def look() -> bool:
        assert not (left(world, "dev-1") == [] and world.image("dev-1", "shop") is not None)
        return gone(world, "dev")

    assert world.until(look)
    world.pass_(30)
    assert hold(world, "staging")[:2] == (Reason.STILL_NEEDED, "shop in staging depends on it")
    world.git.merge(tombstones("shop"))
    assert world.until(lambda: gone(world, "prod"))


def test_whose_service_file_is_broken_may_depend_on_it() -> None:
    world = begun(files=service("shop"))
    assert world.until(lambda: world.proven("prod", GOOD, "shop"))
    world.git.merge({**TOMBSTONES, "services/shop/service.yaml": "source: {\n"})
    world.pass_(30)
    assert all(len(left(world, name)) == len(OWNED) for name in EVERY)
    assert hold(world, "dev")[:2] == (
        Reason.STILL_NEEDED,
        "whether shop in dev needs it is not known",
    )


def test_no_further_cluster_loses_it_while_another_service_fails_there() -> None:
    world = begun(files=service("shop"))
    assert world.until(lambda: world.proven("prod", GOOD, "shop"))
    world.pass_(90)
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: left(world, "prod-1") != [r.kind for r in OWNED])
    world.fates["prod-1", GOOD] = Fate.CRASH
    store = world.clusters["prod-1"].store
    pods = store.served("v1", "Pod")
    assert pods is not None
    for pod in store.peek(pods, "web"):
        store.delete(pods, "web", pod["metadata"]["name"])
    world.pass_(60)
    assert not left(world, "prod-1") and left(world, "prod-2")
    reason, message, page = hold(world, "prod")
    assert reason is Reason.FAILING_BESIDE and page
    assert message == "shop fails in prod, and may miss what goes"
    assert not world.told(EventKind.REJECTED)


def test_most_of_an_environment_does_not_go_at_once() -> None:
    names = ("a", "b", "c", "d")
    files: dict[str, str | None] = {}
    for name in names:
        files |= service(name)
    world = begun(files=files)
    assert world.until(lambda: all(world.proven("dev", GOOD, name) for name in names))
    asked = {path: text for name in names for path, text in tombstones(name, "dev").items()}
    world.git.merge(asked)
    world.pass_(30)
    assert all(world.image("dev-1", name) for name in names)
    reason, message, page = hold(world, "dev", "a")
    assert reason is Reason.TOO_MANY_GO and page and message.startswith("4 of 5 services of dev")
    world.git.merge({"environments/dev/d.yaml": pin(GOOD)})
    assert world.until(lambda: not any(world.image("dev-1", name) for name in names[:3]))
    world.git.merge(tombstones("d", "dev"))
    world.pass_(60)
    assert world.image("dev-1", "d"), "an hour is not over"
    world.pass_(3600)
    assert world.until(lambda: world.image("dev-1", "d") is None)


def test_an_inventory_that_is_not_there_does_not_say_that_there_is_nothing() -> None:
    world = begun()
    store = world.clusters["dev-1"].store
    kind = store.served("v1", "ConfigMap")
    assert kind is not None
    store.delete(kind, "reconciler-system", "inventory-web.dev")
    world.git.merge(TOMBSTONES)
    assert world.until(lambda: gone(world, "dev"))
    assert not left(world, "dev-1")


def test_where_nothing_says_what_is_there_it_is_not_gone() -> None:
    world = begun()
    store = world.clusters["dev-1"].store
    maps, secrets = store.served("v1", "ConfigMap"), store.served("v1", "Secret")
    assert maps is not None and secrets is not None
    store.delete(maps, "reconciler-system", "inventory-web.dev")
    for secret in store.peek(secrets, "reconciler-system"):
        store.delete(secrets, "reconciler-system", secret["metadata"]["name"])
    world.git.merge(TOMBSTONES)
    world.pass_(90)
    assert len(left(world, "dev-1")) == len(OWNED) and not gone(world, "dev")
    reason, message, page = hold(world, "dev")
    assert page and "its inventory is gone from the cluster" in message, (reason, message)


def test_what_comes_back_during_the_soak_goes_again_and_after_it_is_told_as_drift() -> None:
    world = begun()
    world.git.merge({"environments/dev/web.yaml": TOMBSTONE})
    store = world.clusters["dev-1"].store
    kind = store.served("v1", "ConfigMap")
    assert kind is not None
    was = store.get(kind, "web", "web")
    meta = {key: was["metadata"][key] for key in ("name", "namespace", "labels")}
    again = {**was, "metadata": meta}
    assert world.until(lambda: not left(world, "dev-1"))
    world.pass_(2)
    world.clusters["dev-1"].client().create(again)
    world.pass_(4)
    assert not gone(world, "dev") and not left(world, "dev-1")
    assert world.until(lambda: gone(world, "dev"))
    world.clusters["dev-1"].client().create(again)
    world.pass_(10)
    assert left(world, "dev-1") == ["ConfigMap"]
    world.git.merge({"environments/staging/web.yaml": TOMBSTONE})
    world.pass_(10)
    assert hold(world, "staging")[0] is Reason.FAILING_BEFORE
    view = world.engine.view
    assert view is not None
    cell = view.services[ServiceName("web")].facts.cells[0]
    assert cell.members[0].drift == 1
