"""What people ask for as commits: pause, resume and rollback, also where the branch refuses or moves on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.committing import RACES_MAX
from reconciler.simulated.behaviour import Fate
from tests.gitservers.hooks import Hooks
from tests.system.documents import check
from tests.system.served import ServedFleet

pytestmark = pytest.mark.xdist_group("verbs")

MAIN = "refs/heads/main"
WEB_IN_PROD = "environments/prod/web.yaml"


@dataclass(frozen=True, slots=True)
class Released:
    """A fleet, and what it ran before.

    Attributes:
        before: What prod's pin of web said when that was proven.
        proven: The revision that was, as `status` named it.
    """

    fleet: ServedFleet
    before: dict[str, Any]
    proven: dict[str, Any]


@pytest.fixture(scope="module")
def released() -> Iterator[Released]:
    """A fleet on which a release went out, and after it another one with other values in prod."""
    with ServedFleet() as served:
        assert served.settle().code == 0
        before = pinned(served, "HEAD", WEB_IN_PROD)
        proven = web_in_prod(served)["last_proven"]
        served.merge("1.9.0", Fate.READY, "good")
        text = (served.work / WEB_IN_PROD).read_text()
        served.change({WEB_IN_PROD: text.replace("replicas: 3", "replicas: 5")}, "More of web")
        assert served.settle().code == 0
        cell = web_in_prod(served)
        assert (cell["phase"], cell["admitted"]["version"]) == ("Proven", "1.9.0")
        yield Released(served, before, proven)


@pytest.fixture
def fleet(released: Released) -> ServedFleet:
    return released.fleet


@pytest.fixture
def hooks(fleet: ServedFleet) -> Iterator[Hooks]:
    """What the Git server asks before it takes a push."""
    with Hooks(bare(fleet)) as hooks:
        yield hooks


def bare(fleet: ServedFleet) -> Path:
    return fleet.folder / "env.git"


def web_in_prod(fleet: ServedFleet) -> dict[str, Any]:
    cells = fleet.cli("status", "-o", "json").document["cells"]
    (found,) = (c for c in cells if (c["service"], c["environment"]) == ("web", "prod"))
    assert isinstance(found, dict)
    return found


def pinned(fleet: ServedFleet, commit: str, path: str) -> dict[str, Any]:
    """Returns what a file says in a commit; the person's clone has fetched main."""
    fleet.log()
    found = yaml.safe_load(fleet.git("show", f"{commit}:{path}"))
    assert isinstance(found, dict)
    return found


def test_a_verb_is_a_commit_under_the_persons_own_name(fleet: ServedFleet) -> None:
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
    path = "environments/prod/store.yaml"
    told = fleet.cli("pause", "store", "prod", "--reason", "a\nsale", "-o", "json", variables=who)
    check("pause", told.document)
    assert told.code == 0
    commit = told.document["commit"]
    assert told.document == {
        "schema": "reconciler.pause/v1",
        "commit": commit,
        "branch": "main",
        "paths": [path],
        "pushed": True,
        "errors": [],
    }
    row = fleet.log()[-1]
    assert (row["commit"], row["author"]) == (commit, "Ada")
    assert row["subject"] == "Pause store in prod"
    for line in ("Action: pause", "Service: store", "Environments: prod", "Reason: a sale"):
        assert f"\nReconciler-{line}\n" in row["body"] + "\n"
    assert fleet.git("show", f"{commit}:{path}").count("paused: true") == 1
    again = fleet.cli("pause", "store", "prod", "--reason", "a sale", "-o", "json")
    assert (again.code, again.document["commit"], again.document["pushed"]) == (0, None, False)
    assert "Nothing to change" in fleet.cli("pause", "store", "prod", "--reason", "x").out
    told = fleet.cli("resume", "store", "prod", "--reason", "it is over", "-o", "json")
    check("resume", told.document)
    assert told.document["pushed"] is True
    assert not pinned(fleet, told.document["commit"], path).get("paused")


def test_a_roll_back_pins_what_was_proven_before(released: Released) -> None:
    fleet = released.fleet
    told = fleet.cli("rollback", "web", "prod", "--reason", "it is slow", "-o", "json")
    check("rollback", told.document)
    assert (told.code, told.document["paths"]) == (0, [WEB_IN_PROD])
    before = released.before
    assert before["values"] == {"replicas": 3} and before["release"]["version"] == "1.8.2"
    release = {**before["release"], "source": released.proven["source"]}
    commit = told.document["commit"]
    assert pinned(fleet, commit, WEB_IN_PROD) == {**before, "release": release}
    assert "delete that line to let a pin float again" in fleet.log()[-1]["body"]
    (row,) = fleet.cli("explain", "web", "prod", "-o", "json").document["environments"]
    assert row["fixed_source"] == release["source"]
    files = fleet.git("show", "--format=", "--name-only", commit).split()
    assert files == [WEB_IN_PROD]
    again = fleet.cli("rollback", "web", "prod", "--reason", "it is slow", "-o", "json")
    assert (again.code, again.document["commit"]) == (0, None), "the pin says so already"


def test_a_roll_back_takes_a_tombstone_back_and_a_promotion_says_so(fleet: ServedFleet) -> None:
    before = pinned(fleet, "HEAD", WEB_IN_PROD)
    runs = web_in_prod(fleet)["admitted"]
    fleet.change({WEB_IN_PROD: "release: absent\nreason: it is over\n"}, "Web goes")
    refused = fleet.cli("promote", "web", "prod", "--reason", "x", "-o", "json")
    assert refused.code == 2 and "`reconciler rollback`" in refused.document["errors"][0]["fix"]
    told = fleet.cli("rollback", "web", "prod", "--reason", "it is needed", "-o", "json")
    assert told.code == 0 and told.document["paths"] == [WEB_IN_PROD]
    now = pinned(fleet, told.document["commit"], WEB_IN_PROD)
    assert now["release"]["version"] == runs["version"], "what runs, and not what ran before"
    assert now["release"]["source"] == runs["source"] and "reason" not in now
    fleet.change({WEB_IN_PROD: yaml.safe_dump(before)}, "As it was")


def test_a_roll_back_needs_something_else_that_is_proven(fleet: ServedFleet) -> None:
    head = fleet.log()[-1]["commit"]
    told = fleet.cli("rollback", "store", "dev", "--reason", "x", "-o", "json")
    check("rollback", told.document)
    assert told.code == 2 and told.document["pushed"] is False
    assert "proven" in told.document["errors"][0]["why"]
    assert fleet.log()[-1]["commit"] == head


def test_a_branch_that_refuses_the_commit_gets_one_for_a_person(
    fleet: ServedFleet, hooks: Hooks
) -> None:
    hooks.protected = frozenset({MAIN})
    head = fleet.log()[-1]["commit"]
    told = fleet.cli("pause", "worker", "prod", "--reason", "a sale", "-o", "json")
    check("pause", told.document)
    assert told.code == 0
    commit, branch = told.document["commit"], told.document["branch"]
    assert re.fullmatch(r"reconciler/change-[0-9a-f]{12}", branch)
    assert told.document["pushed"] is True
    fleet.git("fetch", "--quiet", "origin", branch)
    assert fleet.git("rev-parse", "FETCH_HEAD", f"{commit}^").split() == [commit, head]
    assert pinned(fleet, commit, "environments/prod/worker.yaml")["paused"] is True
    assert fleet.log()[-1]["commit"] == head, "main is as it was"
    text = fleet.cli("pause", "worker", "prod", "--reason", "another sale").out
    where = r"[0-9a-f]{40} is on reconciler/change-[0-9a-f]{12}: main refused it; merge it there\n"
    assert re.fullmatch(where, text)


def test_a_commit_that_is_refused_everywhere_is_an_error(fleet: ServedFleet, hooks: Hooks) -> None:
    hooks.pre_receive = lambda: "not today"
    head = fleet.log()[-1]["commit"]
    told = fleet.cli("pause", "worker", "prod", "--reason", "a sale", "-o", "json")
    check("pause", told.document)
    assert told.code == 3
    assert (told.document["commit"], told.document["pushed"]) == (None, False)
    (error,) = told.document["errors"]
    assert error["object"].startswith("reconciler/change-")
    assert "not today" in error["why"]
    assert fleet.log()[-1]["commit"] == head


def test_a_commit_that_was_overtaken_is_made_again_on_top(fleet: ServedFleet, hooks: Hooks) -> None:
    path = "environments/staging/worker.yaml"
    others: list[str] = []

    def once() -> None:
        hooks.pre_receive = None  # Their own push asks as well.
        text = (fleet.work / path).read_text()
        others.append(fleet.change({path: f"{text}# theirs\n"}, "Theirs"))

    hooks.pre_receive = once
    told = fleet.cli("pause", "worker", "staging", "--reason", "a sale", "-o", "json")
    check("pause", told.document)
    assert (told.code, told.document["branch"]) == (0, "main")
    last, commit = (row["commit"] for row in fleet.log()[-2:])
    assert [last, commit] == [*others, told.document["commit"]]
    text = fleet.git("show", f"{commit}:{path}")
    assert "# theirs\n" in text and "paused: true\n" in text


def test_a_commit_that_is_overtaken_again_and_again_is_given_up(
    fleet: ServedFleet, hooks: Hooks
) -> None:
    path = "environments/dev/worker.yaml"
    others: list[str] = []

    def always() -> None:
        hooks.pre_receive = None
        others.append(fleet.change({path: f"{(fleet.work / path).read_text()}#\n"}, "Theirs"))
        hooks.pre_receive = always

    hooks.pre_receive = always
    told = fleet.cli("pause", "worker", "dev", "--reason", "a sale", "-o", "json")
    check("pause", told.document)
    assert (told.code, told.document["pushed"]) == (3, False)
    (error,) = told.document["errors"]
    assert (error["object"], error["what"]) == ("main", "the push was overtaken")
    assert len(others) == RACES_MAX
    assert fleet.log()[-1]["commit"] == others[-1]


@pytest.mark.parametrize("service", ["nobody", "../web", "web.yaml", "a b", "-x"])
def test_a_verb_on_a_pin_that_is_not_there_ends_with_two(fleet: ServedFleet, service: str) -> None:
    head = fleet.log()[-1]["commit"]
    told = fleet.cli("pause", "--reason", "x", "-o", "json", "--", service, "prod")
    check("pause", told.document)
    assert told.code == 2 and told.document["pushed"] is False
    assert fleet.log()[-1]["commit"] == head
