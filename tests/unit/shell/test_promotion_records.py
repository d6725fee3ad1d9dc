"""The coordinator's memory: nothing that came after is set back, whoever writes and whenever answers come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.core.recording import empty, with_revert
from reconciler.errors import Conflict, Refused, Unreachable
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.records import PromotionRecord, RevertProgress
from reconciler.ports.kube import Change, WatchEvent
from reconciler.schema.records import promotion_record_object
from reconciler.shell.clusters import bootstrap
from reconciler.shell.executor.live import Kind, Watched
from reconciler.shell.executor.orders import Installation
from reconciler.shell.promotion_records import PromotionRecords
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.facts import rejection
from tests.fakes.records import revision
from tests.fakes.watched import Fresh

NAMESPACE = "reconciler-system"
KEY = (ServiceName("web"), EnvironmentName("dev"))


class Home:
    """A home cluster, and the memory of one daemon in it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.cluster = SimulatedCluster("home", clock=self.clock)
        bootstrap(self.cluster.client(), NAMESPACE)
        self.tell: Callable[[WatchEvent], None] = lambda event: None
        self.answers = True
        self.records = PromotionRecords(
            self.cluster.client(),
            NAMESPACE,
            self._watch,
            on_change=lambda key: None,
            on_fresh=lambda: None,
            answers=lambda: self.answers,
            may_write=lambda key: True,
            clock=self.clock,
            installation=Installation("ours", ("before",)),
        )
        self.first = self.records.save(replace(empty(*KEY), epoch=1, holder="me"))

    def _watch(
        self,
        kind: Kind,
        selector: str,
        on_event: Callable[[WatchEvent], None],
        on_fresh: Callable[[], None],
    ) -> Watched:
        del kind, selector, on_fresh
        self.tell = on_event
        return Fresh()

    def another(self) -> PromotionRecords:
        """Returns the memory of another task or process."""
        return PromotionRecords(
            self.cluster.client(),
            NAMESPACE,
            lambda *_: Fresh(),
            on_change=lambda key: None,
            on_fresh=lambda: None,
            answers=lambda: True,
            may_write=lambda key: True,
            clock=self.clock,
            installation=Installation("ours", ("before",)),
        )

    def stored(self) -> KubeObject:
        kind = self.cluster.store.served("reconciler.dev/v1alpha1", "PromotionRecord")
        assert kind is not None
        found: KubeObject = self.cluster.store.get(kind, NAMESPACE, "web.dev")
        return found

    def told(self, record: PromotionRecord) -> None:
        """The watch tells of a record as it was stored."""
        obj = promotion_record_object(record, namespace=NAMESPACE)
        self.tell(WatchEvent(Change.MODIFIED, obj))


@pytest.fixture
def home() -> Home:
    return Home()


def admitted(record: PromotionRecord, version: str) -> PromotionRecord:
    return replace(record, admitted=revision(version))


def version_of(record: PromotionRecord | None) -> str | None:
    admitted = record.admitted if record else None
    return admitted.release.version if admitted else None


def test_a_late_answer_does_not_set_back_what_the_watch_told(home: Home) -> None:
    """Between the server's write and its answer another task may have written, and the watch told it."""
    second = home.records.save(admitted(home.first, "2"))
    later = replace(admitted(second, "3"), version=str(int(second.version) + 5))
    raced: list[str] = []

    def race(verb: str, kind: str) -> None:
        if verb == "update" and not raced:
            raced.append(verb)
            home.told(later)

    home.cluster.faults.before = race
    home.records.save(admitted(second, "2.1"))
    assert raced and version_of(home.records.get(KEY)) == "3"


def test_an_old_event_does_not_set_back_what_was_written(home: Home) -> None:
    home.records.save(admitted(home.first, "2"))
    home.told(home.first)
    assert version_of(home.records.get(KEY)) == "2"


def test_a_conflict_is_read_again_so_that_the_next_plan_starts_from_what_stands(
    home: Home,
) -> None:
    home.records.save(admitted(home.first, "2"))
    with pytest.raises(Conflict):
        home.records.save(admitted(home.first, "3"))
    now = home.records.get(KEY)
    assert now is not None and version_of(now) == "2"
    home.records.save(admitted(now, "3"))
    assert version_of(home.records.get(KEY)) == "3"


def test_an_amendment_is_made_to_what_stands_by_then(home: Home) -> None:
    other = home.another()
    other.save(admitted(home.first, "2"))
    home.records.amend(KEY, lambda record: replace(record, epoch=2, holder="you"))
    now = home.records.get(KEY)
    assert now is not None
    assert (version_of(now), now.holder) == ("2", "you")


def test_an_amendment_that_changes_nothing_writes_nothing(home: Home) -> None:
    writes = len(home.cluster.audit)
    home.records.amend(KEY, lambda record: record)
    assert len(home.cluster.audit) == writes


def test_an_amendment_waits_for_a_home_that_is_out_of_reach(home: Home) -> None:
    def down(verb: str, kind: str) -> None:
        raise Unreachable(kind, f"cannot {verb}", "connection refused")

    home.cluster.faults.before = down
    home.records.amend(KEY, lambda record: admitted(record, "2"))
    assert version_of(home.records.get(KEY)) == "2"
    assert not home.records.is_saved(KEY)
    home.cluster.faults.before = lambda verb, kind: None
    assert home.records.retry()
    assert home.records.is_saved(KEY)
    assert home.stored()["spec"]["admitted"]["release"]["version"] == "2"


def test_what_waits_for_the_home_is_built_upon_what_was_written_there_since(home: Home) -> None:
    other = home.another()
    home.cluster.faults.before = _down
    home.records.keep(admitted(home.first, "2"))
    home.cluster.faults.before = lambda verb, kind: None
    other.save(admitted(home.first, "1"))
    assert not home.records.retry()
    assert home.records.retry()
    assert home.stored()["spec"]["admitted"]["release"]["version"] == "2"


def test_what_waits_for_the_home_gives_way_to_a_later_coordinator(home: Home) -> None:
    other = home.another()
    home.cluster.faults.before = _down
    home.records.keep(admitted(home.first, "2"))
    home.cluster.faults.before = lambda verb, kind: None
    other.save(replace(admitted(home.first, "9"), epoch=2, holder="later"))
    home.records.retry()
    assert version_of(home.records.get(KEY)) == "9"
    assert home.records.is_saved(KEY)


def test_news_of_a_commit_is_not_lost_to_what_waited_for_the_home(home: Home) -> None:
    rejected = replace(rejection(revision("2"), KEY[1]), revert=RevertProgress())
    record = home.records.save(replace(home.first, rejections=(rejected,)))
    home.cluster.faults.before = _down
    home.records.keep(admitted(record, "1"))
    home.cluster.faults.before = lambda verb, kind: None
    progress = RevertProgress(commit=CommitId("c" * 40))
    home.another().save(with_revert(record, rejected, progress))
    home.records.retry()
    home.records.retry()
    now = home.records.get(KEY)
    assert now is not None and home.records.is_saved(KEY)
    assert (version_of(now), now.rejections[0].revert) == ("1", progress)


def _down(verb: str, kind: str) -> None:
    raise Unreachable(kind, f"cannot {verb}", "connection refused")


def test_while_the_home_does_not_answer_it_is_not_asked_and_what_must_count_is_kept(
    home: Home,
) -> None:
    """A home that hangs would hold up every other cluster's roll-back for as long as a request may take."""
    asked: list[str] = []
    home.cluster.faults.before = lambda verb, kind: asked.append(verb)
    home.answers = False
    with pytest.raises(Unreachable):
        home.records.save(admitted(home.first, "2"))
    home.records.keep(admitted(home.first, "3"))
    assert asked == []
    assert version_of(home.records.get(KEY)) == "3" and not home.records.is_saved(KEY)
    home.answers = True
    assert home.records.retry()
    assert home.records.is_saved(KEY) and home.stored()["spec"]["admitted"] is not None


@pytest.mark.parametrize(("theirs", "other"), [("blue", "blue"), ("before", ""), ("ours", "")])
def test_the_record_of_another_installation_is_never_written_over(
    home: Home, theirs: str, other: str
) -> None:
    home.told(replace(home.first, installation=theirs, version=str(int(home.first.version) + 5)))
    assert home.records.other(KEY) == other
    # Whoever reads it, the one that makes commits included, finds none that is ours.
    assert (home.records.get(KEY) is None) == bool(other)
    before = home.stored()
    for write in (home.records.save, home.records.keep):
        if other:
            with pytest.raises(Refused, match="installation blue"):
                write(replace(home.first, epoch=9))
            assert home.stored() == before
    assert home.records.is_saved(KEY)


def test_what_was_decided_on_a_record_that_another_has_taken_meanwhile_counts_no_more(
    home: Home,
) -> None:
    home.answers = False
    home.records.keep(admitted(home.first, "2"))
    assert version_of(home.records.get(KEY)) == "2"
    theirs = replace(home.first, installation="blue", version=str(int(home.first.version) + 5))
    home.told(theirs)
    assert home.records.get(KEY) is None
    before, home.answers = home.stored(), True
    home.records.retry()
    assert home.stored() == before and home.records.is_saved(KEY)
