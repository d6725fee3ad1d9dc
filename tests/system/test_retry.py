"""Retry: what was rejected is let in and pinned again in one commit, and the daemon tries it once more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.simulated.behaviour import FATES, Fate
from tests.gitservers.hooks import Hooks
from tests.system.documents import check
from tests.system.served import ServedFleet, Told

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("verbs")]

STAGING, PROD = "environments/staging/web.yaml", "environments/prod/web.yaml"
CRASHES = next(marker for marker, fate in FATES.items() if fate is Fate.CRASH)
QUARANTINE = "quarantine/web.yaml"


@pytest.fixture
def fleet() -> Iterator[ServedFleet]:
    """A fleet on which a bad release was rejected in staging, and taken back there and in prod."""
    with ServedFleet() as served:
        assert served.settle().code == 0
        served.merge("1.9.0", Fate.CRASH, "bad")
        assert served.settle().code == 0
        yield served


def retry(
    fleet: ServedFleet, environment: str = "staging", reason: str = "it was the disk"
) -> Told:
    told = fleet.cli("retry", "web", environment, "--reason", reason, "-o", "json")
    check("retry", told.document)
    return told


def text(fleet: ServedFleet, commit: str, path: str) -> str:
    fleet.log()
    return fleet.git("show", f"{commit}:{path}")


def test_a_retry_takes_back_what_the_revert_did_and_the_daemon_tries_once_more(
    fleet: ServedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    revert = fleet.log()[-1]
    assert revert["subject"].startswith("Revert web")
    paused = text(fleet, "origin/main", PROD).rstrip("\n") + "\n# looked at\n"
    fleet.change({PROD: paused}, "A note on prod")
    told = retry(fleet, reason="it was\nthe disk")
    assert (told.code, told.document["pushed"], told.document["branch"]) == (0, True, "main")
    assert told.document["paths"] == sorted([STAGING, PROD, QUARANTINE])
    commit, bad = told.document["commit"], f"{revert['commit']}^"
    assert text(fleet, commit, STAGING) == text(fleet, bad, STAGING), "as before the revert"
    now = text(fleet, commit, PROD)
    assert yaml.safe_load(now) == yaml.safe_load(text(fleet, bad, PROD))
    assert "# looked at\n" in now and "source:" not in now
    assert "lifted: it was the disk\n" in text(fleet, commit, QUARANTINE)
    body = fleet.log()[-1]["body"] + "\n"
    entry = yaml.safe_load(text(fleet, commit, QUARANTINE))["entries"][0]
    for line in (
        "Action: retry",
        "Service: web",
        "Environments: staging, prod",
        f"To: {entry['revision']}",
        f"Commit: {revert['commit']}",
        "Reason: it was the disk",
    ):
        assert f"\nReconciler-{line}\n" in body
    monkeypatch.setitem(FATES, CRASHES, Fate.READY)
    assert fleet.settle().code == 0
    cells = [
        c for c in fleet.cli("status", "-o", "json").document["cells"] if c["service"] == "web"
    ]
    assert {(c["phase"], c["admitted"]["version"]) for c in cells} == {("Proven", "1.9.0")}
    assert fleet.log()[-1]["commit"] == commit, "nothing more is taken back"


def test_what_a_person_has_pinned_since_is_not_taken_back(fleet: ServedFleet) -> None:
    other = text(fleet, "origin/main", PROD).replace("1.8.2", "1.8.1")
    fleet.change({PROD: other}, "prod goes further back")
    told = retry(fleet)
    assert (told.code, told.document["paths"]) == (0, [STAGING, QUARANTINE])
    assert text(fleet, told.document["commit"], PROD) == other
    assert "The pin of prod is another one since, and stays.\n" in fleet.log()[-1]["body"]


def test_a_retry_that_makes_no_sense_is_refused_in_words(fleet: ServedFleet) -> None:
    for environment, why in (
        ("prod", "1.9.0 was rejected in staging, and is held in prod for that"),
        ("dev", "no entry that stands there was rejected in dev"),
        ("mars", "no entry that stands there was rejected in mars"),
    ):
        refused(fleet, environment, why)
    other = text(fleet, "origin/main", STAGING).replace("1.8.2", "1.8.1")
    fleet.change({STAGING: other}, "another one in staging")
    refused(fleet, "staging", "it asks for something else than 1.9.0 since it was taken back")
    told = fleet.cli("retry", "store", "staging", "--reason", "x", "-o", "json")
    assert (told.code, told.document["errors"][0]["why"]) == (2, "there is no such quarantine")


def refused(fleet: ServedFleet, environment: str, why: str) -> None:
    head = fleet.log()[-1]["commit"]
    told = retry(fleet, environment)
    (error,) = told.document["errors"]
    assert (told.code, error["what"], error["why"]) == (2, "nothing is tried again", why)
    assert fleet.log()[-1]["commit"] == head


def test_a_pin_that_asks_for_it_already_is_left_and_a_protected_branch_gets_another(
    fleet: ServedFleet,
) -> None:
    bad = f"{fleet.log()[-1]['commit']}^"
    fleet.change({STAGING: text(fleet, bad, STAGING)}, "the bad one again")
    head = fleet.log()[-1]["commit"]
    with Hooks(bare(fleet)) as hooks:
        hooks.protected = frozenset({"refs/heads/main"})
        told = retry(fleet)
    assert told.code == 0 and told.document["paths"] == [PROD, QUARANTINE]
    assert re.fullmatch(r"reconciler/change-[0-9a-f]{12}", told.document["branch"])
    assert fleet.log()[-1]["commit"] == head, "main is as it was"


def bare(fleet: ServedFleet) -> Path:
    return fleet.folder / "env.git"
