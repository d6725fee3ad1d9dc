"""The bare mirror on disk: made, recognised, replaced, and opened once a thread."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, Option

from reconciler.adapters.git.access import PACKS_MAX
from reconciler.adapters.git.errors import translated
from reconciler.errors import OperatorError, TransientError, Unreachable

OPEN_PACKS_MAX = 64
"""libgit2 keeps every pack open by default; a daemon has sockets to open, too."""

MAPPED_BYTES_MAX = 256 * 1024 * 1024
"""libgit2 maps up to 8 GiB by default, which a container's memory limit counts."""

LOCK_POLL_S = 0.05
"""Between tries for the lock; short beside the exchange that it waits for."""

DRAFT_EXCHANGES = 3
"""An exchange is ended at its time limit, and another process's may be somewhat longer than ours. A
half-written pack that is older than so many belongs to nobody, and each may have a gibibyte."""

ASIDE_MAX = 9
"""Foreign folders kept aside; a tenth means that something keeps putting them there."""

_LEVELS = (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA)


def confine_libgit2(*, home: Path) -> None:
    """Takes this machine's Git configuration away from libgit2, for the whole process.

    `core.sshCommand`, `url.insteadOf`, proxies and credential programs then mean nothing.
    """
    for level in _LEVELS:
        pygit2.settings.search_path[level] = ""
    pygit2.settings.homedir = str(home)
    pygit2.settings.mwindow_file_limit = OPEN_PACKS_MAX
    pygit2.settings.mwindow_mapped_limit = MAPPED_BYTES_MAX
    # A volume may belong to another user; there is no configuration left for it to plant.
    pygit2.option(Option.SET_OWNER_VALIDATION, 0)


def remote_ref(name: str) -> str:
    """Returns where the mirror keeps a remote's `refs/heads/…`."""
    return "refs/remotes/origin/" + name.removeprefix("refs/heads/")


def holds(repo: pygit2.Repository, oid: str) -> bool:
    """Tells whether a repository has an object, and reads none of it: what is garbled is there."""
    return pygit2.Oid(hex=oid) in repo.odb


class Mirror:
    """One bare mirror of one URL.

    A Repository is never shared between threads: each thread opens its own, and opens it anew when
    the folder was replaced, by this process or by another. All of them are let go when it is
    replaced: libgit2 keeps one open file for a pack's path as long as anybody holds it, so that a
    pack that went bad would otherwise be read on, under the name of the good one.

    Args:
        path: The mirror's folder.
        url: What it mirrors; a mirror of something else is foreign.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._fresh = path.with_name(path.name + ".new")
        self._lock = path.with_name(path.name + ".lock")
        self.home = path.with_name(path.name + ".home")
        # Exactly what we write: a line more or less, and the folder is not ours.
        self._config = (
            "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
            f'[reconciler]\n\tmirrors = "{url}"\n'
        )
        self._suspect = threading.Event()
        self._lock_opened = threading.Lock()
        self._opened: weakref.WeakKeyDictionary[
            threading.Thread, tuple[tuple[int, int, int], pygit2.Repository]
        ] = weakref.WeakKeyDictionary()

    @property
    def path(self) -> Path:
        """The folder that reads use."""
        return self._path

    def repository(self) -> pygit2.Repository:
        """Returns this thread's own Repository.

        Raises:
            TransientError: Nothing was fetched yet, or the folder cannot be opened.
        """
        me = threading.current_thread()
        folder = self._which_folder()
        with self._lock_opened:
            kept = self._opened.get(me)
        if kept is not None and kept[0] == folder:
            return kept[1]
        with translated(object=f"mirror {self._path}", what="the mirror cannot be opened"):
            repository = pygit2.Repository(str(self._path))
        with self._lock_opened:
            if kept is not None:
                kept[1].free()
            self._opened[me] = (folder, repository)
        return repository

    def _which_folder(self) -> tuple[int, int, int]:
        """Tells one folder from the next in its place, whose inode may be the same again."""
        try:
            folder, config = self._path.stat(), (self._path / "config").stat()
        except (FileNotFoundError, NotADirectoryError):
            raise TransientError(
                f"mirror {self._path}", "nothing can be read", "no fetch has succeeded yet"
            ) from None
        return folder.st_ino, config.st_ino, config.st_mtime_ns

    def suspect(self) -> None:
        """Notes that an object is missing or garbled: the next fetch clones anew."""
        self._suspect.set()

    def is_sound(self) -> bool:
        """Tells whether the folder is a mirror of ours that can be fetched into."""
        if self._suspect.is_set() or not self._is_ours(self._path):
            return False
        if sum(1 for _ in (self._path / "objects" / "pack").glob("*.pack")) > PACKS_MAX:
            return False
        try:
            pygit2.Repository(str(self._path))
        except (pygit2.GitError, KeyError, ValueError):
            return False
        return True

    @contextmanager
    def locked(self, timeout_s: float) -> Iterator[None]:
        """Holds the mirror against other threads and processes that would write to it.

        Raises:
            Unreachable: Another held it all the time.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        deadline_s = time.monotonic() + timeout_s
        with self._lock.open("wb") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline_s:
                        raise Unreachable(
                            f"mirror {self._path}",
                            "the fetch was given up",
                            f"another one held the mirror for {timeout_s:g} s",
                        ) from None
                    time.sleep(LOCK_POLL_S)
            yield

    def make_fresh(self) -> Path:
        """Makes an empty mirror beside the present one, which stays readable."""
        shutil.rmtree(self._fresh, ignore_errors=True)
        with translated(object=f"mirror {self._fresh}", what="the mirror cannot be made"):
            pygit2.init_repository(str(self._fresh), bare=True)
            (self._fresh / "config").write_text(self._config, encoding="utf-8")
        return self._fresh

    def take_fresh(self) -> None:
        """Puts the fresh mirror in the present one's place; a folder that is not ours is kept."""
        aside = self._aside()
        with translated(object=f"mirror {self._path}", what="the mirror cannot be replaced"):
            if self._path.exists() or self._path.is_symlink():
                self._path.rename(aside)
            self._fresh.rename(self._path)
        with self._lock_opened:
            # Let go of by hand: a Repository names itself, so that it is only collected some time later.
            # Whoever is in the middle of a read opens the new folder's objects with the next one.
            for _, repository in self._opened.values():
                repository.free()
            self._opened.clear()
        self._suspect.clear()
        # Also what a process left that died between the two renames.
        for former in self._path.parent.glob(f"{self._path.name}.aside-*"):
            if self._is_ours(former):
                shutil.rmtree(former, ignore_errors=True)

    def remove_leftovers(self, exchange_s: float) -> None:
        """Removes what a killed exchange left; only while `locked`, so that no fetch owns it.

        Args:
            exchange_s: How long an exchange may take: a push, which waits for no lock, may fetch too.
        """
        for lock in (self._path / "refs").rglob("*.lock"):
            lock.unlink(missing_ok=True)
        for lock in self._path.glob("*.lock"):
            lock.unlink(missing_ok=True)
        oldest_s = time.time() - DRAFT_EXCHANGES * exchange_s
        for draft in (self._path / "objects" / "pack").iterdir():
            is_pack = draft.suffix in (".pack", ".idx", ".rev", ".keep")
            if not is_pack and draft.stat().st_mtime < oldest_s:
                draft.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        try:
            return (path / "config").read_text(encoding="utf-8") == self._config
        except (OSError, UnicodeDecodeError):
            return False

    def _aside(self) -> Path:
        for number in range(1, ASIDE_MAX + 1):
            aside = self._path.with_name(f"{self._path.name}.aside-{number}")
            if not os.path.lexists(aside):
                return aside
        raise OperatorError(
            f"mirror {self._path}",
            "a foreign folder is in the mirror's place",
            f"{ASIDE_MAX} others were moved aside already",
            "find what writes there, and remove the .aside folders",
        )
