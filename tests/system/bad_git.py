"""Settings and files by which a Git remote is not trusted, or would have programs run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.gitservers.certificates import Authority
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
