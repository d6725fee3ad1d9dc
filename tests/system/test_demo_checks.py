"""A demo that does not show what it should says so: in its report, to people, and by its exit code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from reconciler.cli import demo_show
from reconciler.cli.demo_fleet import DemoFleet
from reconciler.cli.demo_world import DemoWorld
from reconciler.cli.output import Document
from reconciler.model.events import Event, EventKind
from reconciler.simulated.behaviour import Fate, digest_for
from reconciler.simulated.faults import WireFaults
from tests.system.documents import check
from tests.system.served import Told, cli

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in the tests' own process, whose signals are not the demo's."""

    def note_none(asked: threading.Event) -> None:
        del asked

    monkeypatch.setattr(demo_show, "note_signals", note_none)


def played(monkeypatch: pytest.MonkeyPatch, *, ok: bool, output: str) -> Told:
    """Plays a script without a step, one of whose checks holds or not."""

    def checks(show: demo_show._Show) -> list[Document]:
        del show
        return [
            demo_show._check("Kept", ok=ok, message="it is not"),
            demo_show._check("Always", ok=True),
        ]

    monkeypatch.setitem(demo_show.SCRIPTS, "good-release", checks)
    return cli("demo", "--once", "--script", "good-release", "-o", output)


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_one_check_that_does_not_hold_is_found(
    ok: bool,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = played(monkeypatch, ok=ok, output="json")
    check("demo", told.document)
    assert (told.code, told.document["ok"], told.document["errors"]) == (code, ok, [])
    rows = [(row["name"], row["ok"], row["message"]) for row in told.document["checks"]]
    assert rows == [("Always", True, ""), ("Kept", ok, "" if ok else "it is not")]


def test_people_are_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    told = played(monkeypatch, ok=False, output="text")
    assert told.code == 1
    assert told.out.splitlines() == ["ok  Always", "NOT Kept: it is not"]


def test_a_step_that_does_not_happen_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_show, "STEP_LIMIT_S", 0.0)
    told = cli("demo", "--once", "-o", "json")
    check("demo", told.document)
    assert (told.code, told.document["ok"]) == (1, False)
    (row,) = told.document["checks"]
    (error,) = told.document["errors"]
    assert (row["name"], row["ok"]) == ("InTime", False)
    assert "the first releases are proven everywhere" in error["what"]


def test_without_git_it_says_so_and_ends_with_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = cli("demo", "--once", "-o", "json")
    check("demo", told.document)
    assert (told.code, told.document["ok"]) == (3, False)
    (error,) = told.document["errors"]
    assert (error["object"], error["why"]) == ("git", "it is not installed")
    assert told.err == "error: git: the demo cannot run: it is not installed\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "address"),
    [
        ((), {}, "127.0.0.1:0"),
        ((), {"RECONCILER_LISTEN": "127.0.0.1:1"}, "127.0.0.1:1"),
        (("--listen", "127.0.0.1:2"), {"RECONCILER_LISTEN": "127.0.0.1:1"}, "127.0.0.1:2"),
    ],
    ids=["a free port", "by a variable", "by a flag before a variable"],
)
def test_where_its_board_listens(
    arguments: tuple[str, ...],
    variables: dict[str, str],
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def play(script: str, *, once: bool, listen: str, output: str) -> None:
        del script, once, output
        asked.append(listen)

    monkeypatch.setattr(demo_show, "play", play)
    assert cli("demo", *arguments, variables=variables).code == 0
    assert asked == [address]


class _World:
    """What the checks look at, as it should be at the end, until something is spoilt."""

    def __init__(self) -> None:
        self.running = {("staging-1", digest_for(Fate.READY, demo_show.GOOD))}
        self.seen: set[tuple[str, str]] = set()
        self.reverts = 1
        self.faults = {"prod-2": WireFaults()}

    def runs(self, cluster: str, digest: str) -> bool:
        return (cluster, digest) in self.running

    def saw(self, cluster: str, digest: str) -> bool:
        return (cluster, digest) in self.seen

    def log(self) -> list[dict[str, str]]:
        return [{"body": "Reconciler-Action: revert"}] * self.reverts


class _AtOnce(demo_show._Show):
    """Every step comes about at once, the last of bad-release with something that should not be."""

    def __init__(self, spoil: Callable[[_World], object], *, comes: bool = False) -> None:
        self._world, self._spoil, self._comes = _World(), spoil, comes
        super().__init__(cast(DemoWorld, self._world), lambda text: None, threading.Event())
        self.watched_s: list[float] = []

    def start(self) -> None: ...

    def merge(self, version: str, fate: Fate, kind: str) -> None: ...

    def wait(self, what: str, is_done: Callable[[], bool]) -> None:
        del is_done
        if what == "dev keeps what is healthy there":
            self._spoil(self._world)

    def comes(self, is_done: Callable[[], bool], limit_s: float) -> bool:
        del is_done
        self.watched_s.append(limit_s)
        return self._comes

    def proven(self, version: str, environment: str) -> bool:
        del version, environment
        return True

    def events(self, kind: EventKind) -> list[Event]:
        del kind
        return []


def rows(script: str, show: _AtOnce) -> dict[str, tuple[bool, str]]:
    return {row["name"]: (row["ok"], row["message"]) for row in demo_show.SCRIPTS[script](show)}


@pytest.mark.parametrize(
    ("spoil", "name", "message"),
    [
        (lambda world: world.running.clear(), "StagingIsBack", "staging-1"),
        (
            lambda world: world.seen.add(("prod-2", digest_for(Fate.CRASH, demo_show.BAD))),
            "ProdNeverSawBadRelease",
            "prod-2",
        ),
        (lambda world: setattr(world, "reverts", 2), "ExactlyOneRevert", "2 found"),
    ],
    ids=["staging runs another", "prod was given it", "it was reverted twice"],
)
def test_what_is_not_so_at_the_end_is_found(
    spoil: Callable[[_World], object], name: str, message: str
) -> None:
    assert rows("bad-release", _AtOnce(lambda world: None))[name] == (True, "")
    assert rows("bad-release", _AtOnce(spoil))[name] == (False, message)


@pytest.mark.parametrize("too_early", [False, True])
def test_a_proof_without_a_cluster_is_looked_for_as_long_as_it_would_take(too_early: bool) -> None:
    show = _AtOnce(lambda world: None, comes=too_early)
    assert rows("cluster-down", show)["HeldWithoutIt"] == (not too_early, "")
    assert show.watched_s == [3.0], "three soaks"


OVERTAKES = """\
#!/bin/sh
rm "$0"
git push --quiet origin "$(git commit-tree -p origin/main -m overtook 'origin/main^{tree}'):main"
"""
"""A hook of Git's, run once, in the middle of a push: somebody else pushes first."""


def test_a_merge_that_is_overtaken_is_made_on_top_of_what_overtook_it() -> None:
    with DemoFleet() as fleet:
        hook = fleet.work / ".git/hooks/pre-push"
        hook.write_text(OVERTAKES)
        hook.chmod(0o700)
        merged = fleet.change({"README.md": "A change"}, "changed")
        newest = fleet.log()[-2:]
    assert [commit["subject"] for commit in newest] == ["overtook", "changed"]
    assert newest[-1]["commit"] == merged
