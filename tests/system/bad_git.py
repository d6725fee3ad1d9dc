"""Settings and files by which a Git remote is not trusted, or would have programs run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.gitservers.certificates import Authority
from tests.gitservers.repositories import BareRepository
from tests.gitservers.served import Served, Way
from tests.gitservers.ssh import make_key
from tests.system.installation import repo_settings

CANARY = "canary-of-the-tests"

EVIL = """\
[core]
\tsshCommand = touch {owned}
\thooksPath = {hooks}
\tfsmonitor = touch {owned}
\tpager = touch {owned}
[uploadpack]
\tpackObjectsHook = touch {owned}
[credential]
\thelper = !touch {owned}
[url "ext::touch {owned}"]
\tinsteadOf = http
[filter "x"]
\tsmudge = touch {owned}
"""


def evil(folder: Path, config: Path) -> Path:
    """Adds to a configuration whatever makes Git run a program; returns the file that would be made."""
    owned, hooks = folder / "owned", folder / "evil-hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "pre-push", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (hooks / name).chmod(0o755)
    with config.open("a") as file:
        file.write(EVIL.format(owned=owned, hooks=hooks))
    return owned


def evil_home(folder: Path) -> tuple[dict[str, str], Path]:
    """Makes a home and a PATH that make whoever looks there run a program.

    Returns:
        The variables that lead to both, and the file that would be made.
    """
    home, programs = folder / "home", folder / "programs"
    for made in (home / ".ssh", home / ".config" / "git", programs):
        made.mkdir(parents=True)
    owned = evil(folder, home / ".gitconfig")
    shutil.copy(home / ".gitconfig", home / ".config" / "git" / "config")
    (home / ".ssh" / "config").write_text(f"Host *\n  ProxyCommand touch {owned}\n")
    for name in ("git", "ssh"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {owned}\n")
        (programs / name).chmod(0o755)
    asked = ("GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "SSH_ASKPASS", "GIT_PROXY_COMMAND")
    variables = {name: f"touch {owned}" for name in asked}
    return {**variables, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}, owned


def unknown_host(served: dict[Way, Served], folder: Path) -> dict[str, object]:
    empty = folder / "known_hosts"
    empty.write_text("")
    return {**repo_settings(served[Way.SSH]), "known_hosts_file": str(empty)}


def changed_host(served: dict[Way, Served], folder: Path) -> dict[str, object]:
    repo = repo_settings(served[Way.SSH])
    line = Path(str(repo["known_hosts_file"])).read_text().split()
    other = make_key(folder / "other").with_suffix(".pub").read_text().split()[1]
    (folder / "known_hosts").write_text(f"{line[0]} {line[1]} {other}\n")
    return {**repo, "known_hosts_file": str(folder / "known_hosts")}


def wrong_ca(served: dict[Way, Served], folder: Path) -> dict[str, object]:
    other = Authority(folder / "other").ca_file
    return {**repo_settings(served[Way.HTTPS]), "ca_file": str(other)}


def no_ca(served: dict[Way, Served], folder: Path) -> dict[str, object]:
    del folder
    repo = repo_settings(served[Way.HTTPS])
    return {key: value for key, value in repo.items() if key != "ca_file"}


def wrong_token(served: dict[Way, Served], folder: Path) -> dict[str, object]:
    (folder / "token").write_text(CANARY)
    return {**repo_settings(served[Way.HTTP]), "token_file": str(folder / "token")}


def stranger(served: dict[Way, Served], folder: Path) -> dict[str, object]:
    return {**repo_settings(served[Way.SSH]), "ssh_key_file": str(make_key(folder / "stranger"))}


Keys = Callable[[dict[Way, Served], Path], dict[str, object]]


def overlong_commit(repository: BareRepository) -> str:
    """Moves the branch to a commit whose message is two megabytes; returns what errors call it."""
    git, head = repository.git, repository.tip()
    words = b"word " * 400_000
    commit = git("commit-tree", f"{head}^{{tree}}", "-p", head, stdin=words)
    git("update-ref", "refs/heads/main", commit)
    return f"commit {commit}"


def swollen_folder(repository: BareRepository) -> str:
    """Moves the branch to a commit with a folder of 18 megabytes of names; returns what errors call it."""
    git, head = repository.git, repository.tip()
    blob = git("hash-object", "-w", "--stdin")
    rows = "".join(f"100644 blob {blob}\t{number:0>200}\n" for number in range(80_000))
    folder = git("mktree", stdin=rows.encode())
    root = f"{git('ls-tree', head)}\n040000 tree {folder}\tdump\n"
    commit = git("commit-tree", git("mktree", stdin=root.encode()), "-p", head, "-m", "a dump")
    git("update-ref", "refs/heads/main", commit)
    return f"tree {folder}"


Swell = Callable[[BareRepository], str]
