"""Who waits for a simulated cluster is woken by what it waits for, and by nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.shell.runner import VirtualClock
from reconciler.simulated.behaviour import Pace
from reconciler.simulated.cluster import SimulatedCluster
from reconciler.simulated.store import Store

LONG_S, SOON_S, MOMENT_S = 60.0, 5.0, 0.1


@pytest.fixture
def store() -> Store:
    cluster = SimulatedCluster("dev-1", clock=VirtualClock(), pace=Pace())
    cluster.client().create(named("Namespace", "web"))
    return cluster.store


def named(kind: str, name: str) -> dict[str, Any]:
    space = {} if kind == "Namespace" else {"namespace": "web"}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **space}}


def waiting(store: Store, version: int) -> threading.Thread:
    """Starts to wait for a change of ConfigMaps after a version."""
    kind = store.kinds["v1", "ConfigMap"]
    waiter = threading.Thread(target=store.wait, args=(kind, version, LONG_S), daemon=True)
    waiter.start()
    waiter.join(MOMENT_S)
    return waiter


WAKES: dict[str, Callable[[Store], object]] = {
    "a change of its kind": lambda store: store.create(named("ConfigMap", "a"), "me"),
    "all that was is forgotten": lambda store: store.forget(),
    "everybody is woken": lambda store: store.wake(),
}


@pytest.mark.parametrize("wake", WAKES.values(), ids=WAKES.keys())
def test_a_wait_ends_with(wake: Callable[[Store], object], store: Store) -> None:
    waiter = waiting(store, store.version)
    assert waiter.is_alive()
    wake(store)
    waiter.join(SOON_S)
    assert not waiter.is_alive()


def test_a_wait_does_not_end_with_a_change_of_another_kind(store: Store) -> None:
    waiter = waiting(store, store.version)
    store.create(named("Secret", "a"), "me")
    waiter.join(MOMENT_S)
    assert waiter.is_alive()
    store.wake()


@pytest.mark.parametrize("name", ["a change of its kind", "all that was is forgotten"])
def test_what_has_happened_already_is_not_waited_for(name: str, store: Store) -> None:
    version = store.version
    WAKES[name](store)
    waiter = waiting(store, version - 1)
    waiter.join(SOON_S)
    assert not waiter.is_alive()
