"""Events of the home: one a condition, never in the way, and none where nothing may be written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.errors import Denied, ReconcilerError, Unreachable
from reconciler.model.events import Event, EventKind
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.shell.announcing import (
    COUNTED,
    MESSAGE_CHARACTERS_MAX,
    RETRY_S,
    WAITING_MAX,
    Announcer,
)
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.runner import IDLE_MAX_S, VirtualClock
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.records import revision

NAMESPACE = "reconciler-system"
AT = datetime(2026, 11, 25, 3, 0, 0, 250_000, tzinfo=UTC)
REJECTED = Event(
    AT,
    EventKind.REJECTED,
    "CrashLoop",
    "Pod web-1: exit code 1",
    ServiceName("web"),
    EnvironmentName("dev"),
    revision=revision("2"),
)


class Home:
    """A home cluster, and what daemons announce in it."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster("home", clock=VirtualClock())
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.cluster.client().create(namespace)
        self.cluster.faults.before = self._before
        self.may_write = True
        self.error: ReconcilerError | None = None
        self.woken = 0
        self.announcer = self.daemon("one")

    def daemon(self, holder: str) -> Announcer:
        """Returns what one daemon announces by."""
        announcer = Announcer(
            self.cluster.client,
            holder,
            may_write=lambda key: self.may_write,
            about=_about,
        )
        announcer.on_wake(self._note)
        return announcer

    def told(self) -> list[dict[str, Any]]:
        """Returns the Events of the cluster, as they came."""
        found = self.cluster.client().list("v1", "Event", namespace=NAMESPACE, label_selector="")
        return sorted(map(dict, found.items), key=lambda e: int(e["metadata"]["resourceVersion"]))

    def _before(self, verb: str, kind: str) -> None:
        del kind
        if verb == "create" and self.error is not None:
            raise self.error

    def _note(self) -> None:
        self.woken += 1


def _about(key: CellKey) -> KubeObject:
    return {
        "apiVersion": "reconciler.dev/v1alpha1",
        "kind": "PromotionRecord",
        "namespace": NAMESPACE,
        "name": ".".join(key),
        "uid": "an-uid",
    }


@pytest.fixture
def home() -> Home:
    return Home()


def test_an_event_says_what_happened_to_which_record(home: Home) -> None:
    home.announcer.take(REJECTED)
    assert home.woken == 1
    assert home.announcer.step() == IDLE_MAX_S
    (event,) = home.told()
    assert event.pop("metadata")["name"].startswith("web.dev.")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": _about((ServiceName("web"), EnvironmentName("dev"))),
        "type": "Warning",
        "reason": "Rejected",
        "message": "2: CrashLoop: Pod web-1: exit code 1",
        "source": {"component": "reconciler"},
        "reportingComponent": "reconciler",
        "reportingInstance": "one",
        "firstTimestamp": "2026-11-25T03:00:00Z",
        "lastTimestamp": "2026-11-25T03:00:00Z",
        "count": 1,
    }


@pytest.mark.parametrize(
    ("kind", "detail", "expected"),
    [
        (EventKind.PROVEN, (), "Normal"),
        (EventKind.DRIFT_SEEN, (), "Warning"),
        (EventKind.HELD, (), "Normal"),
        (EventKind.HELD, (("page", "true"),), "Warning"),
    ],
)
def test_what_a_person_should_look_at_is_a_warning(
    home: Home, kind: EventKind, detail: tuple[tuple[str, str], ...], expected: str
) -> None:
    home.announcer.take(replace(REJECTED, kind=kind, detail=detail))
    home.announcer.step()
    assert [event["type"] for event in home.told()] == [expected]


def test_a_condition_is_told_once_whoever_tells_it_and_however_it_is_worded(home: Home) -> None:
    again = replace(REJECTED, at=AT + timedelta(minutes=5), message="Pod web-2: exit code 1")
    for daemon, event in ((home.announcer, REJECTED), (home.daemon("two"), again)):
        daemon.take(event)
        assert daemon.step() == IDLE_MAX_S
    assert [event["reportingInstance"] for event in home.told()] == ["one"]


@pytest.mark.parametrize(
    "other",
    [
        replace(REJECTED, kind=EventKind.ROLLED_BACK),
        replace(REJECTED, reason="ImagePull"),
        replace(REJECTED, service=ServiceName("api")),
        replace(REJECTED, environment=EnvironmentName("prod")),
        replace(REJECTED, cluster=ClusterName("dev-1")),
        replace(REJECTED, revision=revision("3")),
        replace(REJECTED, detail=(("field", "spec.replicas"),)),
    ],
)
def test_another_condition_is_told_too(home: Home, other: Event) -> None:
    home.announcer.take(REJECTED)
    home.announcer.take(other)
    home.announcer.step()
    assert len(home.told()) == 2


@pytest.mark.parametrize(
    "event",
    [
        replace(REJECTED, service=None),
        replace(REJECTED, environment=None),
        *(replace(REJECTED, kind=kind) for kind in sorted(COUNTED)),
    ],
)
def test_what_is_of_no_cell_or_said_once_a_cluster_is_left_to_the_log(
    home: Home, event: Event
) -> None:
    home.announcer.take(event)
    home.announcer.step()
    assert (home.told(), home.woken) == ([], 0)


def test_nothing_is_told_where_nothing_may_be_written(home: Home) -> None:
    home.may_write = False
    home.announcer.take(REJECTED)
    assert home.announcer.step() == IDLE_MAX_S
    home.may_write = True
    home.announcer.step()
    assert home.told() == []


def test_a_home_that_is_away_is_told_when_it_is_back_and_of_the_newest(home: Home) -> None:
    home.error = Unreachable("home", "create Event failed", "no answer")
    for number in range(WAITING_MAX + 1):
        home.announcer.take(replace(REJECTED, reason=str(number)))
    assert home.announcer.step() == RETRY_S
    home.error = None
    assert home.announcer.step() == IDLE_MAX_S
    told = home.told()
    assert len(told) == WAITING_MAX
    assert told[0]["message"].startswith("2: 1: ")


def test_a_right_that_is_missing_is_told_once_and_holds_nothing_up(home: Home) -> None:
    home.error = Denied("home", "create Event failed", "forbidden")
    with capture_logs() as lines:
        for number in range(3):
            home.announcer.take(replace(REJECTED, reason=str(number)))
            assert home.announcer.step() == IDLE_MAX_S
    assert [line["event"] for line in lines] == ["event-refused"]


def test_words_have_an_end(home: Home) -> None:
    home.announcer.take(replace(REJECTED, message="x" * 5_000))
    home.announcer.step()
    assert [len(event["message"]) for event in home.told()] == [MESSAGE_CHARACTERS_MAX]
