"""One cluster answers the running daemon as broken clusters do: it is told by name, and nobody else waits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from reconciler.simulated.faults import HalfPage, Hang, OnePage, Reset, Rule, answering
from reconciler.simulated.http_front import LOOK_S
from tests.system.envrepo import digest, policy
from tests.system.installation import HOME
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("bad-clusters")]

BAD = "prod-2"
"""Alone in the last wave."""

READS = ("get", "watch")

CUT_S = LOOK_S + 0.5
"""Longer than a watch takes to notice."""

QUICK = policy(soak_s=0.3, drift="correct")

SILENT = "prod-2 does not answer"


@dataclass(frozen=True, slots=True)
class Row:
    """What a cluster answers, and what a person is told of it.

    Attributes:
        fault: What is met.
        verbs: Of which requests; empty: of all.
        resource: Of what; empty: of everything.
        words: Found in `status`: in prod's cell, its cluster or the errors. Empty where the daemon
            gets over it by itself, so that there is nothing to tell.
        reachable: What the metric says of the cluster.
    """

    fault: Exception | type[Exception]
    verbs: tuple[str, ...] = ()
    resource: str = ""
    words: str = ""
    reachable: float = 1

    @property
    def is_unwritable(self) -> bool:
        """Whether nothing of the release can arrive there."""
        return not self.reachable or "patch" in self.verbs

    def rule(self, met: list[str]) -> Rule:
        """Returns it as the cluster meets it, noting each time."""

        def meet(verb: str, steps: list[str]) -> None:
            if (not self.verbs or verb in self.verbs) and (
                not self.resource or self.resource in steps
            ):
                met.append(verb)
                raise self.fault

        return meet


ROWS = {
    "it hangs": Row(Hang, words=SILENT, reachable=0),
    "401": Row(answering(401, "Unauthorized"), words="HTTP 401", reachable=0),
    "403 on one kind": Row(
        answering(403, "Forbidden"),
        READS,
        "deployments",
        words="Deployment on prod-2: cannot be",
    ),
    "403 on writes": Row(
        answering(403, "Forbidden"),
        ("patch",),
        "deployments",
        words="Deployment/web/web on prod-2: cannot be applied: HTTP 403",
    ),
    "409": Row(answering(409, "Conflict"), ("patch",), "deployments", words="HTTP 409"),
    "410 on watch": Row(answering(410, "Expired"), ("watch",)),
    "429": Row(answering(429, "TooManyRequests", seconds=1), words="HTTP 429", reachable=0),
    "500": Row(answering(500, "InternalError"), words="HTTP 500", reachable=0),
    "half a page": Row(HalfPage, ("get",), words="broke off", reachable=0),
    "a reset in mid-answer": Row(Reset, ("get",), words="Connection reset", reachable=0),
}

HOME_ROWS = {
    "it hangs": Row(Hang, words="does not answer"),
    "401": Row(answering(401, "Unauthorized"), words="HTTP 401"),
    "403 on our records": Row(
        answering(403, "Forbidden"), resource="promotionrecords", words="HTTP 403"
    ),
    "409 on our records": Row(
        answering(409, "Conflict"), ("update",), "promotionrecords", words="HTTP 409"
    ),
    "410 on watch": Row(answering(410, "Expired"), ("watch",)),
    "429": Row(answering(429, "TooManyRequests", seconds=1), words="HTTP 429"),
    "500": Row(answering(500, "InternalError"), words="HTTP 500"),
    "half a page": Row(HalfPage, ("get",), words="broke off"),
}
"""What the home answers, to everything or to what is asked of our records in it."""

QUIET_S = 3.0
"""Several turns of the daemon; a lease that is not renewed is over by then."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    with simulated(tmp_path_factory.mktemp("daemon")) as made:
        made.daemon.settings["request_timeout_s"] = 1
        made.start_with("1.0.0", QUICK)
        yield made


def told(fleet: Simulated) -> str:
    """Returns all that `status` says of prod and of what it could not look at."""
    document = fleet.daemon.status()
    cells = [cell for cell in document["cells"] if cell["environment"] == "prod"]
    return json.dumps([*cells, *document["errors"]])


def meet(fleet: Simulated, name: str, row: Row) -> list[str]:
    """Lets a cluster answer as a row says, and its watches end; returns what has met it, as it does."""
    faults = fleet.faults[name]
    met: list[str] = []
    faults.rules.append(row.rule(met))
    fleet.clusters[name].store.forget()  # A watch that is cut must list again.
    faults.is_cut = True
    time.sleep(CUT_S)
    faults.is_cut = False
    return met


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_bad_cluster_is_told_and_holds_nobody_else(row: Row, fleet: Simulated) -> None:
    version = f"1.{list(ROWS.values()).index(row) + 1}.0"
    faults, daemon = fleet.faults[BAD], fleet.daemon
    before, uids = fleet.held()[BAD], fleet.uids()
    met = meet(fleet, BAD, row)
    try:
        fleet.merge(fleet.pins(version))
        daemon.until(lambda: fleet.image("prod-1") == digest(version), "the others go on")
        if row.words:
            daemon.until(lambda: row.words in told(fleet), "it is told by name")
        if row.is_unwritable:
            assert fleet.held()[BAD] == before
        if not row.words:
            daemon.until(lambda: fleet.is_proven("prod", version), "it goes on while that lasts")
        daemon.until(
            lambda: daemon.metric("reconciler_cluster_reachable", cluster=BAD) == row.reachable,
            f"a metric says {row.reachable:g}",
        )
        assert met, "the fault was met"
    finally:
        faults.rules.clear()
    fleet.wait_proven("prod", version)
    assert fleet.image(BAD) == digest(version)
    assert fleet.uids() == uids, "nothing was deleted and made anew"
    daemon.until(
        lambda: BAD not in json.dumps(daemon.status()["errors"]), "nothing is told any more"
    )
    assert fleet.reverts() == []


def stays(fleet: Simulated, before: dict[str, str]) -> None:
    """Checks that what people run stays as it was, for a while in which it would change."""
    until_s = time.monotonic() + QUIET_S
    while time.monotonic() < until_s:
        assert fleet.held() == before
        time.sleep(0.1)


@pytest.mark.parametrize("row", HOME_ROWS.values(), ids=HOME_ROWS.keys())
def test_a_bad_home_stops_what_goes_forward_and_takes_nothing_back(
    row: Row, fleet: Simulated
) -> None:
    version = f"2.{list(HOME_ROWS.values()).index(row)}.0"
    daemon, before, uids = fleet.daemon, fleet.held(), fleet.uids()
    met = meet(fleet, HOME, row)
    try:
        head = fleet.merge(fleet.pins(version))
        daemon.until(lambda: daemon.status()["head"]["commit"] == head, "the commit is seen")
        if row.words:
            daemon.until(lambda: row.words in json.dumps(daemon.status()), "it is told")
            stays(fleet, before)
        else:
            daemon.until(lambda: fleet.is_proven("prod", version), "it goes on while that lasts")
        assert met, "the fault was met"
        assert fleet.head() == head and fleet.own_branches() == []
    finally:
        fleet.faults[HOME].rules.clear()
    fleet.wait_proven("prod", version)
    assert fleet.uids() == uids, "nothing was deleted and made anew"
    assert fleet.reverts() == [] and daemon.is_running


def test_records_of_which_only_the_first_page_can_be_had_are_unknown_to_a_new_daemon(
    fleet: Simulated,
) -> None:
    daemon, before, uids = fleet.daemon, fleet.held(), fleet.uids()
    met: list[str] = []
    daemon.stop()
    fleet.faults[HOME].rules.append(Row(OnePage, ("get",), "promotionrecords").rule(met))
    try:
        head = fleet.merge(fleet.pins("3.0.0"))
        daemon.start()
        daemon.until(
            lambda: {c["reason"] for c in daemon.status()["cells"]} == {"HomeUnreachable"},
            "it is told",
        )
        assert {c["phase"] for c in daemon.status()["cells"]} == {"Unknown"}
        assert any("HTTP 500" in one["error"] for one in daemon.logged("watch-failed"))
        stays(fleet, before)
        assert met and fleet.head() == head
    finally:
        fleet.faults[HOME].rules.clear()
    fleet.wait_proven("prod", "3.0.0")
    assert fleet.uids() == uids and fleet.reverts() == []


def test_pods_of_which_only_the_first_page_can_be_had_prove_nothing(fleet: Simulated) -> None:
    daemon, uids = fleet.daemon, fleet.uids()
    met: list[str] = []
    daemon.stop()
    fleet.faults[BAD].rules.append(Row(OnePage, ("get",), "pods").rule(met))
    try:
        fleet.merge(fleet.pins("3.1.0"))
        daemon.start()
        daemon.until(lambda: fleet.image("prod-1") == digest("3.1.0"), "the others go on")
        daemon.until(lambda: daemon.reason(SERVICE, "prod") == "ClusterUnknown", "it is told")
        time.sleep(QUIET_S)
        assert met and not fleet.is_proven("prod", "3.1.0")
    finally:
        fleet.faults[BAD].rules.clear()
    fleet.wait_proven("prod", "3.1.0")
    assert fleet.uids() == uids and fleet.reverts() == []
