"""Which cluster a name stands for: no other one is ever taken for it, and no cluster has two names."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from reconciler.errors import Conflict, Refused, Unreachable
from reconciler.model.names import ClusterName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.shell.pinning import CONFIG_MAP, KUBE_SYSTEM, ClusterPins
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster

ONE, OTHER = ClusterName("prod-1"), ClusterName("prod-2")
NAMESPACE = "reconciler-system"
REF = ObjectRef("v1", "ConfigMap", NAMESPACE, CONFIG_MAP)


@dataclass
class Home:
    """A home cluster and two others.

    Attributes:
        told: UIDs that the settings name.
    """

    home: SimulatedCluster
    clusters: dict[ClusterName, SimulatedCluster]
    may_write: bool = True
    told: dict[ClusterName, str] = field(default_factory=dict)

    def pins(self) -> ClusterPins:
        """Returns pins as a daemon that has just been started has them."""
        return ClusterPins(
            self.home.client(),
            NAMESPACE,
            may_write=lambda: self.may_write,
            told=self.told.get,
        )

    def uid(self, name: ClusterName) -> str:
        found = self.clusters[name].client().get(KUBE_SYSTEM)
        assert found is not None
        return str(found["metadata"]["uid"])

    def remembered(self) -> dict[str, str]:
        found: KubeObject | None = self.home.client().get(REF)
        return dict(found["data"]) if found is not None else {}


@pytest.fixture
def home() -> Home:
    def cluster(name: str) -> SimulatedCluster:
        return SimulatedCluster(name, clock=VirtualClock())

    made = Home(cluster("home"), {name: cluster(name) for name in (ONE, OTHER)})
    made.home.client().create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    return made


def pinned(home: Home, name: ClusterName) -> None:
    pins = home.pins()
    pins.remember(name, pins.check(name, home.clusters[name].client()))


def test_a_cluster_that_was_seen_is_the_same_after_a_restart(home: Home) -> None:
    pinned(home, ONE)
    assert home.remembered() == {ONE: home.uid(ONE)}
    assert home.pins().check(ONE, home.clusters[ONE].client()) == home.uid(ONE)


def test_each_is_remembered_beside_the_others(home: Home) -> None:
    pinned(home, ONE)
    pinned(home, OTHER)
    assert home.remembered() == {name: home.uid(name) for name in (ONE, OTHER)}


def test_another_cluster_under_a_known_name_is_refused_with_what_to_do(home: Home) -> None:
    pinned(home, ONE)
    with pytest.raises(Refused, match="another cluster") as caught:
        home.pins().check(ONE, home.clusters[OTHER].client())
    assert home.uid(ONE) in str(caught.value) and CONFIG_MAP in str(caught.value)


def test_one_cluster_under_two_names_is_refused(home: Home) -> None:
    pins = home.pins()
    pins.check(ONE, home.clusters[ONE].client())
    with pytest.raises(Refused, match="prod-1 is the same cluster"):
        pins.check(OTHER, home.clusters[ONE].client())


def test_the_settings_go_before_what_is_remembered(home: Home) -> None:
    pinned(home, ONE)
    home.told = {ONE: home.uid(OTHER)}
    assert home.pins().check(ONE, home.clusters[OTHER].client()) == home.uid(OTHER)
    with pytest.raises(Refused, match="`uid` in the settings"):
        home.pins().check(ONE, home.clusters[ONE].client())


def test_a_home_that_does_not_answer_is_not_a_home_that_remembers_nothing(home: Home) -> None:
    pinned(home, ONE)
    home.home.faults.is_down = True
    with pytest.raises(Unreachable):
        home.pins().check(ONE, home.clusters[OTHER].client())


def test_nothing_is_remembered_where_nothing_may_be_written(home: Home) -> None:
    home.may_write = False
    pinned(home, ONE)
    assert home.remembered() == {}


def test_what_another_daemon_wrote_meanwhile_is_kept(home: Home) -> None:
    late = home.pins()
    late.check(ONE, home.clusters[ONE].client())
    pinned(home, OTHER)
    late.remember(ONE, home.uid(ONE))
    assert home.remembered() == {name: home.uid(name) for name in (ONE, OTHER)}


def test_a_write_that_meets_anothers_is_told_and_can_be_tried_again(home: Home) -> None:
    pinned(home, OTHER)
    pins = home.pins()
    uid = pins.check(ONE, home.clusters[ONE].client())

    def conflict(verb: str, kind: str) -> None:
        if verb == "update":
            raise Conflict("it", "cannot be replaced", "somebody was first")

    home.home.faults.before = conflict
    with pytest.raises(Conflict):
        pins.remember(ONE, uid)
    home.home.faults.before = lambda verb, kind: None
    pins.remember(ONE, uid)
    assert home.remembered()[ONE] == uid
