"""A mirror that was left broken, or is used by two: told, and mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from reconciler.adapters.git.repository import GitRepository
from reconciler.errors import (
    OperatorError,
    ReconcilerError,
    TransientError,
    Unreachable,
)
from reconciler.model.names import CommitId
from reconciler.ports.git import PushOutcome
from tests.contract.git_ways import ServedWorld, one_commit, served_world
from tests.gitservers.repositories import BareRepository
from tests.gitservers.served import Way
from tests.processes import children

pytestmark = pytest.mark.git_server


@pytest.mark.parametrize(
    "lock", ["packed-refs.lock", "config.lock", "HEAD.lock", "refs/remotes/origin/main.lock"]
)
def test_a_lock_that_was_left_over_is_removed(lock: str, local: ServedWorld) -> None:
    local.repo.fetch()
    path = local.served.access.mirror_dir / lock
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    second = local.people.commit({"y": b"1"})
    assert local.repo.fetch() == second
    assert not path.exists()


def test_a_pack_that_was_never_finished_is_removed_once_no_exchange_can_be_at_it(
    local: ServedWorld,
) -> None:
    """A remote that is too slow for the time limit leaves one at each try, which must not fill the disk."""
    local.repo.fetch()
    folder = local.served.access.mirror_dir / "objects/pack"
    old, new = folder / "pack_1", folder / "pack_2"
    for draft in (old, new):
        draft.write_bytes(b"half")
    now_s, exchange_s = time.time(), local.served.access.timeout_s
    os.utime(old, (now_s, now_s - 4 * exchange_s))
    os.utime(new, (now_s, now_s - 2 * exchange_s))
    local.repo.fetch()
    assert (old.exists(), new.exists()) == (False, True)


OWN = '[core]\n\tsshCommand = touch {owned}\n\thooksPath = {hooks}\n[url "ext::touch"]\n\tinsteadOf = /\n'


def test_a_mirror_whose_configuration_was_changed_is_no_mirror_of_ours(
    http: ServedWorld, tmp_path: Path
) -> None:
    head = http.repo.fetch()
    owned, hooks = tmp_path / "owned", tmp_path / "evil"
    hooks.mkdir()
    for name in ("reference-transaction", "post-update", "pre-push", "post-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (hooks / name).chmod(0o755)
    mirror = http.served.access.mirror_dir
    with (mirror / "config").open("a") as config:
        config.write(OWN.format(owned=owned, hooks=hooks))
    assert http.repo.fetch() == head
    commit = http.repo.commit(head, {"y": b"1"}, "y")
    assert http.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert not owned.exists()
    assert "sshCommand" not in (mirror / "config").read_text()
    assert mirror.with_name(f"{mirror.name}.aside-1").is_dir(), "what is not ours is kept"


def test_hooks_in_the_mirror_do_not_run(http: ServedWorld, tmp_path: Path) -> None:
    head = http.repo.fetch()
    owned = tmp_path / "owned"
    hooks = http.served.access.mirror_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "pre-push", "post-commit", "post-update"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (hooks / name).chmod(0o755)
    commit = http.repo.commit(head, {"y": b"1"}, "y")
    assert http.repo.push(commit, "main").outcome is PushOutcome.LANDED
    http.repo.fetch()
    assert not owned.exists()


def test_a_mirror_of_another_url_is_put_aside(local: ServedWorld, tmp_path: Path) -> None:
    local.repo.fetch()
    other = BareRepository(tmp_path / "other.git")
    first = other.commit({"other": b"1"})
    assert local.with_access(url=str(other.path)).fetch() == first


def _emptied(mirror: Path) -> None:
    mirror.rename(mirror.with_name("elsewhere"))
    mirror.mkdir()


def _replaced_by_file(mirror: Path) -> None:
    mirror.rename(mirror.with_name("elsewhere"))
    mirror.write_text("not a folder")


def _without_objects(mirror: Path) -> None:
    (mirror / "objects").rename(mirror.with_name("objects"))
    (mirror / "objects" / "pack").mkdir(parents=True)


@pytest.mark.parametrize(
    ("case", "spoil"),
    [
        ("an empty folder", _emptied),
        ("a file", _replaced_by_file),
        ("a mirror without objects", _without_objects),
        ("a mirror without a HEAD", lambda mirror: (mirror / "HEAD").unlink()),
        ("a mirror whose HEAD is garbled", lambda mirror: (mirror / "HEAD").write_bytes(b"\xff")),
    ],
)
def test_it_is_made_anew(case: str, spoil: Callable[[Path], None], local: ServedWorld) -> None:
    del case
    head = local.repo.fetch()
    spoil(local.served.access.mirror_dir)
    second = local.people.commit({"y": b"1"})
    _succeeds(local.repo.fetch)
    assert local.repo.fetch() == second
    assert [e.path for e in local.repo.tree(head, "")] == ["README.md", "environments/dev/web.yaml"]


def test_an_object_that_went_bad_is_fetched_anew(local: ServedWorld) -> None:
    head = local.repo.fetch()
    with ThreadPoolExecutor(1) as other:
        # Another thread has read it, and holds its packs open.
        other.submit(local.repo.tree, head, "").result()
        for pack in (local.served.access.mirror_dir / "objects/pack").glob("*.pack"):
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:40] + bytes(pack.stat().st_size - 40))
        assert not _succeeds(lambda: local.repo.tree(head, ""))
        _succeeds(local.repo.fetch)
        local.repo.fetch()
        assert len(local.repo.tree(head, "")) == 2
        assert len(other.submit(local.repo.tree, head, "").result()) == 2


def _succeeds(attempt: Callable[[], object]) -> bool:
    """What is broken may be found only in the attempt itself; the next one mends it.

    No error is kept: its traceback would hold what it happened in.
    """
    try:
        attempt()
    except ReconcilerError:
        return False
    return True


def test_a_commit_that_was_made_before_the_mirror_was_replaced_is_decided_again(
    http: ServedWorld,
) -> None:
    commit = one_commit(http)
    mirror = http.served.access.mirror_dir
    mirror.rename(mirror.with_name("elsewhere"))
    http.repo.fetch()
    with pytest.raises(TransientError, match="decide again"):
        http.repo.push(commit, "main")


def test_before_the_first_fetch_nothing_is_known_rather_than_empty(local: ServedWorld) -> None:
    with pytest.raises(TransientError):
        local.repo.tree(CommitId(local.first), "")
    with pytest.raises(TransientError):
        local.repo.resolve(local.first)


def test_two_processes_share_a_mirror_one_after_the_other(http: ServedWorld) -> None:
    http.repo.fetch()
    entered, released = threading.Event(), threading.Event()

    def hold(service: str) -> None:
        entered.set()
        released.wait()

    http.served.before_refs(hold)
    first = threading.Thread(target=http.repo.fetch)
    first.start()
    assert entered.wait(20)
    with pytest.raises(Unreachable, match="another one held the mirror"):
        http.with_access(timeout_s=0.2).fetch()
    http.served.before_refs(None)
    released.set()
    first.join()
    assert http.with_access(timeout_s=20).fetch() == http.first


def test_many_packs_become_one_by_cloning_anew(
    local: ServedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.adapters.git.mirror.PACKS_MAX", 2)
    for number in range(4):
        head = local.people.commit({"x": str(number).encode()})
        assert local.repo.fetch() == head
    packs = list((local.served.access.mirror_dir / "objects/pack").glob("*.pack"))
    assert len(packs) <= 3


def test_what_was_put_aside_and_was_ours_goes(local: ServedWorld) -> None:
    """A process that dies between two renames leaves a mirror of ours aside."""
    local.repo.fetch()
    mirror = local.served.access.mirror_dir
    mirror.rename(mirror.with_name(f"{mirror.name}.aside-1"))
    local.repo.fetch()
    (mirror / "HEAD").unlink()
    local.people.commit({"y": b"1"})
    _succeeds(local.repo.fetch)
    local.repo.fetch()
    assert list(mirror.parent.glob("*.aside-*")) == []


FULL = """\
import json, resource, sys
from pathlib import Path
from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.repository import open_repository
from reconciler.errors import ReconcilerError
from reconciler.shell.runner import SystemClock

access = json.loads(sys.argv[1])
paths = {k: Path(v) for k, v in access.items() if k.endswith(("_dir", "_file")) and v}
repo = open_repository(GitAccess(**{**access, **paths}), clock=SystemClock())
# No file may grow past this, as on a disk that is full.
resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))
try:
    print(repo.fetch())
except ReconcilerError as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_is_told_and_mends_itself_once_there_is_room(http: ServedWorld) -> None:
    head = http.repo.fetch()
    later = http.people.commit({"large": os.urandom(1024 * 1024)})
    access = json.dumps(asdict(http.served.access), default=str)
    full = subprocess.run(
        [sys.executable, "-c", FULL, access], capture_output=True, text=True, check=True
    )
    assert full.stdout.startswith("OperatorError")
    assert "disk space" in full.stdout
    assert http.repo.tree(head, "") != ()
    assert http.repo.fetch() == later


def test_a_folder_that_cannot_be_written_is_an_operators_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with served_world(Way.LOCAL, tmp_path / "git") as world:
        repo: GitRepository = world.with_access(mirror_dir=blocked / "mirror")
        with pytest.raises(ReconcilerError):
            repo.fetch()


def test_the_exchange_ends_with_the_process_that_asked_for_it(http: ServedWorld) -> None:
    entered, released = threading.Event(), threading.Event()

    def hold(service: str) -> None:
        entered.set()
        released.wait()

    http.served.before_refs(hold)
    access = json.dumps(asdict(http.served.access), default=str)
    with subprocess.Popen([sys.executable, "-c", FULL, access], stdout=subprocess.DEVNULL) as asker:
        assert entered.wait(30)
        (child,) = children(asker.pid)
        asker.kill()
        asker.wait()
        until_s = time.monotonic() + 20
        while _lives(child):
            assert time.monotonic() < until_s
            time.sleep(0.02)
    released.set()


def _lives(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_an_operator_can_tell_what_to_do(local: ServedWorld) -> None:
    local.served.repository.path.rename(local.served.repository.path.with_name("gone"))
    with pytest.raises(OperatorError) as told:
        local.repo.fetch()
    assert told.value.object == f"repo {local.served.access.url}"
    assert "repo.url" in told.value.fix
