"""What may come between the daemon and its push, played on any installation, real clusters or simulated.

Each round merges a release that crashes in staging, lets something happen to the push, and checks what
the branch holds in the end. A round leaves the installation ready for the next.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import Any

import pytest

from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.served import Way
from tests.system.envrepo import digest
from tests.system.installation import Installation, Made

PUSH = "git-receive-pack"
"""The service of a push; a fetch asks for another."""

MAIN = "refs/heads/main"


class Point(StrEnum):
    """Where in its push the daemon is killed."""

    BEFORE = "before: as it asks for the refs"
    DURING_ACCEPTED = "during: in pre-receive, and the push is accepted"
    DURING_REFUSED = "during: in pre-receive, and the push is refused"
    AFTER = "after: in post-receive"

    @property
    def is_landed(self) -> bool:
        """Whether the daemon's commit is on the branch though it died."""
        return self in (Point.DURING_ACCEPTED, Point.AFTER)


Kill = tuple[Point, int]
"""Where the daemon is killed, and how many of its pushes come to that point before."""


class Other(StrEnum):
    """What another person pushes meanwhile."""

    LEAVES = "leaves the pin alone"
    REPLACES = "replaces the pin"


class Races:
    """Rounds on one installation whose first release is proven.

    Args:
        on: The installation.
        good: The version that is proven everywhere.
    """

    def __init__(self, on: Installation, good: str) -> None:
        assert on.served.hooks is not None
        self._on = on
        self._hooks = on.served.hooks
        self._good = good
        self._round = 0

    def killed(self, point: Point, other: Other, *, by: signal.Signals = signal.SIGKILL) -> None:
        """The server ends the daemon at a point of its push, and somebody pushes before it is back."""
        bad = self._merge_bad()
        with self._killing(point, by):
            assert self._on.daemon.wait_dead() == (0 if by is signal.SIGTERM else -by)
        since = self._bad_commit
        replaced = self._push_other(other)
        self._on.daemon.start()
        self._check(bad, since, replaced, is_reverted=point.is_landed or replaced is None)

    def overtaken(self, *, at_refs: Other | None = None, as_taken: Other | None = None) -> None:
        """Somebody pushes after the daemon has fetched.

        Args:
            at_refs: Before the daemon is told the refs: its push is not sent.
            as_taken: After that, in pre-receive: the server cannot take what it was sent.
        """
        with self._overtaking(at_refs=at_refs, as_taken=as_taken) as pushed:
            bad = self._merge_bad()
        replaced = next(filter(None, pushed), None)
        self._check(bad, self._bad_commit, replaced, is_reverted=replaced is None)

    def dropped(self) -> None:
        """The server takes the push, says so, and keeps nothing of it, twice."""
        http = self._on.served.http
        assert http is not None
        asked = len(http.requests)
        http.drops_pushes = True

        def pushes() -> int:
            return sum(r.startswith("POST") and r.endswith(PUSH) for r in http.requests[asked:])

        try:
            bad = self._merge_bad()
            self._on.daemon.until(lambda: pushes() >= 2, "the push is made again")
        finally:
            http.drops_pushes = False
        self._check(bad, self._bad_commit, None, is_reverted=True)

    def protected(self, *kills: Kill, restarts: int = 0) -> None:
        """The branch takes no push: a person gets one branch, however often the daemon is restarted.

        Args:
            kills: One after the other, each of a new process, whose first push is to main and whose second to the
                branch for a person.
            restarts: Once the branch is there.
        """
        self._hooks.protected = frozenset({MAIN})
        bad = self._merge_bad()
        for point, let_be in kills:
            with self._killing(point, let_be=let_be, is_landed=self._on.own_branches):
                self._on.daemon.wait_dead()
            self._on.daemon.start()
        self._wait(lambda: self._branch_of(bad), "a branch for a person is recorded")
        for _ in range(restarts):
            self._on.daemon.kill()
            self._push_other(Other.LEAVES)
            self._on.daemon.start()
            self._wait_turn()
        (branch,) = self._on.own_branches()
        assert branch == self._branch_of(bad)
        assert self._on.made_since(self._bad_commit) == []
        (made,) = self._on.made_since(self._bad_commit, branch)
        assert made.trailers["Action"] == "revert"
        self._merge_by_person(branch)
        self._hooks.protected = frozenset()
        self._wait_recorded(bad)
        self._check_once(bad, self._bad_commit)
        self._on.served.repository.git("update-ref", "-d", f"refs/heads/{branch}")

    def replaced_and_protected(self) -> None:
        """The branch takes no push, and the pin is replaced as ours is refused: nothing is put back."""
        self._hooks.protected = frozenset({MAIN})
        with self._overtaking(as_taken=Other.REPLACES) as pushed:
            bad = self._merge_bad()
        self._wait(lambda: self._branch_of(bad), "a branch for a person is recorded")
        (branch,) = self._on.own_branches()
        (made,) = self._on.made_since(self._bad_commit, branch)
        assert made.trailers["Action"] == "quarantine"
        files = self._on.served.repository.git("show", "--format=", "--name-only", branch).split()
        assert files == [f"quarantine/{self._on.service}.yaml"]
        self._merge_by_person(branch)
        self._hooks.protected = frozenset()
        self._wait_recorded(bad)
        (version,) = pushed
        assert version is not None
        assert {self._on.pinned(e) for e in ("dev", "staging", "prod")} == {digest(version)}
        self._on.wait_proven("prod", version)
        self._good = version
        self._on.served.repository.git("update-ref", "-d", f"refs/heads/{branch}")

    def check_all(self) -> None:
        """Nothing was ever committed twice, and one more restart commits nothing."""
        head = self._on.head()
        self._on.daemon.kill()
        self._on.daemon.start()
        self._wait_turn()
        assert self._on.head() == head
        made = [c for c in self._on.made() if c.trailers]
        times = Counter((c.trailers["Action"], c.trailers["From"]) for c in made)
        assert set(times.values()) == {1}, times

    # What people do.

    def _merge_bad(self) -> str:
        self._round += 1
        version = f"2.{self._round}.0"
        pins = self._on.pins(version, marker=CRASHES_IN_STAGING)
        self._bad_commit = self._on.merge(pins, f"release {version}")
        return version

    def _push_other(self, other: Other) -> str | None:
        """Pushes as another person; returns the version that replaces the pins, or None."""
        if other is Other.LEAVES:
            self._on.merge({"README.md": os.urandom(8).hex().encode()}, "somebody's own business")
            return None
        version = f"3.{self._round}.0"
        self._on.merge(self._on.pins(version), f"release {version}")
        return version

    def _merge_by_person(self, branch: str) -> None:
        git = self._on.served.repository.git
        tip = git("rev-parse", f"refs/heads/{branch}")
        tree = git("merge-tree", "--write-tree", MAIN, tip)
        merged = git("commit-tree", tree, "-p", MAIN, "-p", tip, "-m", f"Merge {branch}")
        git("update-ref", MAIN, merged)

    @contextmanager
    def _overtaking(
        self, *, at_refs: Other | None = None, as_taken: Other | None = None
    ) -> Iterator[list[str | None]]:
        """Pushes once at each of the moments, and sees that the daemon came to them; yields what replaced the pins."""
        left = {"at refs": at_refs, "as taken": as_taken}
        pushed: list[str | None] = []

        def push(moment: str) -> None:
            if (other := left.pop(moment, None)) is not None:
                pushed.append(self._push_other(other))

        def before_refs(service: str) -> None:
            if service == PUSH:
                push("at refs")

        self._on.served.before_refs(before_refs)
        self._hooks.pre_receive = partial(push, "as taken")
        try:
            yield pushed
            awaited = sum(other is not None for other in (at_refs, as_taken))
            self._wait(lambda: len(pushed) == awaited, "the daemon pushes")
        finally:
            self._on.served.before_refs(None)
            self._hooks.pre_receive = None

    # What the server does.

    @contextmanager
    def _killing(
        self,
        point: Point,
        by: signal.Signals = signal.SIGKILL,
        *,
        let_be: int = 0,
        is_landed: Callable[[], object] | None = None,
    ) -> Iterator[None]:
        killed: list[int] = []
        asked = 0

        def kill() -> None:
            nonlocal asked
            asked += 1
            if not killed and asked > let_be:
                killed.append(self._on.daemon.pid)
                os.kill(killed[0], by)
                self._on.daemon.wait_dead()

        def at_refs(service: str) -> None:
            if service == PUSH:
                kill()

        def in_pre_receive() -> str | None:
            was_ours = not killed
            kill()
            return "not now" if was_ours and point is Point.DURING_REFUSED else None

        match point:
            case Point.BEFORE:
                self._on.served.before_refs(at_refs)
            case Point.DURING_ACCEPTED | Point.DURING_REFUSED:
                self._hooks.pre_receive = in_pre_receive
            case Point.AFTER:
                self._hooks.post_receive = kill
        try:
            yield
            assert killed
            if point.is_landed:
                # The server is at it still when the daemon is gone.
                taken = is_landed or (lambda: self._on.head() != self._bad_commit)
                self._wait(taken, "the push is taken")
        finally:
            self._on.served.before_refs(None)
            self._hooks.pre_receive = self._hooks.post_receive = None

    # What must come of it.

    def _check(self, bad: str, since: str, replaced: str | None, *, is_reverted: bool) -> None:
        self._wait_recorded(bad)
        made = self._check_once(bad, since)
        assert made.trailers["Action"] == ("revert" if is_reverted else "quarantine")
        bad_digest = digest(bad, marker=CRASHES_IN_STAGING)
        kept = digest(replaced) if replaced is not None else bad_digest
        back = digest(replaced) if replaced is not None else digest(self._good)
        pinned = {e: self._on.pinned(e) for e in ("dev", "staging", "prod")}
        assert pinned == {"dev": kept, "staging": back, "prod": back}
        assert self._on.own_branches() == []
        if replaced is not None:
            self._on.wait_proven("prod", replaced)
            self._good = replaced

    def _check_once(self, bad: str, since: str) -> Made:
        """Exactly one commit of the daemon's, with the bad revision in its trailers."""
        (made,) = self._on.made_since(since)
        rejection = self._on.rejection("staging", bad)
        assert rejection is not None
        assert made.trailers["From"] == rejection.revision.id
        assert made.trailers["Service"] == self._on.service
        assert made.trailers["Commit"] == since
        if made.trailers["Action"] == "revert":
            assert made.trailers["Environments"] == "staging, prod"
        return made

    def _branch_of(self, bad: str) -> str | None:
        rejection = self._on.rejection("staging", bad)
        return rejection.revert.branch if rejection is not None else None

    def _wait_recorded(self, bad: str) -> None:
        def is_recorded() -> bool:
            rejection = self._on.rejection("staging", bad)
            return rejection is not None and rejection.revert.commit is not None

        self._wait(is_recorded, f"the commit for {bad} is recorded")

        def is_back() -> bool:
            rejection = self._on.rejection("staging", bad)
            return rejection is not None and rejection.rolled_back_at is not None

        self._wait(is_back, f"staging is back from {bad}")

    def _wait_turn(self) -> None:
        """Waits until a new process leads and has seen HEAD: what it owes, it has found by then."""

        def has_turned() -> bool:
            status = self._on.daemon.status()
            cell = self._on.daemon.cell(self._on.service, "staging")
            return (
                status["head"]["accepted"] == self._on.head()
                and cell is not None
                and status["halted"] is None
            )

        self._wait(has_turned, "the new process has made a turn")

    def _wait(self, is_done: Callable[[], object], what: str) -> None:
        self._on.daemon.until(is_done, what)


def _killed(point: Point, races: Races) -> None:
    races.killed(point, Other.LEAVES)
    races.killed(point, Other.REPLACES)


def _overtaken(races: Races) -> None:
    races.overtaken(at_refs=Other.LEAVES, as_taken=Other.LEAVES)
    races.overtaken(at_refs=Other.REPLACES)
    races.overtaken(as_taken=Other.REPLACES)


def _protected(races: Races) -> None:
    races.protected(restarts=2)
    # The push to main, and then the one to the branch: the server was sent nothing of it, and then it has it, and the
    # daemon does not know.
    races.protected(
        (Point.BEFORE, 0), (Point.DURING_REFUSED, 0), (Point.BEFORE, 1), (Point.AFTER, 0)
    )
    races.protected((Point.DURING_ACCEPTED, 1))
    races.replaced_and_protected()


RACES: dict[str, Callable[[Races], None]] = {
    **{f"killed {point}": partial(_killed, point) for point in Point},
    "overtaken": _overtaken,
    "a branch that takes no push": _protected,
}
"""What is played, each as one round with a push that leaves the pin alone and one with a push that replaces it."""


def both_ways() -> list[Any]:
    """Returns every race over http and over ssh: a way, and the race."""
    return [_param(name, way) for way in (Way.HTTP, Way.SSH) for name in RACES]


def one_way(*, real: bool) -> list[Any]:
    """Returns every race once: over one way on real clusters, and over the other on simulated ones."""
    ways = (Way.HTTP, Way.SSH) if real else (Way.SSH, Way.HTTP)
    return [_param(name, ways[number % 2]) for number, name in enumerate(RACES)]


def _param(name: str, way: Way) -> Any:
    return pytest.param(way, RACES[name], id=f"{way.value}-{name}")
