"""Remotes that hang, refuse and lie: bounded in time, and never believed."""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pygit2
import pytest
from pygit2.remotes import PushUpdate

from reconciler.adapters.git import exchange
from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.callbacks import ExchangeCallbacks
from reconciler.adapters.git.exchange_process import Exchange
from reconciler.adapters.git.repository import open_repository
from reconciler.errors import (
    Denied,
    InvalidInput,
    ReconcilerError,
    Throttled,
    TransientError,
    Unreachable,
)
from reconciler.ports.git import PushOutcome
from tests.contract.git_ways import ServedWorld, StoppedClock, one_commit, served_world
from tests.gitservers.hooks import HangUp
from tests.gitservers.served import Way
from tests.gitservers.ssh import make_key
from tests.ports import free_port
from tests.processes import children

pytestmark = pytest.mark.git_server

SHORT_S = 2.0
"""A time limit that a test waits for; an exchange itself takes a tenth of it."""


_strangers: set[int] = set()


@pytest.fixture(autouse=True)
def _not_of_other_tests() -> None:
    """A repository that an earlier test has dropped ends its process when it is collected."""
    gc.collect()
    _strangers.clear()
    _strangers.update(exchanges())


def exchanges() -> list[int]:
    """Returns the exchange processes of this test process that this test began."""
    found = (pid for pid in children(os.getpid()) if pid not in _strangers)
    return [
        pid for pid in found if b"exchange_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


# Processes.


def test_only_what_brings_nothing_is_done_by_the_same_process_again(pushable: ServedWorld) -> None:
    commit = one_commit(pushable)
    assert exchanges() == [], "it took in what a stranger sent"
    pushable.repo.fetch()
    waiting = exchanges()
    pushable.repo.fetch()
    assert exchanges() == waiting and len(waiting) == 1
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert exchanges() == []


def test_a_process_that_died_as_it_waited_is_replaced(http: ServedWorld) -> None:
    head = http.repo.fetch()
    assert http.repo.fetch() == head
    (waiting,) = exchanges()
    os.kill(waiting, signal.SIGKILL)
    os.waitid(os.P_PID, waiting, os.WEXITED | os.WNOWAIT)
    assert http.repo.fetch() == head


def test_a_process_that_waited_for_long_is_replaced(
    http: ServedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "WAITS_S", 0.0)
    seen = []
    for _ in range(3):
        http.repo.fetch()
        seen += exchanges()
    assert len(set(seen)) == 2, "the first fetch brought something, and the others have one each"


def test_an_exchange_works_beside_more_open_files_than_select_can_name(http: ServedWorld) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert http.repo.fetch() == http.first
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_repository_that_is_let_go_of_leaves_no_process(http: ServedWorld) -> None:
    repo = http.with_access()
    repo.fetch()
    repo.fetch()
    assert len(exchanges()) == 1
    del repo
    gc.collect()
    assert exchanges() == []


# Remotes that do not answer.


@contextmanager
def hanging(world: ServedWorld) -> Iterator[None]:
    """Lets every question for refs wait until the block is left."""
    released = threading.Event()

    def hang(service: str) -> None:
        released.wait()

    world.served.before_refs(hang)
    try:
        yield
    finally:
        released.set()
        world.served.before_refs(None)


def test_a_remote_that_hangs_is_given_up_and_its_process_ended(pushable: ServedWorld) -> None:
    commit = one_commit(pushable)
    repo = pushable.with_access(timeout_s=SHORT_S)
    with hanging(pushable):
        for attempt in (repo.fetch, lambda: repo.push(commit, "main")):
            began_s = time.monotonic()
            with pytest.raises(Unreachable, match="longer than 2 s"):
                attempt()
            assert time.monotonic() - began_s < 10 * SHORT_S
            assert exchanges() == []
    assert pushable.people.tip() == pushable.first
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("nothing", b""),
        ("a byte a second", b"H"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_port_that_says(case: str, says: bytes, scheme: str, tmp_path: Path) -> None:
    del case
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        thread = threading.Thread(target=_drip, args=(server, says, stopping))
        thread.start()
        access = GitAccess(
            f"{scheme}://127.0.0.1:{server.getsockname()[1]}/env.git",
            "main",
            tmp_path / "mirror",
            ssh_key_file=make_key(tmp_path / "key"),
            timeout_s=SHORT_S,
        )
        try:
            # What speaks no TLS at all may be told as a server that is not to be trusted.
            with pytest.raises((Unreachable, Denied)):
                open_repository(access, clock=StoppedClock()).fetch()
        finally:
            stopping.set()
            thread.join()


def _drip(server: socket.socket, says: bytes, stopping: threading.Event) -> None:
    connections: list[socket.socket] = []
    while not stopping.is_set():
        try:
            connections.append(server.accept()[0])
        except TimeoutError:
            for connection in connections:
                try:
                    connection.send(says)
                except OSError:
                    continue
            stopping.wait(0.2)
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_closed_port_is_unreachable(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}/env.git"
    access = GitAccess(url, "main", tmp_path / "mirror", ssh_key_file=tmp_path / "key")
    with pytest.raises(Unreachable):
        open_repository(access, clock=StoppedClock()).fetch()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Denied),
        (403, Denied),
        (404, InvalidInput),
        (429, Throttled),
        (500, Unreachable),
        (502, Unreachable),
        (503, Unreachable),
        (204, ReconcilerError),
    ],
)
def test_an_answer_of(status: int, kind: type[ReconcilerError], http: ServedWorld) -> None:
    commit = one_commit(http)
    assert http.served.http is not None
    http.served.http.status = status
    with pytest.raises(kind):
        http.repo.fetch()
    with pytest.raises(kind):
        http.repo.push(commit, "main")


def test_a_connection_that_breaks_is_tried_again_by_whoever_asks_next(http: ServedWorld) -> None:
    def hang_up(service: str) -> None:
        raise HangUp

    http.served.before_refs(hang_up)
    with pytest.raises(TransientError):
        http.repo.fetch()
    http.served.before_refs(None)
    assert http.repo.fetch() == http.first


# Pushes whose end is not what the answer said.


def test_a_push_that_was_dropped_is_lost_and_lands_when_made_again(http: ServedWorld) -> None:
    commit = one_commit(http)
    assert http.served.http is not None
    http.served.http.drops_pushes = True
    assert http.repo.push(commit, "main").outcome is PushOutcome.LOST
    assert http.people.tip() == http.first
    http.served.http.drops_pushes = False
    assert http.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert http.people.tip() == commit


def test_a_push_whose_answer_never_came_is_found_by_reading_back(http: ServedWorld) -> None:
    commit = one_commit(http)
    assert http.served.http is not None
    http.served.http.hangs_up_after_push = True
    assert http.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert http.people.tip() == commit


def test_a_push_that_cannot_be_read_back_is_not_called_landed(http: ServedWorld) -> None:
    commit = one_commit(http)

    def no_reading_back(service: str) -> None:
        if service == "git-upload-pack":
            raise HangUp

    http.served.before_refs(no_reading_back)
    with pytest.raises(TransientError):
        http.repo.push(commit, "main")
    http.served.before_refs(None)
    assert http.repo.push(commit, "main").outcome is PushOutcome.LANDED


def test_what_was_pushed_on_top_meanwhile_counts_as_landed(pushable: ServedWorld) -> None:
    commit = one_commit(pushable)
    later: list[str] = []

    def write() -> None:
        later.append(pushable.people.commit({"z": b"1"}))

    assert pushable.served.hooks is not None
    pushable.served.hooks.post_receive = write
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert pushable.people.tip() == later[0]


def test_no_push_is_ever_forced(pushable: ServedWorld) -> None:
    """Not even by a server that would allow it."""
    git = pushable.served.repository.git
    git("config", "receive.denyNonFastForwards", "false")
    commit = one_commit(pushable)
    theirs = pushable.people.commit({"z": b"1"})
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.people.tip() == theirs


def test_a_push_asks_for_no_force_and_looks_at_what_it_replaces_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two is enough by itself, so that no server can show that one of them is gone."""
    asked: list[str] = []
    sent: list[str] = []
    with served_world(Way.LOCAL, tmp_path) as world:
        commit = one_commit(world)
        theirs = world.people.commit({"z": b"1"})
        world.repo.fetch()

        def push(remote: pygit2.Remote, specs: list[str], callbacks: ExchangeCallbacks) -> None:
            del remote
            asked.extend(specs)
            update = SimpleNamespace(src=pygit2.Oid(hex=theirs), dst=pygit2.Oid(hex=commit))
            callbacks.push_negotiation([cast("PushUpdate", update)])
            sent.extend(specs)

        monkeypatch.setattr(pygit2.Remote, "push", push)
        mirror = world.served.access.mirror_dir
        request = exchange.request_for(
            world.served.access,
            operation=exchange.Operation.PUSH,
            mirror=mirror,
            home=mirror.with_name("home"),
        )
        answer = Exchange(replace(request, commit=commit)).push()
    assert asked == [f"{commit}:refs/heads/main"]
    assert sent == []
    assert answer["outcome"] == PushOutcome.MOVED
