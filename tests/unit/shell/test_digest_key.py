"""The key of an installation: made once, read by all, and never made where nothing may be written."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from reconciler.model.objects import ObjectRef
from reconciler.shell.digest_key import IDLE_S, KEY_BYTES, DigestKey
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster

NAMESPACE = "reconciler-system"
SECRET = ObjectRef("v1", "Secret", NAMESPACE, "reconciler-digest-key")


class Home:
    """A home cluster, and daemons that share it."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster("home", clock=VirtualClock())
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.cluster.client().create(namespace)
        self.cluster.audit.clear()
        self.may_write = True
        self.known = 0

    def daemon(self, seed: int = 1) -> DigestKey:
        return DigestKey(
            self.cluster.client(),
            NAMESPACE,
            may_write=lambda: self.may_write,
            entropy=random.Random(seed).randbytes,
            on_known=self._note,
        )

    def _note(self) -> None:
        self.known += 1

    @property
    def stored(self) -> Any:
        found = self.cluster.client().get(SECRET)
        return base64.b64decode(found["data"]["key"]) if found else None


@pytest.fixture
def home() -> Home:
    return Home()


def test_the_first_makes_it_and_the_next_reads_it(home: Home) -> None:
    first, second = home.daemon(1), home.daemon(2)
    assert (first.get(), second.get()) == (None, None)
    assert (first.step(), second.step()) == (IDLE_S, IDLE_S)
    assert first.get() == second.get() == home.stored
    assert len(home.stored) == KEY_BYTES
    assert home.known == 2


def test_once_known_it_is_not_asked_for_again(home: Home) -> None:
    daemon = home.daemon()
    daemon.step()
    stored = home.stored
    home.cluster.faults.is_down = True
    assert daemon.step() == IDLE_S
    assert daemon.get() == stored


def test_who_is_overtaken_takes_what_the_other_made(home: Home) -> None:
    daemon, other = home.daemon(1), home.daemon(2)

    overtaken: list[str] = []

    def overtake(verb: str, kind: str) -> None:
        if verb == "create" and not overtaken:
            overtaken.append(kind)
            other.step()

    home.cluster.faults.before = overtake
    daemon.step()
    assert overtaken == ["Secret"]
    assert daemon.get() is not None
    assert daemon.get() == other.get() == home.stored


def test_while_the_home_does_not_answer_it_is_not_known(home: Home) -> None:
    daemon = home.daemon()
    home.cluster.faults.is_down = True
    assert daemon.step() < IDLE_S
    assert (daemon.get(), home.known) == (None, 0)
    home.cluster.faults.is_down = False
    daemon.step()
    assert daemon.get() == home.stored


def test_in_observe_mode_a_throw_away_key_stands_in_and_nothing_is_written(home: Home) -> None:
    home.may_write = False
    daemon = home.daemon()
    daemon.step()
    assert daemon.get() is not None
    assert daemon.get() == daemon.get()
    assert home.stored is None
    assert not home.cluster.audit


def test_in_observe_mode_the_key_of_the_installation_is_used_where_there_is_one(home: Home) -> None:
    home.daemon(1).step()
    home.may_write = False
    observer = home.daemon(2)
    observer.step()
    assert observer.get() == home.stored


def test_nothing_to_be_written_ever_rests_on_a_throw_away_key(home: Home) -> None:
    home.may_write = False
    daemon = home.daemon()
    daemon.step()
    thrown_away = daemon.get()
    home.may_write = True
    assert daemon.get() is None
    daemon.step()
    assert daemon.get() == home.stored
    assert daemon.get() != thrown_away


@pytest.mark.parametrize("data", [{}, {"key": "short"}, {"key": "AAAA"}, {"other": "A" * 44}])
def test_a_secret_that_holds_no_key_is_not_used_and_not_replaced(home: Home, data: Any) -> None:
    meta = {"name": SECRET.name, "namespace": NAMESPACE}
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
    home.cluster.client().create(obj)
    daemon = home.daemon()
    assert daemon.step() < IDLE_S
    assert daemon.get() is None


def test_it_is_made_so_that_nobody_changes_it_by_mistake(home: Home) -> None:
    home.daemon().step()
    found = home.cluster.client().get(SECRET)
    assert found is not None
    assert (found["immutable"], found["type"]) == (True, "reconciler.dev/digest-key")
