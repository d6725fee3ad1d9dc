"""Runs a program as in a container: a root of its own that nobody can write to, but for some folders.

It takes Linux's own namespaces, and root to make them; the program itself has no right left.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.system.daemon import DaemonProcess

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc/ssl", "/etc/alternatives")
FILES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/etc/ld.so.cache")

EXEC_S = 120

_MAKE = r"""
set -eu
root=$1 uid=$2 gid=$3 folders=$4 files=$5 links=$6 volumes=$7
shift 7
mount -t tmpfs -o mode=755 container "$root"
for file in $files; do
  mkdir -p "$(dirname "$root$file")"
  : > "$root$file"
  mount --bind "$file" "$root$file"
done
for folder in $folders; do
  mkdir -p "$root${folder%%=*}"
  mount --bind "${folder#*=}" "$root${folder%%=*}"
  mount -o remount,bind,ro "$root${folder%%=*}"
done
for link in $links; do
  ln -s "${link#*=}" "$root${link%%=*}"
done
mkdir -p "$root/proc"
mount -t proc proc "$root/proc"
for volume in $volumes; do
  mkdir -p "$root$volume"
  mount -t tmpfs -o mode=755,uid="$uid",gid="$gid" volume "$root$volume"
done
mount -o remount,ro "$root"
# The program's own PATH need not lead to what root runs.
chroot=$(PATH="$PATH:/usr/sbin:/sbin" command -v chroot)
exec "$chroot" "$root" setpriv --reuid="$uid" --regid="$gid" --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all -- "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """What a contained program has.

    Attributes:
        root: An empty folder where its root is made, for it alone to see.
        shown: Folders that it can read besides the system's, by the path that it sees them under.
        volumes: Folders that it can write to; they begin empty.
    """

    root: Path
    shown: Mapping[str, Path]
    volumes: tuple[str, ...]
    uid: int
    gid: int

    def command(self, *program: str) -> list[str]:
        """Returns the command that runs a program in it; a signal to it reaches the program."""
        system = [Path(path) for path in SYSTEM if Path(path).exists()]
        links = [f"{path}={path.readlink()}" for path in system if path.is_symlink()]
        folders = {str(path): path for path in system if not path.is_symlink()}
        folders |= {sys.base_prefix: Path(sys.base_prefix), **self.shown}
        parts = (
            " ".join(f"{seen}={path}" for seen, path in folders.items()),
            " ".join(file for file in FILES if Path(file).exists()),
            " ".join(links),
            " ".join(self.volumes),
        )
        owner = (str(self.uid), str(self.gid))
        # A process namespace would need a fork, and a signal would not reach the program.
        isolate = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*isolate, "sh", "-c", _MAKE, "sh", str(self.root), *owner, *parts, *program]


class ContainedDaemon(DaemonProcess):
    """A daemon in a container.

    Args:
        folder: For its log, and its settings where it is not told others.
        container: Where it runs; it must see its settings.
        program: What is run, and its arguments.
        environment: Its whole environment.
        settings: As for any daemon; its addresses are chosen for it.
    """

    def __init__(
        self,
        folder: Path,
        container: Container,
        program: tuple[str, ...],
        environment: Mapping[str, str],
        settings: Mapping[str, object],
    ) -> None:
        super().__init__(folder, settings)
        self._container = container
        self._program = program
        self._given = dict(environment)

    def exec(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the same program with other arguments, as `kubectl exec` does; its volumes are empty."""
        return subprocess.run(
            self._container.command(self._program[0], *arguments),
            env=self._given,
            capture_output=True,
            text=True,
            timeout=EXEC_S,
            check=False,
        )

    def _command(self) -> list[str]:
        return self._container.command(*self._program)

    def _environment(self) -> dict[str, str]:
        # Loopback, whatever the settings say: a test is to be reached by nobody else.
        addresses = {
            "RECONCILER_LISTEN": self.page_url.removeprefix("http://"),
            "RECONCILER_PROBES_LISTEN": self.probes_url.removeprefix("http://"),
        }
        return self._given | addresses
