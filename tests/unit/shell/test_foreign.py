"""What somebody else made is compared before it is written over, and never in part."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import AdmissionDenied, Denied, Unreachable
from reconciler.model.events import EventKind
from reconciler.model.objects import KubeObject
from reconciler.model.policy import DriftMode
from tests.fakes.at_work import AtWork, config_map, workload
from tests.fakes.records import revision

THEIRS = "kubectl-create"


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def bare(obj: KubeObject) -> dict[str, Any]:
    """Returns an object as somebody makes it who has never heard of us."""
    meta = {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}
    return {**obj, "metadata": meta}


def by_hand(work: AtWork, obj: KubeObject, *, labels: Any = None, **fields: Any) -> None:
    """Changes what is live as somebody does with an editor, and lets the watch tell of it."""
    found = work.get(obj)
    assert found is not None
    meta = found["metadata"] if labels is None else {**found["metadata"], "labels": labels}
    work.cluster.store.replace({**found, **fields, "metadata": meta}, "kubectl-edit")
    work.pass_(2)


def data(work: AtWork, name: str = "web") -> Any:
    found = work.get(config_map(name))
    return found["data"] if found is not None else None


def reason(work: AtWork) -> str:
    record = work.record()
    assert record is not None
    return record.reason


@pytest.mark.parametrize(("overwrite", "replicas"), [(True, 2), (False, 5)])
def test_what_is_not_ours_is_written_over_where_the_pin_says_so_however_often_it_is_tried(
    work: AtWork, overwrite: bool, replicas: int
) -> None:
    theirs = {**workload(replicas=5), "metadata": {"name": "web", "namespace": "web"}}
    work.cluster.store.create(theirs, "kubectl-create")
    work.refuse(Unreachable("x", "y", "z"), ["apply"])
    work.deliver("1", config_map(x="1"), workload(replicas=2), overwrite=overwrite)
    work.pass_(3)
    assert work.record() is not None
    work.mend()
    work.pass_(10)
    assert work.member().is_on(revision("1").id) == overwrite
    assert work.get(workload())["spec"]["replicas"] == replicas  # type: ignore[index]
    assert (work.get(config_map()) is not None) == overwrite, "all of it, or nothing"


@pytest.mark.parametrize("returning", [False, True])
def test_a_way_back_writes_over_nothing_where_nothing_of_ours_ever_was(
    work: AtWork, returning: bool
) -> None:
    work.cluster.store.create(bare(config_map(x="theirs")), THEIRS)
    work.deliver("1", config_map(x="1"), returning=returning)
    work.pass_(10)
    assert data(work) == {"x": "theirs"} and reason(work) == "AdoptionDiffers"


def test_what_came_before_a_first_attempt_was_made_again_is_not_ours(work: AtWork) -> None:
    work.refuse(Unreachable("x", "y", "z"), ["apply"])
    work.deliver("1", config_map(x="1"))
    work.pass_(3)
    work.cluster.store.create(bare(config_map(x="theirs")), THEIRS)
    work.mend()
    work.pass_(10)
    assert data(work) == {"x": "theirs"} and reason(work) == "AdoptionDiffers"


def test_what_was_ours_is_put_back_whatever_became_of_its_labels(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.delivered("2", config_map(x="2"))
    by_hand(work, config_map(), labels={}, data={"x": "by hand"})
    work.delivered("1", rendered=False, returning=True)
    assert data(work) == {"x": "1"}


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize(
    ("drift", "is_taken"), [(DriftMode.CORRECT, True), (DriftMode.REPORT, False)]
)
def test_what_was_ours_is_no_adoption_whatever_became_of_its_labels(
    work: AtWork, watched: bool, drift: DriftMode, is_taken: bool
) -> None:
    work.delivered("1", config_map(x="1"))
    by_hand(work, config_map(), labels={}, data={"x": "by hand"})
    if not watched:
        work.refuse(Denied("ConfigMap", "it cannot be read", "forbidden"), ["list"], "ConfigMap")
        work.start()
    work.deliver("2", config_map(x="2"), drift=drift)
    work.pass_(10)
    assert data(work) == ({"x": "2"} if is_taken else {"x": "by hand"})
    # Without a label, and with an attempt that failed, nothing tells any more that it was ours.
    assert reason(work) == ("" if is_taken else "AdoptionDiffers")


def test_what_the_pin_says_of_others_is_not_said_of_what_is_ours(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    by_hand(work, config_map(), data={"x": "by hand"})
    work.cluster.store.create(bare(config_map("more", x="theirs")), THEIRS)
    work.deliver("2", config_map(x="2"), overwrite=True)
    work.pass_(10)
    assert data(work) == {"x": "by hand"} and reason(work) == "FieldConflict"
    work.delivered("3", config_map("more", x="3"), overwrite=True)
    assert data(work, "more") == {"x": "3"}


@pytest.mark.parametrize("drift", list(DriftMode))
@pytest.mark.parametrize("first", [True, False])
def test_what_passes_is_left_to_the_server_all_the_same(
    work: AtWork, drift: DriftMode, first: bool
) -> None:
    """Labels are not compared, and somebody may write between the look and the write."""
    if not first:
        work.delivered("1", config_map(x="1"))
    theirs = {**bare(config_map("more", x="2"))}
    theirs["metadata"]["labels"] = {"team": "infra"}
    work.cluster.store.create(theirs, THEIRS)
    asked = config_map("more", x="2")
    asked["metadata"]["labels"] = {**asked["metadata"].get("labels", {}), "team": "web"}
    work.deliver("2", config_map(x="1"), asked, drift=drift)
    work.pass_(10)
    found = work.get(config_map("more"))
    assert found is not None and found["metadata"]["labels"] == {"team": "infra"}
    assert reason(work) == "FieldConflict"


@pytest.mark.parametrize("drift", list(DriftMode))
def test_what_was_only_written_down_ahead_is_not_ours(work: AtWork, drift: DriftMode) -> None:
    work.delivered("1", config_map(x="1"), drift=drift)
    work.refuse(AdmissionDenied("x", "y", "z"), ["apply"])
    work.deliver("2", config_map(x="1"), config_map("more", x="2"), drift=drift)
    work.pass_(3)
    work.cluster.store.create(bare(config_map("more", x="theirs")), THEIRS)
    work.mend()
    work.start()
    work.deliver("2", config_map(x="1"), config_map("more", x="2"), drift=drift)
    work.pass_(10)
    assert data(work, "more") == {"x": "theirs"} and reason(work) == "AdoptionDiffers"


def test_a_cluster_is_untouched_until_the_first_write(work: AtWork) -> None:
    work.cluster.store.create(bare(config_map(x="theirs")), THEIRS)
    objects = (config_map(x="1"), workload())
    work.deliver("1", *objects)
    work.pass_(5)
    assert work.member().is_untouched
    work.refuse(Unreachable("x", "y", "z"), ["apply"], "Deployment")
    found = work.get(config_map())
    assert found is not None
    work.cluster.store.replace({**found, "data": {"x": "1"}}, THEIRS)
    assert work.until(lambda: "reconciler.dev/service" in str(work.get(config_map())), 40)
    assert not work.member().is_untouched
    work.start()
    work.pass_(2)
    assert not work.member().is_untouched


def test_a_cluster_with_a_part_of_ours_is_not_untouched_whatever_comes_there(work: AtWork) -> None:
    work.refuse(AdmissionDenied("x", "y", "z"), ["apply"], "Deployment")
    work.deliver("1", config_map(x="1"), workload())
    work.pass_(3)
    work.cluster.store.create(bare(workload(replicas=5)), THEIRS)
    work.mend()
    work.pass_(40)
    assert work.member().is_held_by_others and not work.member().is_untouched


def test_a_daemon_that_is_started_again_counts_no_time_before_it(work: AtWork) -> None:
    work.cluster.store.create(bare(config_map(x="theirs")), THEIRS)
    work.deliver("1", config_map(x="1"))
    work.pass_(500)
    assert work.member().waiting_s >= 400
    work.start()
    work.pass_(2)
    assert work.member().waiting_s < 10


def test_a_refusal_that_stays_the_same_is_written_down_once(work: AtWork) -> None:
    work.cluster.store.create(bare(config_map(x="theirs")), THEIRS)
    work.deliver("1", config_map(x="1"))
    work.pass_(5)
    work.cluster.audit.clear()
    work.pass_(100)
    assert reason(work) == "AdoptionDiffers" and not work.cluster.audit


@pytest.mark.parametrize("drift", list(DriftMode))
def test_what_may_not_be_read_is_left_to_the_server_to_compare(
    work: AtWork, drift: DriftMode
) -> None:
    work.cluster.store.create(bare(workload(replicas=5)), THEIRS)
    work.refuse(
        Denied("Deployment web/web", "it cannot be read", "forbidden"), ["get"], "Deployment"
    )
    work.deliver("1", workload(replicas=2), drift=drift)
    work.pass_(10)
    work.mend()
    found = work.get(workload())
    assert found is not None and found["spec"]["replicas"] == 5
    assert reason(work) == "FieldConflict"


def test_a_later_release_takes_nothing_over_in_a_kind_that_is_watched_for_ours_alone(
    work: AtWork,
) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.cluster.store.create(bare(config_map("more", x="theirs")), THEIRS)
    work.deliver("2", config_map(x="2"), config_map("more", x="2"), drift=DriftMode.CORRECT)
    work.pass_(10)
    assert (data(work), data(work, "more")) == ({"x": "1"}, {"x": "theirs"})
    (event, *_) = work.told_of(EventKind.APPLY_FAILED)
    assert event.reason == "AdoptionDiffers" and "data.x" in event.message


def test_a_namespace_that_people_made_ahead_is_no_reason_to_wait(work: AtWork) -> None:
    space: KubeObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}}
    work.cluster.store.create(dict(space), THEIRS)
    asked = {**space, "metadata": {"name": "mine", "annotations": {"team": "web"}}}
    work.delivered("1", asked, config_map(x="1"))
    found = work.get(space)
    assert found is not None and found["metadata"]["annotations"] == {"team": "web"}
